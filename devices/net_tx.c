/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Sending (virtio 1.3, 5.1.6.2): chains of the driver out to the host.
 *
 * A chain is complete when the host's kernel has its bytes, or our own bounded buffer: none is kept
 * over a call. A frame that cannot be sent at all is dropped and counted, as on any wire; when the
 * host takes nothing more, the queue waits.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/uio.h>

#include "devices/net.h"

/* Is what the header asks of us covered by the negotiated features? */
static bool check_header(const struct device *device, const struct net_header *header)
{
	uint64_t needed = 0;

	if (header->flags & NET_HDR_F_NEEDS_CSUM)
		needed |= NET_F_CSUM;
	if (header->gso_type & NET_HDR_GSO_ECN)
		needed |= NET_F_HOST_ECN;
	switch (header->gso_type & ~NET_HDR_GSO_ECN) {
	case NET_HDR_GSO_NONE:
		break;
	case NET_HDR_GSO_TCPV4:
		needed |= NET_F_HOST_TSO4;
		break;
	case NET_HDR_GSO_TCPV6:
		needed |= NET_F_HOST_TSO6;
		break;
	default:
		return false;
	}
	return !(needed & ~device->features);
}

/*
 * Lists the frame in iov[1] and up, iov[0] is left free. A frame in more pieces than one system
 * call takes is put together in net->frame first. Returns how many are used, with iov[0].
 */
static unsigned int list_frame(const struct net *net, struct dma_buffers *frame)
{
	if (frame->count < IOV_MAX) {
		memcpy(net->iov + 1, frame->iov, frame->count * sizeof(*net->iov));
		return frame->count + 1;
	}
	net->iov[1].iov_base = net->frame;
	net->iov[1].iov_len = dma_buffers_read(frame, net->frame, NET_FRAME_MAX);
	return 2;
}

/* What the kernel makes of offsets and lengths in the header is its own business. */
static int send_to_tap(const struct net *net, int fd, struct net_header *header, unsigned int count)
{
	ssize_t n;

	/* Other flags are none of a driver's (5.1.6.2.1). */
	header->flags &= NET_HDR_F_NEEDS_CSUM;
	net->iov[0] = (struct iovec){ header, sizeof(*header) };
	do
		n = writev(fd, net->iov, (int)count);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* 0: the chain is complete; -EAGAIN: not now. */
static int send_frame(struct device *device, unsigned int pair, struct virtqueue_chain *chain)
{
	struct dma_buffers *frame = &chain->readable;
	int fd = device->backends[pair].fd;
	struct net *net = device->state;
	struct net_header header;
	unsigned int count;
	size_t len;
	int rc;

	dma_buffers_read(frame, &header, sizeof(header));
	len = frame->len;
	if (!check_header(device, &header) || len < NET_FRAME_MIN || len > NET_FRAME_MAX ||
	    pair >= net->pairs || fd < 0) {
		net_count_error(device);
		return 0;
	}
	count = list_frame(net, frame);
	if (!net->is_stream) {
		rc = send_to_tap(net, fd, &header, count);
	} else {
		rc = net_stream_send(&net->stream, fd, net->iov, count, len);
		if (rc && rc != -EAGAIN)
			net_lose_host(device, pair);
	}
	if (rc && rc != -EAGAIN) {
		net_count_error(device);
		return 0;
	}
	return rc;
}

/* Takes all that there is. False: the host takes no more for now. */
static bool drain(struct device *device, unsigned int pair)
{
	struct virtqueue *vq = &device->queues[net_tx_queue(pair)].vq;
	struct virtqueue_chain chain;

	while (virtqueue_pop(vq, &chain) > 0) {
		if (chain.readable_len < NET_HEADER_SIZE) {
			virtqueue_drop(vq, &chain);
		} else if (send_frame(device, pair, &chain)) {
			virtqueue_unpop(vq);
			return false;
		} else {
			virtqueue_push(vq, &chain, 0);
		}
	}
	return true;
}

/* Sends what the stream has gathered. False: the peer takes no more for now. */
static bool flush(struct device *device)
{
	struct net *net = device->state;
	int rc;

	if (!net->is_stream || !net->link_up)
		return true;
	rc = net_stream_flush(&net->stream, device->backends[0].fd);
	if (rc && rc != -EAGAIN)
		net_lose_host(device, 0);
	return rc != -EAGAIN;
}

/* Has the loop tell when the host takes more, or no longer. False: it cannot tell. */
static bool wait_for_host(struct device *device, unsigned int pair, bool wait)
{
	struct device_source *host = &device->backends[pair];
	struct net *net = device->state;

	net->pair[pair].waits_write = wait;
	return host->fd >= 0 && device_watch(device, host, NET_WATCH | (wait ? EPOLLOUT : 0)) == 0;
}

bool net_handle_tx(struct device *device, unsigned int pair)
{
	struct net *net = device->state;
	bool sent;

	net->pair[pair].waits_write = false;
	sent = drain(device, pair);
	sent = flush(device) && sent;
	return !wait_for_host(device, pair, !sent) || sent;
}

void net_resume_tx(struct device *device, unsigned int pair)
{
	struct net *net = device->state;

	if (!net->pair[pair].waits_write)
		return;
	if (flush(device)) {
		wait_for_host(device, pair, false);
		device_queue_run(device, net_tx_queue(pair));
	}
}
