/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Fields of the rings that tell a driver something else for a while. */
#include <endian.h>

#include "devices/core/evil_state.h"

#define REPAIR_MS 50 /* after that the driver finds what it needs to go on */

static void store16(uint16_t *field, uint16_t value)
{
	__atomic_store_n(field, htole16(value), __ATOMIC_RELEASE);
}

/* avail_event lies behind the ring entries (virtio 1.3, 2.7.8). */
static void forge_flags(struct evil_queue *queue)
{
	struct virtqueue *vq = queue->vq;

	store16(&vq->used->flags, (uint16_t)evil_random_next(&queue->end) | 1);
	if (vq->event_idx)
		store16((uint16_t *)&vq->used->ring[vq->size],
			(uint16_t)evil_random_next(&queue->end));
}

void evil_forge_used(struct evil_queue *queue)
{
	if (!queue->forge_flags && !queue->back)
		return;
	if (queue->forge_flags)
		forge_flags(queue);
	if (queue->back)
		virtqueue_show_used(queue->vq, queue->vq->used_idx - queue->back);
	queue->forge_flags = false;
	queue->back = 0;
	queue->repair_at = evil_now_ms() + REPAIR_MS;
}

/* The event index is that of the next batch, which follows. */
void evil_restore_used(struct evil_queue *queue)
{
	virtqueue_show_used(queue->vq, queue->vq->used_idx);
	store16(&queue->vq->used->flags, 0);
}

/*
 * Both are the driver's to write and the device's to read, and a driver that reads them back reads
 * nonsense. The entry is the one of the chain taken last. The index changes only if the driver has not
 * just written it, and gets its value back unless it has written it since.
 */
void evil_forge_avail(struct evil_queue *queue)
{
	struct virtq_avail *ring = (struct virtq_avail *)queue->vq->avail;
	uint16_t last = (uint16_t)(queue->vq->last_avail - 1) & (queue->vq->size - 1);
	uint16_t before = htole16(queue->vq->seen_avail);

	if (!queue->forge_avail)
		return;
	queue->forge_avail = false;
	queue->avail_before = before;
	queue->avail_forgery = before ^ (uint16_t)(1 + evil_random_below(&queue->end, UINT16_MAX));
	queue->avail_forged =
		__atomic_compare_exchange_n(&ring->idx, &before, queue->avail_forgery, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	/* Unless the ring is full the entry of that chain is nobody else's yet. */
	if (queue->avail_forged &&
	    (uint16_t)(queue->vq->seen_avail - queue->vq->last_avail) < queue->vq->size - 1)
		store16(&ring->ring[last], (uint16_t)evil_random_next(&queue->end));
}

void evil_restore_avail(struct evil_queue *queue)
{
	struct virtq_avail *ring = (struct virtq_avail *)queue->vq->avail;
	uint16_t forgery = queue->avail_forgery;

	if (queue->avail_forged)
		__atomic_compare_exchange_n(&ring->idx, &forgery, queue->avail_before, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	queue->avail_forged = false;
}
