/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The guest's memory map as its kernel is told (E820), and the part of it that images go into.
 */
#ifndef BOOT_X86_64_MEMORY_MAP_H
#define BOOT_X86_64_MEMORY_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "boot/machine.h"

/* ACPI 6.5, 15: address range types. */
enum memory_type {
	MEMORY_RAM = 1,
	MEMORY_RESERVED = 2,
};

/*
 * The first RAM range falls into two around the legacy area, which has two reserved entries; the
 * third one is ECAM.
 */
#define MEMORY_MAP_MAX_RAM     (MACHINE_MAX_RAM_RANGES + 1)
#define MEMORY_MAP_MAX_ENTRIES (MEMORY_MAP_MAX_RAM + 3 + MACHINE_MAX_POOLS)

struct memory_map_entry {
	struct machine_range range;
	enum memory_type type;
};

struct memory_map {
	struct memory_map_entry entries[MEMORY_MAP_MAX_ENTRIES]; /* ascending */
	size_t nr_entries;
	struct machine_range ram[MEMORY_MAP_MAX_RAM]; /* ascending; without the pools */
	size_t nr_ram;
};

/*
 * Each pool is an entry of its own, of type @pool_type:
 * MEMORY_RAM when the guest gets setup_data, since swiotlb needs page structs and the direct map,
 * and setup_data reserves the pool; otherwise MEMORY_RESERVED, so that a guest that has not heard
 * of pools keeps its own data out of what devices can read.
 * ECAM is reserved: Linux uses none that is not. Device memory is in BARs and so in no map.
 */
void memory_map_build(struct memory_map *map, const struct machine *machine,
		      enum memory_type pool_type);

#endif
