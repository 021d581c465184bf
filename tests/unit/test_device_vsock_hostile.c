/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Guests and clients of the host that mean the vsock device no good. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/vsock_suite.h"

TestSuite(device_vsock_hostile, .init = set_up, .fini = tear_down);

Test(device_vsock_hostile, lengths_that_lie)
{
	static const uint32_t lengths[] = { 1, 44, 4096, 0x7fffffff, 0xffffffff };
	struct vsock_header header = bench_header(VSOCK_OP_RW);

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct bench_stream stream = bench_open_by_guest(&bench, 1025, 80);

		header.len = lengths[i];
		bench_send_raw(&bench, &header, NULL, 0);
		bench_expect(&bench, VSOCK_OP_RST, 1025, 80);
		bench_expect_text(stream.fd, "");
		close(stream.fd);
	}
	cr_expect_eq(mock_report(&bench.fe).malformed_chains, 5);
	bench_expect_alive(&bench);
}

Test(device_vsock_hostile, a_shorter_packet_than_its_descriptors)
{
	struct bench_stream stream = bench_open_by_guest(&bench, 1025, 80);
	struct vsock_header header = bench_header(VSOCK_OP_RW);

	header.len = 3;
	bench_send_raw(&bench, &header, "abcdef", 6);
	bench_write(&bench, &stream, "g", 1);
	bench_expect_text(stream.fd, "abcg");
}

Test(device_vsock_hostile, headers_that_are_cut_or_empty)
{
	struct mock_driver *driver = &bench.fe.queues[VSOCK_TX];
	const struct vsock_header header = bench_header(VSOCK_OP_REQUEST);

	memcpy(mock_ptr(driver, bench.tx), &header, sizeof(header));
	for (uint32_t len = 0; len < sizeof(header); len++) {
		mock_set_desc(mock_desc_table(driver), 0,
			      (struct virtq_desc){ bench.tx, len, 0, 0 });
		mock_submit(driver, 0);
		cr_expect_eq(mock_complete(&bench.fe, VSOCK_TX).len, 0);
	}
	/* And one that is for the device to write. */
	mock_set_desc(mock_desc_table(driver), 0,
		      (struct virtq_desc){ bench.tx, 64, VIRTQ_DESC_F_WRITE, 0 });
	mock_submit(driver, 0);
	cr_expect_eq(mock_complete(&bench.fe, VSOCK_TX).len, 0);
	cr_expect_eq(mock_report(&bench.fe).malformed_chains, sizeof(header) + 1);
	bench_expect_silence(&bench);
	bench_expect_alive(&bench);
}

Test(device_vsock_hostile, a_packet_in_many_descriptors)
{
	struct bench_stream stream = bench_open_by_guest(&bench, 1025, 80);
	struct mock_driver *driver = &bench.fe.queues[VSOCK_TX];
	struct vsock_header header = bench_header(VSOCK_OP_RW);
	uint8_t *to = mock_ptr(driver, bench.tx);

	header.len = 19;
	memcpy(to, &header, sizeof(header));
	memcpy(to + sizeof(header), "one byte in each of", 19);
	for (uint16_t i = 0; i < 63; i++)
		mock_set_desc(mock_desc_table(driver), i,
			      (struct virtq_desc){ bench.tx + i, 1, i < 62 ? VIRTQ_DESC_F_NEXT : 0,
						   i + 1 });
	mock_submit(driver, 0);
	mock_complete(&bench.fe, VSOCK_TX);
	bench_expect_text(stream.fd, "one byte in each of");
}

Test(device_vsock_hostile, addresses_of_others)
{
	static const struct {
		uint64_t src;
		uint64_t dst;
		bool answered;
	} cases[] = {
		{ 4, 2, false },		      /* another guest's */
		{ 0, 2, false },		      /* the hypervisor's */
		{ 2, 2, false },		      /* the host's */
		{ BENCH_CID | 1ull << 32, 2, false }, /* ours but for the high half */
		{ UINT64_MAX, 2, false },
		{ BENCH_CID, 0, true },
		{ BENCH_CID, 1, true },
		{ BENCH_CID, BENCH_CID, true },
		{ BENCH_CID, 4, true },
		{ BENCH_CID, 0xffffffff, true },
		{ BENCH_CID, 2 | 1ull << 32, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vsock_header header = bench_header(VSOCK_OP_REQUEST);
		struct bench_packet packet;

		header.src_cid = cases[i].src;
		header.dst_cid = cases[i].dst;
		bench_send_raw(&bench, &header, NULL, 0);
		cr_assert_eq(bench_next(&bench, &packet, 200), cases[i].answered, "case %zu", i);
		if (!cases[i].answered)
			continue;
		cr_expect_eq(packet.header.op, VSOCK_OP_RST);
		cr_expect_eq(packet.header.src_cid, cases[i].dst);
		cr_expect_eq(packet.header.src_port, 80);
		cr_expect_eq(packet.header.dst_port, 1025);
	}
	bench_expect_alive(&bench);
}

Test(device_vsock_hostile, types_that_do_not_exist)
{
	static const uint16_t types[] = { 0, 2, 3, 0xffff };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct vsock_header header = bench_header(VSOCK_OP_REQUEST);
		struct bench_packet packet;

		header.type = types[i];
		bench_send_raw(&bench, &header, NULL, 0);
		packet = bench_wait(&bench);
		cr_expect_eq(packet.header.op, VSOCK_OP_RST);
		cr_expect_eq(packet.header.type, types[i]);
	}
	bench_expect_alive(&bench);
}

Test(device_vsock_hostile, operations_without_a_connection)
{
	static const uint16_t ops[] = { 0,
					VSOCK_OP_RESPONSE,
					VSOCK_OP_SHUTDOWN,
					VSOCK_OP_RW,
					VSOCK_OP_CREDIT_UPDATE,
					VSOCK_OP_CREDIT_REQUEST,
					8,
					0xffff };

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		bench_send(&bench, ops[i], 1025, 80, 0xffffffff, "x", 1);
		bench_expect(&bench, VSOCK_OP_RST, 1025, 80);
	}
	/* There is no answer to this one, or two devices could go on for ever. */
	bench_send(&bench, VSOCK_OP_RST, 1025, 80, 0, NULL, 0);
	bench_expect_silence(&bench);
	bench_expect_alive(&bench);
}

Test(device_vsock_hostile, operations_that_end_a_connection)
{
	static const uint16_t ops[] = { 0, VSOCK_OP_REQUEST, VSOCK_OP_RESPONSE, 8, 0xffff };

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		struct bench_stream stream = bench_open_by_guest(&bench, 1025, 80);

		bench_say(&bench, &stream, ops[i], 0);
		bench_expect(&bench, VSOCK_OP_RST, 1025, 80);
		bench_expect_text(stream.fd, "");
		close(stream.fd);
	}
	bench_expect_alive(&bench);
}

Test(device_vsock_hostile, operations_before_the_host_has_answered)
{
	static const uint16_t ops[] = { 0,
					VSOCK_OP_REQUEST,
					VSOCK_OP_RESPONSE,
					VSOCK_OP_SHUTDOWN,
					VSOCK_OP_RW,
					VSOCK_OP_CREDIT_UPDATE,
					0xffff };

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		bench_send(&bench, VSOCK_OP_REQUEST, 1025, 80, 0, NULL, 0);
		bench_asked(&bench, 80);
		bench_send(&bench, ops[i], 1025, 80, 0, NULL, 0);
		bench_expect(&bench, VSOCK_OP_RST, 1025, 80);
	}
	bench_expect_alive(&bench);
}

Test(device_vsock_hostile, an_answer_before_the_question)
{
	struct bench_packet packet;
	int fd;

	/* No buffers: the REQUEST cannot have been seen. */
	bench_stop(&bench);
	bench_start(&bench, false);
	bench_give(&bench, 0, 1);
	fd = bench_client(&bench, "CONNECT 1\n");
	cr_expect_eq(mock_wait_used(&bench.fe, VSOCK_RX).len, sizeof(struct vsock_header));
	close(fd);
	fd = bench_client(&bench, "CONNECT 52\n");
	usleep(50000);
	bench_send(&bench, VSOCK_OP_RESPONSE, 52, 0x40000001, 0, NULL, 0);
	bench_expect_text(fd, "");
	bench_give(&bench, 1, BENCH_BUFFERS);
	while (bench_next(&bench, &packet, 200))
		cr_expect_eq(packet.header.op, VSOCK_OP_RST);
	bench_expect_alive(&bench);
}

Test(device_vsock_hostile, flags_that_mean_nothing)
{
	struct bench_stream stream = bench_open_by_guest(&bench, 1025, 80);

	bench_say(&bench, &stream, VSOCK_OP_SHUTDOWN, 0);
	bench_say(&bench, &stream, VSOCK_OP_SHUTDOWN, ~VSOCK_SHUTDOWN_BOTH);
	bench_write(&bench, &stream, "open", 4);
	bench_expect_text(stream.fd, "open");
	bench_say(&bench, &stream, VSOCK_OP_SHUTDOWN, ~VSOCK_SHUTDOWN_RCV);
	bench_expect_text(stream.fd, "");
	bench_say(&bench, &stream, VSOCK_OP_SHUTDOWN, ~VSOCK_SHUTDOWN_RCV);
	bench_write(&bench, &stream, "x", 1);
	bench_expect(&bench, VSOCK_OP_RST, 1025, 80);
}

Test(device_vsock_hostile, buffers_without_room)
{
	struct bench_stream stream = bench_open_by_guest(&bench, 1025, 80);
	struct mock_driver *driver = &bench.fe.queues[VSOCK_RX];
	struct virtq_used_elem elem;

	for (int i = 0; i < BENCH_BUFFERS; i++) {
		cr_assert_eq(write(stream.fd, "x", 1), 1);
		mock_wait_used(&bench.fe, VSOCK_RX);
	}
	cr_assert_eq(write(stream.fd, "abc", 3), 3);
	for (uint32_t len = 0; len <= sizeof(struct vsock_header); len++) {
		mock_set_desc(mock_desc_table(driver), 32,
			      (struct virtq_desc){ bench.rx[32], len, VIRTQ_DESC_F_WRITE, 0 });
		bench_give(&bench, 32, 1);
		cr_expect_eq(mock_wait_used(&bench.fe, VSOCK_RX).len, 0);
	}
	/* One byte of room. */
	mock_set_desc(mock_desc_table(driver), 32,
		      (struct virtq_desc){ bench.rx[32], sizeof(struct vsock_header) + 1,
					   VIRTQ_DESC_F_WRITE, 0 });
	bench_give(&bench, 32, 1);
	elem = mock_wait_used(&bench.fe, VSOCK_RX);
	cr_expect_eq(elem.len, sizeof(struct vsock_header) + 1);
	bench_give(&bench, 33, 1);
	cr_expect_eq(mock_wait_used(&bench.fe, VSOCK_RX).len, sizeof(struct vsock_header) + 2);
}

Test(device_vsock_hostile, a_buffer_in_many_descriptors)
{
	struct bench_stream stream = bench_open_by_guest(&bench, 1025, 80);
	struct mock_driver *driver = &bench.fe.queues[VSOCK_RX];
	const struct vsock_header *header = mock_ptr(driver, bench.rx[32]);

	for (int i = 0; i < BENCH_BUFFERS; i++) {
		cr_assert_eq(write(stream.fd, "x", 1), 1);
		mock_wait_used(&bench.fe, VSOCK_RX);
	}
	for (uint16_t i = 0; i < BENCH_QUEUE_SIZE - 1; i++)
		mock_set_desc(
			mock_desc_table(driver), i,
			(struct virtq_desc){ bench.rx[32] + i, 1,
					     VIRTQ_DESC_F_WRITE | (i < 62 ? VIRTQ_DESC_F_NEXT : 0),
					     i + 1 });
	cr_assert_eq(write(stream.fd, "nineteen byte words", 19), 19);
	mock_submit(driver, 0);
	cr_expect_eq(mock_complete(&bench.fe, VSOCK_RX).len, sizeof(*header) + 19);
	cr_expect_eq(header->len, 19);
	cr_expect_eq(memcmp(header + 1, "nineteen byte words", 19), 0);
}

Test(device_vsock_hostile, a_broken_queue_closes_everything)
{
	struct bench_stream stream = bench_open_by_guest(&bench, 1025, 80);
	struct mock_driver *driver = &bench.fe.queues[VSOCK_RX];

	for (int i = 0; i < BENCH_BUFFERS; i++) {
		cr_assert_eq(write(stream.fd, "x", 1), 1);
		mock_wait_used(&bench.fe, VSOCK_RX);
	}
	mock_set_desc(mock_desc_table(driver), 32,
		      (struct virtq_desc){ 0, 4096, VIRTQ_DESC_F_WRITE, 0 });
	cr_assert_eq(write(stream.fd, "x", 1), 1);
	bench_give(&bench, 32, 1);
	cr_expect(mock_signalled(bench.fe.err[VSOCK_RX], MOCK_TIMEOUT));
	bench_expect_text(stream.fd, "");
	bench_send(&bench, VSOCK_OP_REQUEST, 1025, 80, 0, NULL, 0);
	mock_expect_idle(&bench.fe, "broken");
}

Test(device_vsock_hostile, buffers_for_events_stay_where_they_are)
{
	struct bench_stream stream = bench_open_by_guest(&bench, 1025, 80);
	struct virtq_used_elem elem;

	mock_submit_buffer(&bench.fe.queues[VSOCK_EVENT], 0, 4, VIRTQ_DESC_F_WRITE);
	mock_kick(&bench.fe, VSOCK_EVENT);
	mock_stop_queue(&bench.fe, VSOCK_EVENT);
	cr_expect_not(mock_take_used(&bench.fe.queues[VSOCK_EVENT], &elem));
	bench_write(&bench, &stream, "on", 2);
	bench_expect_text(stream.fd, "on");
}

Test(device_vsock_settings, that_make_no_device)
{
	static const char *const wrong[] = { "cid=2",  "cid=0",		 "cid=4294967295", "cid=-3",
					     "cid=3x", "cid=4294967299", "cid=",	   NULL };
	const struct device_kind *kind = device_kind_find("vsock");
	struct device device;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	for (const char *const *text = wrong;; text++) {
		const char *settings[] = { *text, NULL };
		const struct device_options options = { pair, 2, settings };

		cr_expect_eq(device_create(&device, kind, &options), -EINVAL, "%s", *text);
		if (!*text)
			break;
	}
}
