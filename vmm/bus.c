/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/bus.h"

#include <errno.h>
#include <string.h>

/* Inclusive, so that a region may end with the address space. */
static uint64_t region_last(const struct bus_region *region)
{
	return region->base + (region->size - 1);
}

/* Index of the first region that ends at or above @addr; nr_regions when there is none. */
static size_t bus_lower_bound(const struct bus *bus, uint64_t addr)
{
	size_t low = 0;
	size_t high = bus->nr_regions;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (region_last(&bus->regions[middle]) < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int bus_add(struct bus *bus, const struct bus_region *region)
{
	uint64_t last;
	size_t at;

	if (bus->frozen)
		return -EBUSY;
	if (region->size == 0 || !region->handler ||
	    __builtin_add_overflow(region->base, region->size - 1, &last))
		return -EINVAL;
	at = bus_lower_bound(bus, region->base);
	if (at < bus->nr_regions && bus->regions[at].base <= last)
		return -EEXIST;
	if (bus->nr_regions == BUS_MAX_REGIONS)
		return -ENOSPC;
	memmove(&bus->regions[at + 1], &bus->regions[at],
		(bus->nr_regions - at) * sizeof(bus->regions[0]));
	bus->regions[at] = *region;
	bus->nr_regions++;
	return 0;
}

void bus_freeze(struct bus *bus)
{
	bus->frozen = true;
}

static uint64_t size_mask(unsigned int size)
{
	return size >= sizeof(uint64_t) ? UINT64_MAX : (UINT64_C(1) << (size * 8)) - 1;
}

static bool size_valid(unsigned int size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

/* The region that holds all of [addr, addr + size), or NULL. */
static const struct bus_region *bus_find(const struct bus *bus, uint64_t addr, unsigned int size)
{
	const size_t at = bus_lower_bound(bus, addr);
	const struct bus_region *region;

	if (at == bus->nr_regions)
		return NULL;
	region = &bus->regions[at];
	if (addr < region->base || region_last(region) - addr < size - 1)
		return NULL;
	return region;
}

enum bus_result bus_access(const struct bus *bus, uint64_t addr, unsigned int size, bool is_write,
			   uint64_t *value)
{
	const uint64_t mask = size_mask(size);
	struct bus_access access = { .size = size, .is_write = is_write };
	const struct bus_region *region = NULL;
	enum bus_result result = BUS_UNHANDLED;

	if (is_write)
		access.value = *value & mask;
	if (size_valid(size))
		region = bus_find(bus, addr, size);
	if (region) {
		access.offset = addr - region->base;
		result = region->handler(region->opaque, &access);
	}
	if (!is_write)
		*value = (result == BUS_HANDLED ? access.value : UINT64_MAX) & mask;
	return result;
}
