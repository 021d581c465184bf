/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A virtio-net device between two ends of ours: the driver, and the peer on a stream socket. */
#ifndef TESTS_UNIT_NET_BENCH_H
#define TESTS_UNIT_NET_BENCH_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/net.h"
#include "tests/unit/mock_frontend.h"

#define NET_RX	 0
#define NET_TX	 1
#define NET_CTRL 2 /* with one pair */

#define NET_WRITE VIRTQ_DESC_F_WRITE
#define NET_NEXT  VIRTQ_DESC_F_NEXT

struct net_bench {
	struct mock_frontend fe;
	int peer;      /* -1: none */
	bool confined; /* start devices with the whole sandbox */
};

/*
 * Starts a device on @nr_fds descriptors, which it closes here, and @nr_queues queues of @size, with
 * all features but @without.
 */
static inline void net_start(struct net_bench *b, const int *fds, unsigned int nr_fds,
			     const char *const *settings, uint64_t without, unsigned int nr_queues,
			     uint16_t size)
{
	const struct device_options options = { fds, nr_fds, settings };

	mock_start(&b->fe, "net", &options, b->confined);
	for (unsigned int i = 0; i < nr_fds; i++)
		close(fds[i]);
	mock_negotiate(&b->fe, without);
	mock_share_pool(&b->fe);
	for (unsigned int i = 0; i < nr_queues; i++)
		mock_start_queue(&b->fe, i, size);
}

/* The same on a stream socket. */
static inline void net_start_stream(struct net_bench *b, const char *const *settings,
				    uint64_t without, uint16_t size)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	b->peer = pair[0];
	net_start(b, &pair[1], 1, settings, without, 3, size);
}

static inline void net_close_peer(struct net_bench *b)
{
	if (b->peer >= 0)
		close(b->peer);
	b->peer = -1;
}

static inline void net_stop(struct net_bench *b)
{
	cr_expect_eq(mock_stop(&b->fe), 0);
	net_close_peer(b);
}

/* Bytes that tell from where in which frame they are. */
static inline void net_pattern(uint8_t *bytes, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}

/* One receive buffer with fresh memory of 0xee. */
static inline uint64_t net_post(struct net_bench *b, unsigned int queue, uint16_t head,
				uint32_t len)
{
	uint64_t addr = mock_submit_buffer(&b->fe.queues[queue], head, len, NET_WRITE);

	memset(mock_ptr(&b->fe.queues[queue], addr), 0xee, len);
	return addr;
}

/* Waits for the next used entry of @queue, which must be @head with @len bytes. */
static inline void net_expect_used(struct net_bench *b, unsigned int queue, uint32_t head,
				   uint32_t len)
{
	struct virtq_used_elem elem = mock_wait_used(&b->fe, queue);

	cr_assert_eq(elem.id, head, "head %u, not %u", elem.id, head);
	cr_assert_eq(elem.len, len, "%u bytes, not %u", elem.len, len);
}

/* The header of a received frame with nothing special, over @buffers chains. */
static inline void net_expect_header(struct net_bench *b, uint64_t addr, uint16_t buffers)
{
	const struct net_header header = { .num_buffers = buffers };

	cr_expect_arr_eq(mock_ptr(&b->fe.queues[0], addr), &header, sizeof(header));
}

static inline void net_expect_bytes(struct net_bench *b, uint64_t addr, const void *bytes,
				    size_t len)
{
	cr_expect_eq(memcmp(mock_ptr(&b->fe.queues[0], addr), bytes, len), 0);
}

static inline void net_expect_untouched(struct net_bench *b, uint64_t addr, size_t len)
{
	const uint8_t *bytes = mock_ptr(&b->fe.queues[0], addr);

	for (size_t i = 0; i < len; i++)
		cr_assert_eq(bytes[i], 0xee, "byte %zu", i);
}

/* Makes a chain of one descriptor with header and frame available; no kick. */
static inline void net_submit(struct net_bench *b, unsigned int queue, uint16_t head,
			      const struct net_header *header, const void *frame, size_t len)
{
	struct mock_driver *driver = &b->fe.queues[queue];
	uint64_t addr = mock_alloc(driver, sizeof(*header) + len);
	uint8_t *bytes = mock_ptr(driver, addr);

	memcpy(bytes, header, sizeof(*header));
	memcpy(bytes + sizeof(*header), frame, len);
	mock_set_desc(mock_desc_table(driver), head,
		      (struct virtq_desc){ addr, (uint32_t)(sizeof(*header) + len), 0, 0 });
	mock_submit(driver, head);
}

/* The same, with a plain header, and waits until it is taken. */
static inline void net_send(struct net_bench *b, uint16_t head, const void *frame, size_t len)
{
	const struct net_header plain = { 0 };

	net_submit(b, NET_TX, head, &plain, frame, len);
	mock_kick(&b->fe, NET_TX);
	net_expect_used(b, NET_TX, head, 0);
}

/* Has the device execute a command; returns the answer, 0xee when none was written. */
static inline uint8_t net_command(struct net_bench *b, unsigned int queue, const void *command,
				  size_t len)
{
	struct mock_driver *driver = &b->fe.queues[queue];
	uint64_t addr = mock_alloc(driver, len + 1);
	uint8_t *bytes = mock_ptr(driver, addr);
	struct virtq_used_elem elem;

	memcpy(bytes, command, len);
	bytes[len] = 0xee;
	mock_set_desc(mock_desc_table(driver), 0,
		      (struct virtq_desc){ addr, (uint32_t)len, NET_NEXT, 1 });
	mock_set_desc(mock_desc_table(driver), 1,
		      (struct virtq_desc){ addr + len, 1, NET_WRITE, 0 });
	mock_submit(driver, 0);
	elem = mock_complete(&b->fe, queue);
	cr_expect_eq(elem.len, bytes[len] == 0xee ? 0u : 1u);
	return bytes[len];
}

/* The first @len bytes of configuration space. */
static inline void net_get_config(struct net_bench *b, void *config, uint32_t len)
{
	struct vhost_user_config msg = { .size = len };

	mock_send(&b->fe, VHOST_USER_GET_CONFIG, 0, &msg, 12 + len, -1);
	cr_assert(mock_reply(&b->fe, VHOST_USER_GET_CONFIG, &msg, 12 + len));
	memcpy(config, msg.region, len);
}

/* What the peer does. */
static inline void peer_writes(struct net_bench *b, const void *bytes, size_t len)
{
	cr_assert_eq(send(b->peer, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

static inline void peer_sends(struct net_bench *b, const void *frame, uint32_t len)
{
	const uint32_t be = htonl(len);

	peer_writes(b, &be, sizeof(be));
	peer_writes(b, frame, len);
}

static inline void peer_reads(struct net_bench *b, void *bytes, size_t len)
{
	size_t done = 0;

	while (done < len) {
		struct pollfd pfd = { .fd = b->peer, .events = POLLIN };
		ssize_t n;

		cr_assert_eq(poll(&pfd, 1, MOCK_TIMEOUT), 1, "%zu of %zu bytes", done, len);
		n = recv(b->peer, (uint8_t *)bytes + done, len - done, 0);
		cr_assert_gt(n, 0);
		done += n;
	}
}

static inline void peer_expects(struct net_bench *b, const void *frame, uint32_t len)
{
	static uint8_t got[NET_FRAME_MAX];
	uint32_t be;

	peer_reads(b, &be, sizeof(be));
	cr_assert_eq(ntohl(be), len, "%u bytes, not %u", ntohl(be), len);
	peer_reads(b, got, len);
	cr_expect_eq(memcmp(got, frame, len), 0);
}

static inline void peer_expects_nothing(struct net_bench *b)
{
	struct pollfd pfd = { .fd = b->peer, .events = POLLIN };

	cr_expect_eq(poll(&pfd, 1, 50), 0);
}

/* Enough for what the device process does at once; what it does not do must then never come. */
static inline void net_settle(void)
{
	usleep(50 * 1000);
}

#endif
