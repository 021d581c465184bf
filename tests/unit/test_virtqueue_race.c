/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A split ring that another vCPU changes while the device looks at it. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "tests/unit/fenced_ring.h"

TestSuite(virtqueue_race, .init = fenced_ring_set_up, .fini = fenced_ring_tear_down);

#define BUF(flags, next)                       \
	{                                      \
		BASE + 0x4000, 16, flags, next \
	}
#define IND(len, flags)                           \
	{                                         \
		TABLE, len, INDIRECT | (flags), 1 \
	}

/* Another vCPU: changes every field that the device looks at, as fast as it can. */
static void *flip_fields(void *stop)
{
	struct virtq_desc good[2] = { BUF(NEXT, 1), BUF(WRITE, 0) };
	struct virtq_desc bad[2] = { IND(16, 0), { OUTSIDE, 0xffffffff, NEXT, 0xffff } };
	volatile struct virtq_desc *table = mock_desc_table(&driver);
	volatile struct virtq_desc *inner = mock_ptr(&driver, TABLE);

	while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED)) {
		for (int i = 0; i < 2; i++) {
			table[i] = good[i];
			inner[i] = good[i];
			table[i] = bad[i];
			inner[i] = bad[1];
			table[i].len = 16;
			table[i].next = 1;
		}
	}
	return NULL;
}

static bool inside(const struct dma_buffers *buffers)
{
	for (unsigned int i = 0; i < buffers->count; i++) {
		const uint8_t *at = buffers->iov[i].iov_base;

		if (at < memory || at >= memory + MEMORY ||
		    buffers->iov[i].iov_len > (size_t)(memory + MEMORY - at))
			return false;
	}
	return true;
}

static bool seen_outside(void)
{
	return report.addresses_outside[DMA_BUFFER] > 0;
}

/* As many rounds as it takes to see both kinds of chains: on one CPU, the other thread may start late. */
Test(virtqueue_race, what_changes_under_our_eyes_stays_inside, .timeout = 60)
{
	struct virtqueue_layout layout = mock_layout(&driver);
	struct virtqueue_chain chain;
	unsigned int good = 0;
	bool stop = false;
	pthread_t other;

	cr_assert_eq(pthread_create(&other, NULL, flip_fields, &stop), 0);
	for (unsigned int round = 0; round < 300000 || !good || !seen_outside(); round++) {
		if (vq.broken) {
			layout.base = driver.avail_idx;
			cr_assert_eq(virtqueue_start(&vq, &layout), 0);
		}
		virtqueue_begin(&vq);
		mock_submit(&driver, 0);
		if (virtqueue_pop(&vq, &chain) <= 0)
			continue;
		cr_assert(inside(&chain.readable));
		cr_assert(inside(&chain.writable));
		cr_assert_leq(chain.readable.count + chain.writable.count, SIZE);
		virtqueue_push(&vq, &chain, 0);
		good++;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(other, NULL);
}
