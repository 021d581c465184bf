/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* More of everything than the vsock device has room for, and events that cross each other. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/vsock_suite.h"

TestSuite(device_vsock_flood, .init = set_up, .fini = tear_down);

Test(device_vsock_flood, more_connections_than_there_can_be)
{
	unsigned int before = mock_count_fds(&bench.fe);
	int fds[VSOCK_MAX_CONNECTIONS + 1];
	struct bench_stream stream;

	for (uint32_t i = 0; i < VSOCK_MAX_CONNECTIONS; i++)
		fds[i] = bench_open_by_guest(&bench, 1025 + i, 80).fd;
	cr_expect_eq(mock_count_fds(&bench.fe), before + VSOCK_MAX_CONNECTIONS);
	for (uint32_t i = 0; i < 1000; i++) {
		bench_send(&bench, VSOCK_OP_REQUEST, 5000 + i, 80, 0, NULL, 0);
		bench_expect(&bench, VSOCK_OP_RST, 5000 + i, 80);
	}
	bench_expect_text(bench_client(&bench, ""), "");
	/* One that ends makes room for another. */
	bench_send(&bench, VSOCK_OP_SHUTDOWN, 1025, 80, VSOCK_SHUTDOWN_BOTH, NULL, 0);
	bench_expect(&bench, VSOCK_OP_RST, 1025, 80);
	stream = bench_open_by_client(&bench, 52);
	bench_write(&bench, &stream, "in", 2);
	bench_expect_text(stream.fd, "in");
	mock_stop_queue(&bench.fe, VSOCK_TX);
	cr_expect_eq(mock_count_fds(&bench.fe), before - 1, "all, and the queue's kick");
	for (uint32_t i = 0; i < VSOCK_MAX_CONNECTIONS; i++)
		close(fds[i]);
}

Test(device_vsock_flood, a_flood_of_requests)
{
	struct vsock_broker_request request;
	struct bench_packet packet;
	unsigned int refused = 0;

	/* Faster than the broker takes them. */
	for (uint32_t port = 0; port < VSOCK_MAX_CONNECTIONS + 50; port++)
		bench_send(&bench, VSOCK_OP_REQUEST, 1025, port, 0, NULL, 0);
	for (; bench_next(&bench, &packet, 1000); refused++)
		cr_assert_eq(packet.header.op, VSOCK_OP_RST);
	cr_expect_geq(refused, 50);
	while (recv(bench.broker, &request, sizeof(request), MSG_DONTWAIT) > 0) {
		bench_answer(&bench, request.id, -ECONNREFUSED, -1);
		packet = bench_wait(&bench);
		cr_expect_eq(packet.header.op, VSOCK_OP_RST);
		refused++;
	}
	cr_expect_eq(refused, VSOCK_MAX_CONNECTIONS + 50);
	bench_expect_alive(&bench);
}

Test(device_vsock_flood, refusals_that_nobody_takes)
{
	struct mock_driver *driver = &bench.fe.queues[VSOCK_TX];
	struct vsock_header header = bench_header(VSOCK_OP_RW);
	unsigned int taken = 0, refused = 0;
	struct virtq_used_elem elem;

	bench_stop(&bench);
	bench_start(&bench, false);
	/* There are no buffers to refuse in. */
	memcpy(mock_ptr(driver, bench.tx), &header, sizeof(header));
	mock_set_desc(mock_desc_table(driver), 0,
		      (struct virtq_desc){ bench.tx, sizeof(header), 0, 0 });
	for (unsigned int sent = 32; sent <= VSOCK_REFUSALS_PAUSE + 32; sent += 32) {
		const int patience = sent <= VSOCK_REFUSALS_PAUSE ? MOCK_TIMEOUT : 300;

		for (int i = 0; i < 32; i++)
			mock_submit(driver, 0);
		mock_kick(&bench.fe, VSOCK_TX);
		for (int ms = 0; ms < patience && taken < sent; ms++) {
			usleep(1000);
			while (mock_take_used(driver, &elem))
				taken++;
		}
	}
	cr_expect_eq(taken, VSOCK_REFUSALS_PAUSE);
	mock_expect_idle(&bench.fe, "refusals");
	/* As they are taken, so are the packets. */
	bench_give(&bench, 0, BENCH_BUFFERS);
	for (; refused < VSOCK_REFUSALS_PAUSE + 32; refused++) {
		/* Buffers come while the device takes packets, not only while it waits for them. */
		mock_report(&bench.fe);
		cr_expect_eq(bench_wait(&bench).header.op, VSOCK_OP_RST);
	}
	bench_expect_silence(&bench);
	while (mock_take_used(driver, &elem))
		taken++;
	cr_expect_eq(taken, refused);
	bench_expect_alive(&bench);
}

Test(device_vsock_flood, refusals_do_not_outlive_a_reset)
{
	bench_stop(&bench);
	bench_start(&bench, false);
	bench_send(&bench, VSOCK_OP_RW, 1025, 80, 0, NULL, 0);
	mock_stop_queue(&bench.fe, VSOCK_RX);
	mock_stop_queue(&bench.fe, VSOCK_TX);
	bench_restart(&bench);
	bench_give(&bench, 0, BENCH_BUFFERS);
	bench_expect_silence(&bench);
	bench_expect_alive(&bench);
}

/* An event of a connection that another event has ended, when its slot has a new owner already. */
Test(device_vsock_flood, events_that_come_too_late)
{
	struct bench_stream old = bench_open_by_guest(&bench, 1025, 80);
	struct bench_stream new = { .guest_port = 1026, .host_port = 81 };
	struct mock_driver *driver = &bench.fe.queues[VSOCK_TX];
	struct vsock_header headers[] = { bench_header(VSOCK_OP_RST),
					  bench_header(VSOCK_OP_REQUEST) };
	struct vsock_broker_request request;
	struct bench_packet packet;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	headers[1].src_port = new.guest_port;
	headers[1].dst_port = new.host_port;
	memcpy(mock_ptr(driver, bench.tx), headers, sizeof(headers));
	for (uint16_t i = 0; i < 2; i++)
		mock_set_desc(mock_desc_table(driver), i,
			      (struct virtq_desc){ bench.tx + i * sizeof(headers[0]),
						   sizeof(headers[0]), 0, 0 });
	/* All at once: the end of the one, the other with its answer, the hang-up of the first. */
	kill(bench.fe.pid, SIGSTOP);
	mock_submit(driver, 0);
	mock_submit(driver, 1);
	mock_kick(&bench.fe, VSOCK_TX);
	bench_answer(&bench, 2, 0, pair[1]); /* its id, which is easy to guess */
	close(pair[1]);
	close(old.fd);
	kill(bench.fe.pid, SIGCONT);
	request = bench_asked(&bench, 81);
	cr_assert_eq(request.id, 2);
	do {
		packet = bench_wait(&bench);
	} while (packet.header.op == VSOCK_OP_SHUTDOWN && packet.header.dst_port == 1025);
	cr_expect_eq(packet.header.op, VSOCK_OP_RESPONSE);
	bench_expect_silence(&bench);
	bench_write(&bench, &new, "x", 1);
	bench_expect_text(pair[0], "x");
}

Test(device_vsock_flood, clients_that_say_nothing)
{
	const int nr_silent = VSOCK_MAX_CONNECTIONS + 20;
	struct bench_stream by_client, by_guest;
	int silent[VSOCK_MAX_CONNECTIONS + 20];
	int closed = 0;

	for (int i = 0; i < nr_silent; i++)
		silent[i] = bench_client(&bench, i % 2 ? "" : "CONN");
	by_client = bench_open_by_client(&bench, 52);
	by_guest = bench_open_by_guest(&bench, 1025, 80);
	for (int i = 0; i < nr_silent; i++) {
		struct pollfd pfd = { .fd = silent[i], .events = POLLIN };

		/* The oldest ones had to go, only as many as others came. */
		if (poll(&pfd, 1, 0) == 1)
			cr_expect_eq(closed++, i);
		close(silent[i]);
	}
	cr_expect_eq(closed, 22);
	bench_write(&bench, &by_client, "heard", 5);
	bench_expect_text(by_client.fd, "heard");
	bench_write(&bench, &by_guest, "heard", 5);
	bench_expect_text(by_guest.fd, "heard");
	mock_expect_idle(&bench.fe, "gone");
}
