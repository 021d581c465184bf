/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A device process that ended is followed by another one, which goes on where it stopped.
 *
 *	process ends, answers wrongly, too late, or is stopped
 *	  -> it is killed and reaped, its connection closed     device_end_process()
 *	  -> its host side is opened again, where that is needed  device_host_open()
 *	  -> another process is started, in the same windows,
 *	     with the memory that the first one kept           devices_restart()
 *	  -> if a driver had begun: features, rings, eventfds    device_backend_begin()
 *
 * The vCPUs run meanwhile; kicks are counted by their eventfds. A device whose processes end too often
 * fails for good.
 */
#include "vmm/devices.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>

#include "vmm/events.h"
#include "vmm/log.h"

/* A process that was killed is gone at once, unless its disk does not let it go. */
#define KILL_TIMEOUT_MS 5000

/* A process that is silent for so long hangs; one whose disk is slow does not. */
#define SILENCE_LIMIT_MS 30000

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool may_restart(const struct device *device)
{
	return !device->is_foreign && device->report->failure[0] == '\0' &&
	       device->devices->restart_limit.crashes > 0;
}

/* Whether the process ended by itself, so that its end says more than the connection's. */
static bool hung_up(int error)
{
	return error == -ECONNRESET || error == -EPIPE || error == -ENOTCONN;
}

int device_lose(struct device *device, int error, const char *why)
{
	struct pollfd ended = { .fd = device->worker.pidfd, .events = POLLIN };

	if (!may_restart(device) || !device->loop) {
		device_note_failure(device, why);
		return -EIO;
	}
	vhost_frontend_close(&device->frontend);
	if (device->worker.pid <= 0)
		return 0;
	if (device->lost_why[0] == '\0' && !hung_up(error))
		snprintf(device->lost_why, sizeof(device->lost_why), "%s", why);
	kill(device->worker.pid, SIGKILL);
	/* Whoever called us goes on as if the rings were nobody's: now they are. */
	(void)poll(&ended, 1, KILL_TIMEOUT_MS);
	return 0;
}

/* What became of the process, for a line. */
static void describe_end(struct device *device, char *why, size_t size)
{
	siginfo_t info = { 0 };

	pthread_mutex_lock(&device->virtio.lock);
	snprintf(why, size, "%s", device->lost_why);
	pthread_mutex_unlock(&device->virtio.lock);
	if (why[0] != '\0')
		return;
	/* Only look: worker_end() reaps it. */
	if (waitid(P_PIDFD, (id_t)device->worker.pidfd, &info, WEXITED | WNOWAIT | WNOHANG) == 0)
		snprintf(why, size, "%s %d",
			 info.si_code == CLD_EXITED ? "exit status" : "killed by signal",
			 info.si_status);
	else
		snprintf(why, size, "ended");
}

/* Counts one more end at @now. Is it one too many? */
static bool ends_too_often(struct device *device, uint64_t now)
{
	const struct device_restart_limit *limit = &device->devices->restart_limit;
	struct device_ends *ends = &device->ends;
	uint64_t *oldest = &ends->at_ms[ends->count % limit->crashes];
	bool too_often = ends->count + 1 >= limit->crashes;

	*oldest = now;
	ends->count++;
	/* The slot that comes next has the first of the last @crashes ends. */
	return too_often &&
	       now - ends->at_ms[ends->count % limit->crashes] < 1000ull * limit->seconds;
}

/* Nothing of the process is left but its kept memory. */
static void end_process(struct device *device)
{
	int channel;

	main_loop_remove(device->loop, device->worker.pidfd);
	main_loop_remove(device->loop, device->worker.log);
	pthread_mutex_lock(&device->virtio.lock);
	channel = vhost_frontend_channel_fd(&device->frontend);
	if (channel >= 0)
		main_loop_remove(device->loop, channel);
	vhost_frontend_close(&device->frontend);
	vhost_frontend_close_channel(&device->frontend);
	worker_end(&device->worker, 0);
	device->lost_why[0] = '\0';
	pthread_mutex_unlock(&device->virtio.lock);
}

static void give_up(struct device *device, const char *why)
{
	pthread_mutex_lock(&device->virtio.lock);
	device_note_failure(device, why);
	pthread_mutex_unlock(&device->virtio.lock);
	device->devices->forget(device->devices->restart_opaque,
				(size_t)(device - device->devices->list));
	virtio_device_fail(&device->virtio);
}

static void note_restart(struct device *device, const char *why, uint64_t took_ms)
{
	struct report_device *report = device->report;

	report->restarts++;
	if (took_ms > report->longest_restart_ms)
		report->longest_restart_ms = took_ms;
	events_device(device->name, "restarted", why);
	log_limited(&device->log_limit, "%s: device process %s: restarted in %llu ms", device->name,
		    why, (unsigned long long)took_ms);
}

void device_handle_end(void *opaque, uint32_t events)
{
	struct device *device = opaque;
	struct devices *devices = device->devices;
	const uint64_t begin = now_ms();
	char why[REPORT_TEXT_MAX];

	(void)events;
	describe_end(device, why, sizeof(why));
	device_read_log(device, EPOLLIN);
	do {
		if (!may_restart(device) || ends_too_often(device, now_ms())) {
			main_loop_remove(device->loop, device->worker.pidfd);
			give_up(device, why);
			return;
		}
		end_process(device);
	} while (devices->restart(devices->restart_opaque, (size_t)(device - devices->list)));
	note_restart(device, why, now_ms() - begin);
	device_refresh(device, true);
}

int devices_restart(struct devices *devices, size_t index, const struct device_request *request)
{
	struct device *device = &devices->list[index];
	int ret;

	pthread_mutex_lock(&device->virtio.lock);
	ret = device_start_process(device, devices->exe_fd, request);
	if (!ret && device->virtio.started)
		ret = device_backend_begin(device, &device->virtio);
	if (!ret)
		ret = device_watch_process(device);
	pthread_mutex_unlock(&device->virtio.lock);
	return ret;
}

void devices_check_stopped(struct devices *devices)
{
	for (size_t i = 0; i < devices->count; i++) {
		struct device *device = &devices->list[i];
		siginfo_t info = { 0 };

		if (device->worker.pid <= 0 ||
		    waitid(P_PIDFD, (id_t)device->worker.pidfd, &info, WSTOPPED | WNOHANG) < 0 ||
		    info.si_pid == 0)
			continue;
		/* First: who waits for its answer has the lock. */
		kill(device->worker.pid, SIGKILL);
		pthread_mutex_lock(&device->virtio.lock);
		snprintf(device->lost_why, sizeof(device->lost_why), "stopped by signal %d",
			 info.si_status);
		pthread_mutex_unlock(&device->virtio.lock);
	}
}

void devices_check_alive(struct devices *devices)
{
	for (size_t i = 0; i < devices->count; i++) {
		struct device *device = &devices->list[i];
		int ret;

		if (!may_restart(device) || device->frontend.sock < 0)
			continue;
		/* Whoever has the lock is talking to it, with a deadline of its own. */
		if (pthread_mutex_trylock(&device->virtio.lock))
			continue;
		ret = vhost_frontend_ping(&device->frontend, now_ms(), SILENCE_LIMIT_MS);
		if (ret)
			(void)device_lose(device, ret, "answers nothing any more");
		pthread_mutex_unlock(&device->virtio.lock);
	}
}
