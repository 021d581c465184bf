/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Every combination of the values at which 64-bit arithmetic goes wrong, against the same in numbers of
 * twice the width. tests/proof has the proof for all values, of the parts that Frama-C can express.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/mman.h>

#include "boot/machine.h"
#include "devices/core/dma.h"
#include "devices/core/sanitizer.h"

#define NR_EDGES (sizeof(edges) / sizeof(edges[0]))
#define QUADS	 (NR_EDGES * NR_EDGES * NR_EDGES * NR_EDGES)

static const uint64_t edges[] = {
	0,
	1,
	2,
	0xfff,
	0x1000,
	0x1001,
	0x7fffffff,
	0x80000000,
	0xffffffff,
	0x100000000,
	INT64_MAX,
	UINT64_C(1) << 63,
	(UINT64_C(1) << 63) + 1,
	UINT64_MAX - 0x1000,
	UINT64_MAX - 0xfff,
	UINT64_MAX - 1,
	UINT64_MAX,
};

static uint8_t byte; /* where the windows are said to be; nothing is read or written */

/* Four of the edges: two ranges. */
struct quad {
	uint64_t base, size, addr, len;
};

static struct quad quad_at(size_t n)
{
	const struct quad quad = {
		.base = edges[n % NR_EDGES],
		.size = edges[n / NR_EDGES % NR_EDGES],
		.addr = edges[n / NR_EDGES / NR_EDGES % NR_EDGES],
		.len = edges[n / NR_EDGES / NR_EDGES / NR_EDGES],
	};

	return quad;
}

static unsigned __int128 end_of(uint64_t base, uint64_t size)
{
	return (unsigned __int128)base + size;
}

static bool can_be_window(uint64_t base, uint64_t size)
{
	return size > 0 && end_of(base, size) <= UINT64_MAX;
}

static struct dma_window window_at(uint64_t base, uint64_t size)
{
	return (struct dma_window){ base, size, base, &byte, PROT_READ | PROT_WRITE, 0 };
}

Test(dma_exhaustive, an_address_is_inside_with_all_of_its_bytes)
{
	static struct device_report_wire report;
	const struct dma_use use = { DMA_BUFFER, DMA_TO_DEVICE, 0, 0 };

	for (size_t n = 0; n < QUADS; n++) {
		const struct quad q = quad_at(n);
		struct dma_space space = { .report = &report };
		const struct dma_window window = window_at(q.base, q.size);
		const unsigned __int128 end = end_of(q.base, q.size);

		cr_assert_eq(dma_add_window(&space, &window) == 0, can_be_window(q.base, q.size));
		/* No mapping is that long, and a sanitizer lets no pointer go that far. */
		if (HAVE_SANITIZER && q.size > INT64_MAX)
			continue;
		cr_assert_eq(dma_map(&space, q.addr, q.len, &use) != NULL,
			     space.nr_windows && q.addr >= q.base && q.addr < end &&
				     end_of(q.addr, q.len) <= end,
			     "%#lx and %#lx bytes, window %#lx and %#lx", q.addr, q.len, q.base,
			     q.size);
	}
}

Test(dma_exhaustive, windows_share_no_byte)
{
	static struct device_report_wire report;

	for (size_t n = 0; n < QUADS; n++) {
		const struct quad q = quad_at(n);
		struct dma_space space = { .report = &report };
		const struct dma_window a = window_at(q.base, q.size);
		const struct dma_window b = window_at(q.addr, q.len);

		if (!can_be_window(a.base, a.size) || !can_be_window(b.base, b.size))
			continue;
		cr_assert_eq(dma_add_window(&space, &a), 0);
		cr_assert_eq(dma_add_window(&space, &b) == -EEXIST,
			     a.base < end_of(b.base, b.size) && b.base < end_of(a.base, a.size));
	}
}

Test(dma_exhaustive, a_machine_range_holds_all_or_nothing)
{
	for (size_t n = 0; n < QUADS; n++) {
		const struct quad q = quad_at(n);
		const struct machine_range range = { q.base, q.size };

		cr_assert_eq(machine_range_contains(&range, q.addr, q.len),
			     q.addr >= q.base && end_of(q.addr, q.len) <= end_of(q.base, q.size));
	}
}
