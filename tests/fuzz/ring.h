/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Drivers of virtqueues that write what an input says, and a second opinion on what the device makes
 * of it: each call of dma_map(), virtqueue_pop() and virtqueue_push() goes through here (the linker's
 * --wrap), and is compared with a walk of the ring that was written from the specification.
 */
#ifndef TESTS_FUZZ_RING_H
#define TESTS_FUZZ_RING_H

#include "devices/core/virtqueue.h"
#include "tests/fuzz/memory.h"
#include "tests/unit/mock_driver.h"

#define RING_SIZE   16 /* entries */
#define RING_STRIDE UINT64_C(0x240)
#define RING_MAX    18
#define RING_DATA   (MEMORY_BASE + RING_MAX * RING_STRIDE) /* behind all the rings */

/* Puts the rings of queue @index to their place; both indices start at @base. */
void ring_place(struct mock_driver *driver, unsigned int index, uint16_t base);

/* One step of a driver, hostile or not. */
void ring_step(struct mock_driver *driver, struct fuzz_input *in);

/* A piece of a chain. */
struct ring_piece {
	uint64_t addr;
	uint32_t len;
	bool write;
};

/*
 * Makes a chain of @n pieces available, from descriptor @head on. With @indirect its table is at
 * that address.
 */
void ring_submit(struct mock_driver *driver, const struct ring_piece *pieces, unsigned int n,
		 uint16_t head, uint64_t indirect);

/* What must be so whenever the device does not run. */
void ring_check(const struct virtqueue *vq);

/* Chains that were taken, and neither completed nor put back; 0 before and after a device runs. */
extern int ring_outstanding;

#endif
