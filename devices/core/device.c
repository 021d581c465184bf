/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/device.h"

#include <errno.h>
#include <string.h>

#include "devices/core/log.h"
#include "devices/core/ring_features.h"

static int create_queues(struct device *device)
{
	int rc = 0;

	for (unsigned int i = 0; i < device->kind->nr_queues && !rc; i++)
		rc = virtqueue_init(&device->queues[i].vq, &device->dma, i,
				    device->kind->max_queue_size);
	return rc;
}

int device_create(struct device *device, const struct device_kind *kind,
		  const struct device_options *options)
{
	int rc;

	memset(device, 0, sizeof(*device));
	device->kind = kind;
	device->ops = kind->ops;
	device->offered = kind->ops->features | RING_FEATURES;
	device->dma.report = &device->report;
	device->loop.epoll_fd = -1;
	device->backend_fd = options->backend_fd;
	for (unsigned int i = 0; i < DEVICE_MAX_QUEUES; i++)
		device->queues[i].kick_fd = device->queues[i].call_fd = device->queues[i].err_fd =
			-1;
	rc = loop_init(&device->loop);
	if (!rc)
		rc = create_queues(device);
	if (!rc && device->ops->create)
		rc = device->ops->create(device, options);
	if (rc) {
		device_log("%s: cannot be created: %s", kind->name, strerror(-rc));
		device_destroy(device);
	}
	return rc;
}

void device_destroy(struct device *device)
{
	for (unsigned int i = 0; i < device->kind->nr_queues; i++) {
		device_queue_stop(device, i);
		device_queue_destroy(&device->queues[i]);
	}
	if (device->ops->destroy)
		device->ops->destroy(device);
	device->state = NULL;
	loop_destroy(&device->loop);
}

int device_watch_host(struct device *device, uint32_t events)
{
	uint32_t before = device->host_events;
	int rc;

	if (events == before)
		return 0;
	if (!before)
		rc = loop_add(&device->loop, device->backend_fd, LOOP_HOST, events);
	else if (events)
		rc = loop_modify(&device->loop, device->backend_fd, LOOP_HOST, events);
	else
		rc = loop_remove(&device->loop, device->backend_fd);
	if (!rc)
		device->host_events = events;
	return rc;
}
