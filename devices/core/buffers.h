/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One side of a descriptor chain: guest memory as a list of ranges, already checked by dma_map().
 *
 * A driver may cut a request into descriptors anywhere (virtio 1.3, 2.7.4), so devices take headers
 * and trailers off the ends with these functions and never look at a single range. What is left in
 * between can be handed to preadv(2) and friends as it is.
 */
#ifndef DEVICES_CORE_BUFFERS_H
#define DEVICES_CORE_BUFFERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct dma_buffers {
	struct iovec *iov;  /* none of length 0; the array belongs to the virtqueue */
	unsigned int count; /* of iov */
	uint64_t len;	    /* bytes over all */
};

/*
 * Copies up to @len bytes off the front to @dst, or from @src to the front, and takes those bytes
 * off the list. Returns how many. The guest can change its memory at any time: what was read is
 * checked in the copy, and no byte is read twice.
 */
size_t dma_buffers_read(struct dma_buffers *buffers, void *dst, size_t len);
size_t dma_buffers_write(struct dma_buffers *buffers, const void *src, size_t len);

/* Takes up to @len bytes off the front without touching them. */
void dma_buffers_skip(struct dma_buffers *buffers, size_t len);

/* Takes the last byte off the list and returns where it is; NULL when the list is empty. */
uint8_t *dma_buffers_take_last(struct dma_buffers *buffers);

#endif
