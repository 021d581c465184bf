/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Credit in both directions, and peers that take nothing for a while. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/vsock_suite.h"

TestSuite(device_vsock_credit, .init = set_up, .fini = tear_down);

/* A byte that tells where in the stream it is. */
static uint8_t byte_at(size_t position)
{
	return (uint8_t)(position * 7 + position / 251);
}

static void fill(uint8_t *bytes, size_t position, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = byte_at(position + i);
}

static void expect_bytes(const uint8_t *bytes, size_t position, size_t len)
{
	for (size_t i = 0; i < len; i++)
		cr_assert_eq(bytes[i], byte_at(position + i), "byte %zu", position + i);
}

/* What the guest knows of the device's credit, packet by packet. */
struct guest_view {
	uint32_t sent;
	uint32_t limit;
};

static void hear(struct guest_view *view, const struct bench_packet *packet)
{
	const uint32_t limit = packet->header.fwd_cnt + packet->header.buf_alloc;

	cr_assert_leq((int32_t)(view->limit - limit), 0, "a promise is never taken back");
	view->limit = limit;
}

/* Sends as much as the credit allows, up to @len bytes of the stream; returns how much. */
static uint32_t send_within_credit(const struct bench_stream *stream, struct guest_view *view,
				   uint32_t len)
{
	static uint8_t bytes[BENCH_PAYLOAD];
	uint32_t n = view->limit - view->sent;

	n = n < len ? n : len;
	n = n < sizeof(bytes) ? n : sizeof(bytes);
	if (n) {
		fill(bytes, view->sent, n);
		bench_write(&bench, stream, bytes, n);
		view->sent += n;
	}
	return n;
}

/* Sends until there is no credit left and none comes, because the host side does not read. */
static void send_until_stuck(const struct bench_stream *stream, struct guest_view *view,
			     uint32_t at_once)
{
	struct bench_packet packet;

	do {
		send_within_credit(stream, view, at_once);
		while (view->limit == view->sent && bench_next(&bench, &packet, 200))
			hear(view, &packet);
	} while (view->limit != view->sent);
}

/* Reads all that is there, and checks it; returns the position behind it. */
static size_t drain(const struct bench_stream *stream, size_t position)
{
	static uint8_t bytes[65536];
	ssize_t n;

	while ((n = recv(stream->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
		expect_bytes(bytes, position, n);
		position += n;
	}
	return position;
}

Test(device_vsock_credit, a_server_that_does_not_read_gets_every_byte_in_the_end)
{
	struct bench_stream stream = bench_open_by_guest(&bench, 1025, 80);
	struct guest_view view = { .limit = stream.buf_alloc };
	struct bench_packet packet;
	size_t position = 0;
	uint32_t stuck;

	send_until_stuck(&stream, &view, 3001);
	stuck = view.sent;
	cr_expect_lt(stuck, 1u << 20, "what the kernel and the device hold");
	mock_expect_idle(&bench.fe, "server does not read");

	/* It reads now and then, and the guest goes on. */
	for (int round = 0; view.sent < stuck + 300000; round++) {
		cr_assert_lt(round, 5000);
		position = drain(&stream, position);
		if (bench_next(&bench, &packet, 1))
			hear(&view, &packet);
		send_within_credit(&stream, &view, 7001);
	}
	/* It ends when there is no room, and may leave: the rest is with the device. */
	send_until_stuck(&stream, &view, BENCH_PAYLOAD);
	bench_say(&bench, &stream, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_BOTH);
	bench_expect(&bench, VSOCK_OP_RST, 1025, 80);
	for (int ms = 0; ms < MOCK_TIMEOUT && position < view.sent; ms++) {
		position = drain(&stream, position);
		usleep(1000);
	}
	cr_expect_eq(position, view.sent);
	bench_expect_text(stream.fd, "");
}

/* The kernel takes a little again long before it says so: what is buffered goes first even then. */
Test(device_vsock_credit, bytes_stay_in_order_when_a_server_reads_a_little)
{
	struct bench_stream stream = { .guest_port = 1025, .host_port = 80 };
	const int size = 16384;
	struct guest_view view;
	uint8_t bytes[3000];
	size_t position = 0;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	cr_assert_eq(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	bench_say(&bench, &stream, VSOCK_OP_REQUEST, 0);
	bench_answer(&bench, bench_asked(&bench, 80).id, 0, pair[1]);
	close(pair[1]);
	stream.fd = pair[0];
	view = (struct guest_view){
		.limit = bench_expect(&bench, VSOCK_OP_RESPONSE, 1025, 80).header.buf_alloc,
	};
	for (int i = 0; i < 35; i++) {
		cr_assert_eq(send_within_credit(&stream, &view, sizeof(bytes)), sizeof(bytes));
		if (i < 20)
			continue;
		cr_assert_eq(read(stream.fd, bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
		expect_bytes(bytes, position, sizeof(bytes));
		position += sizeof(bytes);
	}
	for (int ms = 0; ms < MOCK_TIMEOUT && position < view.sent; ms++) {
		position = drain(&stream, position);
		usleep(1000);
	}
	cr_expect_eq(position, view.sent);
}

Test(device_vsock_credit, one_slow_server_does_not_hold_up_another)
{
	struct bench_stream slow = bench_open_by_guest(&bench, 1025, 80);
	struct bench_stream other = bench_open_by_guest(&bench, 1026, 81);
	struct guest_view view = { .limit = slow.buf_alloc };

	send_until_stuck(&slow, &view, BENCH_PAYLOAD);
	bench_write(&bench, &other, "quick", 5);
	bench_expect_text(other.fd, "quick");
}

Test(device_vsock_credit, what_is_left_is_delivered_before_the_end)
{
	struct bench_stream stream = bench_open_by_guest(&bench, 1025, 80);
	struct guest_view view = { .limit = stream.buf_alloc };
	struct bench_packet packet;
	size_t position = 0;

	send_until_stuck(&stream, &view, BENCH_PAYLOAD);
	bench_say(&bench, &stream, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_SEND);
	for (int ms = 0; ms < MOCK_TIMEOUT && position < view.sent; ms++) {
		position = drain(&stream, position);
		usleep(1000);
	}
	cr_expect_eq(position, view.sent);
	bench_expect_text(stream.fd, "");
	cr_assert_eq(write(stream.fd, "back", 4), 4, "the other direction is open");
	do {
		packet = bench_wait(&bench);
	} while (packet.header.op == VSOCK_OP_CREDIT_UPDATE);
	cr_expect_eq(packet.header.op, VSOCK_OP_RW);
}

Test(device_vsock_credit, a_guest_that_exceeds_it_is_reset)
{
	struct bench_stream stream = bench_open_by_guest(&bench, 1025, 80);
	struct guest_view view = { .limit = stream.buf_alloc };
	unsigned int before = mock_count_fds(&bench.fe);

	send_until_stuck(&stream, &view, BENCH_PAYLOAD);
	bench_write(&bench, &stream, "", 0);
	bench_expect_silence(&bench);
	bench_write(&bench, &stream, "x", 1);
	bench_expect(&bench, VSOCK_OP_RST, 1025, 80);
	cr_expect_eq(mock_count_fds(&bench.fe), before - 1);
}

Test(device_vsock_credit, bytes_before_the_answer_are_too_early)
{
	struct vsock_broker_request request;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	bench_send(&bench, VSOCK_OP_REQUEST, 1025, 80, 0, NULL, 0);
	request = bench_asked(&bench, 80);
	bench_send(&bench, VSOCK_OP_RW, 1025, 80, 0, "early", 5);
	bench_expect(&bench, VSOCK_OP_RST, 1025, 80);
	bench_answer(&bench, request.id, 0, pair[1]);
	close(pair[1]);
	bench_expect_text(pair[0], "");
}

Test(device_vsock_credit, it_is_told_when_asked_for)
{
	struct bench_stream stream = bench_open_by_guest(&bench, 1025, 80);
	struct bench_packet packet;

	bench_write(&bench, &stream, "12345", 5);
	bench_say(&bench, &stream, VSOCK_OP_CREDIT_REQUEST, 0);
	packet = bench_expect(&bench, VSOCK_OP_CREDIT_UPDATE, 1025, 80);
	cr_expect_eq(packet.header.fwd_cnt, 5);
	cr_expect_geq(packet.header.buf_alloc, 65536);
}

Test(device_vsock_credit, it_is_told_before_it_runs_out)
{
	static const uint8_t bytes[8192];
	struct bench_stream stream = bench_open_by_guest(&bench, 1025, 80);
	struct bench_packet packet;
	uint32_t sent = 0;

	while (!bench_next(&bench, &packet, 50)) {
		bench_write(&bench, &stream, bytes, sizeof(bytes));
		sent += sizeof(bytes);
		cr_assert_lt(sent, stream.buf_alloc);
	}
	cr_expect_eq(packet.header.op, VSOCK_OP_CREDIT_UPDATE);
	cr_expect_eq(packet.header.fwd_cnt, sent);
}

Test(device_vsock_credit, the_guest_gets_no_more_than_it_has_room_for)
{
	struct bench_packet packet;
	struct bench_stream stream;

	bench.buf_alloc = 10;
	stream = bench_open_by_guest(&bench, 1025, 80);
	cr_assert_eq(write(stream.fd, "0123456789abcdef", 16), 16);
	cr_expect_eq(bench_expect(&bench, VSOCK_OP_RW, 1025, 80).header.len, 10);
	bench_expect(&bench, VSOCK_OP_CREDIT_REQUEST, 1025, 80);
	mock_expect_idle(&bench.fe, "no credit");
	bench_say(&bench, &stream, VSOCK_OP_CREDIT_UPDATE, 0);
	bench_expect_silence(&bench);
	/* It is asked once, or two that have none would ask each other for ever. */
	bench_say(&bench, &stream, VSOCK_OP_CREDIT_REQUEST, 0);
	bench_expect(&bench, VSOCK_OP_CREDIT_UPDATE, 1025, 80);
	bench_expect_silence(&bench);
	/* It has read four of them. */
	bench.fwd_cnt = 4;
	bench_say(&bench, &stream, VSOCK_OP_CREDIT_UPDATE, 0);
	packet = bench_expect(&bench, VSOCK_OP_RW, 1025, 80);
	cr_expect_eq(packet.header.len, 4);
	cr_expect_eq(memcmp(packet.payload, "abcd", 4), 0);
	bench_expect(&bench, VSOCK_OP_CREDIT_REQUEST, 1025, 80);
}

Test(device_vsock_credit, a_guest_that_takes_its_room_back)
{
	struct bench_stream stream = bench_open_by_guest(&bench, 1025, 80);

	cr_assert_eq(write(stream.fd, "0123456789", 10), 10);
	bench_expect(&bench, VSOCK_OP_RW, 1025, 80);
	/* Ten bytes are in flight. */
	bench.buf_alloc = 5;
	bench_say(&bench, &stream, VSOCK_OP_CREDIT_UPDATE, 0);
	cr_assert_eq(write(stream.fd, "abcdef", 6), 6);
	bench_expect(&bench, VSOCK_OP_CREDIT_REQUEST, 1025, 80);
	bench_expect_silence(&bench);
	bench.fwd_cnt = 10;
	bench_say(&bench, &stream, VSOCK_OP_CREDIT_UPDATE, 0);
	cr_expect_eq(bench_expect(&bench, VSOCK_OP_RW, 1025, 80).header.len, 5);
}

Test(device_vsock_credit, counts_that_cannot_be_are_ignored)
{
	/* More than was sent, and then, after 8 of 16, less than before. */
	static const uint32_t counts[] = { 1, 17, 1000, 0x7fffffff, 0x80000000, 0xffffffff, 8, 7 };
	struct bench_stream stream;

	bench.buf_alloc = 16;
	stream = bench_open_by_guest(&bench, 1025, 80);
	/* A count before anything was sent. */
	bench.fwd_cnt = 1;
	bench_say(&bench, &stream, VSOCK_OP_CREDIT_UPDATE, 0);
	cr_assert_eq(write(stream.fd, "0123456789abcdefghijklmnopqrstuvw", 33), 33);
	cr_expect_eq(bench_expect(&bench, VSOCK_OP_RW, 1025, 80).header.len, 16);
	bench_expect(&bench, VSOCK_OP_CREDIT_REQUEST, 1025, 80);
	for (size_t i = 1; i < sizeof(counts) / sizeof(counts[0]); i++) {
		bench.fwd_cnt = counts[i];
		bench_say(&bench, &stream, VSOCK_OP_CREDIT_UPDATE, 0);
		if (counts[i] == 8) {
			cr_expect_eq(bench_expect(&bench, VSOCK_OP_RW, 1025, 80).header.len, 8);
			bench_expect(&bench, VSOCK_OP_CREDIT_REQUEST, 1025, 80);
		} else {
			bench_expect_silence(&bench);
		}
	}
}

Test(device_vsock_credit, a_guest_with_room_without_end)
{
	struct bench_stream stream;
	size_t sent = 0, got = 0;
	uint8_t bytes[8192];

	bench.buf_alloc = UINT32_MAX;
	stream = bench_open_by_guest(&bench, 1025, 80);
	while (sent < 500000) {
		fill(bytes, sent, sizeof(bytes));
		cr_assert_eq(write(stream.fd, bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
		sent += sizeof(bytes);
		while (got < sent) {
			struct bench_packet packet = bench_expect(&bench, VSOCK_OP_RW, 1025, 80);

			expect_bytes(packet.payload, got, packet.header.len);
			got += packet.header.len;
		}
	}
}

Test(device_vsock_credit, without_buffers_the_host_waits_and_nobody_spins)
{
	struct bench_stream streams[4];
	struct mock_driver *driver = &bench.fe.queues[VSOCK_RX];
	struct virtq_used_elem elem;

	for (uint32_t i = 0; i < 4; i++)
		streams[i] = bench_open_by_guest(&bench, 1025 + i, 80);
	/* Use the buffers up, without giving any back. */
	for (int i = 0; i < BENCH_BUFFERS; i++) {
		cr_assert_eq(write(streams[0].fd, "x", 1), 1);
		elem = mock_wait_used(&bench.fe, VSOCK_RX);
		cr_expect_eq(elem.len, sizeof(struct vsock_header) + 1);
	}
	for (int i = 0; i < 4; i++)
		cr_assert_eq(write(streams[i].fd, "waits", 5), 5);
	mock_expect_idle(&bench.fe, "no buffers");
	bench_write(&bench, &streams[1], "through", 7);
	bench_expect_text(streams[1].fd, "through");
	cr_expect_not(mock_take_used(driver, &elem));
	/* One buffer each, in turn. */
	for (uint16_t i = 0; i < 4; i++) {
		const struct vsock_header *header = mock_ptr(driver, bench.rx[32 + i]);

		bench_give(&bench, 32 + i, 1);
		cr_expect_eq(mock_wait_used(&bench.fe, VSOCK_RX).len,
			     sizeof(struct vsock_header) + 5);
		cr_expect_eq(header->dst_port, 1025u + i);
	}
}

Test(device_vsock_credit, hang_ups_while_there_are_no_buffers)
{
	struct bench_stream streams[4];
	struct bench_packet packet;

	for (uint32_t i = 0; i < 4; i++)
		streams[i] = bench_open_by_guest(&bench, 1025 + i, 80);
	for (int i = 0; i < BENCH_BUFFERS; i++) {
		cr_assert_eq(write(streams[0].fd, "x", 1), 1);
		mock_wait_used(&bench.fe, VSOCK_RX);
	}
	for (int i = 0; i < 4; i++) {
		cr_assert_eq(write(streams[i].fd, "end", 3), 3);
		close(streams[i].fd);
	}
	mock_expect_idle(&bench.fe, "hang-up, no buffers");
	bench_give(&bench, 32, BENCH_BUFFERS);
	for (int i = 0; i < 8; i++) {
		packet = bench_wait(&bench);
		cr_expect_eq(packet.header.op, i < 4 ? VSOCK_OP_RW : VSOCK_OP_SHUTDOWN);
	}
}
