/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A vsock device between a driver, clients of the host and a broker, all played by the test.
 */
#ifndef TESTS_UNIT_VSOCK_BENCH_H
#define TESTS_UNIT_VSOCK_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/proto/vsock_broker.h"
#include "devices/vsock.h"
#include "tests/unit/mock_frontend.h"

#define BENCH_CID	 3u
#define BENCH_QUEUE_SIZE 64
#define BENCH_BUFFERS	 16   /* that the guest gives to receive, unless told otherwise */
#define BENCH_BUFFER	 4096 /* bytes of each */
#define BENCH_PAYLOAD	 65536
#define BENCH_CREDIT	 262144 /* what the guest tells, as Linux does */

struct vsock_bench {
	struct mock_frontend fe;
	char dir[64];
	char path[80];
	int broker;
	uint64_t rx[BENCH_QUEUE_SIZE]; /* where the buffer of each head is */
	uint64_t tx;		       /* one packet */
	uint32_t buf_alloc;	       /* the guest's, in each packet that bench_send() makes */
	uint32_t fwd_cnt;
};

/* A packet that the guest got. */
struct bench_packet {
	struct vsock_header header;
	uint8_t payload[BENCH_BUFFER];
};

/* An established connection. */
struct bench_stream {
	int fd; /* the far end of the host side */
	uint32_t guest_port;
	uint32_t host_port;
	uint32_t buf_alloc; /* the device's, as it said first */
};

/* @confined: with the whole sandbox. The driver has given no buffer yet. */
void bench_start(struct vsock_bench *bench, bool confined);
void bench_stop(struct vsock_bench *bench);

/* Starts the queues anew that the test has stopped. */
void bench_restart(struct vsock_bench *bench);

/* Gives @n buffers to the device, from head @first on. */
void bench_give(struct vsock_bench *bench, uint16_t first, uint16_t n);

/* What a good guest sends from its port 1025 to port 80 of the host, without payload. */
struct vsock_header bench_header(uint16_t op);

/* Sends @header as it is, with @len bytes of payload behind it, and waits until it is taken. */
void bench_send_raw(struct vsock_bench *bench, const struct vsock_header *header,
		    const void *payload, uint32_t len);

/* A packet of the guest, with the credit in @bench. */
void bench_send(struct vsock_bench *bench, uint16_t op, uint32_t guest_port, uint32_t host_port,
		uint32_t flags, const void *payload, uint32_t len);

/* Of an established connection. */
void bench_say(struct vsock_bench *bench, const struct bench_stream *stream, uint16_t op,
	       uint32_t flags);
void bench_write(struct vsock_bench *bench, const struct bench_stream *stream, const void *data,
		 uint32_t len);

/* The next packet for the guest, whose buffer is given back at once. False: none in that time. */
bool bench_next(struct vsock_bench *bench, struct bench_packet *packet, int timeout_ms);

/* The next packet, which has to come. */
struct bench_packet bench_wait(struct vsock_bench *bench);

/* Expects one with this operation, between these ports. */
struct bench_packet bench_expect(struct vsock_bench *bench, uint16_t op, uint32_t guest_port,
				 uint32_t host_port);

/* ... and nothing. */
void bench_expect_silence(struct vsock_bench *bench);

/* A client that has connected to the device, and has sent @line. */
int bench_client(struct vsock_bench *bench, const char *line);

/* Expects to read exactly @text, or the end when that is "". */
void bench_expect_text(int fd, const char *text);

/* Expects a request to the broker. */
struct vsock_broker_request bench_asked(struct vsock_bench *bench, uint32_t port);
void bench_answer(struct vsock_bench *bench, uint32_t id, int32_t status, int fd);

/* A stream that a client opened, or the guest. */
struct bench_stream bench_open_by_client(struct vsock_bench *bench, uint32_t guest_port);
struct bench_stream bench_open_by_guest(struct vsock_bench *bench, uint32_t guest_port,
					uint32_t host_port);

/* Whatever was done to the device: the next connection is as good as any. */
void bench_expect_alive(struct vsock_bench *bench);

#endif
