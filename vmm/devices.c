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

#include "vmm/log.h"
#include "vmm/virtio/confine.h"

/* How long a device process may take over one request of ours: a disk may have to finish one first.
 */
#define REQUEST_DEADLINE_MS 5000
/* The same while it starts: it is read from disk first, and the host may be busy. */
#define START_DEADLINE_MS 20000
/* How long it may take to end after its connection was closed. */
#define END_TIMEOUT_MS 500

/*
 * Features that a back-end may offer to the guest: those of its device type, and of the rings what
 * both our device processes and the transports know. Everything else is masked.
 */
#define DEVICE_TYPE_FEATURES 0xffffffull
#define RING_FEATURES	     ((1ull << 28) | (1ull << 29)) /* INDIRECT_DESC, EVENT_IDX */

struct device_kind {
	const char *name;
	uint32_t virtio_id;
	unsigned int nr_queues;
	uint16_t queue_max;
};

static const struct device_kind kinds[] = {
#define KIND(name, id, queues, queue_max) { #name, id, queues, queue_max },
	DEVICE_REGISTRY(KIND)
#undef KIND
};

static const struct device_kind *find_kind(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

/* The device process is of no more use: tell, once, and end it. With the virtio lock held. */
static void note_failure(struct device *device, const char *why)
{
	if (device->report->failure[0] != '\0')
		return;
	snprintf(device->report->failure, sizeof(device->report->failure), "%s", why);
	log_error("%s: device process failed: %s: device stopped", device->name, why);
	vhost_frontend_close(&device->frontend);
	if (device->worker.pid > 0)
		kill(device->worker.pid, SIGKILL);
}

static int backend_start(void *opaque, const struct virtio_device *virtio)
{
	struct device *device = opaque;
	int ret = vhost_frontend_set_features(&device->frontend, virtio->accepted);

	for (uint32_t i = 0; i < virtio->nr_queues && !ret; i++)
		if (virtio->queues[i].enabled)
			ret = vhost_frontend_start_queue(&device->frontend, i, &virtio->queues[i],
							 &device->queue_fds[i]);
	if (ret)
		note_failure(device, strerror(-ret));
	return ret;
}

static void backend_stop(void *opaque)
{
	struct device *device = opaque;
	eventfd_t complaints;
	int ret = 0;

	for (uint32_t i = 0; i < device->virtio.nr_queues && !ret; i++)
		if (device->virtio.queues[i].enabled)
			ret = vhost_frontend_stop_queue(&device->frontend, i);
	/* What the stopped rings complained of must not hit the ones after them. */
	(void)eventfd_read(device->err_fd, &complaints);
	if (ret)
		note_failure(device, ret == -ETIMEDOUT ? "missed its deadline for a reset"
						       : strerror(-ret));
}

static void backend_config_interrupt(void *opaque)
{
	struct device *device = opaque;

	(void)eventfd_write(device->call_fd, 1);
}

static const struct virtio_backend_ops backend_ops = {
	.start = backend_start,
	.stop = backend_stop,
	.config_interrupt = backend_config_interrupt,
};

static int create_eventfds(struct device *device)
{
	device->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	device->err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (device->call_fd < 0 || device->err_fd < 0)
		return -errno;
	for (unsigned int i = 0; i < device->kind->nr_queues; i++) {
		struct vhost_queue_fds *fds = &device->queue_fds[i];

		fds->call = device->call_fd;
		fds->err = device->err_fd;
		fds->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (fds->kick < 0)
			return -errno;
	}
	return 0;
}

static void close_eventfds(struct device *device)
{
	for (unsigned int i = 0; i < DEVICE_MAX_QUEUES; i++)
		if (device->queue_fds[i].kick >= 0)
			close(device->queue_fds[i].kick);
	if (device->call_fd >= 0)
		close(device->call_fd);
	if (device->err_fd >= 0)
		close(device->err_fd);
}

/* Connects to the started process and learns what it is. */
static int connect_device(struct device *device, const struct dma_window *windows,
			  size_t nr_windows)
{
	struct virtio_device *virtio = &device->virtio;
	int sock = device->worker.control;
	int ret;

	device->worker.control = -1; /* the front-end's from here on */
	ret = vhost_frontend_open(&device->frontend, sock, START_DEADLINE_MS, windows, nr_windows);
	if (!ret)
		ret = vhost_frontend_get_config(&device->frontend, virtio->config,
						virtio->config_len);
	if (!ret && !(device->frontend.features & VIRTIO_F_VERSION_1))
		ret = -ENOTSUP;
	device->frontend.deadline_ms = REQUEST_DEADLINE_MS;
	return ret;
}

/* What the process wrote to its stderr so far; its own words explain a failed start best. */
static void handle_log(void *opaque, uint32_t events);

static void describe(struct device *device, const struct device_request *request,
		     const struct dma_window *windows, size_t nr_windows,
		     const struct device_policy *policy)
{
	struct report_device *report = device->report;

	snprintf(report->name, sizeof(report->name), "%s", device->name);
	report->type = device->kind->name;
	report->transport = "mmio";
	report->mechanism = policy->restricted ? "device-tree" : "none";
	report->policy = "none";
	if (policy->restricted)
		report->policy = policy->policy == CONFIG_POLICY_REQUIRE ? "require" : "hope";
	report->sandbox = request->sandbox ? "full" : "off";
	for (size_t i = 0; i < nr_windows && i < REPORT_MAX_WINDOWS; i++)
		report->windows[report->nr_windows++] = windows[i].range;
}

static unsigned int count_kind(const struct devices *devices, const struct device_kind *kind)
{
	unsigned int n = 0;

	for (size_t i = 0; i < devices->count; i++)
		n += devices->list[i].kind == kind;
	return n;
}

int devices_start(struct devices *devices, const struct device_request *request,
		  const struct dma_window *windows, size_t nr_windows,
		  const struct device_policy *policy)
{
	struct device *device = &devices->list[devices->count];
	struct virtio_device *virtio = &device->virtio;
	struct worker_request worker_request = {
		.name = device->name,
		.kind = request->kind,
		.backend_fd = request->backend_fd,
		.sandbox = request->sandbox,
	};
	int ret;

	*device = (struct device){
		.kind = find_kind(request->kind),
		.worker = { .pidfd = -1, .control = -1, .log = -1 },
		.frontend = { .sock = -1 },
		.call_fd = -1,
		.err_fd = -1,
		.report = &devices->reports[devices->count],
	};
	for (size_t i = 0; i < DEVICE_MAX_QUEUES; i++)
		device->queue_fds[i].kick = -1;
	snprintf(device->name, sizeof(device->name), "%s%u", device->kind->name,
		 count_kind(devices, device->kind));
	memcpy(worker_request.args, request->args, sizeof(worker_request.args));
	describe(device, request, windows, nr_windows, policy);
	devices->count++;

	virtio->name = device->name;
	virtio->id = device->kind->virtio_id;
	virtio->nr_queues = device->kind->nr_queues;
	virtio->queue_max = device->kind->queue_max;
	virtio->config_len = sizeof(virtio->config); /* zeroes behind what the device has */
	virtio->report = device->report;
	virtio->backend = &backend_ops;
	virtio->backend_opaque = device;
	virtio_device_init(virtio);

	ret = create_eventfds(device);
	if (!ret)
		ret = worker_start(&device->worker, devices->exe_fd, &worker_request);
	if (ret)
		return ret;
	ret = connect_device(device, windows, nr_windows);
	if (ret) {
		handle_log(device, EPOLLIN);
		log_error("%s: device process: did not start: %s", device->name, strerror(-ret));
		return ret;
	}
	virtio->offered = device->frontend.features &
			  (DEVICE_TYPE_FEATURES | RING_FEATURES | VIRTIO_F_VERSION_1);
	virtio->required = VIRTIO_F_VERSION_1;
	if (policy->restricted) {
		/* Without it Linux would not use the DMA API, and so not the pool
		 * (virtio 1.3, 6.1). */
		virtio->offered |= VIRTIO_F_ACCESS_PLATFORM;
		if (policy->policy == CONFIG_POLICY_REQUIRE)
			virtio->required |= VIRTIO_F_ACCESS_PLATFORM;
	}
	device->report->features_offered = virtio->offered;
	log_info("%s: process %d, DMA window %#llx+%#llx%s", device->name, (int)device->worker.pid,
		 (unsigned long long)windows[0].range.base,
		 (unsigned long long)windows[0].range.size, nr_windows > 1 ? ", ..." : "");
	return 0;
}

static int attach_device(struct device *device, const struct machine_virtio *place,
			 const struct vm *vm, struct bus *mmio, int ack_fd)
{
	const struct bus_region region = {
		.base = place->window.base,
		.size = place->window.size,
		.name = device->name,
		.handler = virtio_mmio_access,
		.opaque = &device->mmio,
	};
	int ret = bus_add(mmio, &region);

	device->mmio.device = &device->virtio;
	for (unsigned int i = 0; i < device->kind->nr_queues && ret >= 0; i++)
		ret = vm_add_ioeventfd(vm, place->window.base + VIRTIO_MMIO_QUEUE_NOTIFY, i,
				       device->queue_fds[i].kick);
	/*
	 * To acknowledge a used buffer changes nothing (vmm/virtio/mmio.c has no state for it): it need
	 * not leave the kernel either.
	 */
	if (ret >= 0)
		ret = vm_add_ioeventfd(vm, place->window.base + VIRTIO_MMIO_INTERRUPT_ACK,
				       VIRTIO_MMIO_INTERRUPT_USED_BUFFER, ack_fd);
	if (ret >= 0)
		ret = vm_add_irqfd(vm, place->irq, device->call_fd);
	return ret < 0 ? ret : 0;
}

int devices_attach(struct devices *devices, const struct machine *machine, const struct vm *vm,
		   struct bus *mmio)
{
	int ret = 0;

	devices->ack_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (devices->ack_fd < 0) {
		log_error("eventfd: %s", strerror(errno));
		return -errno;
	}
	for (size_t i = 0; i < devices->count && !ret; i++)
		ret = attach_device(&devices->list[i], &machine->virtio[i], vm, mmio,
				    devices->ack_fd);
	return ret;
}

/* Takes the device's own account, and tells of the violations that are new in it. Lock held. */
static void collect_report(struct device *device)
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

/* The device process found a ring unusable or an address outside its windows. */
static void handle_error(void *opaque, uint32_t events)
{
	struct device *device = opaque;
	uint32_t told = device->violations_told;
	eventfd_t count;

	(void)events;
	if (eventfd_read(device->err_fd, &count) < 0)
		return;
	pthread_mutex_lock(&device->virtio.lock);
	collect_report(device);
	if (device->violations_told == told)
		log_limited(&device->log_limit, "%s: the driver's ring is unusable: device stopped",
			    device->name);
	pthread_mutex_unlock(&device->virtio.lock);
	virtio_device_fail(&device->virtio);
}

static void handle_death(void *opaque, uint32_t events)
{
	struct device *device = opaque;
	siginfo_t info = { 0 };
	char why[64] = "ended";

	(void)events;
	main_loop_remove(device->loop, device->worker.pidfd);
	/* Only look: worker_end() reaps it. */
	if (waitid(P_PIDFD, (id_t)device->worker.pidfd, &info, WEXITED | WNOWAIT | WNOHANG) == 0)
		snprintf(why, sizeof(why), "%s %d",
			 info.si_code == CLD_EXITED ? "exit status" : "killed by signal",
			 info.si_status);
	handle_log(device, EPOLLIN);
	pthread_mutex_lock(&device->virtio.lock);
	note_failure(device, why);
	pthread_mutex_unlock(&device->virtio.lock);
	virtio_device_fail(&device->virtio);
}

static void handle_log(void *opaque, uint32_t events)
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

int devices_watch(struct devices *devices, struct main_loop *loop)
{
	int ret = 0;

	for (size_t i = 0; i < devices->count && !ret; i++) {
		struct device *device = &devices->list[i];

		device->loop = loop;
		ret = main_loop_add(loop, device->worker.log, EPOLLIN, handle_log, device);
		if (!ret)
			ret = main_loop_add(loop, device->err_fd, EPOLLIN, handle_error, device);
		if (!ret)
			ret = main_loop_add(loop, device->worker.pidfd, EPOLLIN, handle_death,
					    device);
		if (ret)
			log_error("%s: event loop: %s", device->name, strerror(-ret));
	}
	return ret;
}

void devices_end(struct devices *devices)
{
	for (size_t i = 0; i < devices->count; i++) {
		struct device *device = &devices->list[i];

		collect_report(device);
		virtio_device_stop(&device->virtio);
		vhost_frontend_close(&device->frontend);
	}
	for (size_t i = 0; i < devices->count; i++) {
		struct device *device = &devices->list[i];

		worker_end(&device->worker, END_TIMEOUT_MS);
		close_eventfds(device);
		virtio_device_destroy(&device->virtio);
	}
	if (devices->ack_fd >= 0)
		close(devices->ack_fd);
}
