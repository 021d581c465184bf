/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/devices.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/events.h"
#include "vmm/log.h"
#include "vmm/virtio/confine.h"

/* How long a process may take to end after its connection was closed. */
#define END_TIMEOUT_MS 500

void device_note_failure(struct device *device, const char *why)
{
	if (device->report->failure[0] != '\0')
		return;
	snprintf(device->report->failure, sizeof(device->report->failure), "%s", why);
	log_error("%s: %s failed: %s: device stopped", device->name,
		  device->is_foreign ? "back-end" : "device process", why);
	events_device(device->name, "failed", why);
	vhost_frontend_close(&device->frontend);
	if (device->worker.pid > 0)
		kill(device->worker.pid, SIGKILL);
}

/* Where a BAR is now that holds the pool; told only if it is somewhere else than before. */
static int move_window(struct device *device)
{
	uint64_t base = device->report->windows[0].base;

	if (device->windows[0].range.base == base)
		return 0;
	device->windows[0].range.base = base;
	return vhost_frontend_set_windows(&device->frontend, device->windows, device->nr_windows);
}

static int start_queue(struct device *device, uint32_t index, const struct virtio_queue *queue)
{
	const struct vhost_queue_fds fds = {
		.kick = device->fds.kick[index],
		.call = device->fds.call[index],
		.err = device->err_fd,
	};

	return vhost_frontend_start_queue(&device->frontend, index, queue, &fds);
}

int device_backend_begin(struct device *device, const struct virtio_device *virtio)
{
	int ret;

	vhost_frontend_begin_step(&device->frontend);
	ret = move_window(device);
	if (!ret && device->begun)
		ret = vhost_frontend_resume(&device->frontend, virtio->accepted);
	else if (!ret)
		ret = vhost_frontend_set_features(&device->frontend, virtio->accepted);
	/* From here on a successor must go on: the first queue may have done something already. */
	if (!ret)
		device->begun = true;
	for (uint32_t i = 0; i < virtio->nr_queues && !ret; i++)
		if (virtio->queues[i].enabled)
			ret = start_queue(device, i, &virtio->queues[i]);
	vhost_frontend_end_step(&device->frontend);
	device_expect_error(device);
	return ret;
}

static int backend_start(void *opaque, const struct virtio_device *virtio)
{
	struct device *device = opaque;
	int ret = device_backend_begin(device, virtio);

	return ret ? device_lose(device, ret, strerror(-ret)) : 0;
}

static void backend_stop(void *opaque)
{
	struct device *device = opaque;
	eventfd_t complaints;
	int ret = 0;

	vhost_frontend_begin_step(&device->frontend);
	for (uint32_t i = 0; i < device->virtio.nr_queues && !ret; i++)
		if (device->virtio.queues[i].enabled)
			ret = vhost_frontend_stop_queue(&device->frontend, i);
	vhost_frontend_end_step(&device->frontend);
	/* What the stopped rings complained of must not hit the ones after them. */
	(void)eventfd_read(device->err_fd, &complaints);
	device->begun = false;
	if (ret)
		(void)device_lose(device, ret,
				  ret == -ETIMEDOUT ? "missed its deadline for a reset"
						    : strerror(-ret));
}

static void backend_config_interrupt(void *opaque)
{
	struct device *device = opaque;

	(void)eventfd_write(device->fds.config, 1);
}

const struct virtio_backend_ops device_backend_ops = {
	.start = backend_start,
	.stop = backend_stop,
	.config_interrupt = backend_config_interrupt,
};

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void close_eventfds(struct device *device)
{
	for (unsigned int i = 0; i < DEVICE_MAX_QUEUES; i++) {
		close_fd(device->fds.kick[i]);
		close_fd(device->fds.call[i]);
	}
	close_fd(device->fds.config);
	close_fd(device->err_fd);
}

static void memory_moved(void *opaque, int index, uint64_t gpa)
{
	struct devices *devices = opaque;

	/* Offsets stay what they are, wherever the BAR is. */
	for (size_t i = 0; i < devices->count; i++)
		if (devices->context.machine->virtio[i].device_memory == index &&
		    devices->list[i].virtio.mechanism != MECHANISM_DMB)
			virtio_device_move_window(&devices->list[i].virtio, gpa);
}

/* What device @index tells its driver of the pool; see docs/minivmm.1 about groups. */
static struct virtio_pci_pool pool_of(const struct devices *devices, size_t index,
				      const struct device_policy *policy)
{
	const struct machine *machine = devices->context.machine;
	const struct machine_virtio *place = &machine->virtio[index];
	struct virtio_pci_pool pool = {
		.mechanism = policy->mechanism,
		.proposal = policy->proposal,
		.place = policy->place,
		.group = policy->group,
	};

	/* With a group the first device has the range, the others its name. */
	if (policy->group && index > 0)
		return pool;
	if (place->device_memory != MACHINE_NO_POOL)
		pool.range = machine->device_memory[place->device_memory];
	else if (place->pool != MACHINE_NO_POOL)
		pool.range = machine->pools[place->pool];
	return pool;
}

int devices_attach(struct devices *devices, const struct transport_context *context,
		   const struct device_policy *policy)
{
	int ret = 0;

	devices->ack_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (devices->ack_fd < 0) {
		ret = -errno;
		log_error("eventfd: %s", strerror(-ret));
		return ret;
	}
	devices->context = *context;
	devices->context.ack_fd = devices->ack_fd;
	devices->context.memory_moved = memory_moved;
	devices->context.opaque = devices;
	for (size_t i = 0; i < devices->count && !ret; i++) {
		struct device *device = &devices->list[i];
		const struct virtio_pci_pool pool = pool_of(devices, i, policy);

		ret = transport_attach(&device->transport, &devices->context,
				       &context->machine->virtio[i], &device->virtio, &device->fds,
				       &pool);
	}
	return ret;
}

void devices_end(struct devices *devices)
{
	for (size_t i = 0; i < devices->count; i++) {
		struct device *device = &devices->list[i];

		device_collect_report(device);
		virtio_device_stop(&device->virtio);
		vhost_frontend_close(&device->frontend);
	}
	for (size_t i = 0; i < devices->count; i++) {
		struct device *device = &devices->list[i];

		transport_detach(&device->transport);
		worker_end(&device->worker, END_TIMEOUT_MS);
		/* One that never started offers nothing. */
		if (device->report->features_offered != 0 && device->report->failure[0] == '\0')
			events_device(device->name, "ended", NULL);
		vhost_frontend_close_channel(&device->frontend);
		close_fd(device->hangup_fd);
		close_fd(device->kept_fd);
		close_eventfds(device);
		virtio_device_destroy(&device->virtio);
	}
	close_fd(devices->ack_fd);
	close_fd(devices->exe_fd);
}
