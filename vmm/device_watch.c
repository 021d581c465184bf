/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a back-end lets us know while the guest runs: log lines, errors, its configuration, its death. */
#include "vmm/devices.h"

#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/log.h"
#include "vmm/virtio/confine.h"

void device_collect_report(struct device *device)
{
	struct report_device *report = device->report;

	report->counters_valid =
		vhost_frontend_get_report(&device->frontend, &report->counters) == 0;
	if (!report->counters_valid)
		return;
	for (; device->violations_told < report->counters.nr_violations; device->violations_told++)
		confine_report_violation(&device->virtio,
					 &report->counters.violations[device->violations_told]);
}

void device_expect_error(const struct device *device)
{
	if (device->loop)
		(void)main_loop_arm(device->loop, device->err_fd, EPOLLIN, device->err_token);
}

/*
 * How long the main loop waits for an answer to what a back-end has said unasked. One that has just
 * spoken has nothing else to do, and meanwhile nobody hears a signal or the console.
 */
#define UNASKED_DEADLINE_MS 1000

/* Returns the deadline that unlock_device() puts back. */
static int lock_device(struct device *device, bool unasked)
{
	int deadline_ms;

	pthread_mutex_lock(&device->virtio.lock);
	deadline_ms = device->frontend.deadline_ms;
	if (unasked)
		device->frontend.deadline_ms = UNASKED_DEADLINE_MS;
	return deadline_ms;
}

static void unlock_device(struct device *device, int deadline_ms)
{
	device->frontend.deadline_ms = deadline_ms;
	pthread_mutex_unlock(&device->virtio.lock);
}

/* The device process found a ring unusable or an address outside its windows. */
static void handle_error(void *opaque, uint32_t events)
{
	struct device *device = opaque;
	uint32_t told = device->violations_told;
	eventfd_t count;
	int deadline_ms;

	(void)events;
	if (eventfd_read(device->err_fd, &count) < 0)
		return;
	deadline_ms = lock_device(device, true);
	device_collect_report(device);
	if (device->violations_told == told)
		log_limited(&device->log_limit, "%s: %s: device stopped", device->name,
			    device->report->evil ? "the evil device asks for a reset"
						 : "the driver's ring is unusable");
	unlock_device(device, deadline_ms);
	virtio_device_fail(&device->virtio);
}

void device_read_log(void *opaque, uint32_t events)
{
	struct device *device = opaque;
	char data[DEVICE_LOG_LINE_MAX];
	ssize_t n = read(device->worker.log, data, sizeof(data));

	(void)events;
	if (n <= 0) {
		if (device->loop && (n == 0 || errno != EAGAIN))
			main_loop_remove(device->loop, device->worker.log);
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (data[i] != '\n' && device->log_len < sizeof(device->log_line) - 1) {
			device->log_line[device->log_len++] = data[i];
			continue;
		}
		device->log_line[device->log_len] = '\0';
		log_limited(&device->log_limit, "%s: %s", device->name, device->log_line);
		device->log_len = 0;
	}
}

/* A foreign back-end has closed its socket. */
static void handle_hangup(void *opaque, uint32_t events)
{
	struct device *device = opaque;

	(void)events;
	main_loop_remove(device->loop, device->hangup_fd);
	pthread_mutex_lock(&device->virtio.lock);
	device_note_failure(device, "closed its connection");
	pthread_mutex_unlock(&device->virtio.lock);
	virtio_device_fail(&device->virtio);
}

void device_refresh(struct device *device, bool unasked)
{
	uint8_t config[VHOST_USER_MAX_CONFIG];
	int deadline_ms = lock_device(device, unasked);
	int ret = device_read_config(device, config);

	unlock_device(device, deadline_ms);
	/* One that is gone is told of by other ways. */
	if (!ret)
		virtio_device_change_config(&device->virtio, config, sizeof(config));
}

void devices_refresh(struct devices *devices)
{
	for (size_t i = 0; i < devices->count; i++)
		device_refresh(&devices->list[i], false);
}

void devices_resize_console(struct devices *devices, uint16_t columns, uint16_t rows)
{
	/* virtio 1.3, 5.3.4: the first two fields. */
	const uint16_t size[] = { htole16(columns), htole16(rows) };

	for (size_t i = 0; i < devices->count; i++) {
		struct device *device = &devices->list[i];

		if (device->is_foreign || strcmp(device->type, "console") != 0)
			continue;
		pthread_mutex_lock(&device->virtio.lock);
		(void)vhost_frontend_set_config(&device->frontend, 0, size, sizeof(size));
		pthread_mutex_unlock(&device->virtio.lock);
		device_refresh(device, false);
	}
}

/* The back-end says something that it was not asked. */
static void handle_channel(void *opaque, uint32_t events)
{
	struct device *device = opaque;
	int ret;

	(void)events;
	pthread_mutex_lock(&device->virtio.lock);
	ret = vhost_frontend_read_channel(&device->frontend);
	if (ret < 0) {
		main_loop_remove(device->loop, vhost_frontend_channel_fd(&device->frontend));
		vhost_frontend_close_channel(&device->frontend);
	}
	pthread_mutex_unlock(&device->virtio.lock);
	if (ret > 0)
		device_refresh(device, true);
}

static int watch_channel(struct device *device)
{
	int channel = vhost_frontend_channel_fd(&device->frontend);

	return channel < 0 ? 0
			   : main_loop_add(device->loop, channel, EPOLLIN, handle_channel, device);
}

int device_watch_process(struct device *device)
{
	int ret = watch_channel(device);

	if (!ret)
		ret = main_loop_add(device->loop, device->worker.log, EPOLLIN, device_read_log,
				    device);
	if (!ret)
		ret = main_loop_add(device->loop, device->worker.pidfd, EPOLLIN, device_handle_end,
				    device);
	return ret;
}

static int watch_device(struct device *device, struct main_loop *loop)
{
	int ret = main_loop_add_once(loop, device->err_fd, EPOLLIN, handle_error, device,
				     &device->err_token);

	device->loop = loop;
	if (!ret && !device->is_foreign)
		return device_watch_process(device);
	if (!ret)
		ret = watch_channel(device);
	if (!ret)
		ret = main_loop_add(loop, device->hangup_fd, EPOLLRDHUP, handle_hangup, device);
	return ret;
}

int devices_watch(struct devices *devices, struct main_loop *loop)
{
	int ret = 0;

	for (size_t i = 0; i < devices->count && !ret; i++) {
		ret = watch_device(&devices->list[i], loop);
		if (ret)
			log_error("%s: event loop: %s", devices->list[i].name, strerror(-ret));
	}
	return ret;
}
