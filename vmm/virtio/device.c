/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/virtio/device.h"

#include <stdio.h>
#include <string.h>

#include "vmm/events.h"
#include "vmm/virtio/confine.h"

void virtio_device_init(struct virtio_device *device)
{
	pthread_mutex_init(&device->lock, NULL);
	device->dma_allowed = true;
}

void virtio_device_destroy(struct virtio_device *device)
{
	pthread_mutex_destroy(&device->lock);
}

uint8_t virtio_device_status(struct virtio_device *device)
{
	uint8_t status;

	pthread_mutex_lock(&device->lock);
	status = device->status;
	pthread_mutex_unlock(&device->lock);
	return status;
}

static void stop_backend(struct virtio_device *device)
{
	if (device->started)
		device->backend->stop(device->backend_opaque);
	device->started = false;
}

void virtio_device_stop(struct virtio_device *device)
{
	pthread_mutex_lock(&device->lock);
	stop_backend(device);
	pthread_mutex_unlock(&device->lock);
}

static void reset(struct virtio_device *device)
{
	if (device->status & VIRTIO_STATUS_DRIVER_OK) {
		device->report->resets++;
		events_device(device->name, "reset", NULL);
	}
	stop_backend(device);
	device->status = 0;
	device->accepted = 0;
	device->config_changed = false;
	memset(device->queues, 0, sizeof(device->queues));
}

/* Before DRIVER_OK a driver expects no interrupt (virtio 1.3, 3.1): it reads everything anyway. */
static void note_config_change(struct virtio_device *device)
{
	device->config_generation++;
	if (!(device->status & VIRTIO_STATUS_DRIVER_OK))
		return;
	device->config_changed = true;
	device->backend->config_interrupt(device->backend_opaque);
}

/* With the lock held; see virtio_device_fail(). */
static void fail(struct virtio_device *device)
{
	stop_backend(device);
	if (!(device->status & VIRTIO_STATUS_DRIVER_OK) ||
	    (device->status & VIRTIO_STATUS_NEEDS_RESET))
		return;
	device->status |= VIRTIO_STATUS_NEEDS_RESET;
	events_device(device->name, "needs-reset", NULL);
	note_config_change(device);
}

void virtio_device_fail(struct virtio_device *device)
{
	pthread_mutex_lock(&device->lock);
	fail(device);
	pthread_mutex_unlock(&device->lock);
}

/* FEATURES_OK: virtio 1.3, 3.1.1 step 5 and 6.2. */
static bool agree_features(struct virtio_device *device)
{
	if (!confine_features(device))
		return false;
	device->report->features_negotiated = device->accepted;
	return true;
}

static bool may_do_dma(struct virtio_device *device)
{
	if (!device->dma_allowed)
		log_limited(&device->log_limit, "%s: bus mastering is off: device stopped",
			    device->name);
	return device->dma_allowed;
}

void virtio_device_allow_dma(struct virtio_device *device, bool allowed)
{
	pthread_mutex_lock(&device->lock);
	device->dma_allowed = allowed;
	if (device->started && !may_do_dma(device))
		fail(device);
	pthread_mutex_unlock(&device->lock);
}

void virtio_device_move_window(struct virtio_device *device, uint64_t base)
{
	pthread_mutex_lock(&device->lock);
	device->report->windows[0].base = base;
	pthread_mutex_unlock(&device->lock);
}

/* DRIVER_OK. The status bit is set in any case: a device that cannot start tells so by NEEDS_RESET.
 */
static bool start(struct virtio_device *device)
{
	int ret;

	device->status |= VIRTIO_STATUS_DRIVER_OK;
	device->report->driven = true;
	if (!may_do_dma(device) || !confine_rings(device)) {
		fail(device);
		return true;
	}
	ret = device->backend->start(device->backend_opaque, device);
	if (ret) {
		log_limited(&device->log_limit, "%s: start: %s", device->name, strerror(-ret));
		/* Half-started rings must not outlive the attempt. */
		device->started = true;
		fail(device);
		return true;
	}
	device->started = true;
	events_device(device->name, "driver-ok", NULL);
	return true;
}

/*
 * The steps a driver may take; every other write of the status register is ignored. The first two,
 * at which nothing is decided, may be one: SeaBIOS writes them so. Virtio 1.3, 3.1.1, has an order of
 * steps, not of writes; but FEATURES_OK must be read back before DRIVER_OK, which so stays a step.
 */
static const struct {
	uint8_t from;
	uint8_t add;
	bool (*enter)(struct virtio_device *device); /* NULL: nothing to decide */
} transitions[] = {
	{ 0, VIRTIO_STATUS_ACKNOWLEDGE, NULL },
	{ VIRTIO_STATUS_ACKNOWLEDGE, VIRTIO_STATUS_DRIVER, NULL },
	{ 0, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER, NULL },
	{ VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER, VIRTIO_STATUS_FEATURES_OK,
	  agree_features },
	{ VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK,
	  VIRTIO_STATUS_DRIVER_OK, start },
};

static void advance(struct virtio_device *device, uint8_t status)
{
	for (size_t i = 0; i < sizeof(transitions) / sizeof(transitions[0]); i++) {
		if (device->status != transitions[i].from ||
		    status != (transitions[i].from | transitions[i].add))
			continue;
		if (!transitions[i].enter || transitions[i].enter(device))
			device->status |= transitions[i].add;
		return;
	}
}

void virtio_device_write_status(struct virtio_device *device, uint8_t status)
{
	pthread_mutex_lock(&device->lock);
	if (status == 0) {
		reset(device);
	} else if (status & VIRTIO_STATUS_FAILED) {
		/* The driver gave up; only a reset leads on from here. */
		stop_backend(device);
		device->status |= VIRTIO_STATUS_FAILED;
	} else {
		advance(device, status);
	}
	pthread_mutex_unlock(&device->lock);
}

uint32_t virtio_device_features(struct virtio_device *device, uint32_t select)
{
	return select > 1 ? 0 : (uint32_t)(device->offered >> (32 * select));
}

void virtio_device_accept_features(struct virtio_device *device, uint32_t select, uint32_t value)
{
	if (select > 1)
		return;
	pthread_mutex_lock(&device->lock);
	if (!(device->status & VIRTIO_STATUS_FEATURES_OK)) {
		device->accepted &= ~(0xffffffffull << (32 * select));
		device->accepted |= (uint64_t)value << (32 * select);
	}
	pthread_mutex_unlock(&device->lock);
}

uint32_t virtio_device_accepted_features(struct virtio_device *device, uint32_t select)
{
	uint32_t accepted;

	if (select > 1)
		return 0;
	pthread_mutex_lock(&device->lock);
	accepted = (uint32_t)(device->accepted >> (32 * select));
	pthread_mutex_unlock(&device->lock);
	return accepted;
}

/* Locks the device and returns the queue if the driver may change it now, else NULL, unlocked. */
static struct virtio_queue *lock_configurable(struct virtio_device *device, uint32_t queue)
{
	if (queue >= device->nr_queues)
		return NULL;
	pthread_mutex_lock(&device->lock);
	if (!device->queues[queue].enabled && !(device->status & VIRTIO_STATUS_DRIVER_OK))
		return &device->queues[queue];
	pthread_mutex_unlock(&device->lock);
	return NULL;
}

uint16_t virtio_device_queue_max(struct virtio_device *device, uint32_t queue)
{
	return queue < device->nr_queues ? device->queue_max : 0;
}

uint16_t virtio_device_queue_size(struct virtio_device *device, uint32_t queue)
{
	uint16_t size;

	if (queue >= device->nr_queues)
		return 0;
	pthread_mutex_lock(&device->lock);
	size = device->queues[queue].size;
	pthread_mutex_unlock(&device->lock);
	return size > 0 ? size : device->queue_max;
}

void virtio_device_set_queue_size(struct virtio_device *device, uint32_t queue, uint32_t size)
{
	struct virtio_queue *vq = lock_configurable(device, queue);

	if (!vq)
		return;
	/* A power of two (virtio 1.3, 2.7), no larger than offered. */
	if (size > 0 && size <= device->queue_max && (size & (size - 1)) == 0)
		vq->size = (uint16_t)size;
	pthread_mutex_unlock(&device->lock);
}

void virtio_device_set_queue_addr(struct virtio_device *device, uint32_t queue,
				  enum virtio_ring_part part, bool high, uint32_t value)
{
	struct virtio_queue *vq = lock_configurable(device, queue);
	unsigned int shift = high ? 32 : 0;

	if (!vq)
		return;
	vq->addr[part] &= ~(0xffffffffull << shift);
	vq->addr[part] |= (uint64_t)value << shift;
	pthread_mutex_unlock(&device->lock);
}

uint32_t virtio_device_queue_addr(struct virtio_device *device, uint32_t queue,
				  enum virtio_ring_part part, bool high)
{
	uint64_t addr;

	if (queue >= device->nr_queues)
		return 0;
	pthread_mutex_lock(&device->lock);
	addr = device->queues[queue].addr[part];
	pthread_mutex_unlock(&device->lock);
	return (uint32_t)(high ? addr >> 32 : addr);
}

void virtio_device_enable_queue(struct virtio_device *device, uint32_t queue)
{
	struct virtio_queue *vq = lock_configurable(device, queue);

	if (!vq)
		return;
	/* A queue without a size was never configured. */
	if (vq->size > 0)
		vq->enabled = true;
	pthread_mutex_unlock(&device->lock);
}

void virtio_device_disable_queue(struct virtio_device *device, uint32_t queue)
{
	if (queue >= device->nr_queues)
		return;
	pthread_mutex_lock(&device->lock);
	if (!(device->status & VIRTIO_STATUS_DRIVER_OK))
		device->queues[queue].enabled = false;
	pthread_mutex_unlock(&device->lock);
}

bool virtio_device_queue_enabled(struct virtio_device *device, uint32_t queue)
{
	bool enabled;

	if (queue >= device->nr_queues)
		return false;
	pthread_mutex_lock(&device->lock);
	enabled = device->queues[queue].enabled;
	pthread_mutex_unlock(&device->lock);
	return enabled;
}

uint64_t virtio_device_read_config(struct virtio_device *device, uint64_t offset, unsigned int size)
{
	uint64_t value = 0;

	pthread_mutex_lock(&device->lock);
	if (size <= sizeof(value) && offset <= device->config_len &&
	    size <= device->config_len - offset)
		memcpy(&value, device->config + offset, size);
	pthread_mutex_unlock(&device->lock);
	return value;
}

void virtio_device_change_config(struct virtio_device *device, const void *config, size_t len)
{
	pthread_mutex_lock(&device->lock);
	if (len == device->config_len && memcmp(device->config, config, len) != 0) {
		memcpy(device->config, config, len);
		note_config_change(device);
	}
	pthread_mutex_unlock(&device->lock);
}

uint32_t virtio_device_config_generation(struct virtio_device *device)
{
	uint32_t generation;

	pthread_mutex_lock(&device->lock);
	generation = device->config_generation;
	pthread_mutex_unlock(&device->lock);
	return generation;
}

bool virtio_device_config_changed(struct virtio_device *device)
{
	bool changed;

	pthread_mutex_lock(&device->lock);
	changed = device->config_changed;
	pthread_mutex_unlock(&device->lock);
	return changed;
}

void virtio_device_ack_config(struct virtio_device *device)
{
	pthread_mutex_lock(&device->lock);
	device->config_changed = false;
	pthread_mutex_unlock(&device->lock);
}
