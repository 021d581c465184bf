/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/fuzz/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

int ring_outstanding;

void ring_place(struct mock_driver *driver, unsigned int index, uint16_t base)
{
	void *mem = memory_at(MEMORY_BASE, MEMORY_WINDOW0);

	mock_driver_init(driver, mem, MEMORY_BASE, MEMORY_BASE + index * RING_STRIDE, RING_SIZE,
			 base);
}

void ring_submit(struct mock_driver *driver, const struct ring_piece *pieces, unsigned int n,
		 uint16_t head, uint64_t indirect)
{
	struct virtq_desc *table = mock_desc_table(driver);
	uint16_t index = head;

	head %= RING_SIZE;
	if (indirect && memory_at(indirect, n * sizeof(*table))) {
		table[head] = (struct virtq_desc){ indirect, n * (uint32_t)sizeof(*table),
						   VIRTQ_DESC_F_INDIRECT, 0 };
		index = 0;
	} else {
		indirect = 0;
	}
	for (unsigned int i = 0; i < n; i++) {
		const uint16_t mask = indirect ? UINT16_MAX : RING_SIZE - 1;
		const uint16_t next = (index + 1u) & mask;
		struct virtq_desc desc = { pieces[i].addr, pieces[i].len, 0, next };

		if (pieces[i].write)
			desc.flags |= VIRTQ_DESC_F_WRITE;
		if (i + 1 < n)
			desc.flags |= VIRTQ_DESC_F_NEXT;
		if (indirect)
			memory_write(indirect + i * sizeof(desc), &desc, sizeof(desc));
		else
			table[index & mask] = desc;
		index = next;
	}
	mock_submit(driver, head);
}

static struct virtq_desc read_desc(struct fuzz_input *in)
{
	struct virtq_desc desc = { .addr = memory_address(in) };
	uint8_t how;

	desc.len = memory_length(in);
	how = fuzz_u8(in);
	desc.flags = how & 7;
	desc.next = how & 0x80 ? fuzz_u16(in) : how >> 3;
	return desc;
}

/* Pieces that make sense together: addresses and lengths are still anything. */
static void submit_chain(struct mock_driver *driver, struct fuzz_input *in)
{
	struct ring_piece pieces[8];
	const uint8_t how = fuzz_u8(in), head = fuzz_u8(in);
	const unsigned int n = 1 + (how & 7), readable = how >> 3 & 7;
	const uint64_t indirect = how & 0x40 ? memory_address(in) : 0;

	for (unsigned int i = 0; i < n; i++) {
		pieces[i].addr = memory_address(in);
		pieces[i].len = memory_length(in);
		pieces[i].write = i >= readable;
	}
	ring_submit(driver, pieces, n, head, indirect);
}

void ring_step(struct mock_driver *driver, struct fuzz_input *in)
{
	const uint8_t op = fuzz_u8(in);
	const uint8_t *bytes;
	uint64_t addr;
	size_t len;

	switch (op & 7) {
	case 0:
		mock_desc_table(driver)[op >> 3 & (RING_SIZE - 1)] = read_desc(in);
		break;
	case 1:
		mock_submit(driver, op & 0x80 ? fuzz_u16(in) : op >> 3);
		break;
	case 2: {
		const struct virtq_desc desc = read_desc(in);

		memory_write(memory_address(in), &desc, sizeof(desc));
		break;
	}
	case 3:
		addr = memory_address(in);
		bytes = fuzz_bytes(in, op >> 3, &len);
		memory_write(addr, bytes, len);
		break;
	case 4:
		*mock_used_event(driver) = fuzz_u16(in);
		mock_avail(driver)->flags = op >> 3;
		break;
	case 5:
		/* Far ahead, or back. */
		driver->avail_idx += op & 0x80 ? fuzz_u16(in) : op >> 3;
		mock_avail(driver)->idx = driver->avail_idx;
		break;
	default:
		submit_chain(driver, in);
	}
}

void ring_check(const struct virtqueue *vq)
{
	/* Used entries are never more than what was taken, and that no more than there was. */
	fuzz_check(!vq->held, "queue %u: completed chains are held back", vq->index);
	fuzz_check((uint16_t)(vq->last_avail - vq->used_idx) <= 1, "queue %u: %u taken, %u used",
		   vq->index, vq->last_avail, vq->used_idx);
	fuzz_check(vq->broken || (uint16_t)(vq->seen_avail - vq->last_avail) <= vq->size,
		   "queue %u: more is available than fits", vq->index);
}

/* --- the second opinion --- */

void *second_map(struct dma_space *space, uint64_t addr, uint64_t len, const struct dma_use *use)
	WRAP_OF(dma_map);
void *first_map(struct dma_space *space, uint64_t addr, uint64_t len, const struct dma_use *use)
	WRAPPED(dma_map);
int second_pop(struct virtqueue *vq, struct virtqueue_chain *chain) WRAP_OF(virtqueue_pop);
int first_pop(struct virtqueue *vq, struct virtqueue_chain *chain) WRAPPED(virtqueue_pop);
void second_unpop(struct virtqueue *vq) WRAP_OF(virtqueue_unpop);
void first_unpop(struct virtqueue *vq) WRAPPED(virtqueue_unpop);
void second_push(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t written)
	WRAP_OF(virtqueue_push);
void first_push(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t written)
	WRAPPED(virtqueue_push);
void second_drop(struct virtqueue *vq, const struct virtqueue_chain *chain) WRAP_OF(virtqueue_drop);
void first_drop(struct virtqueue *vq, const struct virtqueue_chain *chain) WRAPPED(virtqueue_drop);

/* In numbers of twice the width: no sum wraps. */
static uint8_t *find(const struct dma_space *space, uint64_t addr, uint64_t len, bool write)
{
	const int prot = write ? PROT_WRITE : PROT_READ;

	for (unsigned int i = 0; i < space->nr_windows; i++) {
		const struct dma_window *w = &space->windows[i];
		const unsigned __int128 end = (unsigned __int128)addr + len;

		if (addr >= w->base && end <= (unsigned __int128)w->base + w->size &&
		    addr < (unsigned __int128)w->base + w->size && w->prot & prot)
			return w->host + (addr - w->base);
	}
	return NULL;
}

void *second_map(struct dma_space *space, uint64_t addr, uint64_t len, const struct dma_use *use)
{
	void *host = first_map(space, addr, len, use);
	uint8_t *expected = find(space, addr, len, use->direction != DMA_TO_DEVICE);

	if (expected && use->direction == DMA_BIDIRECTIONAL)
		expected = find(space, addr, len, false);
	fuzz_check(host == expected, "dma_map(%#llx, %#llx)", (unsigned long long)addr,
		   (unsigned long long)len);
	return host;
}

enum verdict { GOOD, MALFORMED, OUTSIDE };

struct walk {
	struct iovec readable[1024], writable[1024];
	unsigned int nr_readable, nr_writable;
	uint64_t len;
};

static enum verdict walk_buffer(const struct virtqueue *vq, const struct virtq_desc *desc,
				struct walk *walk)
{
	const bool write = desc->flags & VIRTQ_DESC_F_WRITE;
	uint8_t *host;

	if (!write && walk->nr_writable)
		return MALFORMED;
	if (!desc->len)
		return GOOD;
	host = find(vq->dma, desc->addr, desc->len, write);
	if (!host)
		return OUTSIDE;
	if (write)
		walk->writable[walk->nr_writable++] = (struct iovec){ host, desc->len };
	else
		walk->readable[walk->nr_readable++] = (struct iovec){ host, desc->len };
	walk->len += desc->len;
	return walk->len > UINT32_MAX ? MALFORMED : GOOD;
}

/* What virtio 1.3, 2.7.5 says of the chain at @head. */
static enum verdict walk_chain(const struct virtqueue *vq, uint16_t head, struct walk *walk)
{
	const uint8_t *table = (const uint8_t *)vq->desc;
	uint32_t entries = vq->size, index = head, taken = 0;
	bool inside = false;

	walk->nr_readable = walk->nr_writable = 0;
	walk->len = 0;
	for (;;) {
		struct virtq_desc desc;
		enum verdict verdict;

		memcpy(&desc, table + index * sizeof(desc), sizeof(desc));
		if (desc.flags & VIRTQ_DESC_F_INDIRECT) {
			if (inside || !vq->indirect || desc.flags & VIRTQ_DESC_F_NEXT ||
			    !desc.len || desc.len % sizeof(desc) ||
			    desc.len / sizeof(desc) > vq->size)
				return MALFORMED;
			table = find(vq->dma, desc.addr, desc.len, false);
			if (!table)
				return OUTSIDE;
			entries = desc.len / sizeof(desc);
			index = 0;
			inside = true;
			continue;
		}
		verdict = walk_buffer(vq, &desc, walk);
		if (verdict != GOOD)
			return verdict;
		if (!(desc.flags & VIRTQ_DESC_F_NEXT))
			return GOOD;
		if (desc.next >= entries || ++taken == vq->size)
			return MALFORMED;
		index = desc.next;
	}
}

static void compare(const struct dma_buffers *side, const struct iovec *iov, unsigned int n)
{
	uint64_t len = 0;

	fuzz_check(side->count == n, "%u ranges instead of %u", side->count, n);
	for (unsigned int i = 0; i < n; i++) {
		fuzz_check(side->iov[i].iov_base == iov[i].iov_base &&
				   side->iov[i].iov_len == iov[i].iov_len,
			   "range %u", i);
		len += iov[i].iov_len;
	}
	fuzz_check(side->len == len);
}

int second_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	static struct walk walk;
	const uint16_t avail = vq->broken ? 0 : vq->avail->idx;
	const uint16_t seen = vq->last_avail == vq->seen_avail ? avail : vq->seen_avail;
	const uint16_t waiting = seen - vq->last_avail;
	const bool looks = vq->budget && !vq->broken;
	const uint16_t oldest = vq->held ? vq->mark.last_avail : vq->last_avail;
	const bool too_many = waiting > vq->size || (uint16_t)(seen - oldest) > vq->size;
	enum verdict verdict = MALFORMED;
	uint16_t head = 0;
	int rc;

	if (looks && waiting && !too_many) {
		head = vq->avail->ring[vq->last_avail % vq->size];
		verdict = head < vq->size ? walk_chain(vq, head, &walk) : OUTSIDE;
	}
	rc = first_pop(vq, chain);
	fuzz_check(!looks || waiting || rc == 0, "taken from an empty ring");
	fuzz_check(!looks || !too_many || rc == -EPROTO, "an index that is too far");
	if (!looks || !waiting || too_many)
		return rc;
	if (verdict == OUTSIDE) {
		fuzz_check(rc == (head < vq->size ? -EFAULT : -EPROTO) && vq->broken,
			   "an address outside: %d", rc);
	} else if (verdict == GOOD) {
		fuzz_check(rc == 1 && chain->head == head, "a good chain: %d", rc);
		compare(&chain->readable, walk.readable, walk.nr_readable);
		compare(&chain->writable, walk.writable, walk.nr_writable);
	}
	if (rc == 1) {
		fuzz_check(chain->readable_len == chain->readable.len);
		fuzz_check(chain->writable_len == chain->writable.len);
		ring_outstanding++;
	}
	return rc;
}

void second_unpop(struct virtqueue *vq)
{
	ring_outstanding--;
	first_unpop(vq);
}

void second_push(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t written)
{
	fuzz_check(written <= chain->writable_len, "%u bytes used of %llu", written,
		   (unsigned long long)chain->writable_len);
	fuzz_check(chain->head < vq->size);
	ring_outstanding--;
	first_push(vq, chain, written);
}

void second_drop(struct virtqueue *vq, const struct virtqueue_chain *chain)
{
	fuzz_check(chain->head < vq->size);
	ring_outstanding--;
	first_drop(vq, chain);
}
