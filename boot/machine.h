/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The guest's machine as the boot images have to describe it: plain data, filled in by vmm/, read
 * by boot/ when it writes the device tree and the memory map. Nothing here knows KVM.
 */
#ifndef BOOT_MACHINE_H
#define BOOT_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MACHINE_MAX_RAM_RANGES 3
#define MACHINE_MAX_DEVICES    16
#define MACHINE_MAX_POOLS      MACHINE_MAX_DEVICES
#define MACHINE_MAX_CPUS       64

#define MACHINE_NO_POOL (-1)

/* What a guest writes to the system controller, as "syscon-poweroff" of the device tree tells it.
 */
#define MACHINE_SYSCON_POWEROFF 0x5555u

struct machine_range {
	uint64_t base; /* guest physical address */
	uint64_t size; /* bytes */
};

/* Whether all of [base, base + len) lies inside @range; never when that wraps, also for len 0. */
static inline bool machine_range_contains(const struct machine_range *range, uint64_t base,
					  uint64_t len)
{
	return base >= range->base && base - range->base <= range->size &&
	       len <= range->size - (base - range->base);
}

/* A virtio-mmio register window. */
struct machine_virtio {
	struct machine_range window;
	unsigned int irq; /* interrupt controller input; edge, rising */
	int pool;	  /* index into machine.pools, or MACHINE_NO_POOL */
};

struct machine {
	unsigned int nr_cpus;
	struct machine_range ram[MACHINE_MAX_RAM_RANGES]; /* ascending; without the pools */
	size_t nr_ram;
	struct machine_range pools[MACHINE_MAX_POOLS]; /* ascending; ordinary memory to the guest */
	size_t nr_pools;
	struct machine_virtio virtio[MACHINE_MAX_DEVICES];
	size_t nr_virtio;
};

#endif
