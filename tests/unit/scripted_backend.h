/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The other end of a vhost-user connection, in a thread: answers every request as a good back-end
 * would and keeps what it received, but misbehaves once where it is told to.
 */
#ifndef TESTS_UNIT_SCRIPTED_BACKEND_H
#define TESTS_UNIT_SCRIPTED_BACKEND_H

#include <pthread.h>
#include <stdint.h>

#include "devices/proto/report.h"
#include "devices/proto/vhost_user.h"

#define SCRIPT_MAX_MESSAGES 128

enum fault {
	FAULT_NONE,
	FAULT_OTHER_REQUEST, /* answers another question */
	FAULT_SHORT,	     /* 4 bytes of payload less */
	FAULT_LONG,	     /* 4 bytes of payload more */
	FAULT_EMPTY,	     /* no payload */
	FAULT_HUGE,	     /* announces more than a message may hold */
	FAULT_NO_REPLY_FLAG, /* looks like a request */
	FAULT_NEED_REPLY,    /* asks for an answer to the answer */
	FAULT_VERSION,	     /* of another version */
	FAULT_ONE_FD,	     /* with a descriptor */
	FAULT_MANY_FDS,	     /* with more than a message may carry */
	FAULT_PAYLOAD_FD,    /* with a descriptor in the middle of the payload */
	FAULT_SILENT,	     /* no answer */
	FAULT_TRICKLE,	     /* one byte now and then, never late by itself */
	FAULT_CLOSE,	     /* hangs up instead of an answer */
	FAULT_CLOSE_IN_HALF, /* hangs up in the middle of it */
	FAULT_REFUSE,	     /* a well-formed "no" */
	NR_FAULTS,
};

struct scripted_backend {
	/* Before scripted_backend_start(). */
	uint64_t features;
	uint64_t protocol_features;
	uint64_t queue_num;
	uint32_t config_len; /* bytes; who asks for more is answered with nothing */
	struct device_report_wire report;
	enum fault fault;
	uint32_t fault_at;	 /* request */
	uint32_t twice_at;	 /* request that is answered two times; 0: none */
	uint32_t hang_up_at;	 /* request, whether or not it has an answer; 0: never */
	unsigned int trickle_us; /* between two bytes */
	unsigned int think_us;	 /* before each answer */

	/* After scripted_backend_join(): messages in their order, with their descriptors. */
	struct vhost_user_msg messages[SCRIPT_MAX_MESSAGES];
	unsigned int nr_messages;

	int sock;
	pthread_t thread;
};

/* Good until told otherwise. */
void scripted_backend_init(struct scripted_backend *backend);

/* Returns the front-end's end of the connection. */
int scripted_backend_start(struct scripted_backend *backend);

/* Waits until the front-end has hung up. */
void scripted_backend_join(struct scripted_backend *backend);

/* Closes the descriptors that came with the messages. */
void scripted_backend_destroy(struct scripted_backend *backend);

#endif
