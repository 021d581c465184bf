/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/vsock.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "devices/core/log.h"

#define VSOCK_F_STREAM (1ull << 0)

#define MIN_CID 3ull	      /* 5.10.4: those below are reserved */
#define MAX_CID 0xfffffffeull /* ... and 2^32 - 1 */

static int make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ? -errno : 0;
}

static int prepare(struct vsock *vsock, const struct device_options *options)
{
	struct device_source *broker = &vsock->device->backends[VSOCK_BROKER];
	int rc = device_setting_number(options, "cid", MIN_CID, MAX_CID, &vsock->guest_cid);

	if (rc)
		return rc;
	if (!vsock->guest_cid) {
		device_log("cid: is needed");
		return -EINVAL;
	}
	vsock_pool_init(&vsock->pool);
	rc = make_nonblocking(options->backend_fds[VSOCK_LISTENER]);
	return rc ? rc : device_watch(vsock->device, broker, EPOLLIN);
}

static int vsock_create(struct device *device, const struct device_options *options)
{
	struct vsock *vsock = calloc(1, sizeof(*vsock));
	int rc;

	if (!vsock)
		return -ENOMEM;
	vsock->device = device;
	rc = prepare(vsock, options);
	if (rc)
		free(vsock);
	else
		device->state = vsock;
	return rc;
}

static void vsock_destroy(struct device *device)
{
	struct vsock *vsock = device->state;

	if (!vsock)
		return;
	vsock_close_all(vsock);
	free(vsock);
}

static void vsock_get_config(struct device *device, void *config)
{
	const struct vsock *vsock = device->state;
	const uint64_t cid = htole64(vsock->guest_cid);

	memcpy(config, &cid, sizeof(cid));
}

static bool has_work(const struct vsock *vsock)
{
	return vsock->nr_refusals || vsock->nr_ready;
}

static uint32_t fill_refusal(struct vsock *vsock, struct dma_buffers *room)
{
	const struct vsock_refusal *refusal = &vsock->refusals[vsock->first_refusal];
	const struct vsock_header header = {
		.src_cid = htole64(refusal->cid),
		.dst_cid = htole64(vsock->guest_cid),
		.src_port = htole32(refusal->host_port),
		.dst_port = htole32(refusal->guest_port),
		.type = htole16(refusal->type),
		.op = htole16(VSOCK_OP_RST),
	};

	vsock->first_refusal = (vsock->first_refusal + 1) % VSOCK_MAX_REFUSALS;
	vsock->nr_refusals--;
	return dma_buffers_write(room, &header, sizeof(header));
}

/* One packet of whoever has one. 0: nobody, after all. */
static uint32_t fill_next(struct vsock *vsock, struct dma_buffers *room)
{
	struct vsock_connection *conn;
	uint32_t len = 0;

	if (vsock->nr_refusals)
		return fill_refusal(vsock, room);
	while (!len && (conn = vsock_take_ready(vsock)))
		len = vsock_fill(vsock, conn, room);
	return len;
}

/*
 * Clients of the host wait in the backlog until the guest has a driver. They do so too when there
 * are no descriptors left: the next client, what the guest does, or another connection tries again.
 */
static void listen_again(struct vsock *vsock)
{
	struct device_source *listener = &vsock->device->backends[VSOCK_LISTENER];

	if (vsock->listening && device_watch(vsock->device, listener, EPOLLIN))
		device_log_guest("the listening socket cannot be watched");
}

static void listen_first(struct vsock *vsock)
{
	if (vsock->listening)
		return;
	vsock->listening = true;
	listen_again(vsock);
}

static bool handle_rx(struct vsock *vsock)
{
	struct virtqueue *vq = &vsock->device->queues[VSOCK_RX].vq;
	struct virtqueue_chain chain;

	listen_first(vsock);
	while (has_work(vsock) && virtqueue_pop(vq, &chain) > 0) {
		uint32_t len;

		/* No driver makes them so small that no payload fits. */
		if (chain.writable_len <= sizeof(struct vsock_header)) {
			virtqueue_drop(vq, &chain);
			continue;
		}
		len = fill_next(vsock, &chain.writable);
		if (len)
			virtqueue_push(vq, &chain, len);
		else
			virtqueue_unpop(vq);
	}
	if (vsock->paused && vsock->nr_refusals < VSOCK_REFUSALS_PAUSE) {
		vsock->paused = false;
		vsock->device->queues[VSOCK_TX].again = true;
	}
	return has_work(vsock);
}

static bool handle_tx(struct vsock *vsock)
{
	struct virtqueue *vq = &vsock->device->queues[VSOCK_TX].vq;
	struct virtqueue_chain chain;

	do {
		while (vsock->nr_refusals < VSOCK_REFUSALS_PAUSE && virtqueue_pop(vq, &chain) > 0) {
			if (vsock_receive(vsock, &chain))
				virtqueue_push(vq, &chain, 0);
			else
				virtqueue_drop(vq, &chain);
		}
		if (has_work(vsock))
			device_queue_run(vsock->device, VSOCK_RX);
		/* Some refusals may be gone now, and nobody kicks for chains that were seen. */
	} while (vsock->nr_refusals < VSOCK_REFUSALS_PAUSE && virtqueue_has_chain(vq));
	listen_again(vsock);
	vsock->paused = vsock->nr_refusals >= VSOCK_REFUSALS_PAUSE;
	return !vsock->paused;
}

/* 5.10.6.7: all connections of the guest are over. Its other buffers for events stay unused. */
static bool handle_event(struct vsock *vsock)
{
	struct virtqueue *vq = &vsock->device->queues[VSOCK_EVENT].vq;
	const uint32_t transport_reset = htole32(0);
	struct virtqueue_chain chain;

	while (vsock->owes_reset && virtqueue_pop(vq, &chain) > 0) {
		if (chain.writable_len < sizeof(transport_reset)) {
			virtqueue_drop(vq, &chain);
			continue;
		}
		dma_buffers_write(&chain.writable, &transport_reset, sizeof(transport_reset));
		virtqueue_push(vq, &chain, sizeof(transport_reset));
		vsock->owes_reset = false;
	}
	return vsock->owes_reset;
}

static bool vsock_handle_queue(struct device *device, unsigned int index)
{
	struct vsock *vsock = device->state;

	if (index == VSOCK_RX)
		return handle_rx(vsock);
	if (index == VSOCK_TX)
		return handle_tx(vsock);
	return handle_event(vsock);
}

static void handle_connection(struct vsock *vsock, struct vsock_connection *conn, uint32_t events)
{
	if (conn->state == VSOCK_GREETING) {
		vsock_read_line(vsock, conn);
		return;
	}
	if (events & (EPOLLHUP | EPOLLERR))
		vsock_hang_up(vsock, conn);
	else if (events & EPOLLIN)
		vsock_find_readable(vsock, conn);
	/* That it takes nothing any more is known by the write that fails. */
	vsock_flush(vsock, conn);
}

static void vsock_handle_host(struct device *device, uint32_t id, uint32_t events)
{
	struct vsock *vsock = device->state;
	struct vsock_connection *conn = NULL;

	if (id == VSOCK_LISTENER) {
		vsock_accept(vsock);
	} else if (id == VSOCK_BROKER) {
		vsock_take_answers(vsock);
	} else {
		conn = &vsock->connections[(id - DEVICE_MAX_BACKENDS) % VSOCK_MAX_CONNECTIONS];
		if (conn->host.id != id || conn->state == VSOCK_FREE)
			return; /* another event has ended it; the slot may have a new owner */
		handle_connection(vsock, conn, events);
	}
	if (has_work(vsock))
		device_queue_run(device, VSOCK_RX);
	/* Without a buffer of the guest or credit it still has something: no need to hear that again. */
	if (conn) {
		vsock_watch(vsock, conn);
		listen_again(vsock);
	}
}

static void vsock_stop_queue(struct device *device, unsigned int index)
{
	struct vsock *vsock = device->state;

	if (index == VSOCK_EVENT)
		return;
	vsock_close_all(vsock);
	vsock->listening = false;
	device_watch(device, &device->backends[VSOCK_LISTENER], 0);
}

static void vsock_set_features(struct device *device)
{
	struct vsock *vsock = device->state;

	vsock->owes_reset = false;
}

/* The sockets of the connections have gone with the process that had them. */
static void vsock_resume(struct device *device)
{
	struct vsock *vsock = device->state;

	vsock->owes_reset = true;
}

static const char *const settings[] = { "cid", NULL };

static const int syscalls[] = {
	SYS_accept4,  /* clients of the host */
	SYS_readv,    /* bytes for the guest, into its buffers */
	SYS_writev,   /* bytes of the guest */
	SYS_shutdown, /* half of a connection ends */
	-1,
};

const struct device_ops vsock_device_ops = {
	.features = VSOCK_F_STREAM,
	.settings = settings,
	.min_backends = VSOCK_BACKENDS,
	.max_backends = VSOCK_BACKENDS,
	/* One more comes before it is refused: from the listening socket, and from the broker. */
	.max_fds = VSOCK_MAX_CONNECTIONS + 2,
	.syscalls = syscalls,
	.create = vsock_create,
	.get_config = vsock_get_config,
	.set_features = vsock_set_features,
	.resume = vsock_resume,
	.handle_queue = vsock_handle_queue,
	.handle_host = vsock_handle_host,
	.stop_queue = vsock_stop_queue,
	.destroy = vsock_destroy,
};
