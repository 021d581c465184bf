/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A virtio-blk function on PCI (virtio 1.3, 4.1), its pool, and requests to it. Whatever goes wrong
 * in these functions ends the payload; where something else is expected, the scenarios look for
 * themselves.
 *
 *	pool + 0x0000  not used: offset 0 of a device memory buffer is no address
 *	pool + 0x1000  rings
 *	pool + 0x2000  headers and status bytes of the requests
 *	pool + 0x4000  data, DATA_SIZE bytes for each of NR_REQUESTS
 */
#ifndef PAYLOAD_DEVICE_H
#define PAYLOAD_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "guest-images/payloads/virtio.h"

/* Fields of the common configuration (4.1.4.3). */
#define DEVICE_FEATURE_SELECT 0u
#define DEVICE_FEATURE	      4u
#define DRIVER_FEATURE_SELECT 8u
#define DRIVER_FEATURE	      12u
#define CONFIG_MSIX_VECTOR    16u
#define NUM_QUEUES	      18u
#define DEVICE_STATUS	      20u
#define CONFIG_GENERATION     21u
#define QUEUE_SELECT	      22u
#define QUEUE_SIZE_FIELD      24u
#define QUEUE_MSIX_VECTOR     26u
#define QUEUE_ENABLE	      28u
#define QUEUE_NOTIFY_OFF      30u
#define QUEUE_DESC	      32u
#define QUEUE_DRIVER	      40u
#define QUEUE_DEVICE	      48u

#define NO_VECTOR 0xffffu

#define ISR_CONFIG 2u

#define RUNNING (ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)

#define REGISTERS_BAR  0u
#define REGISTERS_SIZE 0x8000u
#define MEMORY_BAR     2u

/* What the proposals ask a driver to accept. */
#define F_SWIOTLB (1ull << 27)
#define F_DMB	  (1ull << 44)

/* Plain RAM that nothing else uses; aligned like any BAR here. */
#define RAM	 0x4000000ull
#define RAM_SIZE 0x2000000ull

#define RINGS_OFFSET   0x1000u
#define HEADERS_OFFSET 0x2000u
#define DATA_OFFSET    0x4000u
#define DATA_SIZE      0x8000u
#define NR_REQUESTS    2u /* of three descriptors each */

enum pool_kind {
	POOL_IN_MEMORY,
	POOL_IN_BAR,
	POOL_OFFSETS, /* in a BAR, and DMA addresses are offsets into it */
};

/* One piece of memory: where we see it, and where the device does. */
struct place {
	uint64_t cpu, dma;
};

/* A part of the registers, as a capability describes it. */
struct part {
	uint32_t offset, length;
};

struct device {
	unsigned int slot;
	uint64_t registers;	 /* where BAR 0 is */
	unsigned int access_cap; /* offsets of capabilities */
	unsigned int msix_cap;
	unsigned int pool_cap; /* 0: it has none */
	struct part common, notify, isr, config;
	uint32_t notify_multiplier;
	uint32_t msix_table, msix_pending; /* offsets in BAR 0 */
	unsigned int nr_vectors;
	bool by_capability; /* registers are accessed through the PCI access capability */

	enum pool_kind kind;
	struct place pool;
	uint64_t pool_size;
	uint64_t promise;      /* feature bit, 0: none */
	uint16_t queue_vector; /* given to the queue when it is set up, or NO_VECTOR */
	uint16_t config_vector;

	/* As the driver has told the device. */
	struct place rings, buffers;
	uint32_t notify_offset;
	uint16_t submitted, awaited; /* requests since then */
};

/* Finds block device number @index and its parts, and lets it decode memory and master the bus. */
bool device_find(struct device *device, unsigned int index);

/* Finds the pool by what the device says of it; where it says nothing, it is at @gpa. */
void device_find_pool(struct device *device, uint64_t gpa, uint64_t size);

/* Moves BAR 0, and the BAR with the pool, for both of us. */
void device_move_registers(struct device *device, uint64_t address);
void device_move_pool(struct device *device, uint64_t address);

uint64_t device_read(const struct device *device, const struct part *part, uint32_t offset,
		     unsigned int size);
void device_write(const struct device *device, const struct part *part, uint32_t offset,
		  unsigned int size, uint64_t value);
uint8_t device_status(const struct device *device);
uint64_t device_features(const struct device *device);

/* Reset, then features: whether FEATURES_OK stands. */
bool device_negotiate(struct device *device, uint64_t features);
/* Features as @device wants them: those that we need, its promise. */
uint64_t device_wanted(const struct device *device);
/* Tells the device of an empty queue in @rings, and that we are ready. Requests will be in @buffers. */
void device_start(struct device *device, struct place rings, struct place buffers);
/* All of it, with everything in the pool; the device runs. */
void device_set_up(struct device *device);

/* Puts request @index into the ring: @type at @sector with @len bytes of data. */
void block_submit(struct device *device, unsigned int index, uint32_t type, uint64_t sector,
		  uint32_t len);
/* Lets the data of the request, already in the ring, be at another address. */
void block_redirect(const struct device *device, unsigned int index, uint64_t dma);
void block_notify(const struct device *device);
/* Until the device has used all requests, whose status is good then. */
void block_await(struct device *device);
/* How many requests the device has used since its start. */
uint16_t block_used(const struct device *device);
/* Until the device says that it needs a reset, which it does instead of using a request. */
void device_await_stop(const struct device *device);

#define BLOCK_IN    0u
#define BLOCK_OUT   1u
#define BLOCK_FLUSH 4u

volatile char *block_data(const struct device *device, unsigned int index);
/*
 * The disk is lines of 16 bytes, each its number in 15 decimal digits. Checks, or fills in, the data
 * of request @index as the lines of @sectors sectors, with numbers from that of @sector on, plus @add.
 */
void block_check_lines(const struct device *device, unsigned int index, uint64_t sector,
		       unsigned int sectors);
void block_fill_lines(const struct device *device, unsigned int index, uint64_t sector,
		      unsigned int sectors, uint64_t add);
/* One request from submission to the check of what was read. */
void block_read(struct device *device, uint64_t sector);

#endif
