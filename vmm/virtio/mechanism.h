/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The ways in which a guest is told of its DMA pool, and the numbers that they use. Those of the
 * proposals are provisional, so all of them stand in one table, and --proposal changes them.
 *
 *	mechanism  the guest finds the pool by            and promises to use it by
 *	dt         memory-region in the device tree       VIRTIO_F_ACCESS_PLATFORM
 *	cap        VIRTIO_PCI_CAP_SWIOTLB                 VIRTIO_F_SWIOTLB
 *	config     two fields of the common configuration VIRTIO_F_SWIOTLB
 *	dmb        a shared memory region, dmb_shm_id     VIRTIO_F_DMB; addresses are offsets
 */
#ifndef VMM_VIRTIO_MECHANISM_H
#define VMM_VIRTIO_MECHANISM_H

#include <stdbool.h>
#include <stdint.h>

enum mechanism {
	MECHANISM_NONE, /* not restricted */
	MECHANISM_DT,
	MECHANISM_CAP,
	MECHANISM_CONFIG,
	MECHANISM_DMB,
	NR_MECHANISMS,
};

/* Where the pool is. */
enum pool_place {
	POOL_IN_MEMORY, /* a reserved part of system memory */
	POOL_IN_BAR,	/* on the device */
};

/* The keys of --proposal. */
enum proposal_key {
	PROPOSAL_SWIOTLB_FEATURE,  /* bit number of VIRTIO_F_SWIOTLB */
	PROPOSAL_SWIOTLB_CFG_TYPE, /* cfg_type of VIRTIO_PCI_CAP_SWIOTLB */
	PROPOSAL_SWIOTLB_CONFIG,   /* offset in the common configuration: le64 base, le64 length */
	PROPOSAL_DMB_FEATURE,	   /* bit number of VIRTIO_F_DMB */
	PROPOSAL_DMB_CONFIG,	   /* offset in the common configuration: u8 dmb_shm_id */
	PROPOSAL_DMB_SHM_ID,	   /* id of the shared memory region */
	NR_PROPOSAL_KEYS,
};

struct proposal {
	uint32_t value[NR_PROPOSAL_KEYS];
};

/* One row of the table: what the key may be, and by which mechanisms it is used. */
struct proposal_number {
	const char *name;
	uint32_t initial;
	uint32_t min, max;	 /* what the field can hold */
	uint32_t align;		 /* must be a multiple of it */
	uint64_t taken;		 /* 1 << number for each that virtio 1.3 gives to something else */
	unsigned int mechanisms; /* 1 << enum mechanism for each that uses it */
	const char *what;	 /* for messages: "feature bit", ... */
};

extern const struct proposal_number proposal_numbers[NR_PROPOSAL_KEYS];

void proposal_init(struct proposal *proposal);

/* The key that is called @name, or -ENOENT. */
int proposal_find(const char *name);

/*
 * Sets the key that is called @name. 0, -ENOENT for an unknown name, -ERANGE for a number that the
 * field cannot hold, -EINVAL for one that is not aligned, -EEXIST for one that is something else's
 * in virtio 1.3.
 */
int proposal_set(struct proposal *proposal, const char *name, uint64_t number);

/* "dt", "cap", ...; "none" for MECHANISM_NONE. */
const char *mechanism_name(enum mechanism mechanism);

/* Feature bits that are offered for it besides those of the device. */
uint64_t mechanism_features(enum mechanism mechanism, const struct proposal *proposal);

/*
 * Those of them by which a driver promises to use the pool. VIRTIO_F_SWIOTLB is enough by itself:
 * addresses inside the buffer are exempt from VIRTIO_F_ACCESS_PLATFORM (RFC of 2025-04-02, 1/3).
 */
uint64_t mechanism_promise(enum mechanism mechanism, const struct proposal *proposal);

#endif
