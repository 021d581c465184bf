/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/core/queue.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/evil.h"
#include "devices/core/log.h"
#include "devices/core/ring_features.h"
#include "devices/device.h"

static void signal_eventfd(int fd)
{
	const uint64_t one = 1;

	/* It can fail only when the counter is about to wrap: whoever waits is awake anyway. */
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

/* No event of the queue, from either side, is heard any more. */
static void disconnect(struct device *device, unsigned int index)
{
	struct device_queue *queue = &device->queues[index];

	if (device->ops->stop_queue)
		device->ops->stop_queue(device, index);
	loop_remove(&device->loop, queue->kick_fd);
	queue->again = false;
}

/* Tells the front-end, which gives the guest DEVICE_NEEDS_RESET. */
static void tell_failure(const struct device *device, unsigned int index)
{
	const struct device_queue *queue = &device->queues[index];

	device_log_guest("queue %u stopped: %s", index,
			 queue->vq.error == -EFAULT ? "an address is outside the DMA windows"
						    : "the ring is not usable");
	signal_eventfd(queue->err_fd);
}

/* The front-end names rings by its own addresses, chains by DMA addresses. */
static int translate_rings(struct device *device, unsigned int index,
			   struct virtqueue_layout *layout)
{
	const struct vhost_user_vring_addr *addr = &device->queues[index].addr;
	const struct dma_use use = { DMA_RING, DMA_BIDIRECTIONAL, index, UINT32_MAX };
	int rc_desc = dma_from_user(&device->dma, addr->descriptor, &layout->desc, &use);
	int rc_avail = dma_from_user(&device->dma, addr->available, &layout->avail, &use);
	int rc_used = dma_from_user(&device->dma, addr->used, &layout->used, &use);

	return rc_desc || rc_avail || rc_used ? -EFAULT : 0;
}

static int start_virtqueue(struct device *device, unsigned int index)
{
	struct device_queue *queue = &device->queues[index];
	struct virtqueue_layout layout = {
		.size = queue->size,
		.base = queue->base,
		.event_idx = device->features & RING_F_EVENT_IDX,
		.indirect = device->features & RING_F_INDIRECT_DESC,
	};
	int rc = translate_rings(device, index, &layout);

	return rc ? virtqueue_break(&queue->vq, rc) : virtqueue_start(&queue->vq, &layout);
}

static bool can_start(const struct device *device, const struct device_queue *queue)
{
	return !queue->running && queue->enabled && queue->kick_fd >= 0 && queue->has_addr &&
	       queue->size && device->dma.nr_windows;
}

int device_queue_start(struct device *device, unsigned int index)
{
	struct device_queue *queue = &device->queues[index];
	int rc;

	if (!can_start(device, queue))
		return 0;
	rc = start_virtqueue(device, index);
	if (rc) {
		tell_failure(device, index);
		return rc;
	}
	/*
	 * Edge-triggered, and never read: each write to an eventfd is an edge, also when its
	 * counter was not 0 before, so a kick costs one system call instead of two. A kick that
	 * came before this point is an edge, too.
	 */
	rc = loop_add(&device->loop, queue->kick_fd, LOOP_QUEUE + index, EPOLLIN | EPOLLET);
	queue->running = rc == 0;
	if (queue->running && queue->resumed) {
		queue->again = true;
		device_queue_call(device, index);
	}
	queue->resumed = false;
	return rc;
}

void device_queue_stop(struct device *device, unsigned int index)
{
	struct device_queue *queue = &device->queues[index];

	if (!queue->running)
		return;
	if (device->evil)
		evil_stop_queue(device->evil, index);
	if (!queue->vq.broken)
		disconnect(device, index);
	queue->running = false;
	queue->base = queue->vq.last_avail;
}

void device_queue_call(struct device *device, unsigned int index)
{
	device->report->calls++;
	signal_eventfd(device->queues[index].call_fd);
}

/* Whether an interrupt is due after a batch. */
static bool wants_call(struct device *device, unsigned int index)
{
	bool wants = virtqueue_should_notify(&device->queues[index].vq);

	return device->evil ? evil_end_batch(device->evil, index, wants) : wants;
}

void device_queue_run(struct device *device, unsigned int index)
{
	struct device_queue *queue = &device->queues[index];
	struct virtqueue *vq = &queue->vq;
	bool want_kick;
	bool more;

	if (!queue->running || vq->broken)
		return;
	virtqueue_begin(vq);
	do {
		want_kick = device->ops->handle_queue(device, index);
		more = virtqueue_finish(vq, want_kick);
	} while (more && vq->budget);
	queue->again = more;
	if (vq->broken) {
		disconnect(device, index);
		tell_failure(device, index);
	} else if (wants_call(device, index)) {
		device_queue_call(device, index);
	}
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void device_queue_destroy(struct device_queue *queue)
{
	close_fd(&queue->kick_fd);
	close_fd(&queue->call_fd);
	close_fd(&queue->err_fd);
	virtqueue_destroy(&queue->vq);
}
