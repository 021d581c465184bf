/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* virtio-net over a real tap interface: offloads, and what the kernel refuses. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <string.h>

#include "tests/unit/tap_bench.h"

static struct net_bench b;
static uint8_t frame[NET_FRAME_MAX];

static void set_up(void)
{
	tap_enter_namespace();
	tap_make_frame(frame, sizeof(frame));
}

static void tear_down(void)
{
	net_stop(&b);
}

TestSuite(device_net_tap, .init = set_up, .fini = tear_down);

static void make_gso(struct net_header *header)
{
	header->gso_type = NET_HDR_GSO_TCPV4;
	header->gso_size = 1448;
	header->hdr_len = ETH_LEN + IP_LEN + TCP_LEN;
}

static void host_expects(const struct net_header *header, const uint8_t *bytes, size_t len)
{
	static uint8_t got[10 + NET_FRAME_MAX];

	cr_assert_eq(tap_peer_receive(b.peer, got, sizeof(got), MOCK_TIMEOUT), (ssize_t)(10 + len));
	if (header)
		cr_expect_arr_eq(got, header, 10);
	cr_expect_eq(memcmp(got + 10, bytes, len), 0);
}

Test(device_net_tap, frames_both_ways)
{
	const struct net_header plain = { 0 };
	uint64_t addr;

	tap_start(&b, 1, 0, 3);
	cr_expect(b.fe.features & NET_F_CSUM);
	cr_expect(b.fe.features & NET_F_GUEST_TSO4);
	cr_expect_not(b.fe.features & NET_F_MQ);
	for (uint16_t i = 0; i < 300; i++) {
		addr = net_post(&b, NET_RX, i % 128, 1526);
		mock_kick(&b.fe, NET_RX);
		tap_peer_sends(&b, &plain, frame, 60 + i);
		net_expect_used(&b, NET_RX, i % 128, 12 + 60 + i);
		net_expect_header(&b, addr, 1);
		net_expect_bytes(&b, addr + 12, frame, 60 + i);
		net_expect_untouched(&b, addr + 12 + 60 + i, 1526 - 12 - 60 - i);
		net_send(&b, i % 128, frame, 60 + i);
		host_expects(&plain, frame, 60 + i);
	}
	mock_expect_idle(&b.fe, "tap");
}

Test(device_net_tap, without_checksum_offload_no_flag_comes_in)
{
	struct net_header header;
	size_t len = tap_make_tcp(frame, 100, &header);
	const uint8_t *got;
	uint64_t addr;

	tap_start(&b, 1, NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_GUEST_ECN,
		  3);
	addr = net_post(&b, NET_RX, 0, 1526);
	mock_kick(&b.fe, NET_RX);
	tap_peer_sends(&b, &header, frame, len);
	net_expect_used(&b, NET_RX, 0, 12 + len);
	net_expect_header(&b, addr, 1);
	/* The kernel has added the checksum. */
	got = mock_ptr(&b.fe.queues[0], addr + 12 + header.csum_start + header.csum_offset);
	cr_expect(got[0] || got[1]);
}

Test(device_net_tap, with_checksum_offload_the_driver_is_told)
{
	struct net_header header, got;
	size_t len = tap_make_tcp(frame, 100, &header);
	uint64_t addr;

	tap_start(&b, 1, 0, 3);
	addr = net_post(&b, NET_RX, 0, 1526);
	mock_kick(&b.fe, NET_RX);
	tap_peer_sends(&b, &header, frame, len);
	net_expect_used(&b, NET_RX, 0, 12 + len);
	memcpy(&got, mock_ptr(&b.fe.queues[0], addr), sizeof(got));
	cr_expect_eq(got.flags, NET_HDR_F_NEEDS_CSUM);
	cr_expect_eq(got.csum_start, header.csum_start);
	cr_expect_eq(got.csum_offset, header.csum_offset);
	cr_expect_eq(got.num_buffers, 1);
}

Test(device_net_tap, a_large_segment_comes_in_over_many_chains)
{
	struct net_header header, got;
	size_t len = tap_make_tcp(frame, 60000, &header);
	uint32_t chains = (12 + len + 1525) / 1526;
	uint64_t addr[64];

	make_gso(&header);
	tap_start(&b, 1, 0, 3);
	for (uint16_t n = 0; n < 64; n++)
		addr[n] = net_post(&b, NET_RX, n, 1526);
	mock_kick(&b.fe, NET_RX);
	tap_peer_sends(&b, &header, frame, len);
	for (uint32_t n = 0, done = 0; n < chains; n++) {
		uint32_t here = n < chains - 1 ? 1526 : 12 + len - n * 1526;
		uint32_t skip = n ? 0 : 12;

		net_expect_used(&b, NET_RX, n, here);
		net_expect_bytes(&b, addr[n] + skip, frame + done, here - skip);
		net_expect_untouched(&b, addr[n] + here, 1526 - here);
		done += here - skip;
	}
	memcpy(&got, mock_ptr(&b.fe.queues[0], addr[0]), sizeof(got));
	cr_expect_eq(got.gso_type, NET_HDR_GSO_TCPV4);
	cr_expect_eq(got.gso_size, 1448);
	cr_expect_eq(got.num_buffers, chains);
	cr_expect_eq(mock_report(&b.fe).requests, chains);
	cr_expect_eq(mock_report(&b.fe).bytes_from_device, 12 + len);
}

Test(device_net_tap, a_segment_that_lacks_chains_is_dropped)
{
	const struct net_header plain = { 0 };
	struct net_header header;
	size_t len = tap_make_tcp(frame, 60000, &header);
	uint64_t addr;

	make_gso(&header);
	tap_start(&b, 1, 0, 3);
	addr = net_post(&b, NET_RX, 0, 1526);
	for (uint16_t n = 1; n < 10; n++)
		net_post(&b, NET_RX, n, 1526);
	mock_kick(&b.fe, NET_RX);
	tap_peer_sends(&b, &header, frame, len);
	tap_peer_sends(&b, &plain, frame, 200);
	net_expect_used(&b, NET_RX, 0, 212);
	net_expect_header(&b, addr, 1);
	net_expect_bytes(&b, addr + 12, frame, 200);
	cr_expect_eq(mock_report(&b.fe).request_errors, 1);
}

Test(device_net_tap, a_segment_that_lacks_chains_waits_for_more)
{
	const struct net_header plain = { 0 };
	struct net_header header, got;
	size_t len = tap_make_tcp(frame, 60000, &header);
	struct virtq_used_elem elem;
	uint64_t addr[42];

	make_gso(&header);
	tap_start(&b, 1, 0, 3);
	/* The driver is known to have as many. */
	for (uint16_t n = 0; n < 42; n++)
		net_post(&b, NET_RX, n, 1526);
	mock_kick(&b.fe, NET_RX);
	for (uint16_t n = 0; n < 42; n++) {
		tap_peer_sends(&b, &plain, frame, 60);
		net_expect_used(&b, NET_RX, n, 72);
	}
	/* Another size for the first: what is kept then goes into other places. */
	for (uint16_t n = 0; n < 20; n++)
		addr[n] = net_post(&b, NET_RX, n, n ? 1526 : 100);
	mock_kick(&b.fe, NET_RX);
	tap_peer_sends(&b, &header, frame, len);
	tap_peer_sends(&b, &plain, frame, 200);
	net_settle();
	cr_assert_not(mock_take_used(&b.fe.queues[NET_RX], &elem));
	net_post(&b, NET_RX, 20, 1526);
	mock_kick(&b.fe, NET_RX);
	mock_expect_idle(&b.fe, "half of the chains");
	for (uint16_t n = 21; n < 42; n++)
		net_post(&b, NET_RX, n, 1526);
	mock_kick(&b.fe, NET_RX);
	net_expect_used(&b, NET_RX, 0, 100);
	net_expect_bytes(&b, addr[0] + 12, frame, 88);
	for (uint16_t n = 1; n < 40; n++) {
		net_expect_used(&b, NET_RX, n, 1526);
		if (n < 20)
			net_expect_bytes(&b, addr[n], frame + 88 + 1526 * (n - 1), 1526);
	}
	net_expect_used(&b, NET_RX, 40, 12 + len - 100 - 39 * 1526);
	memcpy(&got, mock_ptr(&b.fe.queues[0], addr[0]), sizeof(got));
	cr_expect_eq(got.gso_type, NET_HDR_GSO_TCPV4);
	cr_expect_eq(got.num_buffers, 41);
	net_expect_used(&b, NET_RX, 41, 212);
	cr_expect_eq(mock_report(&b.fe).request_errors, 0);
}

Test(device_net_tap, without_mergeable_buffers_a_frame_has_one_chain)
{
	const struct net_header plain = { 0 };
	uint64_t addr;

	tap_start(&b, 1, NET_F_MRG_RXBUF, 3);
	addr = net_post(&b, NET_RX, 0, 512);
	net_post(&b, NET_RX, 1, 1526);
	mock_kick(&b.fe, NET_RX);
	tap_peer_sends(&b, &plain, frame, 501);
	tap_peer_sends(&b, &plain, frame, 500);
	net_expect_used(&b, NET_RX, 0, 512);
	net_expect_header(&b, addr, 1);
	net_expect_bytes(&b, addr + 12, frame, 500);
	cr_expect_eq(mock_report(&b.fe).request_errors, 1);
}

Test(device_net_tap, a_large_segment_goes_out)
{
	struct net_header header;
	size_t len = tap_make_tcp(frame, 60000, &header);

	make_gso(&header);
	tap_start(&b, 1, 0, 3);
	net_submit(&b, NET_TX, 0, &header, frame, len);
	mock_kick(&b.fe, NET_TX);
	net_expect_used(&b, NET_TX, 0, 0);
	host_expects(&header, frame, len);
	cr_expect_eq(mock_report(&b.fe).request_errors, 0);
}

/* Whatever the kernel thinks of a header: the queue goes on. */
Test(device_net_tap, headers_that_the_kernel_refuses)
{
	static const struct net_header bad[] = {
		{ .flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff },
		{ .flags = 1, .csum_start = 59, .csum_offset = 2 },
		{ .gso_type = 1, .gso_size = 0, .hdr_len = 54 },
		{ .gso_type = 1, .gso_size = 1000, .hdr_len = 0xffff },
		{ .flags = 1, .gso_type = 4, .gso_size = 1, .csum_start = 14, .csum_offset = 16 },
		{ .gso_type = 0x81, .gso_size = 0xffff, .hdr_len = 0xffff },
	};
	const uint16_t nr = sizeof(bad) / sizeof(bad[0]);
	uint64_t errors;

	tap_start(&b, 1, 0, 3);
	for (uint16_t i = 0; i < nr; i++) {
		net_submit(&b, NET_TX, i, &bad[i], frame, 60);
		mock_kick(&b.fe, NET_TX);
		net_expect_used(&b, NET_TX, i, 0);
	}
	errors = mock_report(&b.fe).request_errors;
	cr_expect_geq(errors, 3);
	cr_expect_leq(errors, nr);
	while (errors++ < nr)
		tap_peer_receive(b.peer, frame, 2, MOCK_TIMEOUT);
	net_pattern(frame + 14, 46, 9);
	net_send(&b, 0, frame, 60);
	host_expects(NULL, frame, 60);
}

Test(device_net_tap, an_interface_that_is_down_takes_nothing)
{
	tap_start(&b, 1, 0, 3);
	tap_set_up(false);
	net_send(&b, 0, frame, 60);
	cr_expect_eq(mock_report(&b.fe).request_errors, 1);
	tap_set_up(true);
	/* The socket holds the error of the time when it was down. */
	close(b.peer);
	b.peer = tap_open_peer();
	net_send(&b, 1, frame, 60);
	host_expects(NULL, frame, 60);
}

Test(device_net_tap, no_room_for_a_while)
{
	const struct net_header plain = { 0 };

	tap_start(&b, 1, 0, 3);
	for (int i = 0; i < 2000; i++)
		tap_peer_sends(&b, &plain, frame, 60);
	mock_expect_idle(&b.fe, "flood, no room");
	/* Those that the kernel kept come, and new ones, too. */
	for (int i = 0; i < 10; i++) {
		b.fe.queues[NET_RX].next_free = MOCK_BASE + 65536;
		for (uint16_t n = 0; n < 128; n++)
			net_post(&b, NET_RX, n, 1526);
		mock_kick(&b.fe, NET_RX);
		for (uint16_t n = 0; n < 128; n++) {
			if (i >= 2)
				tap_peer_sends(&b, &plain, frame, 60);
			net_expect_used(&b, NET_RX, n, 72);
		}
	}
}

Test(device_net_tap, an_interface_that_goes_away)
{
	struct vhost_user_msg msg;
	uint8_t config[8];
	int channel[2];

	tap_start(&b, 1, 0, 3);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel), 0);
	cr_assert_eq(mock_ack(&b.fe, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, channel[1]), 0);
	net_post(&b, NET_RX, 0, 1526);
	mock_kick(&b.fe, NET_RX);
	tap_delete();
	cr_assert_eq(vhost_user_recv(channel[0], &msg, MOCK_TIMEOUT), 1);
	net_get_config(&b, config, sizeof(config));
	cr_expect_eq(config[6], 0);
	net_send(&b, 0, frame, 60);
	cr_expect_eq(mock_report(&b.fe).request_errors, 1);
	mock_expect_idle(&b.fe, "no interface");
}

static int create(short flags, unsigned int nr)
{
	struct device device;
	int fds[2];
	const struct device_options options = { fds, nr, NULL };
	int rc;

	tap_open(fds, nr, flags);
	rc = device_create(&device, device_kind_find("net"), &options);
	if (rc == 0)
		device_destroy(&device);
	for (unsigned int i = 0; i < nr; i++)
		close(fds[i]);
	return rc;
}

Test(device_net_tap_refused, interfaces_that_do_not_fit, .init = set_up)
{
	cr_redirect_stderr();
	cr_expect_eq(create(TAP_FLAGS, 1), 0);
	cr_expect_eq(create(TAP_FLAGS | IFF_MULTI_QUEUE, 2), 0);
	cr_expect_eq(create(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR, 1), -EINVAL);
	cr_expect_eq(create(IFF_TAP | IFF_NO_PI, 1), -EINVAL);
}
