/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/evil.h"
#include "devices/core/log.h"
#include "devices/core/ring_features.h"

/* NAME=VALUE: what follows the name, or NULL when @setting is another one. */
static const char *value_of(const char *setting, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(setting, name, len))
		return NULL;
	if (setting[len] == '=')
		return setting + len + 1;
	return setting[len] ? NULL : "";
}

const char *device_setting(const struct device_options *options, const char *name)
{
	const char *value = NULL;

	for (const char *const *setting = options->settings; setting && *setting && !value;
	     setting++)
		value = value_of(*setting, name);
	return value;
}

int device_setting_number(const struct device_options *options, const char *name, uint64_t min,
			  uint64_t max, uint64_t *value)
{
	const char *text = device_setting(options, name);
	unsigned long long number;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	number = strtoull(text, &end, 10);
	/* strtoull() takes signs and blanks as well. */
	if (errno || text[0] < '0' || text[0] > '9' || *end || number < min || number > max) {
		device_log("%s: %s: not in %llu to %llu", name, text, (unsigned long long)min,
			   (unsigned long long)max);
		return -EINVAL;
	}
	*value = number;
	return 0;
}

static int create_queues(struct device *device)
{
	int rc = 0;

	for (unsigned int i = 0; i < device->nr_queues && !rc; i++)
		rc = virtqueue_init(&device->queues[i].vq, &device->dma, i, device->queue_size);
	device_use_kept(device);
	return rc;
}

void device_use_kept(struct device *device)
{
	device->report = &device->kept->report;
	device->dma.report = device->report;
	for (unsigned int i = 0; i < DEVICE_MAX_QUEUES; i++)
		device->queues[i].vq.kept_next = &device->kept->next[i];
}

static void take_backends(struct device *device, const struct device_options *options)
{
	for (uint32_t i = 0; i < DEVICE_MAX_BACKENDS; i++)
		device->backends[i] = (struct device_source){ .fd = -1, .id = i };
	for (uint32_t i = 0; i < options->nr_backends && i < DEVICE_MAX_BACKENDS; i++)
		device->backends[device->nr_backends++].fd = options->backend_fds[i];
}

static int check_backends(const struct device *device)
{
	if (device->nr_backends >= device->ops->min_backends &&
	    device->nr_backends <= device->ops->max_backends)
		return 0;
	device_log("%u descriptors of the host side: expected %u to %u", device->nr_backends,
		   device->ops->min_backends, device->ops->max_backends);
	return -EINVAL;
}

int device_create(struct device *device, const struct device_kind *kind,
		  const struct device_options *options)
{
	unsigned int lines_before = device_log_count();
	int rc;

	memset(device, 0, sizeof(*device));
	device->kind = kind;
	device->ops = kind->ops;
	device->offered = kind->ops->features | RING_FEATURES;
	device->nr_queues = kind->nr_queues;
	device->queue_size = kind->max_queue_size;
	device->loop.epoll_fd = -1;
	device->backend_channel = -1;
	for (unsigned int i = 0; i < DEVICE_MAX_QUEUES; i++)
		device->queues[i].kick_fd = device->queues[i].call_fd = device->queues[i].err_fd =
			-1;
	device->kept = calloc(1, sizeof(*device->kept));
	if (!device->kept)
		return -ENOMEM;
	device_use_kept(device);
	take_backends(device, options);
	rc = check_backends(device);
	if (!rc)
		rc = loop_init(&device->loop);
	if (!rc && device->ops->create)
		rc = device->ops->create(device, options);
	if (!rc)
		rc = create_queues(device);
	if (!rc)
		rc = evil_create(device, options);
	if (rc) {
		if (device_log_count() == lines_before)
			device_log("%s: cannot be created: %s", kind->name, strerror(-rc));
		device_destroy(device);
	}
	return rc;
}

void device_destroy(struct device *device)
{
	for (unsigned int i = 0; i < device->nr_queues; i++) {
		device_queue_stop(device, i);
		device_queue_destroy(&device->queues[i]);
	}
	evil_destroy(device);
	if (device->ops->destroy)
		device->ops->destroy(device);
	device->state = NULL;
	if (device->backend_channel >= 0)
		close(device->backend_channel);
	device->backend_channel = -1;
	loop_destroy(&device->loop);
	/* Of memory that is shared, the process' end takes care. */
	if (device->kept && !device->kept->in_use)
		free(device->kept);
	device->kept = NULL;
}

int device_watch(struct device *device, struct device_source *source, uint32_t events)
{
	uint32_t before = source->events;
	int rc;

	if (events == before)
		return 0;
	if (!before)
		rc = loop_add(&device->loop, source->fd, LOOP_HOST + source->id, events);
	else if (events)
		rc = loop_modify(&device->loop, source->fd, LOOP_HOST + source->id, events);
	else
		rc = loop_remove(&device->loop, source->fd);
	if (!rc)
		source->events = events;
	return rc;
}

void device_config_changed(struct device *device)
{
	const struct vhost_user_msg change = {
		.hdr = { .request = VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
			 .flags = VHOST_USER_VERSION },
	};

	if (device->backend_channel < 0)
		return;
	/* A front-end that does not listen will not hear of later changes either. */
	if (vhost_user_send(device->backend_channel, &change)) {
		close(device->backend_channel);
		device->backend_channel = -1;
	}
}
