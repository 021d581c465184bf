/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A vhost-user front-end and the drivers' side of its rings, for runs that are long: its memory and its
 * rings outlive the device process that serves them. Functions return 0 or -errno after a line on
 * standard error, unless they say otherwise.
 *
 * Each queue has DRIVER_SLOTS places for a request, of DRIVER_SLOT_BYTES each: what the device reads
 * comes first, what it writes behind it.
 */
#ifndef TESTS_ENDURANCE_DRIVER_H
#define TESTS_ENDURANCE_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/core/virtqueue.h"

#define DRIVER_MAX_QUEUES 2
#define DRIVER_QUEUE_SIZE 64
#define DRIVER_SLOTS	  (DRIVER_QUEUE_SIZE / 2)
#define DRIVER_SLOT_BYTES 1024

struct driver_queue {
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
	uint8_t *slots;
	uint64_t slots_dma;
	uint16_t avail_idx; /* ours; published by driver_publish() */
	uint16_t last_used;
	unsigned int in_flight;
	uint64_t completed; /* over all lives */
	uint64_t wraps;	    /* of the used index */
	int kick;
	int call;
};

struct driver {
	const char *path;
	int sock;
	int mem_fd;
	uint8_t *mem;
	bool event_idx; /* this time; the next time the other way of notifying */
	unsigned int nr_queues;
	struct driver_queue queues[DRIVER_MAX_QUEUES];
};

/* Connects to @path, and starts queues 0 to @nr_queues - 1 with empty rings. */
int driver_open(struct driver *driver, const char *path, unsigned int nr_queues);
void driver_close(struct driver *driver);

/*
 * Stops all queues, as a driver's reset does. Everything that the device has taken is then completed,
 * and can be had by driver_take(); what it has not taken is forgotten by driver_restart().
 */
int driver_stop(struct driver *driver);
/* Starts them again, with empty rings. */
int driver_restart(struct driver *driver);

/* The device process is gone: connects to its successor, which goes on where the used rings end. */
int driver_reconnect(struct driver *driver);

uint8_t *driver_slot(const struct driver_queue *queue, unsigned int slot);

/* Makes a request of the slot, for the next driver_publish(). */
void driver_offer(struct driver_queue *queue, unsigned int slot, uint32_t readable,
		  uint32_t writable);
void driver_publish(struct driver *driver, unsigned int index);

/* Takes the next completed request: 1, 0 when there is none, or -EPROTO. */
int driver_take(struct driver_queue *queue, unsigned int *slot, uint32_t *written);

/* Sleeps until a request is completed, or @fd is ready for @events. -ETIMEDOUT. */
int driver_wait(struct driver *driver, int fd, short events);

uint64_t driver_completed(const struct driver *driver);

#endif
