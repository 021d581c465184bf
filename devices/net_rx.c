/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Receiving (virtio 1.3, 5.1.6.3 and 5.1.6.4): frames of the host into the chains of the driver.
 *
 * Nothing is read from the host while the driver has no chain: frames wait in the kernel, and when
 * there are too many of them it drops them. A frame that is longer than its first chain goes on in
 * the next ones if the driver can take that (MRG_RXBUF), and becomes visible as a whole; until there
 * are enough of them, it waits in our memory.
 */
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <sys/uio.h>

#include "devices/core/log.h"
#include "devices/net.h"

/* A frame on its way. */
struct delivery {
	struct virtqueue_chain chain; /* the first one */
	uint8_t *flags;		      /* where in guest memory these fields of the header are */
	uint8_t *num_buffers[2];
	size_t written;	     /* bytes at the front of the chain */
	const uint8_t *rest; /* of the frame: not in guest memory yet */
	size_t rest_len;
};

enum outcome {
	DELIVERED,
	DROPPED,
	NO_CHAINS, /* there are too few */
};

/* Where byte @offset of the list is; it has that many. */
static uint8_t *byte_at(const struct dma_buffers *buffers, size_t offset)
{
	const struct iovec *iov = buffers->iov;

	while (offset >= iov->iov_len)
		offset -= iov++->iov_len;
	return (uint8_t *)iov->iov_base + offset;
}

/* Room for a header is the least (5.1.6.3.1), and all pieces must go into one readv(). */
static bool is_usable(const struct virtqueue_chain *chain)
{
	return chain->writable_len >= NET_HEADER_SIZE && chain->writable.count < IOV_MAX;
}

/* As virtqueue_pop(), without the chains that cannot be used: those are dropped. */
static int pop_usable(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	int rc;

	while ((rc = virtqueue_pop(vq, chain)) > 0 && !is_usable(chain))
		virtqueue_drop(vq, chain);
	return rc;
}

/* Takes the first chain. Returns as virtqueue_pop(). */
static int begin_delivery(struct virtqueue *vq, struct delivery *delivery)
{
	const size_t num_buffers = offsetof(struct net_header, num_buffers);
	const struct dma_buffers *room = &delivery->chain.writable;
	int rc = pop_usable(vq, &delivery->chain);

	if (rc > 0) {
		delivery->flags = byte_at(room, offsetof(struct net_header, flags));
		delivery->num_buffers[0] = byte_at(room, num_buffers);
		delivery->num_buffers[1] = byte_at(room, num_buffers + 1);
	}
	return rc;
}

/* Completes the first chain and as many more as the rest needs. How many, 0: there are too few. */
static unsigned int fill_chains(struct virtqueue *vq, struct delivery *delivery)
{
	struct virtqueue_chain *chain = &delivery->chain;
	unsigned int chains = 1;

	virtqueue_push(vq, chain, delivery->written);
	while (delivery->rest_len) {
		size_t n;

		if (pop_usable(vq, chain) <= 0)
			return 0;
		n = dma_buffers_write(&chain->writable, delivery->rest, delivery->rest_len);
		virtqueue_push(vq, chain, n);
		delivery->rest += n;
		delivery->rest_len -= n;
		chains++;
	}
	return chains;
}

/* A frame that nobody gets. A host that sends no others must not keep us from all else. */
static void lose_frame(struct device *device, struct virtqueue *vq)
{
	net_count_error(device);
	virtqueue_spend(vq);
}

/* Hands the frame over, or gives everything back. */
static enum outcome finish_delivery(const struct device *device, struct virtqueue *vq,
				    struct delivery *delivery)
{
	unsigned int chains;

	if (delivery->rest_len && !(device->features & NET_F_MRG_RXBUF)) {
		virtqueue_unpop(vq);
		return DROPPED;
	}
	virtqueue_hold(vq);
	chains = fill_chains(vq, delivery);
	if (!chains) {
		virtqueue_rewind(vq);
		return NO_CHAINS;
	}
	*delivery->num_buffers[0] = chains & 0xff;
	*delivery->num_buffers[1] = chains >> 8;
	virtqueue_publish(vq);
	return DELIVERED;
}

/* The same with a frame in our memory. */
static enum outcome deliver(const struct device *device, struct virtqueue *vq,
			    const struct net_header *header, const uint8_t *frame, size_t len)
{
	struct delivery delivery;
	struct dma_buffers *room = &delivery.chain.writable;
	size_t n;

	if (begin_delivery(vq, &delivery) <= 0)
		return NO_CHAINS;
	dma_buffers_write(room, header, sizeof(*header));
	n = dma_buffers_write(room, frame, len);
	delivery.written = sizeof(*header) + n;
	delivery.rest = frame + n;
	delivery.rest_len = len - n;
	return finish_delivery(device, vq, &delivery);
}

/*
 * Too few chains are there for a frame. It can wait for more, but not if the driver never has more
 * than these: then nothing would come in any more.
 */
static bool may_wait(const struct net_pair *pair, const struct virtqueue *vq)
{
	return (uint16_t)(vq->seen_avail - vq->last_avail) < pair->most_chains;
}

/* As virtqueue_has_chain(). */
static bool has_chain(struct net_pair *pair, struct virtqueue *vq)
{
	bool has = virtqueue_has_chain(vq);
	uint16_t chains = vq->seen_avail - vq->last_avail;

	if (chains > pair->most_chains)
		pair->most_chains = chains;
	return has;
}

/*
 * Reads a frame with its header into the chain, and what is too long for it into @pair->spill, at
 * the place that it would have there if all went there. Bytes or -errno.
 */
static ssize_t read_tap(const struct net *net, const struct net_pair *pair, int fd,
			const struct virtqueue_chain *chain)
{
	size_t start = chain->writable_len < NET_SPILL ? chain->writable_len : NET_SPILL;
	unsigned int count = chain->writable.count;
	ssize_t n;

	memcpy(net->iov, chain->writable.iov, count * sizeof(*net->iov));
	net->iov[count] = (struct iovec){ pair->spill + start, NET_SPILL - start };
	do
		n = readv(fd, net->iov, (int)count + 1);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Nothing was read: why? */
static void handle_tap_error(struct device *device, unsigned int pair, ssize_t rc)
{
	struct virtqueue *vq = &device->queues[net_rx_queue(pair)].vq;
	struct net *net = device->state;

	if (rc == -EAGAIN)
		net->pair[pair].readable = false;
	else if (rc == -EINVAL)
		lose_frame(device, vq); /* a kind of offload that no header can tell: is gone */
	else
		net_lose_host(device, pair);
}

/* Has the frame that was just read wait: its start is where net->iov says, the rest is there. */
static void keep_frame(const struct net *net, struct net_pair *pair, unsigned int pieces,
		       size_t in_chain, size_t len)
{
	struct dma_buffers start = { net->iov, pieces, in_chain };

	dma_buffers_read(&start, pair->spill, in_chain);
	pair->kept = len;
}

static void receive_from_tap(struct device *device, unsigned int index)
{
	struct virtqueue *vq = &device->queues[net_rx_queue(index)].vq;
	struct net *net = device->state;
	struct net_pair *pair = &net->pair[index];
	struct delivery delivery;
	enum outcome outcome;
	unsigned int pieces;
	size_t in_chain;
	ssize_t n;

	if (begin_delivery(vq, &delivery) <= 0)
		return;
	n = read_tap(net, pair, device->backends[index].fd, &delivery.chain);
	if (n < NET_HEADER_SIZE) {
		virtqueue_unpop(vq);
		handle_tap_error(device, index, n);
		return;
	}
	pieces = delivery.chain.writable.count;
	in_chain = n;
	if (in_chain > delivery.chain.writable_len)
		in_chain = delivery.chain.writable_len;
	delivery.written = in_chain;
	delivery.rest = pair->spill + in_chain;
	delivery.rest_len = n - in_chain;
	/* 5.1.6.4.1: the kernel may say there that the checksum was verified. */
	if (!(device->features & NET_F_GUEST_CSUM))
		*delivery.flags = 0;
	outcome = finish_delivery(device, vq, &delivery);
	if (outcome == NO_CHAINS && may_wait(pair, vq))
		keep_frame(net, pair, pieces, in_chain, n);
	else if (outcome != DELIVERED)
		lose_frame(device, vq);
}

/* False: it still waits. */
static bool deliver_kept(struct device *device, struct net_pair *pair, struct virtqueue *vq)
{
	struct net_header header;
	enum outcome outcome;

	memcpy(&header, pair->spill, sizeof(header));
	outcome = deliver(device, vq, &header, pair->spill + sizeof(header),
			  pair->kept - sizeof(header));
	if (outcome == NO_CHAINS && may_wait(pair, vq))
		return false;
	if (outcome != DELIVERED)
		lose_frame(device, vq);
	pair->kept = 0;
	return true;
}

static bool handle_tap(struct device *device, unsigned int index)
{
	struct virtqueue *vq = &device->queues[net_rx_queue(index)].vq;
	struct net *net = device->state;
	struct net_pair *pair = &net->pair[index];

	while ((pair->readable || pair->kept) && has_chain(pair, vq)) {
		if (!pair->kept)
			receive_from_tap(device, index);
		else if (!deliver_kept(device, pair, vq))
			return true;
	}
	return pair->readable || pair->kept;
}

/* Reads on when no frame is whole. False: nothing comes, for now or at all. */
static bool fill_stream(struct device *device, struct net *net)
{
	int rc;

	if (!net->pair[0].readable)
		return false;
	rc = net_stream_fill(&net->stream, device->backends[0].fd);
	if (rc == -EAGAIN)
		net->pair[0].readable = false;
	else if (rc)
		net_lose_host(device, 0);
	return rc == 0;
}

static bool handle_stream(struct device *device)
{
	static const struct net_header header = { .gso_type = NET_HDR_GSO_NONE };
	struct virtqueue *vq = &device->queues[net_rx_queue(0)].vq;
	struct net *net = device->state;

	while (net->link_up && has_chain(&net->pair[0], vq)) {
		const uint8_t *frame;
		enum outcome outcome;
		size_t len;
		int rc = net_stream_next(&net->stream, &frame, &len);

		if (rc < 0) {
			device_log("stream: a length that no frame has");
			net_lose_host(device, 0);
		}
		if (rc <= 0) {
			if (rc < 0 || !fill_stream(device, net))
				return false;
			continue;
		}
		outcome = deliver(device, vq, &header, frame, len);
		if (outcome == NO_CHAINS && may_wait(&net->pair[0], vq))
			return true;
		if (outcome != DELIVERED)
			lose_frame(device, vq);
		net_stream_take(&net->stream);
	}
	return net->link_up;
}

bool net_handle_rx(struct device *device, unsigned int pair)
{
	const struct net *net = device->state;

	return net->is_stream ? handle_stream(device) : handle_tap(device, pair);
}
