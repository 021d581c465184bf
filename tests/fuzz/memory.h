/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The memory of a guest, for targets with virtqueues. Two DMA windows touch each other in DMA
 * addresses and not in ours. What lies between and around them must never change:
 *
 *	nothing | canary | window 0 | canary | window 1 | canary | nothing
 */
#ifndef TESTS_FUZZ_MEMORY_H
#define TESTS_FUZZ_MEMORY_H

#include "devices/core/dma.h"
#include "tests/fuzz/fuzz.h"

#define MEMORY_BASE	UINT64_C(0x40000000)
#define MEMORY_WINDOW0	UINT64_C(0x4000)
#define MEMORY_WINDOW1	UINT64_C(0x2000)
#define MEMORY_END	(MEMORY_BASE + MEMORY_WINDOW0 + MEMORY_WINDOW1)
#define MEMORY_USER	UINT64_C(0x7000000000) /* how far the front-end's addresses are off */
#define MEMORY_RW_BYTES (MEMORY_WINDOW0 + MEMORY_WINDOW1)

/* Zeroes the windows; the first call makes them. */
void memory_reset(void);

/* Fails when a byte beside the windows has changed. */
void memory_check(void);

/* Both of them, with the same addresses each time. */
void memory_add_windows(struct dma_space *space);

/* Our pointer to a DMA address with @len bytes behind it in the same window, or NULL. */
void *memory_at(uint64_t dma_addr, uint64_t len);

/* Copies to memory what lies inside one window, as a guest would write it. */
void memory_write(uint64_t dma_addr, const void *bytes, size_t len);

/* An address: mostly inside, at the seam or at the ends; sometimes anywhere. */
uint64_t memory_address(struct fuzz_input *in);

/* A length: mostly small, or one that matters. */
uint32_t memory_length(struct fuzz_input *in);

#endif
