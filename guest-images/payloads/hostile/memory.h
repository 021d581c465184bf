/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * That no byte changes which is not the device's: pages of canaries on both sides of its pool, and a
 * sum of all other memory.
 *
 *	0 ............ canaries | pool of the device | canaries ................ end of RAM below 4 GiB
 *	      summed                 not looked at        summed, with the pools of other devices
 *
 * Nothing else is left out but our own image, with its stacks and page tables.
 */
#ifndef PAYLOAD_MEMORY_H
#define PAYLOAD_MEMORY_H

#include <stdint.h>

/* What changed, or NULL; the address if it is known, else 0. */
struct memory_change {
	const char *what;
	uint64_t address;
};

/* Fills the canaries and the pools of other devices, and takes the first sum. */
void memory_init(const uint8_t *boot_params, uint64_t pool, uint64_t pool_size);

/* Compares with the last time; what changed is told once. */
struct memory_change memory_check(void);

/* The end of RAM, and one address on either side of the pool that belongs to somebody else. */
uint64_t memory_end(void);

#endif
