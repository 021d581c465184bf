/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One queue of a device between the front-end's messages and the event loop.
 *
 *	configured --(enabled, and kick, addresses and windows are there)--> running
 *	running    --(SET_VRING_ENABLE 0, GET_VRING_BASE)------------------> configured
 *	running    --(the ring is unusable)--> broken; err is signalled, only a stop leads on
 */
#ifndef DEVICES_CORE_QUEUE_H
#define DEVICES_CORE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/core/virtqueue.h"
#include "devices/proto/vhost_user.h"

struct device;

struct device_queue {
	struct virtqueue vq;
	struct vhost_user_vring_addr addr; /* as the front-end sent it */
	bool has_addr;
	uint16_t size; /* 0: not set */
	uint16_t base; /* next index of the available ring while the queue does not run */
	int kick_fd;   /* eventfds, owned; -1: none */
	int call_fd;
	int err_fd;
	bool enabled;
	bool running;
	bool again; /* chains are waiting that nobody will kick for */
	/* Goes on for a process that ended: its last interrupt, or a kick for it, may be lost. */
	bool resumed;
};

/*
 * Starts the queue if everything is there. Returns 0, also when something is still missing, or
 * -errno when the rings are unusable: the queue is then broken, and err was signalled.
 */
int device_queue_start(struct device *device, unsigned int index);

/* Stops the queue; base tells where it would go on. A queue that does not run stays as it is. */
void device_queue_stop(struct device *device, unsigned int index);

/* Takes what the driver has made available, and sends an interrupt if the driver wants one. */
void device_queue_run(struct device *device, unsigned int index);

/* Sends an interrupt that may be spurious. */
void device_queue_call(struct device *device, unsigned int index);

/* Closes the descriptors and frees the memory of a queue that does not run. */
void device_queue_destroy(struct device_queue *queue);

#endif
