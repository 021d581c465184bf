/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * How a vsock device process, which can open nothing, comes by a connection that its guest asked
 * for: on a socket of type SOCK_SEQPACKET, where each message is one of these structs. Host byte
 * order.
 *
 *	device process                          minivmm
 *	struct vsock_broker_request  -->
 *	                             <--        struct vsock_broker_answer; when the status is 0,
 *	                                        with a connected, non-blocking stream socket
 *
 * Answers come in any order, one for each request that was taken.
 */
#ifndef DEVICES_PROTO_VSOCK_BROKER_H
#define DEVICES_PROTO_VSOCK_BROKER_H

#include <stdint.h>

struct vsock_broker_request {
	uint32_t id;   /* of the device's choice */
	uint32_t port; /* of the host, as the guest named it */
};

struct vsock_broker_answer {
	uint32_t id;	/* that of the request */
	int32_t status; /* 0, or -errno: there is no connection */
};

#endif
