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

void device_note_failure(struct device *device, const char *why)
{
	if (device->report->failure[0] != '\0')
		return;
	snprintf(device->report->failure, sizeof(device->report->failure), "%s", why);
	log_error("%s: device process failed: %s: device stopped", device->name, why);
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

static int backend_start(void *opaque, const struct virtio_device *virtio)
{
	struct device *device = opaque;
	int ret = move_window(device);

	if (!ret)
		ret = vhost_frontend_set_features(&device->frontend, virtio->accepted);
	for (uint32_t i = 0; i < virtio->nr_queues && !ret; i++)
		if (virtio->queues[i].enabled)
			ret = start_queue(device, i, &virtio->queues[i]);
	if (ret)
		device_note_failure(device, strerror(-ret));
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
		device_note_failure(device, ret == -ETIMEDOUT ? "missed its deadline for a reset"
							      : strerror(-ret));
}

static void backend_config_interrupt(void *opaque)
{
	struct device *device = opaque;

	(void)eventfd_write(device->fds.config, 1);
}

static const struct virtio_backend_ops backend_ops = {
	.start = backend_start,
	.stop = backend_stop,
	.config_interrupt = backend_config_interrupt,
};

static int create_eventfd(int *fd)
{
	*fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return *fd < 0 ? -errno : 0;
}

static int create_eventfds(struct device *device)
{
	int ret = create_eventfd(&device->fds.config);

	if (!ret)
		ret = create_eventfd(&device->err_fd);
	for (unsigned int i = 0; i < device->kind->nr_queues && !ret; i++) {
		ret = create_eventfd(&device->fds.kick[i]);
		if (!ret)
			ret = create_eventfd(&device->fds.call[i]);
	}
	return ret;
}

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

/* Connects to the started process and learns what it is. */
static int connect_device(struct device *device)
{
	struct virtio_device *virtio = &device->virtio;
	int sock = device->worker.control;
	int ret;

	device->worker.control = -1; /* the front-end's from here on */
	ret = vhost_frontend_open(&device->frontend, sock, START_DEADLINE_MS, device->windows,
				  device->nr_windows);
	if (!ret)
		ret = vhost_frontend_get_config(&device->frontend, virtio->config,
						virtio->config_len);
	if (!ret && !(device->frontend.features & VIRTIO_F_VERSION_1))
		ret = -ENOTSUP;
	device->frontend.deadline_ms = REQUEST_DEADLINE_MS;
	return ret;
}

static void describe(struct device *device, const struct device_request *request,
		     const struct device_policy *policy)
{
	struct report_device *report = device->report;

	snprintf(report->name, sizeof(report->name), "%s", device->name);
	report->type = device->kind->name;
	report->transport = transport_name(request->transport);
	report->mechanism = mechanism_name(policy->mechanism);
	report->proposed_feature =
		mechanism_features(policy->mechanism, policy->proposal) & ~VIRTIO_F_ACCESS_PLATFORM;
	report->proposed_name = policy->mechanism == MECHANISM_DMB ? "F_DMB" : "F_SWIOTLB";
	report->place = "none";
	report->policy = "none";
	if (policy->mechanism != MECHANISM_NONE) {
		report->place = policy->place == POOL_IN_BAR ? "bar" : "memory";
		report->policy = policy->policy == CONFIG_POLICY_REQUIRE ? "require" : "hope";
	}
	report->sandbox = request->sandbox ? "full" : "off";
	for (size_t i = 0; i < device->nr_windows; i++)
		report->windows[report->nr_windows++] = device->windows[i].range;
}

static unsigned int count_kind(const struct devices *devices, const struct device_kind *kind)
{
	unsigned int n = 0;

	for (size_t i = 0; i < devices->count; i++)
		n += devices->list[i].kind == kind;
	return n;
}

/* Of what the back-end offers, what the guest is to be offered, and what it has to accept. */
static void offer_features(struct device *device, const struct device_policy *policy)
{
	struct virtio_device *virtio = &device->virtio;

	virtio->offered = device->frontend.features &
			  (DEVICE_TYPE_FEATURES | RING_FEATURES | VIRTIO_F_VERSION_1);
	virtio->offered |= mechanism_features(policy->mechanism, policy->proposal);
	virtio->required = VIRTIO_F_VERSION_1;
	if (policy->policy == CONFIG_POLICY_REQUIRE)
		virtio->required |= mechanism_promise(policy->mechanism, policy->proposal);
	virtio->mechanism = policy->mechanism;
	virtio->proposal = *policy->proposal;
	device->report->features_offered = virtio->offered;
}

static void init_device(struct devices *devices, const struct device_request *request)
{
	struct device *device = &devices->list[devices->count];
	struct virtio_device *virtio = &device->virtio;

	*device = (struct device){
		.kind = find_kind(request->kind),
		.worker = { .pidfd = -1, .control = -1, .log = -1 },
		.frontend = { .sock = -1 },
		.fds = { .config = -1 },
		.err_fd = -1,
		.report = &devices->reports[devices->count],
	};
	for (size_t i = 0; i < DEVICE_MAX_QUEUES; i++)
		device->fds.kick[i] = device->fds.call[i] = -1;
	snprintf(device->name, sizeof(device->name), "%s%u", device->kind->name,
		 count_kind(devices, device->kind));
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
}

int devices_start(struct devices *devices, const struct device_request *request,
		  const struct dma_window *windows, size_t nr_windows,
		  const struct device_policy *policy)
{
	struct device *device = &devices->list[devices->count];
	struct worker_request worker_request = {
		.name = device->name,
		.kind = request->kind,
		.backend_fd = request->backend_fd,
		.sandbox = request->sandbox,
	};
	int ret;

	init_device(devices, request);
	for (size_t i = 0; i < nr_windows && i < REPORT_MAX_WINDOWS; i++)
		device->windows[device->nr_windows++] = windows[i];
	memcpy(worker_request.args, request->args, sizeof(worker_request.args));
	describe(device, request, policy);

	ret = create_eventfds(device);
	if (!ret)
		ret = worker_start(&device->worker, devices->exe_fd, &worker_request);
	if (ret)
		return ret;
	ret = connect_device(device);
	if (ret) {
		/* Its own words explain a failed start best. */
		device_read_log(device, EPOLLIN);
		log_error("%s: device process: did not start: %s", device->name, strerror(-ret));
		return ret;
	}
	offer_features(device, policy);
	log_info("%s: process %d, DMA window %#llx+%#llx%s", device->name, (int)device->worker.pid,
		 (unsigned long long)windows[0].range.base,
		 (unsigned long long)windows[0].range.size, nr_windows > 1 ? ", ..." : "");
	return 0;
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
	int ret = create_eventfd(&devices->ack_fd);

	if (ret) {
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
		close_eventfds(device);
		virtio_device_destroy(&device->virtio);
	}
	close_fd(devices->ack_fd);
}
