/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A queue of the device under attack, as the driver sees it, and good requests in it. Where things
 * are in the pool, from QUEUE_AREA(index) on:
 *
 *	+ 0x00000  descriptors, up to 1024
 *	+ 0x04000  available ring
 *	+ 0x08000  used ring
 *	+ 0x0c000  headers and status bytes of the requests, 32 bytes each
 *	+ 0x0e000  data, a sector each
 *	+ 0x1a000  an indirect table
 */
#ifndef PAYLOAD_QUEUE_H
#define PAYLOAD_QUEUE_H

#include "guest-images/payloads/hostile/target.h"

#define QUEUE_AREA(index) (0x10000ull + (index)*0x20000ull)
#define AREA_AVAIL	  0x4000u
#define AREA_USED	  0x8000u
#define AREA_HEADERS	  0xc000u
#define AREA_DATA	  0xe000u
#define AREA_TABLE	  0x1a000u
#define AREA_SIZE	  0x20000u

#define INDIRECT 4u /* of a descriptor */

#define HEADER_SIZE   16u
#define HEADER_STRIDE 32u
#define STATUS_OFFSET 16u /* behind the header */
#define STATUS_NONE   0xffu

/* Small, so that every edge of it is near. */
#define RING_SIZE 16u

/* What a device may take until it has answered. */
#define ANSWER_NS (2 * NS_PER_S)

struct avail_ring {
	uint16_t flags, idx, ring[];
};

struct used_ring {
	uint16_t flags, idx;
	struct {
		uint32_t id, len;
	} ring[];
};

struct queue {
	const struct target *target;
	unsigned int index;
	uint16_t size;
	uint64_t area; /* its addresses begin here */
	volatile struct descriptor *desc;
	volatile struct avail_ring *avail;
	volatile struct used_ring *used;
	uint16_t published; /* avail.idx as we left it */
	uint16_t taken;	    /* used entries that we have seen */
};

enum answer {
	ANSWER_USED,
	ANSWER_STOPPED, /* DEVICE_NEEDS_RESET, and nothing used */
	ANSWER_NONE,
};

/* Resets the device and starts it with @count queues of @size entries; all of it must work. */
void queues_start(const struct target *target, struct queue *queues, unsigned int count,
		  uint16_t size);
/* The same, but the device may find that it cannot go on. */
void queues_try_start(const struct target *target, struct queue *queues, unsigned int count,
		      uint16_t size);
/* Step by step: an empty queue in memory, and its registers. */
void queue_init(struct queue *queue, const struct target *target, unsigned int index,
		uint16_t size);
void queue_tell(const struct queue *queue);

/* Appends @head to the available ring and shows it; the device has not been told. */
void queue_publish(struct queue *queue, uint16_t head);
void queue_notify(const struct queue *queue);

/* Until the device has used @count more than were taken, or has stopped, or time is up. */
enum answer queue_await(const struct queue *queue, uint16_t count);
/* The next used entry, which must be there: the head must be @head. Returns the length. */
uint32_t queue_take(struct queue *queue, uint16_t head);

/* DMA addresses of the parts of request @index. */
uint64_t request_header(const struct queue *queue, unsigned int index);
uint64_t request_status(const struct queue *queue, unsigned int index);
uint64_t request_data(const struct queue *queue, unsigned int index);

/* Fills in header and status of request @index. */
void request_fill(const struct queue *queue, unsigned int index, uint32_t type, uint64_t sector);
/* A read of @sector by three descriptors from @head on, which is the chain's head; not published. */
void request_chain(const struct queue *queue, unsigned int index, uint16_t head, uint64_t sector);
uint8_t request_result(const struct queue *queue, unsigned int index);
/* Whether the data is the lines of @sector, see virtio-pci/device.h. */
void request_check(const struct queue *queue, unsigned int index, uint64_t sector);

/* One good request, answered in time. */
void queue_serve(struct queue *queue, uint64_t sector);

#endif
