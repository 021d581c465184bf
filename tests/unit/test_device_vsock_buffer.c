/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Where bytes of the guest wait, and that the device never promises more than it can hold. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "devices/vsock_buffer.h"

static struct vsock_pool pool;

static void set_up(void)
{
	vsock_pool_init(&pool);
}

TestSuite(device_vsock_buffer, .init = set_up);

/* Renews the promise; returns the credit. */
static uint32_t promise(struct vsock_buffer *buffer)
{
	const uint32_t before = buffer->limit;
	uint32_t buf_alloc, fwd_cnt;

	vsock_buffer_promise(&pool, buffer, &buf_alloc, &fwd_cnt);
	cr_assert_eq(fwd_cnt + buf_alloc, buffer->limit);
	cr_assert_geq((int32_t)(buffer->limit - before), 0, "it is never taken back");
	return vsock_buffer_credit(buffer);
}

/* Receives and stores @len bytes that count from @first. */
static void store(struct vsock_buffer *buffer, uint8_t first, uint32_t len)
{
	uint8_t *bytes = malloc(len);
	struct iovec iov = { bytes, len };
	struct dma_buffers data = { &iov, 1, len };

	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(first + i);
	vsock_buffer_receive(buffer, len);
	vsock_buffer_append(&pool, buffer, &data, len);
	free(bytes);
}

/* Takes @len bytes off, which count from @first. */
static void take(struct vsock_buffer *buffer, uint8_t first, uint32_t len)
{
	while (len) {
		struct iovec iov;
		uint32_t n;

		cr_assert_eq(vsock_buffer_ranges(&pool, buffer, &iov, 1), 1);
		n = iov.iov_len < len ? iov.iov_len : len;
		for (uint32_t i = 0; i < n; i++, first++)
			cr_assert_eq(((uint8_t *)iov.iov_base)[i], first);
		vsock_buffer_consume(&pool, buffer, n);
		len -= n;
	}
}

static unsigned int free_blocks(void)
{
	unsigned int n = 0;

	for (uint16_t block = pool.free; block != VSOCK_BLOCKS; block = pool.next[block])
		n++;
	return n;
}

Test(device_vsock_buffer, bytes_come_out_as_they_went_in)
{
	static const uint32_t sizes[] = { 1, 511, 512, 513, 1, 1024, 5000, 3, 509 };
	struct vsock_buffer buffer;
	uint8_t in = 0, out = 0;

	vsock_buffer_open(&buffer);
	for (int round = 0; round < 50; round++) {
		uint32_t len = sizes[round % 9];

		cr_assert_geq(promise(&buffer), len);
		store(&buffer, in, len);
		in += len;
		len = sizes[(round + 5) % 9];
		len = len < buffer.len ? len : buffer.len;
		take(&buffer, out, len);
		out += len;
	}
	cr_expect_eq((uint8_t)(out + buffer.len), in);
	take(&buffer, out, buffer.len);
	vsock_buffer_close(&pool, &buffer);
	cr_expect_eq(free_blocks(), VSOCK_BLOCKS);
}

Test(device_vsock_buffer, ranges_cover_it)
{
	struct vsock_buffer buffer;
	struct iovec iov[4];

	vsock_buffer_open(&buffer);
	cr_expect_eq(vsock_buffer_ranges(&pool, &buffer, iov, 4), 0);
	promise(&buffer);
	store(&buffer, 0, 2 * VSOCK_BLOCK_SIZE + 10);
	vsock_buffer_consume(&pool, &buffer, 100);
	cr_expect_eq(vsock_buffer_ranges(&pool, &buffer, iov, 2), 2);
	cr_assert_eq(vsock_buffer_ranges(&pool, &buffer, iov, 4), 3);
	cr_expect_eq(iov[0].iov_len, VSOCK_BLOCK_SIZE - 100);
	cr_expect_eq(iov[1].iov_len, VSOCK_BLOCK_SIZE);
	cr_expect_eq(iov[2].iov_len, 10);
}

Test(device_vsock_buffer, credit_is_spent_and_comes_back)
{
	struct vsock_buffer buffer;
	uint32_t credit;

	vsock_buffer_open(&buffer);
	cr_expect_eq(vsock_buffer_credit(&buffer), 0, "nothing is promised yet");
	credit = promise(&buffer);
	cr_expect_eq(credit, (1 + VSOCK_SPARE_BLOCKS / 2) * VSOCK_BLOCK_SIZE);
	cr_expect_not(vsock_buffer_wants_update(&buffer));
	/* Bytes that were delivered at once are gone. */
	vsock_buffer_receive(&buffer, credit / 2 - 1);
	cr_expect_not(vsock_buffer_wants_update(&buffer));
	vsock_buffer_receive(&buffer, 1);
	cr_expect(vsock_buffer_wants_update(&buffer));
	cr_expect_eq(promise(&buffer), credit);
	/* Those that wait are not. */
	store(&buffer, 0, credit);
	cr_expect_not(vsock_buffer_wants_update(&buffer));
	cr_expect_eq(promise(&buffer), 0);
	take(&buffer, 0, VSOCK_BLOCK_SIZE - 1);
	cr_expect_not(vsock_buffer_wants_update(&buffer), "a block that is not empty");
	cr_expect_eq(promise(&buffer), 0);
	vsock_buffer_consume(&pool, &buffer, 1);
	cr_expect(vsock_buffer_wants_update(&buffer), "better than none");
	cr_expect_eq(promise(&buffer), VSOCK_BLOCK_SIZE);
}

Test(device_vsock_buffer, counts_wrap)
{
	struct vsock_buffer buffer;
	uint32_t credit;

	vsock_buffer_open(&buffer);
	buffer.received = buffer.limit = UINT32_MAX - 700;
	credit = promise(&buffer);
	cr_expect_gt(credit, 2000);
	store(&buffer, 0, 2000);
	cr_expect_eq(vsock_buffer_credit(&buffer), credit - 2000);
	take(&buffer, 0, 2000);
	cr_expect_eq(promise(&buffer), credit);
}

Test(device_vsock_buffer, all_promises_together_fit)
{
	static struct vsock_buffer buffers[VSOCK_MAX_BUFFERS];
	unsigned int promised = 0;

	for (unsigned int i = 0; i < VSOCK_MAX_BUFFERS; i++) {
		vsock_buffer_open(&buffers[i]);
		cr_expect_gt(promise(&buffers[i]), 0, "the last one gets some too");
		promised += buffers[i].reserved;
	}
	cr_expect_leq(promised, VSOCK_BLOCKS);
	/* Everybody uses what it was promised, to the last byte. */
	for (unsigned int i = 0; i < VSOCK_MAX_BUFFERS; i++)
		store(&buffers[i], (uint8_t)i, vsock_buffer_credit(&buffers[i]));
	for (unsigned int i = 0; i < VSOCK_MAX_BUFFERS; i++) {
		take(&buffers[i], (uint8_t)i, buffers[i].len);
		cr_expect_gt(promise(&buffers[i]), 0);
	}
	for (unsigned int i = 0; i < VSOCK_MAX_BUFFERS; i++)
		vsock_buffer_close(&pool, &buffers[i]);
	cr_expect_eq(free_blocks(), VSOCK_BLOCKS);
	cr_expect_eq(pool.spare, VSOCK_SPARE_BLOCKS);
}

Test(device_vsock_buffer, those_that_move_data_end_up_with_like_shares)
{
	static struct vsock_buffer buffers[32];
	unsigned int least = VSOCK_BLOCKS, most = 0;

	for (int i = 0; i < 32; i++)
		vsock_buffer_open(&buffers[i]);
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 32; i++)
			vsock_buffer_receive(&buffers[i], promise(&buffers[i]));
	}
	for (int i = 0; i < 32; i++) {
		least = buffers[i].reserved < least ? buffers[i].reserved : least;
		most = buffers[i].reserved > most ? buffers[i].reserved : most;
	}
	cr_expect_leq(most, 2 * least);
	cr_expect_geq(least, VSOCK_SPARE_BLOCKS / 40);
}

/* The same sequence each time. */
static uint32_t draw(uint32_t below)
{
	static uint32_t state = 1;

	state = state * 1664525 + 1013904223;
	return (state >> 8) % below;
}

/* Any order of the two sides' steps: what is promised fits, and nothing is lost or made up. */
Test(device_vsock_buffer, at_random)
{
	struct vsock_buffer buffers[8];
	uint8_t in[8] = { 0 }, out[8] = { 0 };

	for (int i = 0; i < 8; i++)
		vsock_buffer_open(&buffers[i]);
	for (int step = 0; step < 20000; step++) {
		struct vsock_buffer *buffer = &buffers[draw(8)];
		int i = (int)(buffer - buffers);
		uint32_t len = draw(4000);

		switch (draw(4)) {
		case 0:
			promise(buffer);
			break;
		case 1:
			len = len < buffer->len ? len : buffer->len;
			take(buffer, out[i], len);
			out[i] += len;
			break;
		default:
			if (len > vsock_buffer_credit(buffer))
				len = vsock_buffer_credit(buffer);
			store(buffer, in[i], len);
			in[i] += len;
		}
	}
	for (int i = 0; i < 8; i++)
		vsock_buffer_close(&pool, &buffers[i]);
	cr_expect_eq(free_blocks(), VSOCK_BLOCKS);
	cr_expect_eq(pool.spare, VSOCK_SPARE_BLOCKS);
}
