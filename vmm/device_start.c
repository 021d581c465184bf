/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* From a request to a connected back-end whose device can be put before the guest. */
#include "vmm/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/registry.h"
#include "vmm/events.h"
#include "vmm/log.h"
#include "vmm/unix_socket.h"

/* How long a back-end may take over one request of ours: a disk may have to finish one first. */
#define REQUEST_DEADLINE_MS 5000
/* The same while it starts: it is read from disk first, and the host may be busy. */
#define START_DEADLINE_MS 20000

/*
 * Features that a back-end may offer to the guest: those of its device type, and of the rings what
 * both our device processes and the transports know. Everything else is masked.
 */
#define DEVICE_TYPE_FEATURES 0xffffffull
#define RING_FEATURES	     ((1ull << 28) | (1ull << 29)) /* INDIRECT_DESC, EVENT_IDX */

static const struct device_kind {
	const char *name;
	uint32_t virtio_id;
	uint16_t queue_size;
} kinds[] = {
#define KIND(name, id, queues, queue_size) { #name, id, queue_size },
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
	for (unsigned int i = 0; i < device->virtio.nr_queues && !ret; i++) {
		ret = create_eventfd(&device->fds.kick[i]);
		if (!ret)
			ret = create_eventfd(&device->fds.call[i]);
	}
	return ret;
}

int device_read_config(struct device *device, uint8_t config[VHOST_USER_MAX_CONFIG])
{
	if (device->is_foreign)
		return foreign_read_config(&device->foreign, &device->frontend, config);
	return vhost_frontend_get_config(&device->frontend, config, VHOST_USER_MAX_CONFIG);
}

/* Our own process has told its number of queues by what it was started with. */
static int count_queues(struct device *device)
{
	uint64_t number = device->foreign.nr_queues;
	int ret;

	if (device->is_foreign)
		ret = foreign_agree(&device->foreign, &device->frontend);
	else
		ret = vhost_frontend_get_queue_num(&device->frontend, &number);
	if (!ret && (number < 1 || number > DEVICE_MAX_QUEUES))
		ret = -EPROTO;
	if (!ret)
		device->virtio.nr_queues = (unsigned int)number;
	return ret;
}

/*
 * Connects to what is behind @sock, which the front-end owns from here on. What offers less than the
 * back-end before it did is of no use to a driver that relies on that.
 */
static int open_frontend(struct device *device, int sock)
{
	const uint64_t before = device->frontend.features;
	const int deadline_ms = device->loop ? REQUEST_DEADLINE_MS : START_DEADLINE_MS;
	int ret = vhost_frontend_open(&device->frontend, sock, deadline_ms, device->kept_fd,
				      device->windows, device->nr_windows);

	if (!ret && !(device->frontend.features & VIRTIO_F_VERSION_1))
		ret = -ENOTSUP;
	if (!ret && before & ~device->frontend.features)
		ret = -EPROTO;
	return ret;
}

/* The same for the first one, from which we learn what it is. */
static int connect_device(struct device *device, int sock)
{
	struct virtio_device *virtio = &device->virtio;
	int ret = open_frontend(device, sock);

	if (!ret)
		ret = count_queues(device);
	if (!ret)
		ret = device_read_config(device, virtio->config);
	if (!ret)
		ret = create_eventfds(device);
	device->frontend.deadline_ms = REQUEST_DEADLINE_MS;
	return ret;
}

static int start_foreign(struct device *device, const struct device_request *request)
{
	const char *path = request->foreign->vhost_user.path;
	int sock = unix_connect(path);
	int ret = sock < 0 ? sock : 0;

	if (!ret) {
		device->hangup_fd = fcntl(sock, F_DUPFD_CLOEXEC, 0);
		ret = device->hangup_fd < 0 ? -errno : 0;
	}
	if (!ret)
		ret = connect_device(device, sock);
	else if (sock >= 0)
		close(sock);
	if (ret)
		log_error("--vhost-user: %s: %s", path, foreign_strerror(ret));
	else
		log_info("%s: back-end at %s", device->name, path);
	return ret;
}

int device_start_process(struct device *device, int exe_fd, const struct device_request *request)
{
	const struct worker_request worker_request = {
		.name = device->name,
		.kind = request->kind,
		.settings = request->settings,
		.backend_fds = request->backend_fds,
		.nr_backends = request->nr_backends,
		.sandbox = request->sandbox,
	};
	int ret = worker_start(&device->worker, exe_fd, &worker_request);
	unsigned int printed;
	int sock;

	if (ret)
		return ret;
	sock = device->worker.control;
	device->worker.control = -1; /* the front-end's from here on */
	ret = device->loop ? open_frontend(device, sock) : connect_device(device, sock);
	if (ret) {
		/* Its own words explain a failed start best, and are all that is said then. */
		printed = device->log_limit.printed;
		device_read_log(device, EPOLLIN);
		if (device->log_limit.printed == printed)
			log_error("%s: device process: did not start: %s", device->name,
				  strerror(-ret));
	} else {
		log_info("%s: process %d", device->name, (int)device->worker.pid);
	}
	return ret;
}

static int start_first_process(struct device *device, int exe_fd,
			       const struct device_request *request)
{
	device->kept_fd = memory_create_sealed_memfd("device-kept", VHOST_USER_KEPT_SIZE);
	if (device->kept_fd < 0) {
		int ret = device->kept_fd;

		log_error("%s: memfd_create: %s", device->name, strerror(-ret));
		return ret;
	}
	return device_start_process(device, exe_fd, request);
}

static void describe(struct device *device, const struct device_request *request,
		     const struct device_policy *policy)
{
	struct report_device *report = device->report;

	snprintf(report->name, sizeof(report->name), "%s", device->name);
	report->type = device->type;
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
	if (device->is_foreign)
		report->sandbox = "foreign";
	report->evil = request->evil != NULL;
	if (report->evil)
		report->evil_settings = *request->evil;
	for (size_t i = 0; i < device->nr_windows; i++)
		report->windows[report->nr_windows++] = device->windows[i].range;
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

static unsigned int count_type(const struct devices *devices, const char *type)
{
	unsigned int n = 0;

	for (size_t i = 0; i < devices->count; i++)
		n += strcmp(devices->list[i].type, type) == 0;
	return n;
}

/* What the device is: by its line of the registry, or by the user's word. */
static void identify(struct device *device, const struct device_request *request)
{
	struct virtio_device *virtio = &device->virtio;
	const struct device_kind *kind;

	device->is_foreign = request->foreign != NULL;
	if (device->is_foreign) {
		foreign_describe(&device->foreign, request->foreign);
		device->type = device->foreign.name;
		virtio->id = device->foreign.virtio_id;
		virtio->queue_max = device->foreign.queue_max;
		return;
	}
	kind = find_kind(request->kind);
	device->type = kind->name;
	virtio->id = kind->virtio_id;
	virtio->queue_max = request->queue_size > 0 ? request->queue_size : kind->queue_size;
}

static void init_device(struct devices *devices, const struct device_request *request)
{
	struct device *device = &devices->list[devices->count];
	struct virtio_device *virtio = &device->virtio;

	*device = (struct device){
		.devices = devices,
		.kept_fd = -1,
		.worker = { .pidfd = -1, .control = -1, .log = -1 },
		.frontend = { .sock = -1, .channel = { .fd = -1 } },
		.fds = { .config = -1 },
		.err_fd = -1,
		.hangup_fd = -1,
		.report = &devices->reports[devices->count],
	};
	for (size_t i = 0; i < DEVICE_MAX_QUEUES; i++)
		device->fds.kick[i] = device->fds.call[i] = -1;
	identify(device, request);
	snprintf(device->name, sizeof(device->name), "%s%u", device->type,
		 count_type(devices, device->type));
	devices->count++;

	virtio->name = device->name;
	virtio->config_len = sizeof(virtio->config); /* zeroes behind what the device has */
	virtio->report = device->report;
	virtio->backend = &device_backend_ops;
	virtio->backend_opaque = device;
	virtio_device_init(virtio);
}

int devices_start(struct devices *devices, const struct device_request *request,
		  const struct dma_window *windows, size_t nr_windows,
		  const struct device_policy *policy)
{
	struct device *device = &devices->list[devices->count];
	int ret;

	init_device(devices, request);
	for (size_t i = 0; i < nr_windows && i < REPORT_MAX_WINDOWS; i++)
		device->windows[device->nr_windows++] = windows[i];
	describe(device, request, policy);
	if (device->is_foreign)
		ret = start_foreign(device, request);
	else
		ret = start_first_process(device, devices->exe_fd, request);
	if (ret)
		return ret;
	offer_features(device, policy);
	events_device(device->name, "started", NULL);
	log_info("%s: DMA window %#llx+%#llx%s", device->name,
		 (unsigned long long)windows[0].range.base,
		 (unsigned long long)windows[0].range.size, nr_windows > 1 ? ", ..." : "");
	return 0;
}
