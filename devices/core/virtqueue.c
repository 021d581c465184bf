/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/core/virtqueue.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "devices/core/evil.h"

/* Fields that both sides use at the same time: single accesses, never repeated by the compiler. */
static uint16_t load16(const uint16_t *field)
{
	return le16toh(__atomic_load_n(field, __ATOMIC_RELAXED));
}

static void store16(uint16_t *field, uint16_t value)
{
	__atomic_store_n(field, htole16(value), __ATOMIC_RELAXED);
}

/* The event fields lie behind the ring entries (2.7.6, 2.7.8). */
static const uint16_t *used_event(const struct virtqueue *vq)
{
	return &vq->avail->ring[vq->size];
}

static uint16_t *avail_event(const struct virtqueue *vq)
{
	return (uint16_t *)&vq->used->ring[vq->size];
}

int virtqueue_init(struct virtqueue *vq, struct dma_space *dma, unsigned int index,
		   uint16_t max_size)
{
	*vq = (struct virtqueue){ .dma = dma, .index = index, .max_size = max_size };
	vq->kept_next = &vq->not_kept;
	vq->iov = calloc(max_size, sizeof(*vq->iov));
	return vq->iov ? 0 : -ENOMEM;
}

void virtqueue_destroy(struct virtqueue *vq)
{
	free(vq->iov);
	vq->iov = NULL;
}

static int map_ring(struct virtqueue *vq, uint64_t addr, uint64_t len, uintptr_t align, void **ring)
{
	const struct dma_use use = { DMA_RING, DMA_BIDIRECTIONAL, vq->index, UINT32_MAX };

	*ring = dma_map(vq->dma, addr, len, &use);
	if (!*ring)
		return -EFAULT;
	return (uintptr_t)*ring % align ? -EINVAL : 0;
}

/* All three are looked at even when the first one is refused, so that the report names each. */
static int map_rings(struct virtqueue *vq, const struct virtqueue_layout *layout)
{
	uint64_t n = layout->size;
	void *desc, *avail, *used;
	int rc_desc = map_ring(vq, layout->desc, 16 * n, 16, &desc);
	int rc_avail = map_ring(vq, layout->avail, 6 + 2 * n, 2, &avail);
	int rc_used = map_ring(vq, layout->used, 6 + 8 * n, 4, &used);

	vq->desc = desc;
	vq->avail = avail;
	vq->used = used;
	if (rc_desc)
		return rc_desc;
	return rc_avail ? rc_avail : rc_used;
}

int virtqueue_break(struct virtqueue *vq, int error)
{
	vq->broken = true;
	vq->error = error;
	vq->dma->report->broken_queues++;
	return error;
}

/*
 * Release: entries and data are there before the index that announces them. Before that, too, we note
 * that they are: a process that goes on here after our death must not do them again, see kept.h.
 */
static void publish_used(struct virtqueue *vq)
{
	__atomic_store_n(vq->kept_next, vq->used_idx, __ATOMIC_RELEASE);
	__atomic_store_n(&vq->used->idx, htole16(vq->used_idx), __ATOMIC_RELEASE);
}

int virtqueue_start(struct virtqueue *vq, const struct virtqueue_layout *layout)
{
	int rc;

	if (!layout->size || layout->size > vq->max_size || layout->size & (layout->size - 1))
		return virtqueue_break(vq, -EINVAL);
	rc = map_rings(vq, layout);
	if (rc)
		return virtqueue_break(vq, rc);
	vq->size = layout->size;
	vq->event_idx = layout->event_idx;
	vq->indirect = layout->indirect;
	vq->broken = false;
	vq->last_avail = layout->base;
	vq->seen_avail = layout->base;
	/*
	 * Requests complete in order and none is left over, so the used ring starts there too. Where
	 * we go on for a process that died, the driver may not have seen its last step.
	 */
	vq->used_idx = layout->base;
	publish_used(vq);
	vq->signalled_used = layout->base;
	vq->budget = 0;
	vq->held = false;
	return 0;
}

void virtqueue_begin(struct virtqueue *vq)
{
	vq->budget = vq->size;
	/* With EVENT_IDX, avail_event stays behind: an index that has passed asks for no kick. */
	if (!vq->event_idx && !vq->broken)
		store16(&vq->used->flags, VIRTQ_USED_F_NO_NOTIFY);
}

bool virtqueue_finish(struct virtqueue *vq, bool want_kick)
{
	if (vq->broken)
		return false;
	if (want_kick && vq->event_idx)
		store16(avail_event(vq), vq->seen_avail);
	else if (want_kick)
		store16(&vq->used->flags, 0);
	/*
	 * Orders the two things that we have just told the driver (kick me; used.idx) before the
	 * two that we ask next (avail.idx; used_event or avail.flags). Its counterpart is the
	 * driver's barrier between the same fields, in the other direction.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return want_kick && (load16(&vq->avail->idx) != vq->seen_avail || !vq->budget);
}

/*
 * Looks at avail.idx if everything seen before has been taken. 1, 0 or -EPROTO. Chains that are held are
 * not the driver's yet: with them there cannot be more than the ring has entries.
 */
static int next_available(struct virtqueue *vq)
{
	const uint16_t held = vq->held ? vq->last_avail - vq->mark.last_avail : 0;

	if (vq->broken)
		return -EPROTO;
	if (vq->last_avail != vq->seen_avail)
		return 1;
	/* Acquire: the ring entry and the descriptors are read after the index that announces them.
	 */
	vq->seen_avail = le16toh(__atomic_load_n(&vq->avail->idx, __ATOMIC_ACQUIRE));
	if ((uint16_t)(vq->seen_avail - vq->last_avail) > vq->size - held)
		return virtqueue_break(vq, -EPROTO);
	return vq->last_avail != vq->seen_avail;
}

bool virtqueue_has_chain(struct virtqueue *vq)
{
	return vq->budget && next_available(vq) > 0;
}

/* A descriptor table, the queue's own or an indirect one. */
struct desc_table {
	const struct virtq_desc *desc;
	uint32_t entries;
	bool indirect;
};

/* Indirect tables may lie at any address; each half is one load of memory that may change. */
struct desc_half {
	uint64_t value;
} __attribute__((packed, may_alias));

static struct virtq_desc fetch_desc(const struct desc_table *table, uint32_t index)
{
	const volatile struct desc_half *half =
		(const volatile struct desc_half *)&table->desc[index];
	uint64_t addr = le64toh(half[0].value);
	uint64_t rest = le64toh(half[1].value);

	return (struct virtq_desc){
		.addr = addr,
		.len = (uint32_t)rest,
		.flags = (uint16_t)(rest >> 32),
		.next = (uint16_t)(rest >> 48),
	};
}

/*
 * Goes on in the table that @desc names (2.7.5.3). WRITE is to be ignored there. A table that is
 * longer than the queue is refused, since a chain must not be.
 */
static int enter_indirect(struct virtqueue *vq, struct desc_table *table,
			  const struct virtq_desc *desc, uint32_t index)
{
	const struct dma_use use = { DMA_INDIRECT_TABLE, DMA_TO_DEVICE, vq->index, index };

	if (!vq->indirect || table->indirect || desc->flags & VIRTQ_DESC_F_NEXT || !desc->len ||
	    desc->len % sizeof(*desc) || desc->len / sizeof(*desc) > vq->size)
		return -EINVAL;
	table->desc = dma_map(vq->dma, desc->addr, desc->len, &use);
	table->entries = desc->len / sizeof(*desc);
	table->indirect = true;
	return table->desc ? 0 : -EFAULT;
}

/* Appends the memory of @desc to @chain. An empty descriptor names no memory: nothing to do. */
static int add_buffer(struct virtqueue *vq, struct virtqueue_chain *chain,
		      const struct virtq_desc *desc, uint32_t index)
{
	bool write = desc->flags & VIRTQ_DESC_F_WRITE;
	struct dma_buffers *side = write ? &chain->writable : &chain->readable;
	const struct dma_use use = { DMA_BUFFER, write ? DMA_FROM_DEVICE : DMA_TO_DEVICE, vq->index,
				     index };
	struct iovec *iov;
	void *host;

	if (!write && chain->writable.count)
		return -EINVAL;
	if (!desc->len)
		return 0;
	host = dma_map(vq->dma, desc->addr, desc->len, &use);
	if (!host)
		return -EFAULT;
	iov = &vq->iov[chain->readable.count + chain->writable.count];
	iov->iov_base = host;
	iov->iov_len = desc->len;
	if (!side->count)
		side->iov = iov;
	side->count++;
	side->len += desc->len;
	/* 2.7.5.1: a chain is at most 2^32 bytes long; a used length could not tell more anyway. */
	return chain->readable.len + chain->writable.len > UINT32_MAX ? -EINVAL : 0;
}

/* Copies the chain at @head out. 0, -EINVAL when it is malformed, -EFAULT for a violation. */
static int walk_chain(struct virtqueue *vq, uint16_t head, struct virtqueue_chain *chain)
{
	struct desc_table table = { vq->desc, vq->size, false };
	uint32_t index = head;

	*chain = (struct virtqueue_chain){ .head = head };
	for (uint32_t fetched = 0; fetched < vq->size;) {
		struct virtq_desc desc = fetch_desc(&table, index);
		int rc;

		if (desc.flags & VIRTQ_DESC_F_INDIRECT) {
			rc = enter_indirect(vq, &table, &desc, index);
			if (rc)
				return rc;
			index = 0;
			continue;
		}
		rc = add_buffer(vq, chain, &desc, index);
		if (rc)
			return rc;
		if (!(desc.flags & VIRTQ_DESC_F_NEXT)) {
			chain->readable_len = chain->readable.len;
			chain->writable_len = chain->writable.len;
			return 0;
		}
		if (desc.next >= table.entries)
			return -EINVAL;
		index = desc.next;
		fetched++;
	}
	return -EINVAL;
}

void virtqueue_show_used(struct virtqueue *vq, uint16_t index)
{
	__atomic_store_n(&vq->used->idx, htole16(index), __ATOMIC_RELEASE);
}

static inline void put_used(struct virtqueue *vq, uint32_t id, uint32_t len)
{
	struct virtq_used_elem *elem = &vq->used->ring[vq->used_idx & (vq->size - 1)];

	elem->id = htole32(id);
	elem->len = htole32(len);
	vq->used_idx++;
	if (!vq->held)
		publish_used(vq);
}

void virtqueue_put_used(struct virtqueue *vq, uint32_t id, uint32_t len)
{
	put_used(vq, id, len);
}

static void push_used(struct virtqueue *vq, uint16_t head, uint32_t written)
{
	if (__builtin_expect(vq->evil != NULL, 0) && !vq->held)
		evil_complete(vq->evil, head, written);
	else
		put_used(vq, head, written);
}

static void drop_head(struct virtqueue *vq, uint16_t head)
{
	vq->dma->report->malformed_chains++;
	push_used(vq, head, 0);
}

int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	while (vq->budget) {
		int rc = next_available(vq);
		uint16_t head;

		if (rc <= 0)
			return rc;
		head = load16(&vq->avail->ring[vq->last_avail & (vq->size - 1)]);
		if (head >= vq->size)
			return virtqueue_break(vq, -EPROTO);
		rc = walk_chain(vq, head, chain);
		if (rc == -EFAULT)
			return virtqueue_break(vq, rc);
		vq->last_avail++;
		vq->budget--;
		if (!rc)
			return 1;
		drop_head(vq, head);
	}
	return 0;
}

void virtqueue_unpop(struct virtqueue *vq)
{
	vq->last_avail--;
	vq->budget++;
}

void virtqueue_spend(struct virtqueue *vq)
{
	if (vq->budget)
		vq->budget--;
}

void virtqueue_push(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t written)
{
	struct device_report_wire *report = vq->dma->report;

	report->requests++;
	report->bytes_to_device += chain->readable_len;
	report->bytes_from_device += written;
	push_used(vq, chain->head, written);
}

void virtqueue_drop(struct virtqueue *vq, const struct virtqueue_chain *chain)
{
	drop_head(vq, chain->head);
}

void virtqueue_hold(struct virtqueue *vq)
{
	const struct device_report_wire *report = vq->dma->report;

	vq->mark = (struct virtqueue_mark){
		.last_avail = vq->last_avail - 1,
		.used_idx = vq->used_idx,
		.budget = vq->budget + 1,
		.requests = report->requests,
		.bytes_to_device = report->bytes_to_device,
		.bytes_from_device = report->bytes_from_device,
	};
	vq->held = true;
	/* The ring has no more chains than this. */
	vq->budget = vq->size;
}

void virtqueue_publish(struct virtqueue *vq)
{
	uint16_t taken = vq->last_avail - vq->mark.last_avail;

	vq->held = false;
	vq->budget = vq->mark.budget > taken ? vq->mark.budget - taken : 0;
	if (vq->broken)
		return;
	if (vq->evil)
		evil_complete_held(vq->evil);
	else
		publish_used(vq);
}

void virtqueue_rewind(struct virtqueue *vq)
{
	struct device_report_wire *report = vq->dma->report;

	vq->held = false;
	vq->last_avail = vq->mark.last_avail;
	vq->used_idx = vq->mark.used_idx;
	vq->budget = vq->mark.budget;
	report->requests = vq->mark.requests;
	report->bytes_to_device = vq->mark.bytes_to_device;
	report->bytes_from_device = vq->mark.bytes_from_device;
}

/* 2.7.10.1: has the index gone past the event on its way from @old to @new? */
static bool need_event(uint16_t event, uint16_t new, uint16_t old)
{
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

bool virtqueue_should_notify(struct virtqueue *vq)
{
	uint16_t old = vq->signalled_used;

	if (vq->broken || vq->used_idx == old)
		return false;
	vq->signalled_used = vq->used_idx;
	if (!vq->event_idx)
		return !(load16(&vq->avail->flags) & VIRTQ_AVAIL_F_NO_INTERRUPT);
	return need_event(load16(used_event(vq)), vq->used_idx, old);
}
