/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A guest address space of emulated registers (MMIO or port I/O): sorted regions, binary search.
 * Regions are added while the machine is built; bus_freeze() ends that before the first vCPU runs,
 * so that vCPU threads look regions up without a lock.
 */
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUS_MAX_REGIONS 32

enum bus_result {
	BUS_UNHANDLED, /* nobody there: reads give all-ones, writes are ignored */
	BUS_HANDLED,
	BUS_ERROR, /* the machine cannot go on (never for something a guest can do) */
};

struct bus_access {
	uint64_t offset;   /* relative to the region */
	unsigned int size; /* 1, 2, 4 or 8 bytes */
	bool is_write;
	uint64_t value; /* written, or to be filled in by a read handler (0 before) */
};

typedef enum bus_result (*bus_handler)(void *opaque, struct bus_access *access);

struct bus_region {
	uint64_t base;
	uint64_t size; /* bytes; base + size may be 2^64 */
	const char *name;
	bus_handler handler; /* called from any vCPU thread, with accesses wholly inside */
	void *opaque;
};

/* Zeroed: an empty bus. */
struct bus {
	struct bus_region regions[BUS_MAX_REGIONS]; /* ascending, disjoint */
	size_t nr_regions;
	bool frozen;
};

/*
 * Adds a copy of @region. Returns 0, -EEXIST when it overlaps another, -EINVAL when it is empty,
 * wraps or has no handler, -ENOSPC when the table is full, -EBUSY after bus_freeze().
 */
int bus_add(struct bus *bus, const struct bus_region *region);
void bus_freeze(struct bus *bus);

/*
 * Performs one access of @size bytes at @addr. An access that crosses the end of its region, or
 * that nobody handles, reads all-ones and writes nothing. @value is masked to @size.
 */
enum bus_result bus_access(const struct bus *bus, uint64_t addr, unsigned int size, bool is_write,
			   uint64_t *value);

#endif
