/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * virtio-net (virtio 1.3, 5.1): what the files devices/net*.c share.
 *
 *	net.c         start, configuration space, features, link, who runs when
 *	net_rx.c      frames of the host -> receive queues
 *	net_tx.c      transmit queues -> the host
 *	net_ctrl.c    control queue
 *	net_stream.c  frames on a stream socket; knows no queue
 *
 * The host side is one of two, and never changes:
 *
 *	tap	one descriptor of a tap interface for each pair of queues. The kernel adds and takes
 *		the same header that virtio-net has before its frames, so offloads work.
 *	stream	a connected Unix socket to a peer such as passt. Before each frame stands its
 *		length, 32 bits in network order; there is no header and there are no offloads.
 */
#ifndef DEVICES_NET_H
#define DEVICES_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/device.h"
#include "devices/net_stream.h"

#define NET_MAX_PAIRS 8

/* Feature bits (5.1.3), as masks. */
#define NET_F_CSUM	 (1ull << 0)
#define NET_F_GUEST_CSUM (1ull << 1)
#define NET_F_MAC	 (1ull << 5)
#define NET_F_GUEST_TSO4 (1ull << 7)
#define NET_F_GUEST_TSO6 (1ull << 8)
#define NET_F_GUEST_ECN	 (1ull << 9)
#define NET_F_HOST_TSO4	 (1ull << 11)
#define NET_F_HOST_TSO6	 (1ull << 12)
#define NET_F_HOST_ECN	 (1ull << 13)
#define NET_F_MRG_RXBUF	 (1ull << 15)
#define NET_F_STATUS	 (1ull << 16)
#define NET_F_CTRL_VQ	 (1ull << 17)
#define NET_F_CTRL_RX	 (1ull << 18)
#define NET_F_MQ	 (1ull << 22)

/* Before each frame in a queue (5.1.6). With VERSION_1 num_buffers is always there. */
struct net_header {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers; /* receive only: chains that the frame is spread over */
};

#define NET_HEADER_SIZE	     12
#define NET_HDR_F_NEEDS_CSUM 1
#define NET_HDR_GSO_NONE     0
#define NET_HDR_GSO_TCPV4    1
#define NET_HDR_GSO_TCPV6    4
#define NET_HDR_GSO_ECN	     0x80 /* or'ed to one of the others */

_Static_assert(sizeof(struct net_header) == NET_HEADER_SIZE, "no padding");

struct net_pair {
	bool attached;	  /* the tap gives frames to this descriptor */
	bool readable;	  /* the host side may have a frame: not seen empty since the last event */
	bool waits_write; /* the transmit queue waits for the host side to take more */
	/* Most chains that were seen waiting at one time since the receive queue started. */
	uint16_t most_chains;
	/*
	 * NET_SPILL bytes of a tap's frame with its header: those that go beyond its first chain,
	 * at their place; or all @kept of one that waits for more chains.
	 */
	uint8_t *spill;
	size_t kept;
};

struct net {
	bool is_stream;
	bool link_up;
	bool has_mac;
	uint8_t mac[6];
	unsigned int max_pairs;
	unsigned int pairs; /* in use, from the first; 5.1.6.5.5 */
	struct net_pair pair[NET_MAX_PAIRS];
	struct net_stream stream; /* unless it is a tap */
	uint8_t *frame;		  /* NET_FRAME_MAX bytes, for one that comes in too many pieces */
	struct iovec *iov;	  /* queue_size + 1, for one readv() or writev() */
};

/* In device->kept->state. */
struct net_kept {
	uint16_t pairs; /* in use */
};

#define NET_SPILL (NET_HEADER_SIZE + NET_FRAME_MAX)

/*
 * What the loop watches the host side for, besides EPOLLOUT while a queue waits for that.
 * Edge-triggered: frames that have to wait for the driver wake nobody twice.
 */
#define NET_WATCH (EPOLLIN | EPOLLET)

static inline unsigned int net_rx_queue(unsigned int pair)
{
	return 2 * pair;
}

static inline unsigned int net_tx_queue(unsigned int pair)
{
	return 2 * pair + 1;
}

/* All as device_ops.handle_queue(). */
bool net_handle_rx(struct device *device, unsigned int pair);
bool net_handle_tx(struct device *device, unsigned int pair);
bool net_handle_ctrl(struct device *device, unsigned int queue);

/* The host side of @pair takes frames again, or is gone: what waits for it goes on. */
void net_resume_tx(struct device *device, unsigned int pair);

/* @pairs, 1 to max_pairs, are in use from now on. Returns 0, or -errno: all is as before. */
int net_use_pairs(struct device *device, unsigned int pairs);

/* The host side of @pair has gone for good: it is closed, and the link is down. */
void net_lose_host(struct device *device, unsigned int pair);

/* A frame or a command was not carried out. */
static inline void net_count_error(struct device *device)
{
	device->report->request_errors++;
}

#endif
