/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The parts of the vsock device (virtio 1.3, 5.10). Section numbers in these files are of that.
 *
 *	vsock.c             queues: takes packets of the guest, gives it those that wait
 *	vsock_packet.c      what a packet of the guest means
 *	vsock_connection.c  the table of connections; which of them have something for the guest
 *	vsock_stream.c      bytes and credit of an open connection
 *	vsock_host.c        clients of the host ("CONNECT PORT"), and minivmm as the broker
 *	vsock_buffer.c      what the host side does not take at once
 *
 * Nothing waits for anything else: bytes for the guest stay with the host's writer until the guest
 * has a buffer and credit for them, so there is one copy, straight into that buffer. Bytes of the
 * guest go straight to the host side, and those that it does not take were promised a place. All
 * other packets for the guest are not queued but owed: a connection remembers which ones, and says
 * how things stand when its turn comes.
 */
#ifndef DEVICES_VSOCK_H
#define DEVICES_VSOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/core/virtqueue.h"
#include "devices/device.h"
#include "devices/vsock_buffer.h"

#define VSOCK_HOST_CID 2ull /* 5.10.4 */

#define VSOCK_MAX_CONNECTIONS VSOCK_MAX_BUFFERS
#define VSOCK_LINE_MAX	      32 /* bytes of a CONNECT line */

/* Packets of the guest are not taken while so many refusals wait for a buffer of the guest. */
#define VSOCK_REFUSALS_PAUSE 64
/* Beyond that, each connection can end once before it can be opened again. */
#define VSOCK_MAX_REFUSALS (VSOCK_REFUSALS_PAUSE + VSOCK_MAX_CONNECTIONS)

/* How many ranges one readv(2) or writev(2) of ours has. */
#define VSOCK_MAX_RANGES 64

enum vsock_queue { VSOCK_RX, VSOCK_TX, VSOCK_EVENT };

/* The descriptors of the host side. */
enum vsock_backend { VSOCK_LISTENER, VSOCK_BROKER, VSOCK_BACKENDS };

/* 5.10.6; little-endian */
struct vsock_header {
	uint64_t src_cid;
	uint64_t dst_cid;
	uint32_t src_port;
	uint32_t dst_port;
	uint32_t len; /* bytes of payload */
	uint16_t type;
	uint16_t op;
	uint32_t flags;
	uint32_t buf_alloc;
	uint32_t fwd_cnt;
} __attribute__((packed));

#define VSOCK_TYPE_STREAM 1

enum vsock_op {
	VSOCK_OP_NONE,
	VSOCK_OP_REQUEST,
	VSOCK_OP_RESPONSE,
	VSOCK_OP_RST,
	VSOCK_OP_SHUTDOWN,
	VSOCK_OP_RW,
	VSOCK_OP_CREDIT_UPDATE,
	VSOCK_OP_CREDIT_REQUEST,
};

/* Flags of SHUTDOWN: its sender will not ... */
#define VSOCK_SHUTDOWN_RCV  1u /* receive */
#define VSOCK_SHUTDOWN_SEND 2u /* send */
#define VSOCK_SHUTDOWN_BOTH (VSOCK_SHUTDOWN_RCV | VSOCK_SHUTDOWN_SEND)

/*
 *	GREETING ---line---> REQUESTED --RESPONSE--+
 *	                                           +--> OPEN ---> FLUSHING ---> FREE
 *	FREE ----REQUEST---> CONNECTING --answer---+
 *
 * and from any of them to FREE.
 */
enum vsock_state {
	VSOCK_FREE,
	VSOCK_GREETING,	  /* a client of the host has not said yet what it wants */
	VSOCK_REQUESTED,  /* it has: the guest is to accept */
	VSOCK_CONNECTING, /* the guest wants a connection: minivmm is to make it */
	VSOCK_OPEN,
	VSOCK_FLUSHING, /* over for the guest; the host side still gets what is buffered */
};

/* Packets that the guest has to get. */
#define VSOCK_OWES_REQUEST	  0x1u
#define VSOCK_OWES_RESPONSE	  0x2u
#define VSOCK_OWES_SHUTDOWN	  0x4u
#define VSOCK_OWES_CREDIT_UPDATE  0x8u
#define VSOCK_OWES_CREDIT_REQUEST 0x10u

struct vsock_connection {
	enum vsock_state state;
	struct device_source host; /* host.fd is owned; -1: not yet, or no more */
	uint32_t serial;	   /* by age; the broker knows it as id */
	uint32_t guest_port;
	uint32_t host_port;
	uint8_t owes;	/* VSOCK_OWES_* */
	bool listed;	/* in the list of those that have something for the guest */
	uint16_t after; /* the next one there */

	bool readable;		 /* the host side has bytes or an end for us, and we wait */
	bool gone;		 /* the host side is closed: what it wrote before may be left */
	uint32_t host_shutdown;	 /* VSOCK_SHUTDOWN_*: what the host side will not do any more */
	uint32_t guest_shutdown; /* likewise the guest */

	struct vsock_buffer buffer; /* guest -> host */
	uint32_t sent;		    /* host -> guest: bytes all in all; wraps */
	uint32_t guest_buf_alloc;   /* as the guest said last */
	uint32_t guest_fwd_cnt;
	bool asked; /* for credit, since there was some */

	char line[VSOCK_LINE_MAX]; /* GREETING */
	uint8_t line_len;
};

/* A RST for which there is no connection, or none any more. */
struct vsock_refusal {
	uint64_t cid; /* whom the guest meant */
	uint32_t host_port;
	uint32_t guest_port;
	uint16_t type;
};

struct vsock {
	struct device *device;
	uint64_t guest_cid;
	bool listening;	 /* the guest has a driver: clients of the host are let in */
	bool paused;	 /* packets of the guest wait until fewer refusals do */
	bool owes_reset; /* the guest's connections were those of a process before this one */
	uint32_t last_serial;
	uint32_t last_port;   /* of the host, of those that we gave out */
	unsigned int nr_used; /* slots below have been in use */
	unsigned int last_found;
	uint16_t first_ready, last_ready;
	unsigned int nr_ready;
	unsigned int first_refusal, nr_refusals;
	struct vsock_pool pool;
	struct vsock_connection connections[VSOCK_MAX_CONNECTIONS];
	struct vsock_refusal refusals[VSOCK_MAX_REFUSALS];
};

/* vsock_packet.c */

/* Does what the packet in @chain, taken off the transmit queue, says. False: it makes no sense. */
bool vsock_receive(struct vsock *vsock, struct virtqueue_chain *chain);

/* vsock_connection.c */

/*
 * A slot for a new connection, on @fd, which becomes its own. When all are in use, the client is
 * dropped that has not finished its CONNECT line for longest; NULL when there is none either.
 */
struct vsock_connection *vsock_open(struct vsock *vsock, enum vsock_state state, int fd);

/* The connection of these two ports; NULL when the guest has none. */
struct vsock_connection *vsock_find(struct vsock *vsock, uint32_t guest_port, uint32_t host_port);

/* A port of the host that no connection uses. */
uint32_t vsock_choose_port(struct vsock *vsock);

/* Ends the host side of @conn only. */
void vsock_close_host(struct vsock *vsock, struct vsock_connection *conn);

/* Ends @conn. The guest is not told. */
void vsock_close(struct vsock *vsock, struct vsock_connection *conn);

/* The guest gets a RST for @conn, which is to end, or to be finished. */
void vsock_tell_closed(struct vsock *vsock, const struct vsock_connection *conn);

/* Ends @conn, and tells the guest so. */
void vsock_reset(struct vsock *vsock, struct vsock_connection *conn);

void vsock_close_all(struct vsock *vsock);

/* The guest gets a RST. */
void vsock_refuse(struct vsock *vsock, const struct vsock_refusal *refusal);

/* @conn has something for the guest: its turn will come. */
void vsock_make_ready(struct vsock *vsock, struct vsock_connection *conn);

/* As vsock_make_ready(), with @owes. */
void vsock_owe(struct vsock *vsock, struct vsock_connection *conn, unsigned int owes);

/* Whose turn it is; NULL: nobody's. */
struct vsock_connection *vsock_take_ready(struct vsock *vsock);

/*
 * Watches the host side for what @conn now waits for. A host side that cannot be watched is closed
 * as if it had gone.
 */
void vsock_watch(struct vsock *vsock, struct vsock_connection *conn);

/* vsock_stream.c */

/* The credit in a packet of the guest. */
void vsock_take_credit(struct vsock *vsock, struct vsock_connection *conn,
		       const struct vsock_header *header);

/* Passes on @len bytes of @data, which the credit covers. */
void vsock_deliver(struct vsock *vsock, struct vsock_connection *conn, struct dma_buffers *data,
		   uint32_t len);

/* The host side has bytes for the guest, or its end. */
void vsock_find_readable(struct vsock *vsock, struct vsock_connection *conn);

/* The host side is closed; what it wrote before may still be there. */
void vsock_hang_up(struct vsock *vsock, struct vsock_connection *conn);

/* The host side may take bytes again: passes on what is buffered, if there is any. */
void vsock_flush(struct vsock *vsock, struct vsock_connection *conn);

/* The guest has said what it will not do any more. */
void vsock_shut_down(struct vsock *vsock, struct vsock_connection *conn, uint32_t flags);

/* The guest has no more to do with @conn: the host side still gets what is buffered. */
void vsock_finish(struct vsock *vsock, struct vsock_connection *conn);

/*
 * Writes the next packet of @conn to @room, which is longer than a header. Returns its length, 0
 * when there is none. May end @conn, then without a packet.
 */
uint32_t vsock_fill(struct vsock *vsock, struct vsock_connection *conn, struct dma_buffers *room);

/* Bytes [@skip, @skip + @limit) of @buffers as at most @max ranges; returns how many. */
int vsock_ranges(const struct dma_buffers *buffers, size_t skip, size_t limit, struct iovec *iov,
		 int max);

/* vsock_host.c */

/* Lets the clients in that wait at the listening socket. */
void vsock_accept(struct vsock *vsock);

/* Goes on reading the CONNECT line of @conn, a GREETING. */
void vsock_read_line(struct vsock *vsock, struct vsock_connection *conn);

/* Tells the client that the guest has accepted. False: it has gone. */
bool vsock_tell_accepted(const struct vsock_connection *conn);

/* Asks minivmm to connect @conn. False: it cannot now. */
bool vsock_ask_broker(struct vsock *vsock, const struct vsock_connection *conn);

/* Takes the answers that have come. */
void vsock_take_answers(struct vsock *vsock);

#endif
