/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A vhost-user front-end and virtio-blk driver in one, with one queue and any number of requests of
 * one size, for any back-end.
 */
#ifndef TESTS_BENCH_VHOST_DRIVER_H
#define TESTS_BENCH_VHOST_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/core/virtqueue.h"

#define VHOST_DRIVER_QUEUE_SIZE 128 /* descriptors; a request has 3 */

struct vhost_driver {
	int sock;
	int kick;
	int call;
	uint8_t *mem;
	size_t mem_size;
	uint32_t bytes;	   /* of one request's data */
	uint64_t capacity; /* sectors */
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
	uint16_t avail_idx;
	uint16_t last_used;
	uint64_t kicks;
};

/* Connects to @path and starts the queue. Returns 0 or -errno; what went wrong is printed. */
int vhost_driver_connect(struct vhost_driver *driver, const char *path, uint32_t bytes);

/* Makes request @slot (below a third of the queue's size) read from @sector. */
void vhost_driver_submit(struct vhost_driver *driver, unsigned int slot, uint64_t sector);

/* Announces what was submitted; tells the back-end only if it wants to know. */
void vhost_driver_publish(struct vhost_driver *driver);

/*
 * Takes up to @max completed requests into @slots; with @block it sleeps until there is one. Returns
 * their number, or -EIO when one has failed.
 */
int vhost_driver_complete(struct vhost_driver *driver, unsigned int *slots, int max, bool block);

#endif
