/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest-images/payloads/hostile/memory.h"

#include "guest-images/payloads/payload.h"

#define PAGE	       0x1000ull
#define CANARY_PAGES   2ull
#define CANARY_SEED    0xca9a21e5ull
#define NEIGHBOUR_SEED 0x0e16b02ull
#define NR_SUMS	       8u

/* Linux boot protocol: the memory map in boot_params. */
#define E820_ENTRIES 0x1e8
#define E820_TABLE   0x2d0
#define E820_RAM     1u

struct __attribute__((packed)) e820_entry {
	uint64_t base, size;
	uint32_t type;
};

/* image.S: where our image begins and ends. */
extern const uint64_t image_start, image_end;

static uint64_t pool_start, pool_end, ram_end;

struct range {
	uint64_t start, end;
	uint64_t sum;
};

/* Below our image, up to the pool, behind it. */
static struct range ranges[3];

static uint64_t pattern(uint64_t address, uint64_t seed)
{
	return (address ^ seed) * 0x9e3779b97f4a7c15;
}

static void fill(uint64_t start, uint64_t end, uint64_t seed)
{
	for (uint64_t at = start; at < end; at += 8)
		*(volatile uint64_t *)at = pattern(at, seed);
}

/* The first address whose bytes are other ones, or 0. */
static uint64_t find_change(uint64_t start, uint64_t end)
{
	for (uint64_t at = start; at < end; at += 8)
		if (*(volatile uint64_t *)at != pattern(at, CANARY_SEED))
			return at;
	return 0;
}

/* Of whole pages. As plain as can be, since it is taken often: each changed byte changes it. */
static uint64_t sum_of(uint64_t start, uint64_t end)
{
	uint64_t sums[NR_SUMS] = { 0 }, sum = 0;

	for (const uint64_t *at = (const uint64_t *)start; at < (const uint64_t *)end;
	     at += NR_SUMS)
		for (unsigned int i = 0; i < NR_SUMS; i++)
			sums[i] += at[i];
	for (unsigned int i = 0; i < NR_SUMS; i++)
		sum = sum * 0x100000001b3 + sums[i];
	__asm__ volatile("" : : : "memory");
	return sum;
}

static void find_ram_end(const uint8_t *boot_params)
{
	const struct e820_entry *entries = (const struct e820_entry *)(boot_params + E820_TABLE);

	for (unsigned int i = 0; i < boot_params[E820_ENTRIES]; i++) {
		const uint64_t end = entries[i].base + entries[i].size;

		if (entries[i].type == E820_RAM && end <= UINT32_MAX && end > ram_end)
			ram_end = end;
	}
}

void memory_init(const uint8_t *boot_params, uint64_t pool, uint64_t pool_size)
{
	const uint64_t behind = (image_end + PAGE - 1) & ~(PAGE - 1);

	find_ram_end(boot_params);
	pool_start = pool;
	pool_end = pool + pool_size;
	expect(pool_start > behind + CANARY_PAGES * PAGE && pool_end < ram_end,
	       "the pool is between our image and the end of RAM");
	fill(pool_end, ram_end, NEIGHBOUR_SEED);
	fill(pool_start - CANARY_PAGES * PAGE, pool_start, CANARY_SEED);
	fill(pool_end, pool_end + CANARY_PAGES * PAGE, CANARY_SEED);
	ranges[0] = (struct range){ 0, image_start & ~(PAGE - 1), 0 };
	ranges[1] = (struct range){ behind, pool_start, 0 };
	ranges[2] = (struct range){ pool_end, ram_end, 0 };
	for (unsigned int i = 0; i < 3; i++)
		ranges[i].sum = sum_of(ranges[i].start, ranges[i].end);
}

static struct memory_change check_canaries(void)
{
	const uint64_t before = find_change(pool_start - CANARY_PAGES * PAGE, pool_start);
	const uint64_t behind = find_change(pool_end, pool_end + CANARY_PAGES * PAGE);

	fill(pool_start - CANARY_PAGES * PAGE, pool_start, CANARY_SEED);
	fill(pool_end, pool_end + CANARY_PAGES * PAGE, CANARY_SEED);
	if (before != 0)
		return (struct memory_change){ "a canary below the pool has changed", before };
	if (behind != 0)
		return (struct memory_change){ "a canary above the pool has changed", behind };
	return (struct memory_change){ NULL, 0 };
}

struct memory_change memory_check(void)
{
	struct memory_change change = check_canaries();

	for (unsigned int i = 0; i < 3; i++) {
		const uint64_t sum = sum_of(ranges[i].start, ranges[i].end);

		if (sum != ranges[i].sum && !change.what)
			change = (struct memory_change){ "memory outside of the pool has changed",
							 ranges[i].start };
		ranges[i].sum = sum;
	}
	return change;
}

uint64_t memory_end(void)
{
	return ram_end;
}
