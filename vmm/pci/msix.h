/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * MSI-X (PCI 3.0, 6.8.2): the vector table, the pending bits, and which event of the device raises
 * which vector.
 *
 * An event source is an eventfd that its owner writes to, here a device process. While its vector
 * may be delivered the eventfd is connected to KVM, which raises the interrupt with none of our
 * code. While it is masked nobody reads the eventfd: its count is the pending bit, and KVM looks at
 * it when it is connected again. So no interrupt is lost and none needs a place to be kept. What a
 * source counts while it has no vector at all is forgotten.
 *
 * A route or a connection that cannot be made is tried again at the next change of the table, of
 * the control bits or of a source's vector; until then the source's events are pending.
 */
#ifndef VMM_PCI_MSIX_H
#define VMM_PCI_MSIX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/bus.h"

#define MSIX_MAX_VECTORS 32
#define MSIX_ENTRY_SIZE	 16
#define MSIX_NO_VECTOR	 0xffffu

/* What connects eventfds and vectors: KVM, or a test. Called with the lock held; 0 or -errno. */
struct msix_ops {
	/* Where vector @vector goes: one MSI write of @data to @address. */
	int (*set_route)(void *opaque, unsigned int vector, uint64_t address, uint32_t data);
	/* From now on each write to @fd, and what it counts already, raises @vector. */
	int (*connect)(void *opaque, unsigned int vector, int fd);
	int (*disconnect)(void *opaque, unsigned int vector, int fd);
};

struct msix_entry {
	uint64_t address;
	uint32_t data;
	bool masked;
	/* What set_route() was last told and did; without it the vector is never connected. */
	bool routed;
	uint64_t routed_address;
	uint32_t routed_data;
};

struct msix_source {
	int fd;		    /* the owner's */
	uint16_t vector;    /* or MSIX_NO_VECTOR */
	uint16_t connected; /* the vector that it is connected to, or MSIX_NO_VECTOR */
};

struct msix {
	pthread_mutex_t lock;
	unsigned int nr_vectors;
	struct msix_entry entries[MSIX_MAX_VECTORS];
	struct msix_source sources[MSIX_MAX_VECTORS];
	unsigned int nr_sources;
	bool enabled;
	bool function_masked;
	const struct msix_ops *ops;
	void *opaque;
};

/* All vectors masked, no source; @nr_vectors is at most MSIX_MAX_VECTORS. */
void msix_init(struct msix *msix, unsigned int nr_vectors, const struct msix_ops *ops,
	       void *opaque);
/* Disconnects everything. */
void msix_destroy(struct msix *msix);

/*
 * Adds a source without a vector, a non-blocking eventfd; returns its index. Before the first vCPU
 * runs.
 */
unsigned int msix_add_source(struct msix *msix, int fd);

/*
 * Gives source @index the vector @vector. Returns the vector it has now: MSIX_NO_VECTOR when there
 * is no such one, or when it is to be connected at once and cannot be (virtio 1.3, 4.1.5.1.2.1).
 */
uint16_t msix_set_vector(struct msix *msix, unsigned int index, uint16_t vector);
uint16_t msix_vector(struct msix *msix, unsigned int index);

/* The bits "MSI-X Enable" and "Function Mask" of Message Control. */
void msix_set_control(struct msix *msix, bool enabled, bool function_masked);

/*
 * Accesses inside the table and inside the pending bit array; offset is relative to each. 4 bytes
 * or 8, aligned (PCI 3.0, 6.8.2); anything else reads 0 and writes nothing. A message address that
 * is none of the local APICs' is kept but never routed.
 */
void msix_table_access(struct msix *msix, struct bus_access *access);
void msix_pending_access(struct msix *msix, struct bus_access *access);

/* Bytes of a table and of a pending bit array for @nr_vectors. */
uint32_t msix_table_size(unsigned int nr_vectors);
uint32_t msix_pending_size(unsigned int nr_vectors);

#endif
