/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/vsock.h"

#include <endian.h>

static void to_host_order(struct vsock_header *header)
{
	header->src_cid = le64toh(header->src_cid);
	header->dst_cid = le64toh(header->dst_cid);
	header->src_port = le32toh(header->src_port);
	header->dst_port = le32toh(header->dst_port);
	header->len = le32toh(header->len);
	header->type = le16toh(header->type);
	header->op = le16toh(header->op);
	header->flags = le32toh(header->flags);
	header->buf_alloc = le32toh(header->buf_alloc);
	header->fwd_cnt = le32toh(header->fwd_cnt);
}

/* 5.10.6.4: what cannot be gets a RST, unless it is one. */
static void refuse(struct vsock *vsock, const struct vsock_header *header)
{
	const struct vsock_refusal refusal = {
		.cid = header->dst_cid,
		.host_port = header->dst_port,
		.guest_port = header->src_port,
		.type = header->type,
	};

	if (header->op != VSOCK_OP_RST)
		vsock_refuse(vsock, &refusal);
}

static void handle_request(struct vsock *vsock, const struct vsock_header *header)
{
	struct vsock_connection *conn = vsock_open(vsock, VSOCK_CONNECTING, -1);

	if (!conn) {
		refuse(vsock, header);
		return;
	}
	conn->guest_port = header->src_port;
	conn->host_port = header->dst_port;
	vsock_take_credit(vsock, conn, header);
	if (!vsock_ask_broker(vsock, conn))
		vsock_reset(vsock, conn);
}

static void handle_response(struct vsock *vsock, struct vsock_connection *conn,
			    const struct vsock_header *header)
{
	/* Not before it was asked. */
	if (conn->state != VSOCK_REQUESTED || conn->owes & VSOCK_OWES_REQUEST ||
	    !vsock_tell_accepted(conn)) {
		vsock_reset(vsock, conn);
		return;
	}
	conn->state = VSOCK_OPEN;
	vsock_take_credit(vsock, conn, header);
	vsock_watch(vsock, conn);
}

static void handle_payload(struct vsock *vsock, struct vsock_connection *conn,
			   const struct vsock_header *header, struct dma_buffers *data)
{
	if (header->len > vsock_buffer_credit(&conn->buffer) ||
	    conn->guest_shutdown & VSOCK_SHUTDOWN_SEND)
		vsock_reset(vsock, conn);
	else
		vsock_deliver(vsock, conn, data, header->len);
}

/* Packets of an open connection. */
static void handle_open(struct vsock *vsock, struct vsock_connection *conn,
			const struct vsock_header *header, struct dma_buffers *data)
{
	vsock_take_credit(vsock, conn, header);
	switch (header->op) {
	case VSOCK_OP_SHUTDOWN:
		vsock_shut_down(vsock, conn, header->flags);
		break;
	case VSOCK_OP_RW:
		handle_payload(vsock, conn, header, data);
		break;
	case VSOCK_OP_CREDIT_UPDATE:
		break;
	case VSOCK_OP_CREDIT_REQUEST:
		vsock_owe(vsock, conn, VSOCK_OWES_CREDIT_UPDATE);
		break;
	default: /* REQUEST again, or an operation that does not exist */
		vsock_reset(vsock, conn);
	}
}

static void handle_packet(struct vsock *vsock, const struct vsock_header *header,
			  struct dma_buffers *data)
{
	struct vsock_connection *conn = vsock_find(vsock, header->src_port, header->dst_port);

	if (!conn && header->op == VSOCK_OP_REQUEST)
		handle_request(vsock, header);
	else if (!conn)
		refuse(vsock, header);
	else if (header->op == VSOCK_OP_RST)
		vsock_finish(vsock, conn);
	else if (header->op == VSOCK_OP_RESPONSE)
		handle_response(vsock, conn, header);
	else if (conn->state == VSOCK_OPEN)
		handle_open(vsock, conn, header, data);
	else
		vsock_reset(vsock, conn);
}

bool vsock_receive(struct vsock *vsock, struct virtqueue_chain *chain)
{
	struct vsock_header header;
	struct vsock_connection *conn;

	if (dma_buffers_read(&chain->readable, &header, sizeof(header)) < sizeof(header))
		return false;
	to_host_order(&header);
	/* A guest speaks for itself only (5.10.4.2). */
	if (header.src_cid != vsock->guest_cid)
		return false;
	if (header.dst_cid != VSOCK_HOST_CID || header.type != VSOCK_TYPE_STREAM) {
		refuse(vsock, &header);
		return true;
	}
	if (header.len <= chain->readable.len) {
		handle_packet(vsock, &header, &chain->readable);
		return true;
	}
	/* A stream that lacks bytes is none. */
	conn = vsock_find(vsock, header.src_port, header.dst_port);
	if (conn)
		vsock_reset(vsock, conn);
	else
		refuse(vsock, &header);
	return false;
}
