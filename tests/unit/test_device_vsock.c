/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The vsock device with well-behaved peers on both sides, which come, go, and take their time. */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/vsock_suite.h"

TestSuite(device_vsock, .init = set_up, .fini = tear_down);

Test(device_vsock, configuration)
{
	struct vhost_user_config config = { .size = 8 };
	uint64_t cid;

	mock_send(&bench.fe, VHOST_USER_GET_CONFIG, 0, &config, 12 + 8, -1);
	cr_assert(mock_reply(&bench.fe, VHOST_USER_GET_CONFIG, &config, 12 + 8));
	memcpy(&cid, config.region, sizeof(cid));
	cr_expect_eq(le64toh(cid), BENCH_CID);
}

Test(device_vsock, a_client_talks_with_the_guest)
{
	struct bench_stream stream = bench_open_by_client(&bench, 52);
	struct bench_packet packet;

	cr_expect_geq(stream.host_port, 0x40000000u);
	cr_assert_eq(write(stream.fd, "question", 8), 8);
	packet = bench_expect(&bench, VSOCK_OP_RW, 52, stream.host_port);
	cr_expect_eq(packet.header.len, 8);
	cr_expect_eq(memcmp(packet.payload, "question", 8), 0);
	bench_write(&bench, &stream, "answer", 6);
	bench_expect_text(stream.fd, "answer");
	cr_expect_eq(mock_report(&bench.fe).malformed_chains, 0);
}

Test(device_vsock, the_guest_talks_with_a_server)
{
	struct bench_stream stream = bench_open_by_guest(&bench, 1025, 80);
	struct bench_packet packet;

	bench_write(&bench, &stream, "question", 8);
	bench_expect_text(stream.fd, "question");
	cr_assert_eq(write(stream.fd, "answer", 6), 6);
	packet = bench_expect(&bench, VSOCK_OP_RW, 1025, 80);
	cr_expect_eq(packet.header.len, 6);
	cr_expect_eq(memcmp(packet.payload, "answer", 6), 0);
}

Test(device_vsock, in_the_sandbox)
{
	struct bench_stream by_client, by_guest;

	bench_stop(&bench);
	bench_start(&bench, true);
	bench_give(&bench, 0, BENCH_BUFFERS);
	by_client = bench_open_by_client(&bench, 52);
	by_guest = bench_open_by_guest(&bench, 1025, 80);
	cr_assert_eq(write(by_client.fd, "a", 1), 1);
	bench_expect(&bench, VSOCK_OP_RW, 52, by_client.host_port);
	bench_write(&bench, &by_guest, "b", 1);
	bench_expect_text(by_guest.fd, "b");
	bench_say(&bench, &by_guest, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_SEND);
	bench_expect_text(by_guest.fd, "");
	close(by_client.fd);
	bench_expect(&bench, VSOCK_OP_SHUTDOWN, 52, by_client.host_port);
}

Test(device_vsock, what_a_client_sends_before_the_answer)
{
	int fd = bench_client(&bench, "CONNECT 52\nearly");
	struct bench_packet packet;
	struct bench_stream stream;

	packet = bench_wait(&bench);
	cr_expect_eq(packet.header.op, VSOCK_OP_REQUEST);
	shutdown(fd, SHUT_WR);
	bench_expect_silence(&bench);
	stream = (struct bench_stream){ fd, 52, packet.header.src_port, 0 };
	bench_say(&bench, &stream, VSOCK_OP_RESPONSE, 0);
	packet = bench_expect(&bench, VSOCK_OP_RW, 52, stream.host_port);
	cr_expect_eq(memcmp(packet.payload, "early", 5), 0);
	cr_expect_eq(bench_expect(&bench, VSOCK_OP_SHUTDOWN, 52, stream.host_port).header.flags,
		     VSOCK_SHUTDOWN_SEND);
}

Test(device_vsock, a_line_in_pieces)
{
	int fd = bench_client(&bench, "CONN");
	struct bench_packet packet;

	usleep(20000);
	cr_assert_eq(write(fd, "ECT 42949", 9), 9);
	usleep(20000);
	cr_assert_eq(write(fd, "67295\n", 6), 6);
	packet = bench_wait(&bench);
	cr_expect_eq(packet.header.dst_port, UINT32_MAX);
}

Test(device_vsock, lines_that_are_none)
{
	static const char *const lines[] = {
		"\n",
		"CONNECT\n",
		"CONNECT \n",
		"CONNECT -1\n",
		"CONNECT 4294967296\n",
		"CONNECT 18446744073709551616\n",
		"CONNECT 52 \n",
		"CONNECT 5x2\n",
		"connect 52\n",
		"GET / HTTP/1.1\r\n",
		"CONNECT 00000000000000000000000052\n",
		"a line that is longer than any that makes sense, without an end",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		int fd = bench_client(&bench, lines[i]);

		bench_expect_text(fd, "");
		close(fd);
	}
	bench_expect_silence(&bench);
}

Test(device_vsock, the_guest_refuses_a_client)
{
	int fd = bench_client(&bench, "CONNECT 52\n");
	struct bench_packet packet;

	packet = bench_wait(&bench);
	bench_send(&bench, VSOCK_OP_RST, 52, packet.header.src_port, 0, NULL, 0);
	bench_expect_text(fd, "");
	bench_expect_silence(&bench);
}

Test(device_vsock, a_client_leaves_before_the_guest_has_answered)
{
	int fd = bench_client(&bench, "CONNECT 52\n");
	struct bench_packet packet;

	packet = bench_wait(&bench);
	close(fd);
	bench_expect(&bench, VSOCK_OP_RST, 52, packet.header.src_port);
	bench_send(&bench, VSOCK_OP_RESPONSE, 52, packet.header.src_port, 0, NULL, 0);
	bench_expect(&bench, VSOCK_OP_RST, 52, packet.header.src_port);
}

Test(device_vsock, nobody_listens_at_the_host)
{
	static const int errors[] = { -ENOENT, -ECONNREFUSED, -EAGAIN, 0 };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		bench_send(&bench, VSOCK_OP_REQUEST, 1025, 80, 0, NULL, 0);
		/* Status 0 without a descriptor is an error too. */
		bench_answer(&bench, bench_asked(&bench, 80).id, errors[i], -1);
		bench_expect(&bench, VSOCK_OP_RST, 1025, 80);
	}
}

Test(device_vsock, the_broker_answers_too_late)
{
	unsigned int before = mock_count_fds(&bench.fe);
	uint32_t id;

	bench_send(&bench, VSOCK_OP_REQUEST, 1025, 80, 0, NULL, 0);
	id = bench_asked(&bench, 80).id;
	bench_send(&bench, VSOCK_OP_RST, 1025, 80, 0, NULL, 0);
	bench_answer(&bench, id, 0, bench.broker);
	bench_expect_silence(&bench);
	cr_expect_eq(mock_count_fds(&bench.fe), before, "the descriptor is closed");
}

Test(device_vsock, the_broker_has_gone)
{
	struct bench_stream stream = bench_open_by_client(&bench, 52);

	close(bench.broker);
	bench.broker = -1;
	mock_expect_idle(&bench.fe, "broker");
	bench_send(&bench, VSOCK_OP_REQUEST, 1025, 80, 0, NULL, 0);
	bench_expect(&bench, VSOCK_OP_RST, 1025, 80);
	bench_write(&bench, &stream, "x", 1);
	bench_expect_text(stream.fd, "x");
}

Test(device_vsock, the_host_ends_one_direction)
{
	struct bench_stream stream = bench_open_by_guest(&bench, 1025, 80);

	cr_assert_eq(write(stream.fd, "last", 4), 4);
	shutdown(stream.fd, SHUT_WR);
	cr_expect_eq(bench_expect(&bench, VSOCK_OP_RW, 1025, 80).header.len, 4);
	cr_expect_eq(bench_expect(&bench, VSOCK_OP_SHUTDOWN, 1025, 80).header.flags,
		     VSOCK_SHUTDOWN_SEND);
	mock_expect_idle(&bench.fe, "end of file");
	bench_write(&bench, &stream, "still", 5);
	bench_expect_text(stream.fd, "still");
	/* And then the other one. */
	close(stream.fd);
	cr_expect_eq(bench_expect(&bench, VSOCK_OP_SHUTDOWN, 1025, 80).header.flags,
		     VSOCK_SHUTDOWN_BOTH);
	bench_say(&bench, &stream, VSOCK_OP_RST, 0);
	bench_expect_silence(&bench);
}

Test(device_vsock, the_guest_ends_one_direction)
{
	struct bench_stream stream = bench_open_by_guest(&bench, 1025, 80);

	bench_write(&bench, &stream, "last", 4);
	bench_say(&bench, &stream, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_SEND);
	bench_expect_text(stream.fd, "last");
	bench_expect_text(stream.fd, "");
	cr_assert_eq(write(stream.fd, "still", 5), 5);
	cr_expect_eq(bench_expect(&bench, VSOCK_OP_RW, 1025, 80).header.len, 5);
	/* And then the other one, which the device confirms. */
	bench_say(&bench, &stream, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_RCV);
	bench_expect(&bench, VSOCK_OP_RST, 1025, 80);
	cr_expect_eq(send(stream.fd, "x", 1, MSG_NOSIGNAL), -1);
}

Test(device_vsock, a_guest_that_will_not_receive)
{
	struct bench_stream stream = bench_open_by_guest(&bench, 1025, 80);

	bench_say(&bench, &stream, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_RCV);
	usleep(20000);
	cr_expect_eq(send(stream.fd, "x", 1, MSG_NOSIGNAL), -1);
	mock_expect_idle(&bench.fe, "shut down");
	bench_write(&bench, &stream, "still", 5);
	bench_expect_text(stream.fd, "still");
	close(stream.fd);
	cr_expect_eq(bench_expect(&bench, VSOCK_OP_SHUTDOWN, 1025, 80).header.flags,
		     VSOCK_SHUTDOWN_BOTH);
}

Test(device_vsock, the_guest_closes)
{
	struct bench_stream stream = bench_open_by_client(&bench, 52);
	unsigned int before = mock_count_fds(&bench.fe);

	bench_write(&bench, &stream, "last", 4);
	bench_say(&bench, &stream, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_BOTH);
	bench_expect(&bench, VSOCK_OP_RST, 52, stream.host_port);
	bench_expect_text(stream.fd, "last");
	bench_expect_text(stream.fd, "");
	cr_expect_eq(mock_count_fds(&bench.fe), before - 1);
	/* The ports are free again. */
	bench_send(&bench, VSOCK_OP_REQUEST, 52, stream.host_port, 0, NULL, 0);
	bench_asked(&bench, stream.host_port);
}

Test(device_vsock, the_host_closes_with_bytes_on_their_way)
{
	struct bench_stream stream = bench_open_by_client(&bench, 52);

	cr_assert_eq(write(stream.fd, "last words", 10), 10);
	bench_write(&bench, &stream, "unread", 6);
	close(stream.fd);
	cr_expect_eq(bench_expect(&bench, VSOCK_OP_RW, 52, stream.host_port).header.len, 10);
	cr_expect_eq(bench_expect(&bench, VSOCK_OP_SHUTDOWN, 52, stream.host_port).header.flags,
		     VSOCK_SHUTDOWN_BOTH);
	mock_expect_idle(&bench.fe, "closed");
	/* What was on its way then is of no use to anybody. */
	bench_write(&bench, &stream, "too late", 8);
	bench_say(&bench, &stream, VSOCK_OP_RST, 0);
	bench_expect_silence(&bench);
}

Test(device_vsock, the_guest_resets)
{
	struct bench_stream stream = bench_open_by_client(&bench, 52);

	bench_write(&bench, &stream, "last", 4);
	bench_say(&bench, &stream, VSOCK_OP_RST, 0);
	bench_expect_text(stream.fd, "last");
	bench_expect_text(stream.fd, "");
	bench_expect_silence(&bench);
}

Test(device_vsock, many_connections_each_with_its_own_bytes)
{
	struct bench_stream streams[64];
	char byte, got;

	for (uint32_t i = 0; i < 64; i++)
		streams[i] = i % 2 ? bench_open_by_client(&bench, 52)
				   : bench_open_by_guest(&bench, 2000 + i, 80);
	for (uint32_t i = 0; i < 64; i++) {
		byte = (char)i;
		bench_write(&bench, &streams[i], &byte, 1);
		cr_assert_eq(write(streams[i].fd, &byte, 1), 1);
		cr_expect_eq(bench_expect(&bench, VSOCK_OP_RW, streams[i].guest_port,
					  streams[i].host_port)
				     .payload[0],
			     i);
	}
	for (uint32_t i = 0; i < 64; i++) {
		cr_assert_eq(read(streams[i].fd, &got, 1), 1);
		cr_expect_eq(got, (char)i);
		close(streams[i].fd);
	}
}

Test(device_vsock, ports_of_clients_are_those_that_are_free)
{
	bench_open_by_guest(&bench, 1025, 0x40000000);
	bench_open_by_guest(&bench, 1026, 0x40000001);
	cr_expect_eq(bench_open_by_client(&bench, 52).host_port, 0x40000002);
}

Test(device_vsock, clients_wait_for_the_driver)
{
	int early;
	struct bench_packet packet;

	bench_stop(&bench);
	bench_start(&bench, false);
	early = bench_client(&bench, "CONNECT 52\n");
	mock_expect_idle(&bench.fe, "no driver");
	bench_give(&bench, 0, BENCH_BUFFERS);
	packet = bench_wait(&bench);
	cr_expect_eq(packet.header.op, VSOCK_OP_REQUEST);
	close(early);
}

Test(device_vsock, a_reset_closes_everything)
{
	struct bench_stream by_client = bench_open_by_client(&bench, 52);
	struct bench_stream by_guest = bench_open_by_guest(&bench, 1025, 80);
	int greeting = bench_client(&bench, "CONN");
	unsigned int fds;
	uint32_t id;

	bench_send(&bench, VSOCK_OP_REQUEST, 1026, 80, 0, NULL, 0);
	id = bench_asked(&bench, 80).id;
	mock_stop_queue(&bench.fe, VSOCK_RX);
	bench_expect_text(by_client.fd, "");
	bench_expect_text(by_guest.fd, "");
	bench_expect_text(greeting, "");
	mock_stop_queue(&bench.fe, VSOCK_TX);
	bench_answer(&bench, id, 0, bench.broker);
	mock_expect_idle(&bench.fe, "reset");
	fds = mock_count_fds(&bench.fe);
	bench_client(&bench, "CONNECT 53\n");
	usleep(20000);
	cr_expect_eq(mock_count_fds(&bench.fe), fds, "the client waits");

	mock_start_queue(&bench.fe, VSOCK_RX, BENCH_QUEUE_SIZE);
	mock_start_queue(&bench.fe, VSOCK_TX, BENCH_QUEUE_SIZE);
	for (uint16_t i = 0; i < BENCH_QUEUE_SIZE; i++)
		mock_set_desc(
			mock_desc_table(&bench.fe.queues[VSOCK_RX]), i,
			(struct virtq_desc){ bench.rx[i], BENCH_BUFFER, VIRTQ_DESC_F_WRITE, 0 });
	bench_give(&bench, 0, BENCH_BUFFERS);
	/* The client that came in between is the first of the new life. */
	cr_expect_eq(bench_expect(&bench, VSOCK_OP_REQUEST, 53, 0x40000001).header.fwd_cnt, 0);
	bench_open_by_guest(&bench, 1025, 80);
}
