/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * vsock: one connection at a time, of a client of the host, which is the echo. Each reset and each death
 * of the device process ends it, and another one is made.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/vsock.h"
#include "tests/endurance/streams.h"

#define GUEST_CID  3
#define GUEST_PORT 1025
#define CREDIT	   65536

static struct {
	char path[108];
	bool open;
	bool greeted; /* the line "OK PORT" has been read */
	uint32_t host_port;
	uint32_t sent;	     /* on this connection */
	uint32_t received;   /* likewise */
	uint32_t peer_alloc; /* as the device said last */
	uint32_t peer_fwd;
} connection;

static struct vsock_header make_header(uint16_t op, uint32_t len)
{
	return (struct vsock_header){
		.src_cid = GUEST_CID,
		.dst_cid = VSOCK_HOST_CID,
		.src_port = GUEST_PORT,
		.dst_port = connection.host_port,
		.len = len,
		.type = VSOCK_TYPE_STREAM,
		.op = op,
		.buf_alloc = CREDIT,
		.fwd_cnt = connection.received,
	};
}

static void vsock_wrap(uint8_t *at, uint32_t len)
{
	struct vsock_header header = make_header(VSOCK_OP_RW, len);

	memcpy(at, &header, sizeof(header));
	connection.sent += len;
}

static int say(struct run *run, uint16_t op)
{
	struct vsock_header header = make_header(op, 0);
	int slot = stream_free_slot();

	if (slot < 0)
		return -ENOBUFS;
	memcpy(driver_slot(&run->driver.queues[STREAM_TX], (unsigned int)slot), &header,
	       sizeof(header));
	stream_transmit(run, slot, sizeof(header));
	return 0;
}

static int vsock_take(struct run *run, const uint8_t *at, uint32_t len)
{
	struct vsock_header header;

	if (len < sizeof(header))
		return -EPROTO;
	memcpy(&header, at, sizeof(header));
	connection.peer_alloc = header.buf_alloc;
	connection.peer_fwd = header.fwd_cnt;
	if (header.len != len - sizeof(header) || header.dst_port != GUEST_PORT) {
		fprintf(stderr, "endurance: vsock: a packet of %u bytes says %u\n", len,
			header.len);
		return -EPROTO;
	}
	switch (header.op) {
	case VSOCK_OP_REQUEST:
		connection.host_port = header.src_port;
		connection.open = true;
		return say(run, VSOCK_OP_RESPONSE);
	case VSOCK_OP_RW:
		connection.received += header.len;
		return stream_check(at + sizeof(header), header.len);
	case VSOCK_OP_CREDIT_UPDATE:
		return 0;
	case VSOCK_OP_CREDIT_REQUEST:
		return say(run, VSOCK_OP_CREDIT_UPDATE);
	default:
		fprintf(stderr, "endurance: vsock: operation %u\n", header.op);
		return -EPROTO;
	}
}

static uint32_t vsock_room(void)
{
	if (!connection.open || !connection.greeted)
		return 0;
	return connection.peer_alloc - (connection.sent - connection.peer_fwd);
}

/* The device tells the client that it is connected; only then the stream begins. */
static void vsock_greet(void)
{
	const uint8_t *end;
	size_t line;

	if (connection.greeted)
		return;
	end = memchr(stream.echo, '\n', stream.pending);
	if (!end)
		return;
	line = (size_t)(end + 1 - stream.echo);
	connection.greeted = true;
	stream.pending -= line;
	memmove(stream.echo, stream.echo + line, stream.pending);
}

static bool vsock_ready(void)
{
	return connection.open && connection.greeted;
}

static const struct stream_ops vsock_ops = {
	.kind = "vsock",
	.least = 1,
	.header = sizeof(struct vsock_header),
	.wrap = vsock_wrap,
	.accept = vsock_take,
	.room = vsock_room,
	.greet = vsock_greet,
	.ready = vsock_ready,
};

static int connect_client(void)
{
	static const char line[] = "CONNECT 1025\n";
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (stream.peer >= 0)
		close(stream.peer);
	connection.open = false;
	connection.greeted = false;
	connection.sent = 0;
	connection.received = 0;
	stream.pending = 0;
	memcpy(addr.sun_path, connection.path, sizeof(addr.sun_path));
	stream.peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(stream.peer, (const struct sockaddr *)&addr, sizeof(addr)) ||
	    send(stream.peer, line, sizeof(line) - 1, MSG_NOSIGNAL) != sizeof(line) - 1) {
		perror(connection.path);
		return -EIO;
	}
	return 0;
}

static int vsock_begin(struct run *run)
{
	int rc = connect_client();

	return rc ? rc : stream_begin(run);
}

static int vsock_resume(struct run *run)
{
	(void)run;
	return connect_client();
}

/* The client's socket listens; the other one is minivmm's, which is asked for nothing here. */
static int vsock_prepare(struct run *run)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int broker[2];
	int listener;

	stream = (struct stream){ .ops = &vsock_ops, .peer = -1 };
	snprintf(connection.path, sizeof(connection.path), "%s/clients", run->folder);
	memcpy(addr.sun_path, connection.path, sizeof(addr.sun_path));
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	if (listener < 0 || bind(listener, (const struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(listener, 16) || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, broker))
		return -errno;
	run_add_word(run, "cid=%d", GUEST_CID);
	run_add_word(run, "--backend-fd");
	run_add_word(run, "%d", listener);
	run_add_word(run, "--backend-fd");
	run_add_word(run, "%d", broker[1]);
	return 0;
}

const struct traffic vsock_traffic = {
	.kind = "vsock",
	.nr_queues = 2,
	.prepare = vsock_prepare,
	.begin = vsock_begin,
	.resume = vsock_resume,
	.step = stream_step,
	.at_rest = stream_at_rest,
	.host = stream_host,
};
