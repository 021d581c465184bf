/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "boot/x86_64/memory_map.h"

#include "boot/x86_64/layout.h"

static void add_entry(struct memory_map *map, uint64_t base, uint64_t end, enum memory_type type)
{
	size_t at = map->nr_entries++;

	for (; at > 0 && map->entries[at - 1].range.base > base; at--)
		map->entries[at] = map->entries[at - 1];
	map->entries[at] = (struct memory_map_entry){ { base, end - base }, type };
}

static void add_ram(struct memory_map *map, uint64_t base, uint64_t end)
{
	if (base >= end)
		return;
	add_entry(map, base, end, MEMORY_RAM);
	map->ram[map->nr_ram++] = (struct machine_range){ base, end - base };
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void memory_map_build(struct memory_map *map, const struct machine *machine,
		      enum memory_type pool_type)
{
	*map = (struct memory_map){ 0 };
	add_entry(map, LAYOUT_EBDA, LAYOUT_EBDA_END, MEMORY_RESERVED);
	add_entry(map, LAYOUT_BIOS, LAYOUT_HIGH_MEMORY, MEMORY_RESERVED);
	if (machine->pci.present)
		add_entry(map, machine->pci.ecam.base,
			  machine->pci.ecam.base + machine->pci.ecam.size, MEMORY_RESERVED);
	for (size_t i = 0; i < machine->nr_ram; i++) {
		uint64_t base = machine->ram[i].base;
		uint64_t end = base + machine->ram[i].size;

		add_ram(map, base, min_u64(end, LAYOUT_EBDA));
		add_ram(map, max_u64(base, LAYOUT_HIGH_MEMORY), end);
	}
	for (size_t i = 0; i < machine->nr_pools; i++)
		add_entry(map, machine->pools[i].base,
			  machine->pools[i].base + machine->pools[i].size, pool_type);
}
