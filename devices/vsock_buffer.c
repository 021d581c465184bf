/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/vsock_buffer.h"

#include <assert.h>

/* Not from the heap: to give so much back takes system calls, which the sandbox does not allow. */
static uint8_t blocks[VSOCK_BLOCKS][VSOCK_BLOCK_SIZE];

void vsock_pool_init(struct vsock_pool *pool)
{
	pool->blocks = blocks;
	for (unsigned int i = 0; i < VSOCK_BLOCKS; i++)
		pool->next[i] = i + 1;
	pool->free = 0;
	pool->spare = VSOCK_SPARE_BLOCKS;
}

void vsock_buffer_open(struct vsock_buffer *buffer)
{
	*buffer = (struct vsock_buffer){ .reserved = 1 };
}

void vsock_buffer_close(struct vsock_pool *pool, struct vsock_buffer *buffer)
{
	vsock_buffer_consume(pool, buffer, buffer->len);
	if (buffer->reserved > 1)
		pool->spare += buffer->reserved - 1;
	*buffer = (struct vsock_buffer){ 0 };
}

uint32_t vsock_buffer_credit(const struct vsock_buffer *buffer)
{
	return buffer->limit - buffer->received;
}

/* Bytes gone, but for those of a block that is not empty yet: its room is of no use. */
static uint32_t forwarded(const struct vsock_buffer *buffer)
{
	return buffer->received - buffer->len - buffer->offset;
}

/*
 * A buffer may have half of what is spare. So one alone has plenty, many have the same share each,
 * and there is always something left for the next.
 */
static unsigned int fair_share(const struct vsock_pool *pool, const struct vsock_buffer *buffer)
{
	return 1 + (pool->spare + buffer->reserved - 1) / 2;
}

void vsock_buffer_promise(struct vsock_pool *pool, struct vsock_buffer *buffer, uint32_t *buf_alloc,
			  uint32_t *fwd_cnt)
{
	const uint32_t gone = forwarded(buffer);
	/* What was promised and is not gone needs a place. */
	const uint32_t kept = buffer->limit - gone;
	const unsigned int needed = (kept + VSOCK_BLOCK_SIZE - 1) / VSOCK_BLOCK_SIZE;
	const unsigned int share = fair_share(pool, buffer);
	const unsigned int reserve = needed > share ? needed : share;

	pool->spare = pool->spare + buffer->reserved - reserve;
	buffer->reserved = reserve;
	buffer->limit = gone + reserve * VSOCK_BLOCK_SIZE;
	*buf_alloc = reserve * VSOCK_BLOCK_SIZE;
	*fwd_cnt = gone;
}

bool vsock_buffer_wants_update(const struct vsock_buffer *buffer)
{
	const uint32_t room = buffer->reserved * VSOCK_BLOCK_SIZE;
	/* How far the limit would move with the blocks that it has now. */
	const uint32_t more = forwarded(buffer) + room - buffer->limit;

	return more && (more >= room / 2 || !vsock_buffer_credit(buffer));
}

void vsock_buffer_receive(struct vsock_buffer *buffer, uint32_t len)
{
	assert(len <= vsock_buffer_credit(buffer));
	buffer->received += len;
}

/* Room behind the last byte; a new block where there is none. */
static uint8_t *find_room(struct vsock_pool *pool, struct vsock_buffer *buffer, uint32_t *room)
{
	const uint32_t end = (buffer->offset + buffer->len) % VSOCK_BLOCK_SIZE;

	if (!end) {
		const uint16_t block = pool->free;

		pool->free = pool->next[block];
		if (buffer->len)
			pool->next[buffer->last] = block;
		else
			buffer->first = block;
		buffer->last = block;
	}
	*room = VSOCK_BLOCK_SIZE - end;
	return pool->blocks[buffer->last] + end;
}

void vsock_buffer_append(struct vsock_pool *pool, struct vsock_buffer *buffer,
			 struct dma_buffers *data, uint32_t len)
{
	while (len) {
		uint32_t room;
		uint8_t *to = find_room(pool, buffer, &room);
		uint32_t n = dma_buffers_read(data, to, len < room ? len : room);

		buffer->len += n;
		len -= n;
	}
}

int vsock_buffer_ranges(const struct vsock_pool *pool, const struct vsock_buffer *buffer,
			struct iovec *iov, int max)
{
	uint32_t offset = buffer->offset;
	uint32_t left = buffer->len;
	uint16_t block = buffer->first;
	int n = 0;

	for (; left && n < max; n++) {
		uint32_t len = VSOCK_BLOCK_SIZE - offset;

		len = len < left ? len : left;
		iov[n] = (struct iovec){ pool->blocks[block] + offset, len };
		left -= len;
		offset = 0;
		block = pool->next[block];
	}
	return n;
}

static void free_first(struct vsock_pool *pool, struct vsock_buffer *buffer)
{
	const uint16_t block = buffer->first;

	buffer->first = pool->next[block];
	pool->next[block] = pool->free;
	pool->free = block;
}

void vsock_buffer_consume(struct vsock_pool *pool, struct vsock_buffer *buffer, uint32_t len)
{
	while (len) {
		uint32_t n = VSOCK_BLOCK_SIZE - buffer->offset;

		n = n < len ? n : len;
		buffer->len -= n;
		buffer->offset += n;
		len -= n;
		if (!buffer->len || buffer->offset == VSOCK_BLOCK_SIZE) {
			free_first(pool, buffer);
			buffer->offset = 0;
		}
	}
}
