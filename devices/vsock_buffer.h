/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Bytes of the guest that the host side has not taken yet, and the credit that follows from them.
 *
 * A driver may send only what the device has promised to hold (virtio 1.3, 5.10.6.3), so every
 * promise is a reservation. All connections share one pool of blocks:
 *
 *	blocks:  one for each connection, always its own | spare ones, lent to those that move data
 *
 *	a buffer:  first                              last
 *	          +--------+--------+--------+--------+ - - - - +
 *	          |gone|###|########|########|####|   |         |   reserved * VSOCK_BLOCK_SIZE
 *	          +--------+--------+--------+--------+ - - - - +
 *	           offset  <-------- len -------->
 *
 * Only blocks that hold something are taken off the list of free ones, and the one given back last
 * is taken first: as long as the host side keeps up, none is ever touched.
 */
#ifndef DEVICES_VSOCK_BUFFER_H
#define DEVICES_VSOCK_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "devices/core/buffers.h"

/*
 * Every connection costs a descriptor and a block. Blocks are so small that all of them together stay
 * below 400 KiB, while a connection that is alone gets 128 KiB.
 */
#define VSOCK_BLOCK_SIZE   512u /* bytes */
#define VSOCK_MAX_BUFFERS  256u
#define VSOCK_SPARE_BLOCKS 512u
#define VSOCK_BLOCKS	   (VSOCK_MAX_BUFFERS + VSOCK_SPARE_BLOCKS)

struct vsock_pool {
	uint8_t (*blocks)[VSOCK_BLOCK_SIZE]; /* VSOCK_BLOCKS of them; not owned */
	uint16_t next[VSOCK_BLOCKS];	     /* of each block: the one behind it */
	uint16_t free;			     /* the first free one */
	unsigned int spare;		     /* blocks that are lent to nobody */
};

struct vsock_buffer {
	uint16_t first;
	uint16_t last;
	uint32_t offset; /* in the first block, below VSOCK_BLOCK_SIZE; 0 when empty */
	uint32_t len;
	unsigned int reserved; /* blocks; at least 1 in use, else 0 */
	uint32_t received;     /* bytes from the guest, all in all; wraps, as what follows does */
	uint32_t limit;	       /* it may send up to this many: the promise, as last told */
};

/* For VSOCK_MAX_BUFFERS at the same time. There is one pool in a process, as there is one device. */
void vsock_pool_init(struct vsock_pool *pool);

void vsock_buffer_open(struct vsock_buffer *buffer);

/* Forgets what it holds and gives everything back. */
void vsock_buffer_close(struct vsock_pool *pool, struct vsock_buffer *buffer);

/* Bytes that the guest may still send. */
uint32_t vsock_buffer_credit(const struct vsock_buffer *buffer);

/*
 * What a packet to the guest says of us: *@buf_alloc bytes of room, *@fwd_cnt bytes gone. How much
 * room that is depends on how busy the others are; what was promised before stays so.
 */
void vsock_buffer_promise(struct vsock_pool *pool, struct vsock_buffer *buffer, uint32_t *buf_alloc,
			  uint32_t *fwd_cnt);

/* True when the guest should be told of new room without having to wait for another packet. */
bool vsock_buffer_wants_update(const struct vsock_buffer *buffer);

/* Counts @len bytes, at most the credit, as received: they were delivered, or are appended next. */
void vsock_buffer_receive(struct vsock_buffer *buffer, uint32_t len);

/* Stores @len bytes off the front of @data, all of them received before. */
void vsock_buffer_append(struct vsock_pool *pool, struct vsock_buffer *buffer,
			 struct dma_buffers *data, uint32_t len);

/* Up to @max ranges of what it holds, from the front, into @iov; returns how many. */
int vsock_buffer_ranges(const struct vsock_pool *pool, const struct vsock_buffer *buffer,
			struct iovec *iov, int max);

/* Takes @len bytes, at most all it holds, off the front. */
void vsock_buffer_consume(struct vsock_pool *pool, struct vsock_buffer *buffer, uint32_t len);

#endif
