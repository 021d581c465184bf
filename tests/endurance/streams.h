/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the devices that are streams have in common; see streams.c. */
#ifndef TESTS_ENDURANCE_STREAMS_H
#define TESTS_ENDURANCE_STREAMS_H

#include "tests/endurance/traffic.h"

#define STREAM_CHUNK 256u /* more bytes in one request than there are at least */

enum { STREAM_RX, STREAM_TX };

/* What the bytes are packed in. */
struct stream_ops {
	const char *kind;
	uint32_t least;	 /* bytes of the stream in one request */
	uint32_t header; /* bytes before those of the stream, in a request to send */
	/* Fills the header in front of @len bytes. */
	void (*wrap)(uint8_t *at, uint32_t len);
	/* A request of the receive queue is completed: hands its bytes to stream_check(). */
	int (*accept)(struct run *run, const uint8_t *at, uint32_t len);
	/* How many bytes the other side will take; NULL: any number. */
	uint32_t (*room)(void);
	/* Looks at the first bytes that come to the echo; NULL: they are of the stream. */
	void (*greet)(void);
	/* Whether it is connected; NULL: always. */
	bool (*ready)(void);
};

struct stream {
	const struct stream_ops *ops;
	int peer; /* the echo's socket; -1: none */
	uint64_t sent;
	uint64_t received;
	bool sending[DRIVER_SLOTS];
	size_t pending; /* bytes in echo[] */
	uint8_t echo[16384];
};

/* There is one in the process. */
extern struct stream stream;

/* The next bytes of the stream. */
int stream_check(const uint8_t *bytes, uint32_t len);

/* A place for a request to send, -1 when there is none; and the request. */
int stream_free_slot(void);
void stream_transmit(struct run *run, int slot, uint32_t len);

/* The functions of struct traffic. */
int stream_begin(struct run *run);
int stream_resume(struct run *run);
int stream_step(struct run *run, bool more);
bool stream_at_rest(const struct run *run);
int stream_host(const struct run *run, short *events);

#endif
