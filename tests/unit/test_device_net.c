/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* virtio-net over a stream socket: frames both ways. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/net_bench.h"

static struct net_bench b;

static void set_up(void)
{
	net_start_stream(&b, (const char *const[]){ "mac=52:54:00:12:34:56", NULL }, 0, 128);
}

static void tear_down(void)
{
	net_stop(&b);
}

static void restart(uint64_t without)
{
	net_stop(&b);
	net_start_stream(&b, NULL, without, 128);
}

TestSuite(device_net, .init = set_up, .fini = tear_down);

Test(device_net, features_and_configuration)
{
	const uint64_t offloads = NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 |
				  NET_F_GUEST_TSO6 | NET_F_HOST_TSO4 | NET_F_HOST_TSO6;
	static const uint8_t expected[10] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56, 1, 0, 1, 0 };
	uint8_t config[10];

	cr_expect(b.fe.features & NET_F_MAC);
	cr_expect(b.fe.features & NET_F_STATUS);
	cr_expect(b.fe.features & NET_F_MRG_RXBUF);
	cr_expect_not(b.fe.features & (offloads | NET_F_MQ));
	net_get_config(&b, config, sizeof(config));
	cr_expect_arr_eq(config, expected, sizeof(expected));
	restart(0);
	cr_expect_not(b.fe.features & NET_F_MAC);
}

Test(device_net, a_frame_comes_in)
{
	uint64_t addr = net_post(&b, NET_RX, 3, 1526);
	uint8_t frame[60];

	net_pattern(frame, sizeof(frame), 1);
	mock_kick(&b.fe, NET_RX);
	peer_sends(&b, frame, sizeof(frame));
	net_expect_used(&b, NET_RX, 3, 12 + sizeof(frame));
	net_expect_header(&b, addr, 1);
	net_expect_bytes(&b, addr + 12, frame, sizeof(frame));
	net_expect_untouched(&b, addr + 12 + sizeof(frame), 1526 - 12 - sizeof(frame));
	cr_expect(mock_signalled(b.fe.call[NET_RX], MOCK_TIMEOUT));
}

Test(device_net, frames_of_all_lengths_come_in)
{
	static const uint32_t lengths[] = { 1, 14, 1513, 1514, 1515, 3040, 9000, 65549, 65553 };
	static uint8_t frame[NET_FRAME_MAX];

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		uint32_t left = 12 + lengths[i];
		uint32_t chains = (left + 1525) / 1526;
		uint64_t addr[64];

		restart(0);
		net_pattern(frame, lengths[i], i);
		for (uint16_t n = 0; n < 64; n++)
			addr[n] = net_post(&b, NET_RX, n, 1526);
		mock_kick(&b.fe, NET_RX);
		peer_sends(&b, frame, lengths[i]);
		for (uint32_t n = 0, done = 0; n < chains; n++) {
			uint32_t here = left < 1526 ? left : 1526;
			uint32_t skip = n ? 0 : 12;

			net_expect_used(&b, NET_RX, n, here);
			net_expect_bytes(&b, addr[n] + skip, frame + done, here - skip);
			net_expect_untouched(&b, addr[n] + here, 1526 - here);
			done += here - skip;
			left -= here;
		}
		net_expect_header(&b, addr[0], chains);
		net_expect_untouched(&b, addr[chains], 1526);
	}
}

Test(device_net, bytes_trickle_in)
{
	uint64_t addr = net_post(&b, NET_RX, 0, 1526);
	uint8_t bytes[4 + 20] = { 0, 0, 0, 20 };

	net_pattern(bytes + 4, 20, 3);
	mock_kick(&b.fe, NET_RX);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		peer_writes(&b, bytes + i, 1);
		usleep(2000);
	}
	net_expect_used(&b, NET_RX, 0, 32);
	net_expect_bytes(&b, addr + 12, bytes + 4, 20);
}

Test(device_net, header_and_frame_in_single_bytes)
{
	struct mock_driver *driver = &b.fe.queues[NET_RX];
	uint64_t addr = mock_alloc(driver, 100);
	uint8_t frame[30];

	for (uint16_t i = 0; i < 100; i++)
		mock_set_desc(mock_desc_table(driver), i,
			      (struct virtq_desc){ addr + i, 1, NET_WRITE | (i < 99 ? NET_NEXT : 0),
						   i + 1 });
	mock_submit(driver, 0);
	mock_kick(&b.fe, NET_RX);
	net_pattern(frame, sizeof(frame), 4);
	peer_sends(&b, frame, sizeof(frame));
	net_expect_used(&b, NET_RX, 0, 42);
	net_expect_header(&b, addr, 1);
	net_expect_bytes(&b, addr + 12, frame, sizeof(frame));
}

Test(device_net, nothing_is_read_without_room_and_all_comes_later)
{
	uint8_t frame[1000];
	unsigned int sent = 0;
	uint64_t addr[64];

	cr_assert_eq(fcntl(b.peer, F_SETFL, O_NONBLOCK), 0);
	/* Until the socket is full: nobody reads there. */
	for (;; sent++) {
		uint8_t bytes[1004] = { 0, 0, 1000 >> 8, 1000 & 0xff };

		net_pattern(bytes + 4, 1000, sent);
		if (send(b.peer, bytes, sizeof(bytes), MSG_NOSIGNAL) != sizeof(bytes))
			break;
		cr_assert_lt(sent, 10000);
	}
	cr_assert_gt(sent, 64);
	mock_expect_idle(&b.fe, "frames, no room");
	for (unsigned int done = 0; done + 64 <= sent; done += 64) {
		b.fe.queues[NET_RX].next_free = MOCK_BASE + 65536;
		for (uint16_t n = 0; n < 64; n++)
			addr[n] = net_post(&b, NET_RX, n, 1526);
		mock_kick(&b.fe, NET_RX);
		for (uint16_t n = 0; n < 64; n++) {
			net_expect_used(&b, NET_RX, n, 1012);
			net_pattern(frame, sizeof(frame), done + n);
			net_expect_bytes(&b, addr[n] + 12, frame, sizeof(frame));
		}
		cr_assert(mock_signalled(b.fe.call[NET_RX], MOCK_TIMEOUT));
	}
	mock_expect_idle(&b.fe, "no room again");
}

Test(device_net, room_waits_for_frames_without_spinning)
{
	net_post(&b, NET_RX, 0, 1526);
	mock_kick(&b.fe, NET_RX);
	mock_expect_idle(&b.fe, "room, no frames");
}

Test(device_net, a_frame_that_lacks_chains_waits_for_more)
{
	static uint8_t frame[4000];
	uint64_t first, second, third;
	struct virtq_used_elem elem;

	net_pattern(frame, sizeof(frame), 5);
	/* The driver is known to have three. */
	for (uint16_t n = 0; n < 3; n++)
		net_post(&b, NET_RX, n, 1526);
	mock_kick(&b.fe, NET_RX);
	net_settle();
	for (uint16_t n = 0; n < 3; n++) {
		peer_sends(&b, frame, 100);
		net_expect_used(&b, NET_RX, n, 112);
	}
	first = net_post(&b, NET_RX, 0, 1526);
	mock_kick(&b.fe, NET_RX);
	peer_sends(&b, frame, sizeof(frame));
	net_settle();
	second = net_post(&b, NET_RX, 1, 1526);
	mock_kick(&b.fe, NET_RX);
	mock_expect_idle(&b.fe, "two of three chains");
	cr_assert_not(mock_take_used(&b.fe.queues[NET_RX], &elem));
	third = net_post(&b, NET_RX, 2, 1526);
	mock_kick(&b.fe, NET_RX);
	net_expect_used(&b, NET_RX, 0, 1526);
	net_expect_used(&b, NET_RX, 1, 1526);
	net_expect_used(&b, NET_RX, 2, 4012 - 2 * 1526);
	net_expect_header(&b, first, 3);
	net_expect_bytes(&b, first + 12, frame, 1514);
	net_expect_bytes(&b, second, frame + 1514, 1526);
	net_expect_bytes(&b, third, frame + 3040, 960);
	cr_expect_eq(mock_report(&b.fe).request_errors, 0);
}

Test(device_net, a_frame_that_never_fits_is_dropped)
{
	static uint8_t frame[4000];

	net_pattern(frame, sizeof(frame), 6);
	net_post(&b, NET_RX, 0, 1526);
	net_post(&b, NET_RX, 1, 1526);
	mock_kick(&b.fe, NET_RX);
	net_settle();
	peer_sends(&b, frame, sizeof(frame));
	peer_sends(&b, frame, 20);
	net_expect_used(&b, NET_RX, 0, 32);
	cr_expect_eq(mock_report(&b.fe).request_errors, 1);
	cr_expect_eq(mock_report(&b.fe).requests, 1);
	cr_expect_eq(mock_report(&b.fe).bytes_from_device, 32);
}

Test(device_net, without_mergeable_buffers_a_frame_has_one_chain)
{
	uint8_t frame[200];
	uint64_t addr;

	restart(NET_F_MRG_RXBUF);
	addr = net_post(&b, NET_RX, 0, 112);
	net_post(&b, NET_RX, 1, 1526);
	mock_kick(&b.fe, NET_RX);
	net_pattern(frame, sizeof(frame), 7);
	peer_sends(&b, frame, 101);
	peer_sends(&b, frame, 100);
	net_expect_used(&b, NET_RX, 0, 112);
	net_expect_header(&b, addr, 1);
	net_expect_bytes(&b, addr + 12, frame, 100);
	cr_expect_eq(mock_report(&b.fe).request_errors, 1);
}

Test(device_net, chains_that_hold_no_header_are_dropped)
{
	static const struct {
		uint32_t len;
		uint16_t flags;
	} bad[] = { { 1526, 0 }, { 11, NET_WRITE }, { 1, NET_WRITE }, { 0, NET_WRITE } };
	const uint16_t nr = sizeof(bad) / sizeof(bad[0]);
	static uint8_t frame[2000];
	uint64_t addr;

	for (uint16_t n = 0; n < nr; n++)
		mock_submit_buffer(&b.fe.queues[NET_RX], n, bad[n].len, bad[n].flags);
	addr = net_post(&b, NET_RX, nr, 1526);
	/* In the middle of a frame, too: they become visible with it. */
	for (uint16_t n = 0; n < nr; n++)
		mock_submit_buffer(&b.fe.queues[NET_RX], 10 + n, bad[n].len, bad[n].flags);
	net_post(&b, NET_RX, 20, 1526);
	mock_kick(&b.fe, NET_RX);
	peer_sends(&b, frame, sizeof(frame));
	for (uint16_t n = 0; n < nr; n++)
		net_expect_used(&b, NET_RX, n, 0);
	net_expect_used(&b, NET_RX, nr, 1526);
	for (uint16_t n = 0; n < nr; n++)
		net_expect_used(&b, NET_RX, 10 + n, 0);
	net_expect_used(&b, NET_RX, 20, 2012 - 1526);
	net_expect_header(&b, addr, 2);
	cr_expect_eq(mock_report(&b.fe).malformed_chains, 2 * nr);
}

Test(device_net, an_address_outside_in_the_middle_of_a_frame)
{
	static uint8_t frame[4000];
	struct virtq_used_elem elem;

	net_post(&b, NET_RX, 0, 1526);
	mock_set_desc(mock_desc_table(&b.fe.queues[NET_RX]), 1,
		      (struct virtq_desc){ 0x1000, 1526, NET_WRITE, 0 });
	mock_submit(&b.fe.queues[NET_RX], 1);
	mock_kick(&b.fe, NET_RX);
	peer_sends(&b, frame, sizeof(frame));
	cr_expect(mock_signalled(b.fe.err[NET_RX], MOCK_TIMEOUT));
	cr_expect_not(mock_take_used(&b.fe.queues[NET_RX], &elem));
	mock_expect_idle(&b.fe, "broken");
	net_send(&b, 0, frame, 60);
	peer_expects(&b, frame, 60);
}

Test(device_net, frames_go_out)
{
	static const size_t lengths[] = { 14, 60, 1514, 2048, 2049, 9000, 65535, 65553 };
	const uint16_t nr = sizeof(lengths) / sizeof(lengths[0]);
	static uint8_t frame[NET_FRAME_MAX];

	for (uint16_t i = 0; i < nr; i++) {
		net_pattern(frame, lengths[i], i);
		net_send(&b, i, frame, lengths[i]);
		peer_expects(&b, frame, lengths[i]);
	}
	cr_expect(mock_signalled(b.fe.call[NET_TX], MOCK_TIMEOUT));
}

Test(device_net, many_frames_go_out_in_order)
{
	const struct net_header plain = { 0 };
	static uint8_t frame[3000];

	for (uint16_t n = 0; n < 128; n++) {
		net_pattern(frame, sizeof(frame), n);
		net_submit(&b, NET_TX, n, &plain, frame, 60 + 23 * n);
	}
	mock_kick(&b.fe, NET_TX);
	for (uint16_t n = 0; n < 128; n++) {
		net_pattern(frame, sizeof(frame), n);
		peer_expects(&b, frame, 60 + 23 * n);
	}
}

/* System calls of the device process that write. */
static unsigned long writes(void)
{
	unsigned long count;
	char path[64];
	FILE *io;

	snprintf(path, sizeof(path), "/proc/%d/io", b.fe.pid);
	io = fopen(path, "r");
	cr_assert_not_null(io);
	cr_assert_eq(fscanf(io, "rchar: %*u wchar: %*u syscr: %*u syscw: %lu", &count), 1);
	fclose(io);
	return count;
}

/* passt of Debian 12 reads what has come, and must not find half a length at its end. */
Test(device_net, small_frames_go_out_together_and_whole)
{
	const struct net_header plain = { 0 };
	unsigned long before = writes();
	static uint8_t got[1 << 20];
	uint8_t frame[60] = { 0 };
	size_t total = 0;

	for (uint16_t n = 0; n < 128; n++)
		net_submit(&b, NET_TX, n, &plain, frame, 60);
	mock_kick(&b.fe, NET_TX);
	while (total < sizeof(frame) * 128 + 4 * 128) {
		ssize_t n = recv(b.peer, got, sizeof(got), 0);

		cr_assert_gt(n, 0);
		cr_assert_eq(n % 64, 0, "whole frames");
		total += n;
	}
	cr_expect_lt(writes() - before, 10);
}

Test(device_net, an_outgoing_frame_in_pieces)
{
	struct mock_driver *driver = &b.fe.queues[NET_TX];
	uint64_t addr = mock_alloc(driver, 128);
	uint8_t *bytes = mock_ptr(driver, addr);

	memset(bytes, 0, 12);
	net_pattern(bytes + 12, 116, 9);
	for (uint16_t i = 0; i < 128; i++)
		mock_set_desc(mock_desc_table(driver), i,
			      (struct virtq_desc){ addr + i, 1, i < 127 ? NET_NEXT : 0, i + 1 });
	mock_submit(driver, 0);
	mock_kick(&b.fe, NET_TX);
	peer_expects(&b, bytes + 12, 116);
}
