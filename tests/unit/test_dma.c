/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Containment: an address becomes a pointer only inside one window, at every edge. */
#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "devices/core/dma.h"

#define RW (PROT_READ | PROT_WRITE)

static struct device_report_wire report;
static uint8_t memory[0x3000];

static const struct dma_use buffer_use = { DMA_BUFFER, DMA_FROM_DEVICE, 1, 7 };

/* Two windows that touch each other in DMA addresses but lie apart here, and a hole behind them. */
static struct dma_space two_windows(void)
{
	struct dma_space space = { .report = &report };
	const struct dma_window low = { 0x10000, 0x1000, 0x10000, memory + 0x2000, RW, 0 };
	const struct dma_window high = { 0x11000, 0x1000, 0x11000, memory, RW, 0 };

	memset(&report, 0, sizeof(report));
	cr_assert_eq(dma_add_window(&space, &low), 0);
	cr_assert_eq(dma_add_window(&space, &high), 0);
	return space;
}

Test(dma, ranges_at_every_edge)
{
	static const struct {
		uint64_t addr, len;
		long offset; /* into memory; -1: refused */
	} cases[] = {
		{ 0x10000, 1, 0x2000 },
		{ 0x10000, 0x1000, 0x2000 },
		{ 0x10fff, 1, 0x2fff },
		{ 0x11000, 1, 0 },
		{ 0x11000, 0x1000, 0 },
		{ 0x11fff, 1, 0xfff },
		{ 0xffff, 1, -1 },	 /* just below */
		{ 0xffff, 2, -1 },	 /* into the first byte */
		{ 0x12000, 1, -1 },	 /* just above */
		{ 0x11fff, 2, -1 },	 /* one byte past the end */
		{ 0x11000, 0x1001, -1 }, /* likewise, from the start */
		{ 0x10fff, 2, -1 },	 /* from one window into the next */
		{ 0x10000, 0x2000, -1 }, /* both windows exactly */
		{ 0, 1, -1 },
		{ UINT64_MAX, 1, -1 },
		{ UINT64_MAX, UINT64_MAX, -1 },
		{ 0x10000, UINT64_MAX, -1 },
		{ 0x10001, UINT64_MAX, -1 },	     /* addr + len wraps to the window's start */
		{ 0x10800, UINT64_MAX - 0x7ff, -1 }, /* ... into the window */
		{ 0xffffffffffffff00, 0x200, -1 },   /* wraps 2^64 */
		{ 0xffffffffffffff00, 0x10200, -1 }, /* ... and ends inside */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dma_space space = two_windows();
		uint8_t *got = dma_map(&space, cases[i].addr, cases[i].len, &buffer_use);
		uint8_t *want = cases[i].offset < 0 ? NULL : memory + cases[i].offset;

		cr_expect_eq(got, want, "%#" PRIx64 " + %#" PRIx64, cases[i].addr, cases[i].len);
		cr_expect_eq(report.addresses_inside[DMA_BUFFER], want ? 1 : 0);
		cr_expect_eq(report.addresses_outside[DMA_BUFFER], want ? 0 : 1);
		cr_expect_eq(report.nr_violations, want ? 0 : 1);
	}
}

Test(dma, window_that_ends_at_the_top_of_the_address_space)
{
	struct dma_space space = { .report = &report };
	const struct dma_window top = { UINT64_MAX - 0x1000, 0x1000, 0, memory, RW, 0 };

	cr_assert_eq(dma_add_window(&space, &top), 0);
	cr_expect_eq(dma_map(&space, UINT64_MAX - 1, 1, &buffer_use), memory + 0xfff);
	cr_expect_null(dma_map(&space, UINT64_MAX - 1, 2, &buffer_use));
	cr_expect_null(dma_map(&space, UINT64_MAX, 1, &buffer_use));
	cr_expect_null(dma_map(&space, 0, 1, &buffer_use));
}

Test(dma, windows_are_checked_when_added)
{
	static const struct {
		struct dma_window window;
		int rc;
	} cases[] = {
		{ { 0x20000, 0, 0x20000, memory, RW, 0 }, -EINVAL },
		{ { UINT64_MAX - 0xfff, 0x1000, 0x20000, memory, RW, 0 }, -EINVAL },
		{ { 0x20000, UINT64_MAX, 0, memory, RW, 0 }, -EINVAL },
		{ { 0x20000, 0x1000, UINT64_MAX - 0xfff, memory, RW, 0 }, -EINVAL },
		{ { 0x10000, 0x1000, 0x20000, memory, RW, 0 }, -EEXIST },
		{ { 0x10fff, 1, 0x20000, memory, RW, 0 }, -EEXIST },
		{ { 0xf000, 0x1001, 0x20000, memory, RW, 0 }, -EEXIST },
		{ { 0x8000, 0x10000, 0x20000, memory, RW, 0 }, -EEXIST },
		{ { 0x20000, 0x1000, 0x11fff, memory, RW, 0 }, -EEXIST },
		{ { 0xf000, 0x1000, 0x20000, memory, RW, 0 }, 0 },
		{ { 0x12000, 0x1000, 0x20000, memory, RW, 0 }, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dma_space space = two_windows();

		cr_expect_eq(dma_add_window(&space, &cases[i].window), cases[i].rc, "case %zu", i);
		cr_expect_eq(space.nr_windows, cases[i].rc ? 2 : 3, "case %zu", i);
	}
}

Test(dma, no_more_windows_than_there_is_room_for)
{
	struct dma_space space = { .report = &report };
	struct dma_window window = { 0, 0x1000, 0, memory, RW, 0 };

	for (unsigned int i = 0; i < DMA_MAX_WINDOWS; i++) {
		cr_assert_eq(dma_add_window(&space, &window), 0);
		window.base += 0x1000;
		window.user_base += 0x1000;
	}
	cr_expect_eq(dma_add_window(&space, &window), -ENOSPC);
}

Test(dma, permission_is_part_of_the_lookup)
{
	struct dma_space space = { .report = &report };
	const struct dma_window read_only = { 0x1000, 0x1000, 0x1000, memory, PROT_READ, 0 };
	static const struct {
		enum dma_direction direction;
		bool allowed;
	} cases[] = {
		{ DMA_TO_DEVICE, true },
		{ DMA_FROM_DEVICE, false },
		{ DMA_BIDIRECTIONAL, false },
	};

	cr_assert_eq(dma_add_window(&space, &read_only), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct dma_use use = { DMA_RING, cases[i].direction, 0, UINT32_MAX };

		cr_expect_eq(dma_map(&space, 0x1000, 16, &use) != NULL, cases[i].allowed);
	}
}

Test(dma, violations_say_what_was_wanted)
{
	struct dma_space space = two_windows();
	const struct dma_use use = { DMA_INDIRECT_TABLE, DMA_TO_DEVICE, 3, 42 };
	const struct dma_violation *violation = &report.violations[0];

	cr_assert_null(dma_map(&space, 0xdead, 0xbeef, &use));
	cr_assert_eq(report.nr_violations, 1);
	cr_expect_eq(violation->dma_addr, 0xdead);
	cr_expect_eq(violation->length, 0xbeef);
	cr_expect_eq(violation->purpose, DMA_INDIRECT_TABLE);
	cr_expect_eq(violation->direction, DMA_TO_DEVICE);
	cr_expect_eq(violation->queue, 3);
	cr_expect_eq(violation->descriptor, 42);
}

Test(dma, further_violations_are_only_counted)
{
	struct dma_space space = two_windows();

	for (uint64_t i = 0; i < DEVICE_REPORT_VIOLATIONS + 5; i++)
		cr_assert_null(dma_map(&space, i, 1, &buffer_use));
	cr_expect_eq(report.nr_violations, DEVICE_REPORT_VIOLATIONS);
	cr_expect_eq(report.addresses_outside[DMA_BUFFER], DEVICE_REPORT_VIOLATIONS + 5);
	cr_expect_eq(report.violations[DEVICE_REPORT_VIOLATIONS - 1].dma_addr,
		     DEVICE_REPORT_VIOLATIONS - 1);
}

Test(dma, high_water_is_the_highest_end_in_a_window)
{
	struct dma_space space = two_windows();

	dma_map(&space, 0x10100, 0x10, &buffer_use);
	cr_expect_eq(report.pool_high_water, 0x110);
	dma_map(&space, 0x11000, 0x20, &buffer_use);
	cr_expect_eq(report.pool_high_water, 0x110);
	dma_map(&space, 0x11800, 0x800, &buffer_use);
	cr_expect_eq(report.pool_high_water, 0x1000);
	dma_map(&space, 0x11fff, 2, &buffer_use);
	cr_expect_eq(report.pool_high_water, 0x1000, "a refused range is no use");
}

Test(dma, front_end_addresses_are_another_space)
{
	struct dma_space space = { .report = &report };
	const struct dma_window window = { 0x1000, 0x1000, 0x7f0000000000, memory, RW, 0 };
	uint64_t addr = 0;

	cr_assert_eq(dma_add_window(&space, &window), 0);
	cr_expect_eq(dma_from_user(&space, 0x7f0000000010, &addr, &buffer_use), 0);
	cr_expect_eq(addr, 0x1010);
	cr_expect_eq(dma_from_user(&space, 0x7f0000000fff, &addr, &buffer_use), 0);
	cr_expect_eq(dma_from_user(&space, 0x7f0000001000, &addr, &buffer_use), -EFAULT);
	cr_expect_eq(report.nr_violations, 1);
	cr_expect_eq(report.violations[0].dma_addr, 0x7f0000001000);
	cr_expect_eq(dma_from_user(&space, 0x1010, &addr, &buffer_use), -EFAULT);
}

Test(dma, smallest_window)
{
	struct dma_space space = { .report = &report };
	const struct dma_window windows[] = {
		{ 0x10000, 0x3000, 0x10000, memory, RW, 0 },
		{ 0x20000, 0x1000, 0x20000, memory, RW, 0 },
		{ 0x30000, 0x2000, 0x30000, memory, RW, 0 },
	};

	cr_expect_eq(dma_smallest_window(&space), 0);
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(dma_add_window(&space, &windows[i]), 0);
	cr_expect_eq(dma_smallest_window(&space), 0x1000);
}
