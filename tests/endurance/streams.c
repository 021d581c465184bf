/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Devices that are streams: what the driver sends comes out at the host, where it is sent back, and must
 * arrive as it was, nothing missing and nothing twice. The bytes count up, whatever they are packed in.
 *
 *	driver ---> transmit queue ---> device ---> socket ---> this echo
 *	driver <--- receive queue  <--- device <--- socket <---
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/endurance/streams.h"

/* Bytes on their way at most: what a socket, a ring and a credit hold in any case. */
#define OUTSTANDING 8192u

struct stream stream;

/* A byte that says where it is in the stream, and whether one of 251 is missing. */
static uint8_t byte_at(uint64_t position)
{
	return (uint8_t)(position % 251 + position / 4096);
}

int stream_check(const uint8_t *bytes, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		const uint64_t position = stream.received + i;

		if (bytes[i] != byte_at(position)) {
			fprintf(stderr, "endurance: %s: byte %" PRIu64 " of the stream is wrong\n",
				stream.ops->kind, position);
			return -EIO;
		}
	}
	stream.received += len;
	return 0;
}

static void give_slot(struct run *run, unsigned int slot)
{
	driver_offer(&run->driver.queues[STREAM_RX], slot, 0, DRIVER_SLOT_BYTES);
}

int stream_begin(struct run *run)
{
	for (unsigned int slot = 0; slot < DRIVER_SLOTS; slot++)
		give_slot(run, slot);
	driver_publish(&run->driver, STREAM_RX);
	memset(stream.sending, 0, sizeof(stream.sending));
	stream.pending = 0;
	stream.received = stream.sent;
	return 0;
}

int stream_resume(struct run *run)
{
	(void)run;
	return 0;
}

int stream_free_slot(void)
{
	for (int slot = 0; slot < DRIVER_SLOTS; slot++)
		if (!stream.sending[slot])
			return slot;
	return -1;
}

void stream_transmit(struct run *run, int slot, uint32_t len)
{
	stream.sending[slot] = true;
	driver_offer(&run->driver.queues[STREAM_TX], (unsigned int)slot, len, 0);
}

static int take_sent(struct run *run)
{
	unsigned int slot;
	uint32_t written;
	int rc, did = 0;

	while ((rc = driver_take(&run->driver.queues[STREAM_TX], &slot, &written)) > 0) {
		if (written || !stream.sending[slot]) {
			fprintf(stderr, "endurance: %s: %u bytes written into what it sent\n",
				stream.ops->kind, written);
			return -EPROTO;
		}
		stream.sending[slot] = false;
		did++;
	}
	return rc ? rc : did;
}

static int take_received(struct run *run)
{
	struct driver_queue *queue = &run->driver.queues[STREAM_RX];
	unsigned int slot;
	uint32_t written;
	int rc, did = 0;

	while ((rc = driver_take(queue, &slot, &written)) > 0) {
		rc = written > DRIVER_SLOT_BYTES
			     ? -EPROTO
			     : stream.ops->accept(run, driver_slot(queue, slot), written);
		if (rc)
			return rc;
		give_slot(run, slot);
		did++;
	}
	driver_publish(&run->driver, STREAM_RX);
	return rc ? rc : did;
}

static int send_more(struct run *run)
{
	int slot, did = 0;

	while ((slot = stream_free_slot()) >= 0) {
		uint8_t *at = driver_slot(&run->driver.queues[STREAM_TX], (unsigned int)slot);
		uint32_t len = stream.ops->least + run_random(run, STREAM_CHUNK);
		uint32_t room = stream.ops->room ? stream.ops->room() : OUTSTANDING;

		if (stream.sent - stream.received + len > OUTSTANDING || len > room)
			break;
		for (uint32_t i = 0; i < len; i++)
			at[stream.ops->header + i] = byte_at(stream.sent + i);
		stream.ops->wrap(at, len);
		stream.sent += len;
		stream_transmit(run, slot, stream.ops->header + len);
		did++;
	}
	return did;
}

/* What the socket does not take waits here. */
static int echo(void)
{
	ssize_t n;

	if (stream.peer < 0)
		return 0;
	if (!stream.pending) {
		n = recv(stream.peer, stream.echo, sizeof(stream.echo), MSG_DONTWAIT);
		if (n == 0)
			return -ECONNRESET;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		stream.pending = (size_t)n;
		if (stream.ops->greet)
			stream.ops->greet();
	}
	n = send(stream.peer, stream.echo, stream.pending, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	stream.pending -= (size_t)n;
	memmove(stream.echo, stream.echo + n, stream.pending);
	return 1;
}

int stream_step(struct run *run, bool more)
{
	int (*const parts[])(struct run *) = { take_sent, take_received, more ? send_more : NULL };
	int did = 0;

	for (unsigned int i = 0; i < 3 && parts[i]; i++) {
		int rc = parts[i](run);

		if (rc < 0)
			return rc;
		did += rc;
	}
	driver_publish(&run->driver, STREAM_TX);
	for (int rc = 1; rc > 0; did += rc) {
		rc = echo();
		if (rc < 0) {
			fprintf(stderr, "endurance: %s: host side: %s\n", stream.ops->kind,
				strerror(-rc));
			return rc;
		}
	}
	return did;
}

bool stream_at_rest(const struct run *run)
{
	return run->driver.queues[STREAM_TX].in_flight == 0 && stream.sent == stream.received &&
	       (!stream.ops->ready || stream.ops->ready());
}

int stream_host(const struct run *run, short *events)
{
	(void)run;
	*events = stream.pending ? POLLOUT : POLLIN;
	return stream.peer;
}

static int prepare_pair(struct run *run, const struct stream_ops *ops)
{
	int pair[2];

	/* The end that the device gets must not be closed by execve(). */
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -errno;
	fcntl(pair[0], F_SETFD, FD_CLOEXEC);
	stream = (struct stream){ .ops = ops, .peer = pair[0] };
	run_add_word(run, "--backend-fd");
	run_add_word(run, "%d", pair[1]);
	return 0;
}

static void console_wrap(uint8_t *at, uint32_t len)
{
	(void)at;
	(void)len;
}

static int console_accept(struct run *run, const uint8_t *at, uint32_t len)
{
	(void)run;
	return stream_check(at, len);
}

static const struct stream_ops console_ops = {
	.kind = "console",
	.least = 1,
	.wrap = console_wrap,
	.accept = console_accept,
};

static int console_prepare(struct run *run)
{
	return prepare_pair(run, &console_ops);
}

/* 5.1.6: no offloads are negotiated, so that all of the header is zero but for the count of buffers. */
#define NET_HEADER 12

static void net_wrap(uint8_t *at, uint32_t len)
{
	(void)len;
	memset(at, 0, NET_HEADER);
}

static int net_accept(struct run *run, const uint8_t *at, uint32_t len)
{
	(void)run;
	return len < NET_HEADER ? -EPROTO : stream_check(at + NET_HEADER, len - NET_HEADER);
}

static const struct stream_ops net_ops = {
	.kind = "net",
	.header = NET_HEADER,
	.least = 60, /* what Ethernet has at least */
	.wrap = net_wrap,
	.accept = net_accept,
};

static int net_prepare(struct run *run)
{
	return prepare_pair(run, &net_ops);
}

#define STREAM_TRAFFIC(name)                    \
	const struct traffic name##_traffic = { \
		.kind = #name,                  \
		.nr_queues = 2,                 \
		.prepare = name##_prepare,      \
		.begin = stream_begin,          \
		.resume = stream_resume,        \
		.step = stream_step,            \
		.at_rest = stream_at_rest,      \
		.host = stream_host,            \
	}

STREAM_TRAFFIC(console);
STREAM_TRAFFIC(net);
