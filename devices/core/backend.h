/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The vhost-user back-end: the front-end's messages become calls of one device.
 *
 *	start ---SET_MEM_TABLE---> mapped: the sandbox closes for good; a later table can only move
 *	                           the windows. Of a foreign front-end it can bring others
 *
 * A message outside the subset, or one that comes at the wrong time, ends the connection.
 */
#ifndef DEVICES_CORE_BACKEND_H
#define DEVICES_CORE_BACKEND_H

#include <stdint.h>

#include "devices/device.h"

struct sandbox;

struct backend {
	struct device *device; /* not owned, like the next two */
	const struct sandbox *sandbox;
	int sock;
	uint64_t protocol_features; /* negotiated */
};

/*
 * Serves the front-end on @backend->sock until it closes the connection. Returns 0 then, -errno
 * after a line in the log otherwise.
 */
int backend_run(struct backend *backend);

/*
 * Receives and answers one message. Returns 1, 0 at end of file, -errno after a line in the log.
 */
int backend_handle_message(struct backend *backend);

#endif
