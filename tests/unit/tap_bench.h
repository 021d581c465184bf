/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A tap interface in a network namespace of the test's own, for a virtio-net device, and a packet
 * socket at its other side: what the host's network stack sends and hears.
 */
#ifndef TESTS_UNIT_TAP_BENCH_H
#define TESTS_UNIT_TAP_BENCH_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/unit/net_bench.h"

#define TAP_NAME      "tap0"
#define TAP_FLAGS     (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)
#define TAP_ETHERTYPE 0x88b5 /* for experiments: no stack of the host answers */

#define ETH_LEN 14
#define IP_LEN	20
#define TCP_LEN 20

/*
 * Begins a test with tap interfaces, where they are to be had: as its own user, root of a new user
 * namespace if it has to be.
 */
static inline void tap_enter_namespace(void)
{
	int fd;

	if (access("/dev/net/tun", R_OK | W_OK))
		cr_skip_test("no tap interfaces here");
	if (unshare(CLONE_NEWNET))
		cr_assert_eq(unshare(CLONE_NEWUSER | CLONE_NEWNET), 0, "%s", strerror(errno));
	/* Routers are not to be looked for: nothing but the test's frames is on the wire. */
	fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		cr_assert_eq(write(fd, "1", 1), 1);
	close(fd);
}

/* Opens @nr descriptors of the interface. */
static inline void tap_open(int *fds, unsigned int nr, short flags)
{
	struct ifreq ifr = { .ifr_name = TAP_NAME, .ifr_flags = flags };

	for (unsigned int i = 0; i < nr; i++) {
		fds[i] = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
		cr_assert_geq(fds[i], 0, "/dev/net/tun: %s", strerror(errno));
		cr_assert_eq(ioctl(fds[i], TUNSETIFF, &ifr), 0, "%s", strerror(errno));
	}
}

static inline void tap_set_up(bool up)
{
	struct ifreq ifr = { .ifr_name = TAP_NAME, .ifr_flags = up ? IFF_UP : 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(ioctl(fd, SIOCSIFFLAGS, &ifr), 0, "%s", strerror(errno));
	close(fd);
}

/* By a message for rtnetlink(7). */
static inline void tap_delete(void)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
	} request = {
		.header = { .nlmsg_len = sizeof(request),
			    .nlmsg_type = RTM_DELLINK,
			    .nlmsg_flags = NLM_F_REQUEST },
		.link = { .ifi_index = (int)if_nametoindex(TAP_NAME) },
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	cr_assert_eq(send(fd, &request, sizeof(request), 0), (ssize_t)sizeof(request));
	close(fd);
}

/* Frames have a virtio header on this side, too: the older one, without num_buffers. */
static inline int tap_open_peer(void)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET,
				    .sll_protocol = htons(ETH_P_ALL),
				    .sll_ifindex = (int)if_nametoindex(TAP_NAME) };
	const int on = 1;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	cr_assert_geq(fd, 0, "%s", strerror(errno));
	cr_assert_eq(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* What the interface heard; frames that went out by it do not count. */
static inline ssize_t tap_peer_receive(int peer, void *bytes, size_t len, int timeout_ms)
{
	struct sockaddr_ll from = { 0 };
	socklen_t from_len = sizeof(from);
	ssize_t n;

	do {
		struct pollfd pfd = { .fd = peer, .events = POLLIN };

		if (poll(&pfd, 1, timeout_ms) != 1)
			return -1;
		n = recvfrom(peer, bytes, len, 0, (struct sockaddr *)&from, &from_len);
	} while (n >= 0 && from.sll_pkttype == PACKET_OUTGOING);
	return n;
}

/* A frame for nobody and of no known protocol. */
static inline void tap_make_frame(uint8_t *frame, size_t len)
{
	net_pattern(frame, len, 1);
	frame[0] = frame[6] = 2;
	frame[12] = TAP_ETHERTYPE >> 8;
	frame[13] = TAP_ETHERTYPE & 0xff;
}

/*
 * Makes it a TCP segment of @payload bytes, between two addresses, checksum still to be added.
 * Returns its length.
 */
static inline size_t tap_make_tcp(uint8_t *frame, size_t payload, struct net_header *header)
{
	uint8_t *ip = frame + ETH_LEN;
	uint8_t *tcp = ip + IP_LEN;
	uint16_t len = htons(IP_LEN + TCP_LEN + payload);
	uint32_t sum = 0;

	frame[12] = 8;
	frame[13] = 0;
	memset(ip, 0, IP_LEN + TCP_LEN);
	ip[0] = 0x45;
	memcpy(ip + 2, &len, sizeof(len));
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, (uint8_t[]){ 10, 0, 0, 1, 10, 0, 0, 2 }, 8);
	for (int i = 0; i < IP_LEN; i += 2)
		sum += ip[i] << 8 | ip[i + 1];
	sum = ~((sum & 0xffff) + (sum >> 16));
	ip[10] = sum >> 8;
	ip[11] = sum & 0xff;
	tcp[12] = (TCP_LEN / 4) << 4;
	tcp[13] = 0x10;
	*header = (struct net_header){
		.flags = NET_HDR_F_NEEDS_CSUM,
		.csum_start = ETH_LEN + IP_LEN,
		.csum_offset = 16,
	};
	return ETH_LEN + IP_LEN + TCP_LEN + payload;
}

/* A device with @pairs descriptors of the interface, @nr_queues queues run; the peer is b->peer. */
static inline void tap_start(struct net_bench *b, unsigned int pairs, uint64_t without,
			     unsigned int nr_queues)
{
	int fds[NET_MAX_PAIRS];

	tap_open(fds, pairs, TAP_FLAGS | (pairs > 1 ? IFF_MULTI_QUEUE : 0));
	tap_set_up(true);
	b->peer = tap_open_peer();
	net_start(b, fds, pairs, NULL, without, nr_queues, 128);
}

/* The host's network stack sends a frame. */
static inline void tap_peer_sends(struct net_bench *b, const struct net_header *header,
				  const uint8_t *frame, size_t len)
{
	struct iovec iov[2] = { { (void *)header, 10 }, { (void *)frame, len } };

	cr_assert_eq(writev(b->peer, iov, 2), (ssize_t)(10 + len), "%s", strerror(errno));
}

#endif
