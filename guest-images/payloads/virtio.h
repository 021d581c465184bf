/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What every virtio transport has in common (virtio 1.3, 2), for a block device with one queue. */
#ifndef PAYLOAD_VIRTIO_H
#define PAYLOAD_VIRTIO_H

#include <stdint.h>

/* Device status (2.1). */
#define ACKNOWLEDGE 1u
#define DRIVER	    2u
#define DRIVER_OK   4u
#define FEATURES_OK 8u
#define NEEDS_RESET 64u

#define QUEUE_SIZE  8u
#define SECTOR_SIZE 512u
#define PATIENCE    200000000ull /* turns of a loop that waits for the device */

/* Flags of a descriptor (2.7.5). */
#define NEXT  1u
#define WRITE 2u

struct descriptor {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct rings {
	struct descriptor desc[QUEUE_SIZE];
	uint16_t avail_flags, avail_idx, avail_ring[QUEUE_SIZE], used_event;
	_Alignas(4) uint16_t used_flags;
	uint16_t used_idx;
	struct {
		uint32_t id, len;
	} used_ring[QUEUE_SIZE];
};

#endif
