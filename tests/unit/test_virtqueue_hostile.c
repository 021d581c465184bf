/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The split ring as a hostile driver fills it: dropped, broken, and never outside the windows. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/fenced_ring.h"

static void set_up(void)
{
	fenced_ring_set_up();
	virtqueue_begin(&vq);
}

TestSuite(virtqueue_hostile, .init = set_up, .fini = fenced_ring_tear_down);

/* Every chain starts at descriptor 0; TABLE holds .inner. */
struct bad_chain {
	const char *what;
	struct virtq_desc direct[SIZE];
	struct virtq_desc inner[SIZE + 1];
	bool no_indirect; /* not negotiated */
};

static void submit_bad(const struct bad_chain *bad)
{
	memcpy(mock_desc_table(&driver), bad->direct, sizeof(bad->direct));
	memcpy(mock_ptr(&driver, TABLE), bad->inner, sizeof(bad->inner));
	vq.indirect = !bad->no_indirect;
	mock_submit(&driver, 0);
}

#define BUF(flags, next)                       \
	{                                      \
		BASE + 0x4000, 16, flags, next \
	}
#define IND(len, flags)                           \
	{                                         \
		TABLE, len, INDIRECT | (flags), 1 \
	}

Test(virtqueue_hostile, malformed_chains_are_dropped_and_the_queue_goes_on)
{
	static const struct bad_chain chains[] = {
		{ "next to itself", { BUF(NEXT, 0) }, { { 0 } }, false },
		{ "2-cycle", { BUF(NEXT, 1), BUF(NEXT, 0) }, { { 0 } }, false },
		{ "3-cycle", { BUF(NEXT, 1), BUF(NEXT, 2), BUF(NEXT, 0) }, { { 0 } }, false },
		{ "next = size", { BUF(NEXT, SIZE) }, { { 0 } }, false },
		{ "next = 0xffff", { BUF(NEXT, 0xffff) }, { { 0 } }, false },
		{ "readable after writable",
		  { BUF(NEXT | WRITE, 1), BUF(0, 0) },
		  { { 0 } },
		  false },
		{ "all flags", { { BASE, 16, 0xffff, 0xffff } }, { { 0 } }, false },
		{ "indirect not negotiated", { IND(16, 0) }, { BUF(0, 0) }, true },
		{ "table of length 0", { IND(0, 0) }, { BUF(0, 0) }, false },
		{ "table of length 8", { IND(8, 0) }, { BUF(0, 0) }, false },
		{ "table of length 24", { IND(24, 0) }, { BUF(0, 0) }, false },
		{ "table longer than the queue",
		  { IND(16 * (SIZE + 1), 0) },
		  { BUF(0, 0) },
		  false },
		{ "table of 65536 entries", { IND(16 * 65536, 0) }, { BUF(0, 0) }, false },
		{ "huge table", { IND(0xfffffff0, 0) }, { BUF(0, 0) }, false },
		{ "table with NEXT", { IND(16, NEXT), BUF(0, 0) }, { BUF(0, 0) }, false },
		{ "nested table", { IND(32, 0) }, { IND(16, 0), BUF(0, 0) }, false },
		{ "nested behind a buffer", { IND(32, 0) }, { BUF(NEXT, 1), IND(16, 0) }, false },
		{ "loop in a table", { IND(32, 0) }, { BUF(NEXT, 1), BUF(NEXT, 0) }, false },
		{ "next beyond the table", { IND(32, 0) }, { BUF(NEXT, 2) }, false },
		{ "next beyond the queue", { IND(128, 0) }, { BUF(NEXT, 0xffff) }, false },
		{ "direct and indirect together too long",
		  { BUF(NEXT, 1), IND(128, 0) },
		  { BUF(NEXT, 1), BUF(NEXT, 2), BUF(NEXT, 3), BUF(NEXT, 4), BUF(NEXT, 5),
		    BUF(NEXT, 6), BUF(NEXT, 7), BUF(0, 0) },
		  false },
		{ "readable table after writable",
		  { BUF(NEXT | WRITE, 1), IND(16, 0) },
		  { BUF(0, 0) },
		  false },
	};

	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
		struct virtqueue_chain chain;
		struct virtq_used_elem elem;

		virtqueue_begin(&vq);
		submit_bad(&chains[i]);
		cr_expect_eq(virtqueue_pop(&vq, &chain), 0, "%s", chains[i].what);
		cr_assert(mock_take_used(&driver, &elem), "%s", chains[i].what);
		cr_expect_eq(elem.id, 0, "%s", chains[i].what);
		cr_expect_eq(elem.len, 0, "%s", chains[i].what);
		cr_expect_eq(report.malformed_chains, i + 1, "%s", chains[i].what);

		mock_submit_buffer(&driver, 3, 16, 0);
		cr_assert_eq(virtqueue_pop(&vq, &chain), 1, "after: %s", chains[i].what);
		cr_expect_eq(chain.head, 3);
		virtqueue_push(&vq, &chain, 0);
		cr_assert(mock_take_used(&driver, &elem));
		driver.next_free = BASE + 0x1000;
	}
	cr_expect_eq(report.nr_violations, 0);
	cr_expect_eq(report.broken_queues, 0);
}

/* The queue is broken, says so once, and neither answers nor touches anything any more. */
static void expect_broken(int error, const char *what)
{
	uint8_t before[0x400];
	struct virtqueue_chain chain;

	cr_expect_eq(virtqueue_pop(&vq, &chain), error, "%s", what);
	cr_expect(vq.broken, "%s", what);
	cr_expect_eq(vq.error, error, "%s", what);
	cr_expect_eq(report.broken_queues, 1, "%s", what);
	mock_submit(&driver, 1);
	memcpy(before, mock_desc_table(&driver), sizeof(before));
	cr_expect_eq(virtqueue_pop(&vq, &chain), -EPROTO, "%s", what);
	cr_expect_not(virtqueue_has_chain(&vq));
	virtqueue_begin(&vq);
	cr_expect_not(virtqueue_finish(&vq, true));
	cr_expect_not(virtqueue_should_notify(&vq));
	cr_expect_eq(memcmp(before, mock_desc_table(&driver), sizeof(before)), 0, "%s", what);
	cr_expect_eq(report.broken_queues, 1, "%s", what);
}

static void restart(uint16_t index)
{
	struct virtqueue_layout layout;

	memset(&report, 0, sizeof(report));
	mock_driver_init(&driver, memory, BASE, BASE + 0x100, SIZE, index);
	layout = mock_layout(&driver);
	cr_assert_eq(virtqueue_start(&vq, &layout), 0);
	virtqueue_begin(&vq);
}

Test(virtqueue_hostile, addresses_outside_break_the_queue_and_are_reported)
{
	static const struct {
		struct bad_chain chain;
		uint64_t addr, len;
		uint32_t purpose, direction, descriptor;
	} cases[] = {
		{ { "below", { { BASE - 16, 16, 0, 0 } }, { { 0 } }, false },
		  BASE - 16,
		  16,
		  DMA_BUFFER,
		  DMA_TO_DEVICE,
		  0 },
		{ { "into the first byte", { { BASE - 1, 2, WRITE, 0 } }, { { 0 } }, false },
		  BASE - 1,
		  2,
		  DMA_BUFFER,
		  DMA_FROM_DEVICE,
		  0 },
		{ { "above", { { END, 1, 0, 0 } }, { { 0 } }, false },
		  END,
		  1,
		  DMA_BUFFER,
		  DMA_TO_DEVICE,
		  0 },
		{ { "one byte past the end", { { END - 512, 513, WRITE, 0 } }, { { 0 } }, false },
		  END - 512,
		  513,
		  DMA_BUFFER,
		  DMA_FROM_DEVICE,
		  0 },
		{ { "length 0xffffffff", { { BASE, 0xffffffff, 0, 0 } }, { { 0 } }, false },
		  BASE,
		  0xffffffff,
		  DMA_BUFFER,
		  DMA_TO_DEVICE,
		  0 },
		{ { "wraps 2^64", { { 0xffffffffffffff00, 512, 0, 0 } }, { { 0 } }, false },
		  0xffffffffffffff00,
		  512,
		  DMA_BUFFER,
		  DMA_TO_DEVICE,
		  0 },
		{ { "ordinary memory, second in the chain",
		    { BUF(NEXT, 6), { 0 }, { 0 }, { 0 }, { 0 }, { 0 }, { OUTSIDE, 4, WRITE, 0 } },
		    { { 0 } },
		    false },
		  OUTSIDE,
		  4,
		  DMA_BUFFER,
		  DMA_FROM_DEVICE,
		  6 },
		{ { "table outside", { { OUTSIDE, 32, INDIRECT, 0 } }, { { 0 } }, false },
		  OUTSIDE,
		  32,
		  DMA_INDIRECT_TABLE,
		  DMA_TO_DEVICE,
		  0 },
		{ { "table across the end", { { END - 16, 32, INDIRECT, 0 } }, { { 0 } }, false },
		  END - 16,
		  32,
		  DMA_INDIRECT_TABLE,
		  DMA_TO_DEVICE,
		  0 },
		{ { "buffer of a table",
		    { IND(32, 0) },
		    { BUF(NEXT, 1), { OUTSIDE, 1, 0, 0 } },
		    false },
		  OUTSIDE,
		  1,
		  DMA_BUFFER,
		  DMA_TO_DEVICE,
		  1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *what = cases[i].chain.what;
		const struct dma_violation *violation = &report.violations[0];

		restart(0);
		submit_bad(&cases[i].chain);
		expect_broken(-EFAULT, what);
		cr_assert_eq(report.nr_violations, 1, "%s", what);
		cr_expect_eq(violation->dma_addr, cases[i].addr, "%s", what);
		cr_expect_eq(violation->length, cases[i].len, "%s", what);
		cr_expect_eq(violation->purpose, cases[i].purpose, "%s", what);
		cr_expect_eq(violation->direction, cases[i].direction, "%s", what);
		cr_expect_eq(violation->queue, 2, "%s", what);
		cr_expect_eq(violation->descriptor, cases[i].descriptor, "%s", what);
		cr_expect_eq(report.malformed_chains, 0, "%s", what);
		cr_expect_eq(mock_used(&driver)->idx, 0, "%s", what);
	}
}

Test(virtqueue_hostile, available_index_out_of_step_breaks_the_queue)
{
	static const struct {
		uint16_t start, idx;
	} cases[] = {
		{ 0, SIZE + 1 }, { 0, 0xffff }, { 0, 0x8000 },	  { 100, 99 },
		{ 100, 109 },	 { 0, 0x7fff }, { 65535, 65534 }, { 65535, SIZE },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		restart(cases[i].start);
		mock_avail(&driver)->idx = cases[i].idx;
		driver.avail_idx = cases[i].idx;
		expect_broken(-EPROTO, "available index");
	}
}

Test(virtqueue_hostile, a_full_ring_is_not_out_of_step)
{
	struct virtqueue_chain chain;

	restart(65535);
	for (uint16_t i = 0; i < SIZE; i++)
		mock_submit_buffer(&driver, i, 1, 0);
	for (uint16_t i = 0; i < SIZE; i++)
		cr_expect_eq(virtqueue_pop(&vq, &chain), 1);
}

Test(virtqueue_hostile, heads_beyond_the_table_break_the_queue)
{
	static const uint16_t heads[] = { SIZE, 0x7fff, 0xffff };

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		restart(0);
		mock_submit(&driver, heads[i]);
		expect_broken(-EPROTO, "head");
	}
}

Test(virtqueue_hostile, same_head_twice_completes_twice)
{
	struct virtqueue_chain chain;
	struct virtq_used_elem elem;

	mock_submit_buffer(&driver, 1, 16, 0);
	mock_submit(&driver, 1);
	while (virtqueue_pop(&vq, &chain) > 0)
		virtqueue_push(&vq, &chain, 0);
	cr_expect(mock_take_used(&driver, &elem));
	cr_expect(mock_take_used(&driver, &elem));
	cr_expect_not(mock_take_used(&driver, &elem));
}

Test(virtqueue_hostile, scribbling_in_the_used_ring_has_no_effect)
{
	struct virtqueue_chain chain;

	for (uint16_t i = 0; i < 5; i++) {
		memset(mock_used(&driver), 0xa5, 6 + 8 * SIZE);
		mock_submit_buffer(&driver, i, 1, 0);
		virtqueue_begin(&vq);
		cr_assert_eq(virtqueue_pop(&vq, &chain), 1);
		virtqueue_push(&vq, &chain, 0);
		cr_expect_eq(mock_used(&driver)->idx, i + 1);
		cr_expect_eq(mock_used(&driver)->ring[i].id, i);
	}
}

Test(virtqueue_hostile, more_than_4_gib_in_one_chain)
{
	struct dma_window huge = {
		0x100000000, 0x100000000, 0x100000000, memory, PROT_READ | PROT_WRITE, 0
	};
	static const struct bad_chain chain = {
		"sum of lengths",
		{ { 0x100000000, 0x80000000, NEXT, 1 }, { 0x100000000, 0x80000000, WRITE, 0 } },
		{ { 0 } },
		false,
	};
	struct virtqueue_chain got;

	/* Its memory is not there, and is not to be touched. */
	cr_assert_eq(dma_add_window(&space, &huge), 0);
	submit_bad(&chain);
	cr_expect_eq(virtqueue_pop(&vq, &got), 0);
	cr_expect_eq(report.malformed_chains, 1);
}

Test(virtqueue_hostile, rings_that_cannot_be_used)
{
	static const struct {
		struct virtqueue_layout layout;
		int rc;
		unsigned int violations;
	} cases[] = {
		{ { BASE, BASE + 256, BASE + 512, SIZE, 0, true, true }, 0, 0 },
		{ { BASE, BASE + 256, BASE + 512, 0, 0, true, true }, -EINVAL, 0 },
		{ { BASE, BASE + 256, BASE + 512, 6, 0, true, true }, -EINVAL, 0 },
		{ { BASE, BASE + 256, BASE + 512, 2 * SIZE, 0, true, true }, -EINVAL, 0 },
		{ { BASE + 8, BASE + 256, BASE + 512, SIZE, 0, true, true }, -EINVAL, 0 },
		{ { BASE, BASE + 257, BASE + 512, SIZE, 0, true, true }, -EINVAL, 0 },
		{ { BASE, BASE + 256, BASE + 514, SIZE, 0, true, true }, -EINVAL, 0 },
		{ { END - 128, END - 152, END - 224, SIZE, 0, true, true }, 0, 0 },
		{ { END - 112, BASE + 256, BASE + 512, SIZE, 0, true, true }, -EFAULT, 1 },
		{ { BASE, END - 20, BASE + 512, SIZE, 0, true, true }, -EFAULT, 1 },
		{ { BASE, BASE + 256, END - 68, SIZE, 0, true, true }, -EFAULT, 1 },
		{ { BASE - 16, BASE + 256, BASE + 512, SIZE, 0, true, true }, -EFAULT, 1 },
		{ { UINT64_MAX - 15, BASE, BASE + 512, SIZE, 0, true, true }, -EFAULT, 1 },
		{ { OUTSIDE, OUTSIDE, OUTSIDE, SIZE, 0, true, true }, -EFAULT, 3 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct virtqueue_chain chain;

		memset(&report, 0, sizeof(report));
		cr_expect_eq(virtqueue_start(&vq, &cases[i].layout), cases[i].rc, "case %zu", i);
		cr_expect_eq(report.nr_violations, cases[i].violations, "case %zu", i);
		if (!cases[i].rc)
			continue;
		cr_expect(vq.broken, "case %zu", i);
		virtqueue_begin(&vq);
		cr_expect_eq(virtqueue_pop(&vq, &chain), -EPROTO, "case %zu", i);
		if (cases[i].violations) {
			cr_expect_eq(report.violations[0].purpose, DMA_RING);
			cr_expect_eq(report.violations[0].descriptor, UINT32_MAX);
		}
	}
}
