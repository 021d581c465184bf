/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Guest memory: RAM and DMA pools, each its own mapping and its own KVM memslot.
 *
 *	kind       backing                                     who maps it
 *	RAM        private anonymous, no descriptor exists      minivmm, guest
 *	pool       memfd, sealed against shrink, grow, seal     minivmm, guest, its device processes
 *	device     the same, but no system memory: a pool that  likewise
 *	memory     the guest sees where it has put a PCI BAR
 *	open RAM   memfd, sealed likewise                       minivmm, guest, all device processes
 *
 * Open RAM exists only without --restricted-dma.
 *
 * RAM is written while the guest is prepared and then sealed: after guest_memory_seal() no function
 * of minivmm's reaches it any more. Nobody outside this file gets a pointer into it.
 */
#ifndef VMM_MEMORY_H
#define VMM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "boot/machine.h"

#define GUEST_MEMORY_MAX_REGIONS (MACHINE_MAX_RAM_RANGES + MACHINE_MAX_POOLS + MACHINE_MAX_DEVICES)

enum guest_region_kind {
	GUEST_RAM,
	GUEST_POOL,
	GUEST_DEVICE_MEMORY,
};

struct guest_region {
	struct machine_range range; /* guest physical; of device memory where it is at first */
	uint8_t *host;
	int fd; /* -1: anonymous */
	enum guest_region_kind kind;
};

struct guest_memory {
	struct guest_region regions[GUEST_MEMORY_MAX_REGIONS]; /* by kind, in this order */
	size_t nr_regions;
	bool sealed;
};

/* A range that devices may reach, and the memory behind it. The descriptor stays guest_memory's. */
struct dma_window {
	struct machine_range range; /* DMA addresses */
	int fd;
	uint64_t offset; /* of the first byte in the file */
};

/*
 * Shared memory of @size bytes, zeroed, that nobody can make shorter or longer: a process that could
 * would end others by SIGBUS. Returns a descriptor or -errno.
 */
int memory_create_sealed_memfd(const char *name, uint64_t size);

/*
 * Maps everything that @machine lists. With @open_ram RAM is shared memory that devices can be
 * given. Returns 0 or -errno with everything released.
 */
int guest_memory_create(struct guest_memory *memory, const struct machine *machine, bool open_ram);
void guest_memory_destroy(struct guest_memory *memory);

/*
 * Copy @len bytes to guest physical @gpa, from @src or from @fd at @offset. The range must lie
 * inside one RAM region. Returns 0, -EFAULT outside RAM, -EPERM after guest_memory_seal(), -EIO
 * when the file ends early, or -errno of the read.
 */
int guest_memory_write(struct guest_memory *memory, uint64_t gpa, const void *src, size_t len);
int guest_memory_read_file(struct guest_memory *memory, uint64_t gpa, int fd, off_t offset,
			   size_t len);

/* Ends preparation: from here on only the guest (and, for a pool, its device) writes guest memory.
 */
void guest_memory_seal(struct guest_memory *memory);

/*
 * Gives the pools huge pages, which shared memory gets only on demand. The guest clears all of a pool
 * while it boots, and would take a fault for each of its pages. Takes milliseconds, so it is done
 * while the guest already runs; reads the pools, writes nothing. No harm where it is not possible.
 */
void guest_memory_collapse_pools(const struct guest_memory *memory);

/* Window of pool @index as in machine.pools, or of machine.device_memory. */
struct dma_window guest_memory_pool_window(const struct guest_memory *memory, size_t index);
struct dma_window guest_memory_device_window(const struct guest_memory *memory, size_t index);

/* The region of device memory @index, which must exist. */
size_t guest_memory_find_device_memory(const struct guest_memory *memory, size_t index);

/* All open RAM as windows; returns how many. */
size_t guest_memory_ram_windows(const struct guest_memory *memory, struct dma_window *windows,
				size_t max);

#endif
