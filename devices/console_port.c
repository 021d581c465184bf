/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The bytes of one port. Neither side may hold up the other. Input is read only while the guest has
 * room for it, so the host's writer waits in its own kernel. Output that the host does not take stays
 * in the guest's buffers: that one chain is kept, and the guest waits as it would for a slow serial
 * line.
 *
 * Life of a peer:
 *
 *	listening --(accept)--> connected --(it closes)--> hung up --(all it wrote is read)--> gone
 *	    ^                                                                                    |
 *	    +----------------------(the driver has been told)------------------------------------+
 *
 * Its own side half-closed is the end of the input, and no more.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "devices/console.h"
#include "devices/core/log.h"

unsigned int console_port_input_queue(const struct console_port *port)
{
	return port->id == 0 ? CONSOLE_QUEUE_INPUT : 2 * port->id + 2;
}

unsigned int console_port_output_queue(const struct console_port *port)
{
	return console_port_input_queue(port) + 1;
}

bool console_port_connected(const struct console_port *port)
{
	return !port->listener || port->peer.fd >= 0;
}

static void mark(const struct console *console, struct console_port *port, enum console_event event)
{
	if (console->multiport && console_port_kept(port)->ready)
		console_port_kept(port)->pending |= 1u << event;
}

void console_port_tell(struct device *device, struct console_port *port, enum console_event event)
{
	mark(device->state, port, event);
	device_queue_run(device, CONSOLE_QUEUE_CONTROL_INPUT);
}

/* Waits for what the port waits for. 0 or -errno: -EPERM where waiting makes no sense. */
static int watch(struct device *device, struct console_port *port)
{
	uint32_t in = port->await_input ? EPOLLIN : 0;
	uint32_t out = port->await_output ? EPOLLOUT : 0;
	int rc = 0;

	/* A peer's end is of interest also when nothing else is. */
	if (port->peer.fd >= 0)
		return device_watch(device, &port->peer, in | out | (port->hung_up ? 0 : EPOLLHUP));
	if (port->input && port->input == port->output)
		return device_watch(device, port->input, in | out);
	if (port->input)
		rc = device_watch(device, port->input, in);
	if (port->output && !rc)
		rc = device_watch(device, port->output, out);
	return rc;
}

void console_port_listen(struct device *device, struct console_port *port)
{
	const struct console_kept_port *kept = console_port_kept(port);
	bool next = kept->ready && port->peer.fd < 0 && !(kept->pending & 1u << CONSOLE_PORT_OPEN);

	/* Who cannot be taken now waits in the backlog. */
	if (port->listener)
		device_watch(device, port->listener, next ? EPOLLIN : 0);
}

static void accept_peer(struct device *device, struct console_port *port)
{
	int fd = accept4(port->listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		/*
		 * Without a descriptor or memory: not again until the next peer comes, or the guest
		 * does something with the port.
		 */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			device_watch(device, port->listener, EPOLLIN | EPOLLET);
		return;
	}
	port->peer.fd = fd;
	port->input = port->output = &port->peer;
	port->hung_up = false;
	port->input_ready = true;
	port->input_closed = false;
	console_port_listen(device, port);
	watch(device, port);
	console_port_tell(device, port, CONSOLE_PORT_OPEN);
	device_queue_run(device, console_port_input_queue(port));
	device_queue_run(device, console_port_output_queue(port));
}

/*
 * The output that was meant for the peer goes with it: all that is there before the driver is told, and
 * before a next peer can come.
 */
static void let_peer_go(struct device *device, struct console_port *port)
{
	device_watch(device, &port->peer, 0);
	close(port->peer.fd);
	port->peer.fd = -1;
	port->input = port->output = NULL;
	port->await_input = port->await_output = false;
	mark(device->state, port, CONSOLE_PORT_OPEN);
	device_queue_run(device, console_port_output_queue(port));
	device_queue_run(device, CONSOLE_QUEUE_CONTROL_INPUT);
	console_port_listen(device, port);
}

static void close_input(struct device *device, struct console_port *port)
{
	port->input_closed = true;
	port->input_ready = false;
	if (port->peer.fd >= 0 && port->hung_up)
		let_peer_go(device, port);
}

static bool may_receive(const struct console_port *port)
{
	return port->input && !port->input_closed && console_port_kept(port)->guest_open;
}

/* Reads once into the next chain, if the host has something. */
static void receive(struct device *device, struct console_port *port)
{
	struct virtqueue *vq = &device->queues[console_port_input_queue(port)].vq;
	struct virtqueue_chain chain;
	ssize_t n;

	if (virtqueue_pop(vq, &chain) <= 0)
		return;
	if (!chain.writable_len) {
		virtqueue_drop(vq, &chain);
		return;
	}
	n = readv(port->input->fd, chain.writable.iov, chain.writable.count);
	if (n > 0) {
		/* Less than there was room for was all there is, but the end may still come. */
		port->input_ready = (uint64_t)n == chain.writable_len || port->hung_up;
		virtqueue_push(vq, &chain, n);
		return;
	}
	virtqueue_unpop(vq);
	if (n < 0 && (errno == EINTR || (errno == EAGAIN && !port->hung_up)))
		port->input_ready = errno == EINTR;
	else
		close_input(device, port);
}

bool console_port_receive(struct device *device, struct console_port *port)
{
	struct virtqueue *vq = &device->queues[console_port_input_queue(port)].vq;

	while (may_receive(port) && virtqueue_has_chain(vq)) {
		if (port->input_ready) {
			receive(device, port);
			continue;
		}
		port->await_input = true;
		if (watch(device, port) == 0)
			return false;
		close_input(device, port); /* /dev/null, say */
	}
	port->await_input = false;
	watch(device, port);
	return may_receive(port);
}

static void drop_rest(struct dma_buffers *left)
{
	dma_buffers_skip(left, left->len);
}

/* Writes what is left of the chain. True when it is complete. */
static bool send_chain(struct console_port *port)
{
	struct dma_buffers *left = &port->chain.readable;

	while (left->count && port->output) {
		ssize_t n = writev(port->output->fd, left->iov, left->count);

		if (n >= 0) {
			dma_buffers_skip(left, n);
		} else if (errno == EAGAIN) {
			return false;
		} else if (errno != EINTR) {
			/* Nobody listens, or the disk is full: it may be better next time. */
			if (errno != EPIPE)
				device_log_guest("port %u: output lost: %s", port->id,
						 strerror(errno));
			drop_rest(left);
		}
	}
	return true;
}

/*
 * Without a peer output waits for the next one. What the driver sent before it knew that the last one
 * has gone was not meant for the next.
 */
static bool may_send(const struct console_port *port)
{
	return port->output || console_port_kept(port)->pending & 1u << CONSOLE_PORT_OPEN;
}

bool console_port_send(struct device *device, struct console_port *port)
{
	struct virtqueue *vq = &device->queues[console_port_output_queue(port)].vq;

	while (port->sending || (may_send(port) && virtqueue_pop(vq, &port->chain) > 0)) {
		port->sending = !send_chain(port);
		port->await_output = port->sending;
		if (port->sending && watch(device, port) == 0)
			return false;
		port->sending = false;
		virtqueue_push(vq, &port->chain, 0);
	}
	port->await_output = false;
	watch(device, port);
	return may_send(port);
}

void console_port_stop_input(struct device *device, struct console_port *port)
{
	port->await_input = false;
	watch(device, port);
}

void console_port_stop_output(struct device *device, struct console_port *port)
{
	port->await_output = false;
	watch(device, port);
	if (port->sending)
		virtqueue_unpop(&device->queues[console_port_output_queue(port)].vq);
	port->sending = false;
}

static bool has_input(int fd)
{
	uint8_t byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return recvmsg(fd, &msg, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* What the peer has left behind is the guest's, whenever it may want it. */
static void hang_up(struct device *device, struct console_port *port)
{
	port->hung_up = true;
	port->input_ready = true;
	watch(device, port);
	if (port->input_closed || !has_input(port->peer.fd))
		close_input(device, port);
}

void console_port_event(struct device *device, struct console_port *port,
			const struct device_source *source, uint32_t events)
{
	bool over = events & (EPOLLHUP | EPOLLERR);

	if (source == port->listener) {
		if (port->listener->events)
			accept_peer(device, port);
		return;
	}
	if (source == &port->peer && port->peer.fd >= 0 && over && !port->hung_up)
		hang_up(device, port);
	/* Otherwise a hang-up or an error shows itself in the read or write that follows. */
	if (source == port->input && (events & EPOLLIN || over) && port->await_input) {
		port->input_ready = true;
		device_queue_run(device, console_port_input_queue(port));
	}
	if (source == port->output && (events & EPOLLOUT || over) && port->await_output)
		device_queue_run(device, console_port_output_queue(port));
}
