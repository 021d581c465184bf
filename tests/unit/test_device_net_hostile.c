/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* virtio-net: drivers that send nonsense, and peers that are slow, wrong or gone. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/net_bench.h"

static struct net_bench b;
static uint8_t frame[256 << 10];

static void set_up(void)
{
	net_start_stream(&b, NULL, 0, 128);
	net_pattern(frame, sizeof(frame), 1);
}

static void tear_down(void)
{
	net_stop(&b);
}

TestSuite(device_net_hostile, .init = set_up, .fini = tear_down);

/* The peer can change the size of its buffer only by reading. */
static void fill_the_wire(size_t len, unsigned int *sent)
{
	struct virtq_used_elem elem;

	for (*sent = 0;; (*sent)++) {
		const struct net_header plain = { 0 };

		b.fe.queues[NET_TX].next_free = MOCK_BASE + (NET_TX << 20) + 65536;
		net_pattern(frame, len, *sent);
		net_submit(&b, NET_TX, *sent % 128, &plain, frame, len);
		mock_kick(&b.fe, NET_TX);
		if (!mock_poll_used(&b.fe, NET_TX, MOCK_FULL, &elem))
			break;
		cr_assert_lt(*sent, 1000);
	}
}

Test(device_net_hostile, headers_that_were_not_negotiated_are_dropped)
{
	static const struct net_header bad[] = {
		{ .flags = NET_HDR_F_NEEDS_CSUM, .csum_start = 14, .csum_offset = 16 },
		{ .gso_type = NET_HDR_GSO_TCPV4, .gso_size = 1000 },
		{ .gso_type = NET_HDR_GSO_TCPV6, .gso_size = 1000 },
		{ .gso_type = NET_HDR_GSO_ECN },
		{ .gso_type = 3, .gso_size = 1000 },
		{ .gso_type = 5, .gso_size = 1000 },
		{ .gso_type = 0x7f },
		{ .gso_type = 0xff },
	};
	const uint16_t nr = sizeof(bad) / sizeof(bad[0]);

	for (uint16_t i = 0; i < nr; i++)
		net_submit(&b, NET_TX, i, &bad[i], frame, 60);
	mock_kick(&b.fe, NET_TX);
	for (uint16_t i = 0; i < nr; i++)
		net_expect_used(&b, NET_TX, i, 0);
	peer_expects_nothing(&b);
	cr_expect_eq(mock_report(&b.fe).request_errors, nr);
	net_send(&b, 0, frame, 60);
	peer_expects(&b, frame, 60);
}

Test(device_net_hostile, flags_and_fields_without_meaning_are_ignored)
{
	const struct net_header odd = { .flags = 0xfe,
					.hdr_len = 0xffff,
					.gso_size = 0xffff,
					.csum_start = 0xffff,
					.csum_offset = 0xffff,
					.num_buffers = 0xffff };

	net_submit(&b, NET_TX, 0, &odd, frame, 60);
	mock_kick(&b.fe, NET_TX);
	peer_expects(&b, frame, 60);
}

Test(device_net_hostile, frames_of_impossible_length_are_dropped)
{
	static const size_t bad[] = { 0, 1, 13, NET_FRAME_MAX + 1, 256 << 10 };
	const uint16_t nr = sizeof(bad) / sizeof(bad[0]);

	for (uint16_t i = 0; i < nr; i++)
		net_send(&b, i, frame, bad[i]);
	peer_expects_nothing(&b);
	cr_expect_eq(mock_report(&b.fe).request_errors, nr);
	cr_expect_eq(mock_report(&b.fe).malformed_chains, 0);
}

Test(device_net_hostile, chains_shorter_than_the_header_are_dropped)
{
	mock_submit_buffer(&b.fe.queues[NET_TX], 0, 11, 0);
	mock_submit_buffer(&b.fe.queues[NET_TX], 1, 0, 0);
	mock_submit_buffer(&b.fe.queues[NET_TX], 2, 1500, NET_WRITE);
	mock_kick(&b.fe, NET_TX);
	for (uint16_t i = 0; i < 3; i++)
		net_expect_used(&b, NET_TX, i, 0);
	cr_expect_eq(mock_report(&b.fe).malformed_chains, 3);
	peer_expects_nothing(&b);
}

Test(device_net_hostile, a_peer_that_does_not_read_holds_up_nothing_else)
{
	static const size_t lengths[] = { 60, 9000, 60000 };

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		unsigned int sent;

		net_stop(&b);
		net_start_stream(&b, NULL, 0, 128);
		fill_the_wire(lengths[i], &sent);
		mock_expect_idle(&b.fe, "wire full");
		net_post(&b, NET_RX, 0, 1526);
		mock_kick(&b.fe, NET_RX);
		peer_sends(&b, frame, 60);
		net_expect_used(&b, NET_RX, 0, 72);
		for (unsigned int n = 0; n <= sent; n++) {
			net_pattern(frame, lengths[i], n);
			peer_expects(&b, frame, lengths[i]);
		}
		net_expect_used(&b, NET_TX, sent % 128, 0);
		mock_expect_idle(&b.fe, "wire free");
	}
}

Test(device_net_hostile, a_queue_that_stops_in_the_middle_of_a_frame)
{
	unsigned int sent;

	fill_the_wire(60000, &sent);
	/* All that was completed arrives whole, also when the driver starts anew. */
	cr_expect_eq(mock_stop_queue(&b.fe, NET_TX), sent);
	mock_expect_idle(&b.fe, "stopped");
	mock_start_queue(&b.fe, NET_TX, 128);
	for (unsigned int n = 0; n < sent; n++) {
		net_pattern(frame, 60000, n);
		peer_expects(&b, frame, 60000);
	}
	net_send(&b, 0, frame, 60);
	peer_expects(&b, frame, 60);
}

Test(device_net_hostile, restarted_queues_go_on)
{
	for (int round = 0; round < 3; round++) {
		net_post(&b, NET_RX, 5, 1526);
		mock_kick(&b.fe, NET_RX);
		peer_sends(&b, frame, 1000);
		net_expect_used(&b, NET_RX, 5, 1012);
		net_send(&b, 7, frame, 60);
		peer_expects(&b, frame, 60);
		/* Comes while nothing runs. */
		mock_stop_queue(&b.fe, NET_RX);
		mock_stop_queue(&b.fe, NET_TX);
		peer_sends(&b, frame, 500);
		mock_expect_idle(&b.fe, "stopped");
		mock_start_queue(&b.fe, NET_RX, 64);
		mock_start_queue(&b.fe, NET_TX, 64);
		net_post(&b, NET_RX, 6, 1526);
		mock_kick(&b.fe, NET_RX);
		net_expect_used(&b, NET_RX, 6, 512);
	}
}

/* The socket on which a device tells that its configuration has changed. */
static int open_channel(void)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(mock_ack(&b.fe, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, pair[1]), 0);
	close(pair[1]);
	return pair[0];
}

static void expect_link_down(int channel)
{
	struct vhost_user_msg msg;
	uint8_t config[8];

	cr_assert_eq(vhost_user_recv(channel, &msg, MOCK_TIMEOUT), 1);
	cr_expect_eq(msg.hdr.request, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG);
	net_get_config(&b, config, sizeof(config));
	cr_expect_eq(config[6], 0);
	cr_expect_eq(vhost_user_recv(channel, &msg, 50), -ETIMEDOUT, "told once");
	close(channel);
}

Test(device_net_hostile, a_peer_that_hangs_up)
{
	int channel = open_channel();

	for (uint16_t n = 0; n < 3; n++)
		net_post(&b, NET_RX, n, 1526);
	mock_kick(&b.fe, NET_RX);
	/* What it said before still comes. */
	peer_sends(&b, frame, 60);
	peer_sends(&b, frame, 70);
	net_close_peer(&b);
	net_expect_used(&b, NET_RX, 0, 72);
	net_expect_used(&b, NET_RX, 1, 82);
	expect_link_down(channel);
	mock_expect_idle(&b.fe, "hang-up");
	net_send(&b, 0, frame, 60);
	cr_expect_eq(mock_report(&b.fe).request_errors, 1);
}

Test(device_net_hostile, a_peer_that_hangs_up_when_no_queue_runs)
{
	int channel = open_channel();

	mock_stop_queue(&b.fe, NET_RX);
	mock_stop_queue(&b.fe, NET_TX);
	net_close_peer(&b);
	expect_link_down(channel);
}

Test(device_net_hostile, a_peer_that_hangs_up_while_frames_wait)
{
	int channel = open_channel();
	unsigned int sent;

	fill_the_wire(60000, &sent);
	net_close_peer(&b);
	net_expect_used(&b, NET_TX, sent % 128, 0);
	expect_link_down(channel);
	mock_expect_idle(&b.fe, "hang-up");
}

Test(device_net_hostile, lengths_that_no_frame_has_end_the_stream)
{
	static const uint32_t bad[] = { 0, NET_FRAME_MAX + 1, 0x80000000, 0xffffffff };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const uint32_t be = htonl(bad[i]);
		int channel;
		char byte;

		net_stop(&b);
		net_start_stream(&b, NULL, 0, 128);
		channel = open_channel();
		net_post(&b, NET_RX, 0, 1526);
		mock_kick(&b.fe, NET_RX);
		peer_writes(&b, &be, sizeof(be));
		expect_link_down(channel);
		cr_expect_leq(recv(b.peer, &byte, 1, 0), 0, "closed");
		mock_expect_idle(&b.fe, "closed");
	}
}

Test(device_net_hostile, a_driver_that_changes_what_it_sends_while_it_is_sent)
{
	struct mock_driver *driver = &b.fe.queues[NET_TX];
	uint64_t addr = mock_alloc(driver, 12 + 60);
	volatile uint8_t *header = mock_ptr(driver, addr);
	const unsigned int rounds = 2000;
	unsigned int came = 0;

	memset(mock_ptr(driver, addr), 0, 12 + 60);
	mock_set_desc(mock_desc_table(driver), 0, (struct virtq_desc){ addr, 72, 0, 0 });
	for (unsigned int round = 0; round < rounds; round++) {
		struct virtq_used_elem elem;
		uint8_t got[64];

		mock_submit(driver, 0);
		mock_kick(&b.fe, NET_TX);
		while (!mock_take_used(driver, &elem))
			header[1] = header[1] ? 0 : NET_HDR_GSO_TCPV4;
		if (mock_report(&b.fe).request_errors + came > round)
			continue;
		/* Not dropped: then it is here, and as it should be. */
		peer_reads(&b, got, sizeof(got));
		cr_assert_eq(got[3], 60);
		came++;
	}
	peer_expects_nothing(&b);
}

/* What waits for chains holds those that there are: all of them count. */
Test(device_net_hostile, more_chains_than_entries_while_a_frame_waits)
{
	const uint32_t room = 13; /* a header and a byte */

	for (uint16_t n = 0; n < 40; n++)
		net_post(&b, NET_RX, n, room);
	mock_kick(&b.fe, NET_RX);
	net_settle();
	peer_sends(&b, frame, 14);
	net_expect_used(&b, NET_RX, 0, room);
	net_expect_used(&b, NET_RX, 1, room);
	peer_sends(&b, frame, 9000);
	net_settle();
	cr_expect_eq(mock_report(&b.fe).broken_queues, 0);
	for (uint16_t n = 0; n < 91; n++)
		net_post(&b, NET_RX, 37 + n, room);
	mock_kick(&b.fe, NET_RX);
	mock_expect_idle(&b.fe, "129 chains in a ring of 128");
	cr_expect_eq(mock_report(&b.fe).broken_queues, 1);
}
