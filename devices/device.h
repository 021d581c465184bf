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
#include "devices/core/kept.h"
#include "devices/core/loop.h"
#include "devices/core/queue.h"
#include "devices/proto/report.h"
#include "devices/registry.h"

#define DEVICE_MAX_QUEUE_SIZE 1024 /* entries, where a device lets the user choose */

struct device;

/* What the command line gives a device. Everything stays the caller's. */
struct device_options {
	const int *backend_fds;
	unsigned int nr_backends;
	/* "NAME" or "NAME=VALUE", with a NULL at the end; of each name at most one, and all of them
	 * are in ops->settings, but for "evil", which all kinds have (devices/core/evil.h). */
	const char *const *settings;
};

/* The value of setting @name: "" when it has none, NULL when it is not given. */
const char *device_setting(const struct device_options *options, const char *name);

/*
 * The decimal number that setting @name has, between @min and @max, into *@value, which stays as it
 * is when the setting is not given. 0, or -EINVAL after a line in the log.
 */
int device_setting_number(const struct device_options *options, const char *name, uint64_t min,
			  uint64_t max, uint64_t *value);

/*
 * A descriptor of the host side that the device waits for. The ids below DEVICE_MAX_BACKENDS are
 * those of device->backends[]; further ones are the device's to give.
 */
struct device_source {
	int fd; /* -1: none */
	uint32_t id;
	uint32_t events; /* what the loop watches it for; 0: it is not in the loop */
};

/* Functions return 0 or -errno where they can fail. Only create and destroy may allocate. */
struct device_ops {
	uint64_t features;	     /* device-specific ones that are always offered */
	const char *const *settings; /* names, with a NULL at the end; NULL: there are none */
	unsigned int min_backends;   /* how many descriptors it works on */
	unsigned int max_backends;
	unsigned int max_fds;	     /* it opens so many more at one time while it runs */
	bool writes_files;	     /* may make a file longer, so RLIMIT_FSIZE stays */
	const int *syscalls;	     /* besides those that all devices need; ends with -1 */
	const unsigned long *ioctls; /* requests of ioctl(2) that it makes; ends with 0; or NULL */

	/*
	 * Before the sandbox closes. May add to device->offered, and set device->nr_queues (at most
	 * the registry's number) and device->queue_size.
	 */
	int (*create)(struct device *device, const struct device_options *options);
	/*
	 * Fills the first of VHOST_USER_MAX_CONFIG zeroed bytes. The windows are known if the
	 * front-end has sent them before.
	 */
	void (*get_config)(struct device *device, void *config);
	/*
	 * The front-end changes @len bytes of configuration space at @offset, inside
	 * VHOST_USER_MAX_CONFIG: a terminal has a new size. -EINVAL: not these. NULL: none can be.
	 */
	int (*set_config)(struct device *device, uint32_t offset, const void *data, uint32_t len);
	/* A driver begins: device->features is settled; no queue runs. NULL: nothing to do. */
	void (*set_features)(struct device *device);
	/*
	 * In the place of set_features(): the driver has begun with a process before this one, and what
	 * that learned of it is in device->kept->state. NULL: set_features() serves both.
	 */
	void (*resume)(struct device *device);
	/*
	 * Takes and completes chains of a queue. Returns true when it took all there were and
	 * wants to be kicked for more, false when it waits for its host side instead.
	 */
	bool (*handle_queue)(struct device *device, unsigned int index);
	/*
	 * Source @id became ready, after device_watch(). Spurious calls happen: several events come
	 * at once, and an earlier one may have closed or replaced the descriptor of a later one.
	 */
	void (*handle_host)(struct device *device, uint32_t id, uint32_t events);
	/* The queue stops: gives back (virtqueue_unpop) a chain that is not complete. */
	void (*stop_queue)(struct device *device, unsigned int index);
	void (*destroy)(struct device *device);
};

/* A line of the registry. */
struct device_kind {
	const char *name;
	uint16_t virtio_id;
	uint16_t max_queue_size; /* unless the device is told otherwise */
	unsigned int nr_queues;	 /* at most */
	const struct device_ops *ops;
};

/* NULL when there is none of that name. */
const struct device_kind *device_kind_find(const char *name);

/* "blk console rng", for messages. */
const char *device_kind_names(void);

/* Calls @show for each of them. */
void device_kind_list(void (*show)(const struct device_kind *kind));

struct device {
	const struct device_kind *kind;
	const struct device_ops *ops; /* = kind->ops */
	uint64_t offered;	      /* features; core adds those of the rings */
	uint64_t features;	      /* negotiated */
	unsigned int nr_queues;	      /* at least 1 */
	uint16_t queue_size;	      /* the largest that a driver may choose: a power of two */
	struct dma_space dma;
	struct loop loop;
	struct device_queue queues[DEVICE_MAX_QUEUES];
	struct device_kept *kept;	   /* owned; what a successor of this process finds */
	struct device_report_wire *report; /* = &kept->report */
	struct device_source backends[DEVICE_MAX_BACKENDS];
	unsigned int nr_backends;
	int backend_channel; /* socket for what we tell the front-end unasked; owned; -1: none */
	struct evil *evil;   /* the device misbehaves on purpose; owned; NULL: it does not */
	void *state;	     /* the kind's own; owned by create and destroy */
};

/* Returns 0 or -errno after a line in the log. device_destroy() releases what it holds. */
int device_create(struct device *device, const struct device_kind *kind,
		  const struct device_options *options);
void device_destroy(struct device *device);

/* The kept memory is another one now: all that points into it follows. */
void device_use_kept(struct device *device);

/*
 * Watches @source for @events (EPOLLIN, EPOLLOUT), level-triggered; 0 stops watching altogether,
 * because epoll reports a hang-up for as long as a descriptor is in its set: to be done before the
 * descriptor is closed. Returns 0 or -errno.
 */
int device_watch(struct device *device, struct device_source *source, uint32_t events);

/* Configuration space has changed: the front-end reads it again, if it wants to know of such. */
void device_config_changed(struct device *device);

#endif
