/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/core/backend.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/evil.h"
#include "devices/core/log.h"
#include "devices/core/ring_features.h"
#include "devices/core/sandbox.h"
#include "devices/core/windows.h"

/* A front-end that has begun a message has this long to finish it. */
#define MESSAGE_TIMEOUT_MS 2000

#define F_PROTOCOL_FEATURES (1ull << VHOST_USER_F_PROTOCOL_FEATURES)
#define PROTOCOL_F(name)    (1ull << VHOST_USER_PROTOCOL_F_##name)
#define PROTOCOL_FEATURES                                                                        \
	(PROTOCOL_F(MQ) | PROTOCOL_F(REPLY_ACK) | PROTOCOL_F(BACKEND_REQ) | PROTOCOL_F(CONFIG) | \
	 PROTOCOL_F(MINIVMM_REPORT) | PROTOCOL_F(MINIVMM_KEPT))

/* What a handler made of a request; besides these, -errno ends the connection. */
enum outcome {
	DONE,	 /* acknowledged, if asked for, as successful */
	REFUSED, /* acknowledged, if asked for, as failed */
	REPLY,	 /* the message now holds the reply's payload */
};

static int reply_u64(struct vhost_user_msg *msg, uint64_t value)
{
	msg->payload.u64 = value;
	msg->hdr.size = sizeof(value);
	return REPLY;
}

static int get_features(struct backend *backend, struct vhost_user_msg *msg)
{
	return reply_u64(msg, backend->device->offered | F_PROTOCOL_FEATURES);
}

static bool any_queue_runs(const struct device *device)
{
	for (unsigned int i = 0; i < device->nr_queues; i++) {
		if (device->queues[i].running)
			return true;
	}
	return false;
}

/* What the driver and we have agreed on. DONE, or -errno. */
static int agree_features(struct device *device, uint64_t features)
{
	if (any_queue_runs(device))
		return -EBUSY;
	if (features & ~(device->offered | F_PROTOCOL_FEATURES) || !(features & RING_F_VERSION_1))
		return -EINVAL;
	device->features = features & ~F_PROTOCOL_FEATURES;
	/* Without protocol features there is no SET_VRING_ENABLE: rings start enabled. */
	for (unsigned int i = 0; !(features & F_PROTOCOL_FEATURES) && i < device->nr_queues; i++)
		device->queues[i].enabled = true;
	return DONE;
}

static int set_features(struct backend *backend, struct vhost_user_msg *msg)
{
	struct device *device = backend->device;
	int rc = agree_features(device, msg->payload.u64);

	if (rc < 0)
		return rc;
	/* A driver begins: a successor of ours must not go on where the last one was. */
	memset(device->kept->next, 0, sizeof(device->kept->next));
	if (device->ops->set_features)
		device->ops->set_features(device);
	return DONE;
}

static int resume(struct backend *backend, struct vhost_user_msg *msg)
{
	struct device *device = backend->device;
	int rc;

	if (!(backend->protocol_features & PROTOCOL_F(MINIVMM_KEPT)) || !device->kept->in_use)
		return -EPROTO;
	rc = agree_features(device, msg->payload.u64);
	if (rc < 0)
		return rc;
	for (unsigned int i = 0; i < device->nr_queues; i++) {
		device->queues[i].base = device->kept->next[i];
		device->queues[i].resumed = true;
	}
	if (device->ops->resume)
		device->ops->resume(device);
	else if (device->ops->set_features)
		device->ops->set_features(device);
	return DONE;
}

/* In a process that will not be sealed, too: mapping is over when the windows are there. */
static int set_kept(struct backend *backend, struct vhost_user_msg *msg)
{
	struct device *device = backend->device;
	int rc;

	if (!(backend->protocol_features & PROTOCOL_F(MINIVMM_KEPT)))
		return -EPROTO;
	if (device->kept->in_use || device->dma.nr_windows)
		return -EBUSY;
	rc = kept_map(&device->kept, msg->fds[0]);
	if (!rc)
		device_use_kept(device);
	return rc ? rc : DONE;
}

static int set_owner(struct backend *backend, struct vhost_user_msg *msg)
{
	(void)backend;
	(void)msg;
	return DONE;
}

static int get_protocol_features(struct backend *backend, struct vhost_user_msg *msg)
{
	(void)backend;
	return reply_u64(msg, PROTOCOL_FEATURES);
}

static int set_protocol_features(struct backend *backend, struct vhost_user_msg *msg)
{
	if (msg->payload.u64 & ~PROTOCOL_FEATURES)
		return -EINVAL;
	backend->protocol_features = msg->payload.u64;
	return DONE;
}

static int get_queue_num(struct backend *backend, struct vhost_user_msg *msg)
{
	if (!(backend->protocol_features & PROTOCOL_F(MQ)))
		return -EPROTO;
	return reply_u64(msg, backend->device->nr_queues);
}

/*
 * Of a foreign front-end, at any time. Running queues stop as by GET_VRING_BASE and go on where they
 * were; one whose ring is in no window any more is broken.
 */
static int replace_windows(struct backend *backend, struct vhost_user_msg *msg)
{
	struct device *device = backend->device;
	bool paused[DEVICE_MAX_QUEUES] = { false };
	int outcome = DONE;
	int rc;

	for (unsigned int i = 0; i < device->nr_queues; i++) {
		paused[i] = device->queues[i].running && !device->queues[i].vq.broken;
		device_queue_stop(device, i);
	}
	windows_unmap(&device->dma);
	rc = windows_map(&device->dma, msg);
	vhost_user_close_fds(msg);
	for (unsigned int i = 0; i < device->nr_queues && !rc; i++)
		if (paused[i] && device_queue_start(device, i))
			outcome = REFUSED;
	return rc ? rc : outcome;
}

static int set_mem_table(struct backend *backend, struct vhost_user_msg *msg)
{
	struct device *device = backend->device;
	int rc;

	if (backend->sandbox->keeps_mapping)
		return replace_windows(backend, msg);
	if (any_queue_runs(device))
		return -EBUSY;
	if (device->dma.nr_windows) {
		rc = windows_move(&device->dma, msg);
		vhost_user_close_fds(msg);
		return rc ? rc : DONE;
	}
	rc = windows_map(&device->dma, msg);
	if (rc)
		return rc;
	/* A mapping keeps its memory alive: the descriptors go before anything runs. */
	vhost_user_close_fds(msg);
	return sandbox_seal(backend->sandbox);
}

/* Bytes behind the device's configuration space read as 0, so that any front-end can ask. */
static int get_config(struct backend *backend, struct vhost_user_msg *msg)
{
	struct device *device = backend->device;
	uint8_t config[VHOST_USER_MAX_CONFIG] = { 0 };

	if (!(backend->protocol_features & PROTOCOL_F(CONFIG)))
		return -EPROTO;
	if (device->ops->get_config)
		device->ops->get_config(device, config);
	if (device->evil)
		evil_forge_config(device->evil, config);
	memcpy(msg->payload.config.region, config + msg->payload.config.offset,
	       msg->payload.config.size);
	return REPLY;
}

static int set_config(struct backend *backend, struct vhost_user_msg *msg)
{
	struct device *device = backend->device;
	const struct vhost_user_config *config = &msg->payload.config;

	if (!(backend->protocol_features & PROTOCOL_F(CONFIG)))
		return -EPROTO;
	if (!device->ops->set_config ||
	    device->ops->set_config(device, config->offset, config->region, config->size))
		return REFUSED;
	return DONE;
}

static int get_report(struct backend *backend, struct vhost_user_msg *msg)
{
	_Static_assert(sizeof(struct device_report_wire) <= VHOST_USER_MAX_PAYLOAD, "fits");

	if (!(backend->protocol_features & PROTOCOL_F(MINIVMM_REPORT)))
		return -EPROTO;
	memcpy(msg->payload.bytes, backend->device->report, sizeof(struct device_report_wire));
	msg->hdr.size = sizeof(struct device_report_wire);
	return REPLY;
}

/* The queue that a ring message is about; NULL when there is no such queue. */
static struct device_queue *find_queue(struct backend *backend, uint64_t index)
{
	struct device *device = backend->device;

	return index < device->nr_queues ? &device->queues[index] : NULL;
}

static int set_vring_num(struct backend *backend, struct vhost_user_msg *msg)
{
	struct device_queue *queue = find_queue(backend, msg->payload.state.index);
	uint32_t num = msg->payload.state.num;

	if (!queue || !num || num > queue->vq.max_size || num & (num - 1))
		return -EINVAL;
	if (queue->running)
		return -EBUSY;
	queue->size = num;
	return DONE;
}

static int set_vring_base(struct backend *backend, struct vhost_user_msg *msg)
{
	struct device_queue *queue = find_queue(backend, msg->payload.state.index);

	if (!queue || msg->payload.state.num > UINT16_MAX)
		return -EINVAL;
	if (queue->running)
		return -EBUSY;
	queue->base = msg->payload.state.num;
	return DONE;
}

/* Rings that cannot be used are the guest's doing: the connection stays. */
static int start_queue(struct backend *backend, unsigned int index)
{
	return device_queue_start(backend->device, index) ? REFUSED : DONE;
}

static int set_vring_addr(struct backend *backend, struct vhost_user_msg *msg)
{
	struct device_queue *queue = find_queue(backend, msg->payload.addr.index);

	if (!queue || msg->payload.addr.flags)
		return -EINVAL;
	if (queue->running)
		return -EBUSY;
	queue->addr = msg->payload.addr;
	queue->has_addr = true;
	return start_queue(backend, msg->payload.addr.index);
}

static int get_vring_base(struct backend *backend, struct vhost_user_msg *msg)
{
	struct device_queue *queue = find_queue(backend, msg->payload.state.index);

	if (!queue)
		return -EINVAL;
	device_queue_stop(backend->device, msg->payload.state.index);
	/* The queue starts again with a new kick descriptor only, as the specification says. */
	if (queue->kick_fd >= 0)
		close(queue->kick_fd);
	queue->kick_fd = -1;
	msg->payload.state.num = queue->base;
	return REPLY;
}

/* Puts the descriptor of @msg, or none, in the place of @fd. */
static void take_fd(struct vhost_user_msg *msg, int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = msg->nr_fds ? msg->fds[0] : -1;
	msg->nr_fds = 0;
}

static int set_backend_req_fd(struct backend *backend, struct vhost_user_msg *msg)
{
	if (!(backend->protocol_features & PROTOCOL_F(BACKEND_REQ)))
		return -EPROTO;
	take_fd(msg, &backend->device->backend_channel);
	return DONE;
}

static int set_vring_kick(struct backend *backend, struct vhost_user_msg *msg)
{
	unsigned int index = msg->payload.u64 & VHOST_USER_VRING_IDX;
	struct device_queue *queue = find_queue(backend, index);

	/* No descriptor would mean polling the ring. */
	if (!queue || !msg->nr_fds)
		return -EINVAL;
	if (queue->running)
		return -EBUSY;
	take_fd(msg, &queue->kick_fd);
	return start_queue(backend, index);
}

static int set_vring_call(struct backend *backend, struct vhost_user_msg *msg)
{
	unsigned int index = msg->payload.u64 & VHOST_USER_VRING_IDX;
	struct device_queue *queue = find_queue(backend, index);

	if (!queue)
		return -EINVAL;
	take_fd(msg, &queue->call_fd);
	/* An interrupt may just have gone to the old one. */
	if (queue->running)
		device_queue_call(backend->device, index);
	return DONE;
}

static int set_vring_err(struct backend *backend, struct vhost_user_msg *msg)
{
	struct device_queue *queue = find_queue(backend, msg->payload.u64 & VHOST_USER_VRING_IDX);

	if (!queue)
		return -EINVAL;
	take_fd(msg, &queue->err_fd);
	return DONE;
}

static int set_vring_enable(struct backend *backend, struct vhost_user_msg *msg)
{
	unsigned int index = msg->payload.state.index;
	struct device_queue *queue = find_queue(backend, index);

	if (!queue || msg->payload.state.num > 1)
		return -EINVAL;
	queue->enabled = msg->payload.state.num;
	if (queue->enabled)
		return start_queue(backend, index);
	device_queue_stop(backend->device, index);
	return DONE;
}

static const struct handler {
	uint32_t request;
	int (*handle)(struct backend *backend, struct vhost_user_msg *msg);
} handlers[] = {
	{ VHOST_USER_GET_FEATURES, get_features },
	{ VHOST_USER_SET_FEATURES, set_features },
	{ VHOST_USER_SET_OWNER, set_owner },
	{ VHOST_USER_GET_PROTOCOL_FEATURES, get_protocol_features },
	{ VHOST_USER_SET_PROTOCOL_FEATURES, set_protocol_features },
	{ VHOST_USER_GET_QUEUE_NUM, get_queue_num },
	{ VHOST_USER_SET_MEM_TABLE, set_mem_table },
	{ VHOST_USER_SET_BACKEND_REQ_FD, set_backend_req_fd },
	{ VHOST_USER_GET_CONFIG, get_config },
	{ VHOST_USER_SET_CONFIG, set_config },
	{ VHOST_USER_MINIVMM_GET_REPORT, get_report },
	{ VHOST_USER_MINIVMM_SET_KEPT, set_kept },
	{ VHOST_USER_MINIVMM_RESUME, resume },
	{ VHOST_USER_SET_VRING_NUM, set_vring_num },
	{ VHOST_USER_SET_VRING_BASE, set_vring_base },
	{ VHOST_USER_SET_VRING_ADDR, set_vring_addr },
	{ VHOST_USER_GET_VRING_BASE, get_vring_base },
	{ VHOST_USER_SET_VRING_KICK, set_vring_kick },
	{ VHOST_USER_SET_VRING_CALL, set_vring_call },
	{ VHOST_USER_SET_VRING_ERR, set_vring_err },
	{ VHOST_USER_SET_VRING_ENABLE, set_vring_enable },
};

static int handle(struct backend *backend, struct vhost_user_msg *msg)
{
	int rc = vhost_user_check_request(msg);

	if (rc)
		return rc;
	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		if (handlers[i].request == msg->hdr.request)
			return handlers[i].handle(backend, msg);
	}
	return -EPROTO;
}

static int answer(struct backend *backend, struct vhost_user_msg *msg, int outcome)
{
	if (outcome != REPLY) {
		if (!(msg->hdr.flags & VHOST_USER_NEED_REPLY) ||
		    !(backend->protocol_features & PROTOCOL_F(REPLY_ACK)))
			return 0;
		reply_u64(msg, outcome == DONE ? 0 : 1);
	}
	msg->hdr.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	return vhost_user_send(backend->sock, msg);
}

int backend_handle_message(struct backend *backend)
{
	struct vhost_user_msg msg;
	int rc = vhost_user_recv(backend->sock, &msg, MESSAGE_TIMEOUT_MS);

	if (rc < 0)
		device_log("control socket: %s", strerror(-rc));
	if (rc <= 0)
		return rc;
	rc = handle(backend, &msg);
	vhost_user_close_fds(&msg);
	if (rc >= 0)
		rc = answer(backend, &msg, rc);
	if (rc < 0) {
		device_log("control socket: request %u (%s): %s", msg.hdr.request,
			   vhost_user_request_name(msg.hdr.request), strerror(-rc));
		return rc;
	}
	return 1;
}

/* Returns as backend_handle_message(). */
static int dispatch(struct backend *backend, const struct epoll_event *event)
{
	struct device *device = backend->device;
	uint32_t source = event->data.u32;

	if (source == LOOP_CONTROL)
		return backend_handle_message(backend);
	if (source >= LOOP_HOST) {
		device->ops->handle_host(device, source - LOOP_HOST, event->events);
		return 1;
	}
	device->report->kicks++;
	device_queue_run(device, source - LOOP_QUEUE);
	return 1;
}

/* Goes on with the queues that were interrupted to let others have a turn. Is there one left? */
static bool run_again(struct device *device)
{
	bool again = false;

	for (unsigned int i = 0; i < device->nr_queues; i++) {
		if (device->queues[i].again)
			device_queue_run(device, i);
		again |= device->queues[i].again;
	}
	return again;
}

int backend_run(struct backend *backend)
{
	struct loop *loop = &backend->device->loop;
	struct epoll_event events[LOOP_MAX_EVENTS];
	bool again = false;
	int rc = loop_add(loop, backend->sock, LOOP_CONTROL, EPOLLIN);

	if (rc) {
		device_log("control socket: %s", strerror(-rc));
		return rc;
	}
	for (;;) {
		int n = loop_wait(loop, events, !again);

		if (n < 0) {
			device_log("event loop: %s", strerror(-n));
			return n;
		}
		if (backend->device->evil)
			evil_wake(backend->device->evil);
		for (int i = 0; i < n; i++) {
			rc = dispatch(backend, &events[i]);
			if (rc <= 0)
				return rc;
		}
		again = run_again(backend->device);
		if (backend->device->evil)
			evil_sleep(backend->device->evil);
	}
}
