/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/vsock.h"

#include <endian.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Where the host side has ended already there is nothing to shut down. */
static void shut_host(const struct vsock_connection *conn, int how)
{
	if (conn->host.fd >= 0)
		shutdown(conn->host.fd, how);
}

/* The host side will not do any more what @flags say. */
static void end_host(struct vsock *vsock, struct vsock_connection *conn, uint32_t flags)
{
	conn->host_shutdown |= flags;
	if (flags & VSOCK_SHUTDOWN_RCV)
		vsock_buffer_consume(&vsock->pool, &conn->buffer, conn->buffer.len);
	if (conn->host_shutdown & VSOCK_SHUTDOWN_SEND)
		conn->readable = false;
	if (conn->host_shutdown == VSOCK_SHUTDOWN_BOTH)
		vsock_close_host(vsock, conn);
	vsock_owe(vsock, conn, VSOCK_OWES_SHUTDOWN);
}

void vsock_find_readable(struct vsock *vsock, struct vsock_connection *conn)
{
	if (conn->state != VSOCK_OPEN || conn->guest_shutdown & VSOCK_SHUTDOWN_RCV)
		return;
	conn->readable = true;
	vsock_make_ready(vsock, conn);
}

void vsock_hang_up(struct vsock *vsock, struct vsock_connection *conn)
{
	conn->gone = true;
	/* If nothing is left that the guest wants, this is the end; else it has to be read first. */
	if (conn->state == VSOCK_OPEN && (conn->host_shutdown & VSOCK_SHUTDOWN_SEND ||
					  conn->guest_shutdown & VSOCK_SHUTDOWN_RCV))
		end_host(vsock, conn, VSOCK_SHUTDOWN_BOTH);
	else if (conn->state == VSOCK_OPEN)
		vsock_find_readable(vsock, conn);
	else
		vsock_make_ready(vsock, conn);
}

/* 5.10.6.3: bytes that the guest has room for. A guest may reduce its room below what is there. */
static uint32_t guest_credit(const struct vsock_connection *conn)
{
	const uint32_t in_flight = conn->sent - conn->guest_fwd_cnt;

	return conn->guest_buf_alloc > in_flight ? conn->guest_buf_alloc - in_flight : 0;
}

void vsock_take_credit(struct vsock *vsock, struct vsock_connection *conn,
		       const struct vsock_header *header)
{
	const uint32_t in_flight = conn->sent - conn->guest_fwd_cnt;

	conn->guest_buf_alloc = header->buf_alloc;
	/*
	 * It cannot have forwarded more than it got. Less than it said before is no news either:
	 * the packets of two CPUs of the guest may overtake each other.
	 */
	if (header->fwd_cnt - conn->guest_fwd_cnt <= in_flight)
		conn->guest_fwd_cnt = header->fwd_cnt;
	if (conn->readable && guest_credit(conn))
		vsock_make_ready(vsock, conn);
}

int vsock_ranges(const struct dma_buffers *buffers, size_t skip, size_t limit, struct iovec *iov,
		 int max)
{
	int n = 0;

	for (unsigned int i = 0; i < buffers->count && limit && n < max; i++) {
		const struct iovec *from = &buffers->iov[i];
		size_t len;

		if (skip >= from->iov_len) {
			skip -= from->iov_len;
			continue;
		}
		len = from->iov_len - skip;
		len = len < limit ? len : limit;
		iov[n++] = (struct iovec){ (char *)from->iov_base + skip, len };
		limit -= len;
		skip = 0;
	}
	return n;
}

/* Writes once. Returns how many bytes it took, 0 when it takes none now, -errno when never more. */
static ssize_t write_host(const struct vsock_connection *conn, const struct iovec *iov, int n)
{
	ssize_t written;

	do {
		written = writev(conn->host.fd, iov, n);
	} while (written < 0 && errno == EINTR);
	if (written >= 0)
		return written;
	return errno == EAGAIN ? 0 : -errno;
}

/* Past the buffer, which is empty. Returns how many bytes are left. */
static uint32_t deliver_now(struct vsock *vsock, struct vsock_connection *conn,
			    struct dma_buffers *data, uint32_t len)
{
	struct iovec iov[VSOCK_MAX_RANGES];

	while (len) {
		int ranges = vsock_ranges(data, 0, len, iov, VSOCK_MAX_RANGES);
		ssize_t n = write_host(conn, iov, ranges);

		if (n < 0) {
			end_host(vsock, conn, VSOCK_SHUTDOWN_RCV);
			return 0;
		}
		if (n == 0)
			break;
		dma_buffers_skip(data, n);
		len -= n;
	}
	return len;
}

static void update_credit(struct vsock *vsock, struct vsock_connection *conn)
{
	if (vsock_buffer_wants_update(&conn->buffer))
		vsock_owe(vsock, conn, VSOCK_OWES_CREDIT_UPDATE);
}

void vsock_deliver(struct vsock *vsock, struct vsock_connection *conn, struct dma_buffers *data,
		   uint32_t len)
{
	vsock_buffer_receive(&conn->buffer, len);
	/* If nobody wants them any more, the guest has been told or will be. */
	if (!(conn->host_shutdown & VSOCK_SHUTDOWN_RCV)) {
		if (!conn->buffer.len)
			len = deliver_now(vsock, conn, data, len);
		vsock_buffer_append(&vsock->pool, &conn->buffer, data, len);
	}
	update_credit(vsock, conn);
	vsock_watch(vsock, conn);
}

/* 0: more than the host side takes now is left; 1: nothing; -errno: it takes nothing any more. */
static int write_buffered(struct vsock *vsock, struct vsock_connection *conn)
{
	struct iovec iov[VSOCK_MAX_RANGES];

	while (conn->buffer.len) {
		int ranges =
			vsock_buffer_ranges(&vsock->pool, &conn->buffer, iov, VSOCK_MAX_RANGES);
		ssize_t n = write_host(conn, iov, ranges);

		if (n <= 0)
			return (int)n;
		vsock_buffer_consume(&vsock->pool, &conn->buffer, n);
	}
	return 1;
}

void vsock_flush(struct vsock *vsock, struct vsock_connection *conn)
{
	int rc;

	if (!conn->buffer.len)
		return;
	rc = write_buffered(vsock, conn);
	if (conn->state == VSOCK_FLUSHING) {
		if (rc)
			vsock_close(vsock, conn);
		return;
	}
	if (rc < 0)
		end_host(vsock, conn, VSOCK_SHUTDOWN_RCV);
	else if (rc && conn->guest_shutdown & VSOCK_SHUTDOWN_SEND)
		shut_host(conn, SHUT_WR);
	update_credit(vsock, conn);
}

void vsock_finish(struct vsock *vsock, struct vsock_connection *conn)
{
	if (!conn->buffer.len) {
		vsock_close(vsock, conn);
		return;
	}
	conn->state = VSOCK_FLUSHING;
	conn->owes = 0;
	vsock_watch(vsock, conn);
}

void vsock_shut_down(struct vsock *vsock, struct vsock_connection *conn, uint32_t flags)
{
	const uint32_t news = flags & VSOCK_SHUTDOWN_BOTH & ~conn->guest_shutdown;

	conn->guest_shutdown |= news;
	/* 5.10.6.5: once both directions have ended, a RST confirms it. */
	if (conn->guest_shutdown == VSOCK_SHUTDOWN_BOTH) {
		vsock_tell_closed(vsock, conn);
		vsock_finish(vsock, conn);
		return;
	}
	if (news & VSOCK_SHUTDOWN_RCV) {
		conn->readable = false;
		shut_host(conn, SHUT_RD);
	}
	/* What is buffered goes first. */
	if (news & VSOCK_SHUTDOWN_SEND && !conn->buffer.len)
		shut_host(conn, SHUT_WR);
	vsock_watch(vsock, conn);
}

/*
 * Reads what the host side has straight into @room, behind the header to come, as far as the
 * guest's credit goes. Returns how many bytes; 0 when there are none, or no credit.
 */
static uint32_t read_host(struct vsock *vsock, struct vsock_connection *conn,
			  const struct dma_buffers *room)
{
	const uint32_t credit = guest_credit(conn);
	struct iovec iov[VSOCK_MAX_RANGES];
	size_t wanted = 0;
	ssize_t n;
	int ranges;

	if (!credit) {
		if (!conn->asked)
			conn->owes |= VSOCK_OWES_CREDIT_REQUEST;
		conn->asked = true;
		return 0;
	}
	conn->asked = false;
	ranges = vsock_ranges(room, sizeof(struct vsock_header), credit, iov, VSOCK_MAX_RANGES);
	for (int i = 0; i < ranges; i++)
		wanted += iov[i].iov_len;
	n = readv(conn->host.fd, iov, ranges);
	if (n > 0) {
		/* Less than wanted was all. That more has come is told by the event loop. */
		conn->readable = conn->gone || (size_t)n == wanted;
		conn->sent += n;
		return n;
	}
	if (n < 0 && errno == EINTR)
		return 0;
	if (n < 0 && errno == EAGAIN && !conn->gone)
		conn->readable = false;
	else
		end_host(vsock, conn,
			 n < 0 || conn->gone ? VSOCK_SHUTDOWN_BOTH : VSOCK_SHUTDOWN_SEND);
	return 0;
}

/* Takes @owes off what @conn owes, if it does. */
static bool pay(struct vsock_connection *conn, unsigned int owes)
{
	const bool owed = conn->owes & owes;

	conn->owes &= ~owes;
	return owed;
}

/* What @conn says next, and with how many bytes of payload. */
static enum vsock_op next_op(struct vsock *vsock, struct vsock_connection *conn,
			     const struct dma_buffers *room, uint32_t *len)
{
	*len = 0;
	if (pay(conn, VSOCK_OWES_REQUEST))
		return VSOCK_OP_REQUEST;
	if (pay(conn, VSOCK_OWES_RESPONSE))
		return VSOCK_OP_RESPONSE;
	if (conn->state == VSOCK_OPEN && conn->readable)
		*len = read_host(vsock, conn, room);
	if (*len)
		return VSOCK_OP_RW;
	if (pay(conn, VSOCK_OWES_CREDIT_REQUEST))
		return VSOCK_OP_CREDIT_REQUEST;
	if (pay(conn, VSOCK_OWES_SHUTDOWN))
		return VSOCK_OP_SHUTDOWN;
	if (pay(conn, VSOCK_OWES_CREDIT_UPDATE))
		return VSOCK_OP_CREDIT_UPDATE;
	return VSOCK_OP_NONE;
}

static void write_header(struct vsock *vsock, struct vsock_connection *conn, enum vsock_op op,
			 uint32_t len, struct dma_buffers *room)
{
	uint32_t buf_alloc, fwd_cnt;
	struct vsock_header header = {
		.src_cid = htole64(VSOCK_HOST_CID),
		.dst_cid = htole64(vsock->guest_cid),
		.src_port = htole32(conn->host_port),
		.dst_port = htole32(conn->guest_port),
		.len = htole32(len),
		.type = htole16(VSOCK_TYPE_STREAM),
		.op = htole16(op),
		.flags = htole32(op == VSOCK_OP_SHUTDOWN ? conn->host_shutdown : 0),
	};

	vsock_buffer_promise(&vsock->pool, &conn->buffer, &buf_alloc, &fwd_cnt);
	header.buf_alloc = htole32(buf_alloc);
	header.fwd_cnt = htole32(fwd_cnt);
	/* Each packet has the credit in it. */
	pay(conn, VSOCK_OWES_CREDIT_UPDATE);
	dma_buffers_write(room, &header, sizeof(header));
}

/* A client that left before the guest has accepted. */
static void give_up(struct vsock *vsock, struct vsock_connection *conn)
{
	const bool guest_knows =
		conn->state == VSOCK_REQUESTED && !(conn->owes & VSOCK_OWES_REQUEST);

	if (guest_knows)
		vsock_tell_closed(vsock, conn);
	vsock_close(vsock, conn);
}

/* Would another turn do something about what the host side has? */
static bool may_read(const struct vsock_connection *conn)
{
	return conn->state == VSOCK_OPEN && conn->readable && (guest_credit(conn) || !conn->asked);
}

uint32_t vsock_fill(struct vsock *vsock, struct vsock_connection *conn, struct dma_buffers *room)
{
	enum vsock_op op;
	uint32_t len;

	if (conn->gone && (conn->state == VSOCK_GREETING || conn->state == VSOCK_REQUESTED)) {
		give_up(vsock, conn);
		return 0;
	}
	op = next_op(vsock, conn, room, &len);
	if (op != VSOCK_OP_NONE)
		write_header(vsock, conn, op, len, room);
	if (conn->owes || may_read(conn))
		vsock_make_ready(vsock, conn);
	vsock_watch(vsock, conn);
	return op == VSOCK_OP_NONE ? 0 : sizeof(struct vsock_header) + len;
}
