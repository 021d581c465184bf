/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/fuzz/memory.h"

#include <string.h>
#include <sys/mman.h>

#define CANARY_SIZE 1024u
#define CANARY_WORD UINT64_C(0xc5c5c5c5c5c5c5c5)
#define NOTHING	    (64u << 10) /* bytes without access at both ends */

static uint8_t *area; /* the first canary; NULL: not made yet */

static uint8_t *window_at(unsigned int index)
{
	return area + CANARY_SIZE + (index ? MEMORY_WINDOW0 + CANARY_SIZE : 0);
}

static uint8_t *canary_at(unsigned int index)
{
	static const uint64_t before[] = { 0, MEMORY_WINDOW0, MEMORY_WINDOW0 + MEMORY_WINDOW1 };

	return area + index * (uint64_t)CANARY_SIZE + before[index];
}

static void make(void)
{
	const size_t size = 4 * CANARY_SIZE + MEMORY_WINDOW0 + MEMORY_WINDOW1; /* whole pages */
	uint8_t *all =
		mmap(NULL, size + 2 * NOTHING, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	fuzz_check(all != MAP_FAILED);
	area = all + NOTHING;
	fuzz_check(mprotect(area, size, PROT_READ | PROT_WRITE) == 0);
	for (unsigned int i = 0; i < 3; i++)
		memset(canary_at(i), (int)(CANARY_WORD & 0xff), CANARY_SIZE);
}

void memory_reset(void)
{
	if (!area)
		make();
	memset(window_at(0), 0, MEMORY_WINDOW0);
	memset(window_at(1), 0, MEMORY_WINDOW1);
}

/* memcmp() of AddressSanitizer goes byte by byte. */
void memory_check(void)
{
	for (unsigned int i = 0; i < 3; i++) {
		const uint64_t *words = (const uint64_t *)canary_at(i);
		uint64_t changed = 0;

		for (unsigned int j = 0; j < CANARY_SIZE / sizeof(*words); j++)
			changed |= words[j] ^ CANARY_WORD;
		fuzz_check(!changed, "canary %u", i);
	}
}

void memory_add_windows(struct dma_space *space)
{
	const struct dma_window windows[] = {
		{ MEMORY_BASE, MEMORY_WINDOW0, MEMORY_BASE + MEMORY_USER, window_at(0),
		  PROT_READ | PROT_WRITE, 0 },
		{ MEMORY_BASE + MEMORY_WINDOW0, MEMORY_WINDOW1, MEMORY_BASE + 2 * MEMORY_USER,
		  window_at(1), PROT_READ | PROT_WRITE, 0 },
	};

	for (unsigned int i = 0; i < 2; i++)
		fuzz_check(dma_add_window(space, &windows[i]) == 0);
}

void *memory_at(uint64_t dma_addr, uint64_t len)
{
	const uint64_t offset = dma_addr - MEMORY_BASE;

	/* A target may have its own. */
	if (!area)
		return NULL;
	if (offset < MEMORY_WINDOW0 && len <= MEMORY_WINDOW0 - offset)
		return window_at(0) + offset;
	if (offset >= MEMORY_WINDOW0 && offset < MEMORY_RW_BYTES && len <= MEMORY_RW_BYTES - offset)
		return window_at(1) + (offset - MEMORY_WINDOW0);
	return NULL;
}

void memory_write(uint64_t dma_addr, const void *bytes, size_t len)
{
	void *to = memory_at(dma_addr, len);

	if (to && len)
		memcpy(to, bytes, len);
}

uint64_t memory_address(struct fuzz_input *in)
{
	static const uint64_t edges[] = { MEMORY_BASE, MEMORY_BASE + MEMORY_WINDOW0, MEMORY_END,
					  0 };
	const uint8_t how = fuzz_u8(in);

	switch (how & 7) {
	case 0:
		return edges[how >> 3 & 3] + (uint64_t)(int8_t)fuzz_u8(in);
	case 1:
		return fuzz_u64(in);
	case 2:
		return fuzz_u16(in);
	case 3:
	case 4:
		return MEMORY_BASE + fuzz_u16(in) % MEMORY_RW_BYTES;
	default:
		return MEMORY_BASE + fuzz_u8(in) * 256u % MEMORY_RW_BYTES;
	}
}

uint32_t memory_length(struct fuzz_input *in)
{
	static const uint32_t some[] = { 0,	  1,	   12,	       16,	  44,	  512,
					 2048,	  0x2000,  0x4000,     0x4001,	  0x6000, 0x10000,
					 0x1000c, 0x20000, 0x80000000, 0xffffffff };
	const uint8_t how = fuzz_u8(in);

	switch (how & 7) {
	case 0:
		return fuzz_u32(in);
	case 1:
		return fuzz_u16(in);
	case 2:
	case 3:
		return some[how >> 4];
	default:
		return how >> 3 ? how >> 3 : fuzz_u8(in);
	}
}
