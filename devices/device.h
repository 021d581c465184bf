/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a device is made of.
 *
 * A kind of device is a constant table of functions (struct device_ops, in devices/NAME.c) and one
 * line in devices/registry.h. Everything else is the same for all: devices/core/ speaks vhost-user,
 * maps the windows, runs the queues and confines the process. One process has one device, one
 * thread and one event loop, so nothing here needs a lock.
 */
#ifndef DEVICES_DEVICE_H
#define DEVICES_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/core/dma.h"
#include "devices/core/loop.h"
#include "devices/core/queue.h"
#include "devices/proto/report.h"
#include "devices/registry.h"

#define DEVICE_SERIAL_MAX 20 /* virtio 1.3, 5.2.6.1: VIRTIO_BLK_T_GET_ID */

struct device;

/* From the command line. */
struct device_options {
	int backend_fd; /* -1: none; stays the caller's */
	bool read_only;
	const char *serial; /* at most DEVICE_SERIAL_MAX bytes, "" when not given */
};

/* Functions return 0 or -errno where they can fail. Only create and destroy may allocate. */
struct device_ops {
	uint64_t features;   /* device-specific ones that are always offered */
	bool needs_backend;  /* works on options.backend_fd */
	bool writes_files;   /* may make a file longer, so RLIMIT_FSIZE stays */
	const int *syscalls; /* besides those that all devices need; ends with -1 */

	/* Before the sandbox closes. May add to device->offered. */
	int (*create)(struct device *device, const struct device_options *options);
	/*
	 * Fills the first of VHOST_USER_MAX_CONFIG zeroed bytes. The windows are known if the
	 * front-end has sent them before.
	 */
	void (*get_config)(const struct device *device, void *config);
	/*
	 * Takes and completes chains of a queue. Returns true when it took all there were and
	 * wants to be kicked for more, false when it waits for its host side instead.
	 */
	bool (*handle_queue)(struct device *device, unsigned int index);
	/* options.backend_fd became ready, after device_watch_host(). */
	void (*handle_host)(struct device *device, uint32_t events);
	/* The queue stops: gives back (virtqueue_unpop) a chain that is not complete. */
	void (*stop_queue)(struct device *device, unsigned int index);
	void (*destroy)(struct device *device);
};

/* A line of the registry. */
struct device_kind {
	const char *name;
	uint16_t virtio_id;
	unsigned int nr_queues;
	uint16_t max_queue_size;
	const struct device_ops *ops;
};

/* NULL when there is none of that name. */
const struct device_kind *device_kind_find(const char *name);

/* "blk console rng", for messages. */
const char *device_kind_names(void);

struct device {
	const struct device_kind *kind;
	const struct device_ops *ops; /* = kind->ops */
	uint64_t offered;	      /* features; core adds those of the rings */
	uint64_t features;	      /* negotiated */
	struct dma_space dma;
	struct loop loop;
	struct device_queue queues[DEVICE_MAX_QUEUES];
	struct device_report_wire report;
	uint32_t host_events; /* what loop watches backend_fd for */
	int backend_fd;
	void *state; /* the kind's own; owned by create and destroy */
};

/* Returns 0 or -errno after a line in the log. device_destroy() releases what it holds. */
int device_create(struct device *device, const struct device_kind *kind,
		  const struct device_options *options);
void device_destroy(struct device *device);

/*
 * Watches backend_fd for @events (EPOLLIN, EPOLLOUT), level-triggered; 0 stops watching altogether,
 * because epoll reports a hang-up for as long as a descriptor is in its set. Returns 0 or -errno.
 */
int device_watch_host(struct device *device, uint32_t events);

#endif
