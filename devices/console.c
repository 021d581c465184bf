/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * virtio-console (virtio 1.3, 5.3) with its one port: a byte stream to and from a socket, a pipe or
 * a terminal on the host.
 *
 * Neither side may hold up the other. Input is read only while the guest has room for it, so the
 * host's writer waits in its own kernel. Output that the host does not take stays in the guest's
 * buffers: that one chain is kept, and the guest waits as it would for a slow serial line.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "devices/device.h"

enum console_queue { CONSOLE_RX, CONSOLE_TX };

struct console {
	bool input_ready;   /* the host has something to read, or has gone */
	bool input_closed;  /* end of file: nothing will come any more */
	bool output_closed; /* nobody listens: output is dropped */
	bool sending;	    /* output holds a chain that is not complete */
	struct virtqueue_chain output;
};

static int check_backend(int fd)
{
	struct stat st;
	int flags;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISSOCK(st.st_mode) && !S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return -ENOSTR;
	flags = fcntl(fd, F_GETFL);
	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ? -errno : 0;
}

static int console_create(struct device *device, const struct device_options *options)
{
	int rc = check_backend(options->backend_fd);

	if (rc)
		return rc;
	device->state = calloc(1, sizeof(struct console));
	return device->state ? 0 : -ENOMEM;
}

static void console_destroy(struct device *device)
{
	free(device->state);
}

static int watch(struct device *device, uint32_t add, uint32_t remove)
{
	return device_watch_host(device, (device->host_events | add) & ~remove);
}

/* Reads once into the next chain, if the host has something. */
static void receive(struct device *device, struct console *console)
{
	struct virtqueue *vq = &device->queues[CONSOLE_RX].vq;
	struct virtqueue_chain chain;
	ssize_t n;

	if (virtqueue_pop(vq, &chain) <= 0)
		return;
	if (!chain.writable_len) {
		virtqueue_drop(vq, &chain);
		return;
	}
	n = readv(device->backend_fd, chain.writable.iov, chain.writable.count);
	console->input_ready = false;
	if (n > 0) {
		virtqueue_push(vq, &chain, n);
		return;
	}
	virtqueue_unpop(vq);
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		console->input_closed = true;
}

static bool handle_rx(struct device *device, struct console *console)
{
	struct virtqueue *vq = &device->queues[CONSOLE_RX].vq;

	while (!console->input_closed && virtqueue_has_chain(vq)) {
		if (console->input_ready)
			receive(device, console);
		else if (watch(device, EPOLLIN, 0) == 0)
			return false;
		else
			console->input_closed = true; /* /dev/null, say */
	}
	watch(device, 0, EPOLLIN);
	return !console->input_closed;
}

/* Writes what is left of console->output. True when the chain is complete. */
static bool send_output(struct device *device, struct console *console)
{
	struct dma_buffers *left = &console->output.readable;

	while (left->count && !console->output_closed) {
		ssize_t n = writev(device->backend_fd, left->iov, left->count);

		if (n >= 0)
			dma_buffers_skip(left, n);
		else if (errno == EAGAIN)
			return false;
		else if (errno != EINTR)
			console->output_closed = true;
	}
	return true;
}

static bool handle_tx(struct device *device, struct console *console)
{
	struct virtqueue *vq = &device->queues[CONSOLE_TX].vq;

	while (console->sending || virtqueue_pop(vq, &console->output) > 0) {
		console->sending = !send_output(device, console);
		if (console->sending && watch(device, EPOLLOUT, 0) == 0)
			return false;
		console->sending = false;
		virtqueue_push(vq, &console->output, 0);
	}
	watch(device, 0, EPOLLOUT);
	return true;
}

static bool console_handle_queue(struct device *device, unsigned int index)
{
	struct console *console = device->state;

	return index == CONSOLE_RX ? handle_rx(device, console) : handle_tx(device, console);
}

static void console_handle_host(struct device *device, uint32_t events)
{
	struct console *console = device->state;

	/* A hang-up or an error shows itself in the read or write that follows. */
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && device->host_events & EPOLLIN) {
		console->input_ready = true;
		device_queue_run(device, CONSOLE_RX);
	}
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR) && device->host_events & EPOLLOUT)
		device_queue_run(device, CONSOLE_TX);
}

static void console_stop_queue(struct device *device, unsigned int index)
{
	struct console *console = device->state;

	watch(device, 0, index == CONSOLE_RX ? EPOLLIN : EPOLLOUT);
	if (index == CONSOLE_TX && console->sending) {
		console->sending = false;
		virtqueue_unpop(&device->queues[index].vq);
	}
}

static const int syscalls[] = {
	SYS_readv,  /* input of the host, into the guest's buffers */
	SYS_writev, /* output of the guest */
	-1,
};

const struct device_ops console_device_ops = {
	.needs_backend = true,
	.syscalls = syscalls,
	.create = console_create,
	.handle_queue = console_handle_queue,
	.handle_host = console_handle_host,
	.stop_queue = console_stop_queue,
	.destroy = console_destroy,
};
