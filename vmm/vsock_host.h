/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a vsock device process cannot do itself, because it has no files and no network.
 *
 *	clients of the host --> PATH       we listen, the device process accepts
 *	connections of the guest           the device process asks us (devices/proto/vsock_broker.h),
 *	  to port N --> PATH_N             we connect, and it gets the socket
 *
 * The guest decides how often we are asked, so there is a limit to that. Everything here runs in
 * the main thread.
 */
#ifndef VMM_VSOCK_HOST_H
#define VMM_VSOCK_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/proto/vsock_broker.h"
#include "vmm/config.h"
#include "vmm/log.h"
#include "vmm/main_loop.h"
#include "vmm/unix_socket.h"

#define VSOCK_HOST_TICK_MS     20
#define VSOCK_HOST_BUDGET      64  /* requests that are served in one tick */
#define VSOCK_HOST_MAX_WAITING 64  /* requests for servers whose backlog is full */
#define VSOCK_HOST_PATIENCE    100 /* ticks that one of them is tried again */

struct vsock_host_waiting {
	struct vsock_broker_request request;
	unsigned int tries;
};

struct vsock_host {
	const struct config_vsock *config; /* not owned */
	struct unix_listener listener;	   /* at config->path; for the device process */
	int far; /* the device process' end of the broker's socket; owned; -1: handed over */

	int broker_fd; /* our end */
	int timer_fd;  /* ticks while there is something to do */
	struct main_loop *loop;
	bool reading; /* broker_fd is watched */
	unsigned int budget;
	struct vsock_host_waiting waiting[VSOCK_HOST_MAX_WAITING];
	unsigned int nr_waiting;
	struct log_limit limit;

	/*
	 * A port that is not at PATH_N but served by us: @exit_connected gets the other end of each
	 * connection, non-blocking, as its own. NULL: there is none. To be set between
	 * vsock_host_open() and vsock_host_watch().
	 */
	uint32_t exit_port;
	void (*exit_connected)(void *opaque, int fd);
	void *exit_opaque;
};

/*
 * Listens at config->path. Returns 0, or an exit status (enum exit_status) after one line on
 * stderr, with nothing left open.
 */
int vsock_host_open(struct vsock_host *host, const struct config_vsock *config);

/*
 * Another process will ask: it gets a socket of its own in host->far, since its numbers are not those of
 * the one before. 0, or an exit status after one line on stderr.
 */
int vsock_host_renew(struct vsock_host *host);

/* Closes what is for the device process, once it has that. */
void vsock_host_hand_over(struct vsock_host *host);

/* Serves the device process' requests. Returns 0, or -errno after one line on stderr. */
int vsock_host_watch(struct vsock_host *host, struct main_loop *loop);

/* Ends all that, and removes the socket at config->path. Harmless when it is done already. */
void vsock_host_close(struct vsock_host *host);

#endif
