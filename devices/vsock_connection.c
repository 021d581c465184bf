/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/vsock.h"

#include <assert.h>
#include <unistd.h>

/* Ports of the host that we give out: above all that people use, as other VMMs have it. */
#define FIRST_PORT 0x40000000u
#define LAST_PORT  0x7fffffffu

static struct vsock_connection *find_free(struct vsock *vsock)
{
	for (unsigned int i = 0; i < vsock->nr_used; i++) {
		if (vsock->connections[i].state == VSOCK_FREE)
			return &vsock->connections[i];
	}
	if (vsock->nr_used == VSOCK_MAX_CONNECTIONS)
		return NULL;
	return &vsock->connections[vsock->nr_used++];
}

/* A client that says nothing keeps its place only until somebody else needs it. */
static struct vsock_connection *evict_greeting(struct vsock *vsock)
{
	struct vsock_connection *oldest = NULL;

	for (unsigned int i = 0; i < vsock->nr_used; i++) {
		struct vsock_connection *conn = &vsock->connections[i];

		if (conn->state == VSOCK_GREETING &&
		    (!oldest || (int32_t)(conn->serial - oldest->serial) < 0))
			oldest = conn;
	}
	if (oldest)
		vsock_close(vsock, oldest);
	return oldest;
}

struct vsock_connection *vsock_open(struct vsock *vsock, enum vsock_state state, int fd)
{
	struct vsock_connection *conn = find_free(vsock);
	uint32_t serial;

	if (!conn)
		conn = evict_greeting(vsock);
	if (!conn)
		return NULL;
	serial = ++vsock->last_serial;
	*conn = (struct vsock_connection){
		.state = state,
		.host.fd = fd,
		/* Not that of the slot's last owner, of whom an event may still be on its way. */
		.host.id = DEVICE_MAX_BACKENDS + (uint32_t)(conn - vsock->connections) +
			   VSOCK_MAX_CONNECTIONS * (serial & 0xffff),
		.serial = serial,
		/* The list may still have the slot. */
		.listed = conn->listed,
		.after = conn->after,
	};
	vsock_buffer_open(&conn->buffer);
	vsock_watch(vsock, conn);
	return conn;
}

/* Is there something between it and the guest? */
static bool known_to_guest(const struct vsock_connection *conn)
{
	return conn->state == VSOCK_REQUESTED || conn->state == VSOCK_CONNECTING ||
	       conn->state == VSOCK_OPEN;
}

static bool is_between(const struct vsock_connection *conn, uint32_t guest_port, uint32_t host_port)
{
	return conn->guest_port == guest_port && conn->host_port == host_port &&
	       known_to_guest(conn);
}

struct vsock_connection *vsock_find(struct vsock *vsock, uint32_t guest_port, uint32_t host_port)
{
	/* Packets of one connection often follow each other. */
	if (is_between(&vsock->connections[vsock->last_found], guest_port, host_port))
		return &vsock->connections[vsock->last_found];
	for (unsigned int i = 0; i < vsock->nr_used; i++) {
		if (is_between(&vsock->connections[i], guest_port, host_port)) {
			vsock->last_found = i;
			return &vsock->connections[i];
		}
	}
	return NULL;
}

static bool port_in_use(const struct vsock *vsock, uint32_t host_port)
{
	for (unsigned int i = 0; i < vsock->nr_used; i++) {
		const struct vsock_connection *conn = &vsock->connections[i];

		if (known_to_guest(conn) && conn->host_port == host_port)
			return true;
	}
	return false;
}

uint32_t vsock_choose_port(struct vsock *vsock)
{
	do {
		if (vsock->last_port < FIRST_PORT || vsock->last_port == LAST_PORT)
			vsock->last_port = FIRST_PORT;
		else
			vsock->last_port++;
	} while (port_in_use(vsock, vsock->last_port));
	return vsock->last_port;
}

void vsock_close_host(struct vsock *vsock, struct vsock_connection *conn)
{
	if (conn->host.fd < 0)
		return;
	device_watch(vsock->device, &conn->host, 0);
	close(conn->host.fd);
	conn->host.fd = -1;
}

void vsock_close(struct vsock *vsock, struct vsock_connection *conn)
{
	vsock_close_host(vsock, conn);
	vsock_buffer_close(&vsock->pool, &conn->buffer);
	conn->state = VSOCK_FREE;
}

void vsock_tell_closed(struct vsock *vsock, const struct vsock_connection *conn)
{
	const struct vsock_refusal refusal = {
		.cid = VSOCK_HOST_CID,
		.host_port = conn->host_port,
		.guest_port = conn->guest_port,
		.type = VSOCK_TYPE_STREAM,
	};

	vsock_refuse(vsock, &refusal);
}

void vsock_reset(struct vsock *vsock, struct vsock_connection *conn)
{
	vsock_tell_closed(vsock, conn);
	vsock_close(vsock, conn);
}

void vsock_close_all(struct vsock *vsock)
{
	for (unsigned int i = 0; i < vsock->nr_used; i++) {
		if (vsock->connections[i].state != VSOCK_FREE)
			vsock_close(vsock, &vsock->connections[i]);
		vsock->connections[i].listed = false;
	}
	vsock->nr_ready = 0;
	vsock->nr_refusals = 0;
	vsock->paused = false;
}

void vsock_refuse(struct vsock *vsock, const struct vsock_refusal *refusal)
{
	assert(vsock->nr_refusals < VSOCK_MAX_REFUSALS);
	vsock->refusals[(vsock->first_refusal + vsock->nr_refusals) % VSOCK_MAX_REFUSALS] =
		*refusal;
	vsock->nr_refusals++;
}

void vsock_make_ready(struct vsock *vsock, struct vsock_connection *conn)
{
	const uint16_t slot = conn - vsock->connections;

	if (conn->listed)
		return;
	conn->listed = true;
	if (vsock->nr_ready++)
		vsock->connections[vsock->last_ready].after = slot;
	else
		vsock->first_ready = slot;
	vsock->last_ready = slot;
}

void vsock_owe(struct vsock *vsock, struct vsock_connection *conn, unsigned int owes)
{
	conn->owes |= owes;
	vsock_make_ready(vsock, conn);
}

struct vsock_connection *vsock_take_ready(struct vsock *vsock)
{
	while (vsock->nr_ready) {
		struct vsock_connection *conn = &vsock->connections[vsock->first_ready];

		vsock->first_ready = conn->after;
		vsock->nr_ready--;
		conn->listed = false;
		if (conn->state != VSOCK_FREE)
			return conn;
	}
	return NULL;
}

static uint32_t events_wanted(const struct vsock_connection *conn)
{
	uint32_t events = EPOLLHUP;

	if (conn->state == VSOCK_GREETING)
		return EPOLLIN;
	if (conn->state == VSOCK_OPEN && !conn->readable &&
	    !(conn->host_shutdown & VSOCK_SHUTDOWN_SEND) &&
	    !(conn->guest_shutdown & VSOCK_SHUTDOWN_RCV))
		events |= EPOLLIN;
	return conn->buffer.len ? events | EPOLLOUT : events;
}

void vsock_watch(struct vsock *vsock, struct vsock_connection *conn)
{
	if (conn->host.fd < 0)
		return;
	/* A hang-up would be told for as long as it is watched. */
	if (!device_watch(vsock->device, &conn->host, conn->gone ? 0 : events_wanted(conn)))
		return;
	conn->gone = true;
	conn->readable = true;
	vsock_make_ready(vsock, conn);
}
