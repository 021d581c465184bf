/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/core/buffers.h"

#include <string.h>

/* Takes @n bytes off the first range, which has at least as many. */
static void skip_in_first(struct dma_buffers *buffers, size_t n)
{
	buffers->len -= n;
	buffers->iov[0].iov_base = (char *)buffers->iov[0].iov_base + n;
	buffers->iov[0].iov_len -= n;
	if (!buffers->iov[0].iov_len) {
		buffers->iov++;
		buffers->count--;
	}
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t dma_buffers_read(struct dma_buffers *buffers, void *dst, size_t len)
{
	size_t done = 0;

	while (done < len && buffers->count) {
		size_t n = min_size(len - done, buffers->iov[0].iov_len);

		memcpy((char *)dst + done, buffers->iov[0].iov_base, n);
		skip_in_first(buffers, n);
		done += n;
	}
	/* Keeps the compiler from looking at guest memory again instead of at the copy. */
	__asm__ volatile("" ::: "memory");
	return done;
}

size_t dma_buffers_write(struct dma_buffers *buffers, const void *src, size_t len)
{
	size_t done = 0;

	while (done < len && buffers->count) {
		size_t n = min_size(len - done, buffers->iov[0].iov_len);

		memcpy(buffers->iov[0].iov_base, (const char *)src + done, n);
		skip_in_first(buffers, n);
		done += n;
	}
	return done;
}

void dma_buffers_skip(struct dma_buffers *buffers, size_t len)
{
	while (len && buffers->count) {
		size_t n = min_size(len, buffers->iov[0].iov_len);

		skip_in_first(buffers, n);
		len -= n;
	}
}

uint8_t *dma_buffers_take_last(struct dma_buffers *buffers)
{
	struct iovec *last;

	if (!buffers->count)
		return NULL;
	last = &buffers->iov[buffers->count - 1];
	last->iov_len--;
	buffers->len--;
	if (!last->iov_len)
		buffers->count--;
	return (uint8_t *)last->iov_base + last->iov_len;
}
