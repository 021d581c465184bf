/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Headers and trailers come off a list of ranges, wherever the driver cut it. */
#include <criterion/criterion.h>
#include <string.h>

#include "devices/core/buffers.h"

/* @text in ranges of @piece bytes, the last one shorter. */
static struct dma_buffers cut(struct iovec *iov, char *text, size_t piece)
{
	struct dma_buffers buffers = { .iov = iov, .len = strlen(text) };

	for (size_t at = 0; at < buffers.len; at += piece) {
		size_t left = buffers.len - at;

		iov[buffers.count++] = (struct iovec){ text + at, left < piece ? left : piece };
	}
	return buffers;
}

Test(device_buffers, any_cut_reads_the_same)
{
	for (size_t piece = 1; piece <= 11; piece++) {
		char text[] = "0123456789";
		char out[11] = "";
		struct iovec iov[10];
		struct dma_buffers buffers = cut(iov, text, piece);

		cr_expect_eq(dma_buffers_read(&buffers, out, 4), 4);
		cr_expect_str_eq(out, "0123");
		cr_expect_eq(buffers.len, 6);
		dma_buffers_skip(&buffers, 3);
		cr_expect_eq(dma_buffers_read(&buffers, out, 10), 3, "only what is there");
		cr_expect_eq(memcmp(out, "789", 3), 0);
		cr_expect_eq(buffers.count, 0);
		cr_expect_eq(buffers.len, 0);
	}
}

Test(device_buffers, any_cut_writes_the_same)
{
	for (size_t piece = 1; piece <= 11; piece++) {
		char text[] = "..........";
		struct iovec iov[10];
		struct dma_buffers buffers = cut(iov, text, piece);

		cr_expect_eq(dma_buffers_write(&buffers, "abc", 3), 3);
		cr_expect_eq(dma_buffers_write(&buffers, "defghijkl", 9), 7);
		cr_expect_str_eq(text, "abcdefghij");
		cr_expect_eq(buffers.count, 0);
	}
}

Test(device_buffers, last_byte)
{
	for (size_t piece = 1; piece <= 4; piece++) {
		char text[] = "abc";
		struct iovec iov[3];
		struct dma_buffers buffers = cut(iov, text, piece);

		for (int i = 2; i >= 0; i--) {
			cr_expect_eq(dma_buffers_take_last(&buffers), (uint8_t *)text + i);
			cr_expect_eq(buffers.len, (uint64_t)i);
		}
		cr_expect_null(dma_buffers_take_last(&buffers));
		cr_expect_eq(buffers.count, 0);
	}
}

Test(device_buffers, skipping_more_than_there_is_empties_the_list)
{
	char text[] = "abcdef";
	struct iovec iov[6];
	struct dma_buffers buffers = cut(iov, text, 4);

	dma_buffers_skip(&buffers, 100);
	cr_expect_eq(buffers.count, 0);
	cr_expect_eq(buffers.len, 0);
}
