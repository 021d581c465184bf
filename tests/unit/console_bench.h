/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The driver of a virtio-console, for tests: ports, and what is said about them. */
#ifndef TESTS_UNIT_CONSOLE_BENCH_H
#define TESTS_UNIT_CONSOLE_BENCH_H

#include "devices/console.h"
#include "tests/unit/mock_frontend.h"

#define CONSOLE_CONTROL_IN  2
#define CONSOLE_CONTROL_OUT 3
#define CONSOLE_QUEUE_SIZE  64

/* What a device says of a port. */
struct console_told {
	uint32_t id;
	uint16_t event;
	uint16_t value;
	uint8_t data[CONSOLE_NAME_MAX]; /* what follows */
	size_t len;			/* of data */
};

/* Queues of port @id. */
unsigned int console_in(unsigned int id);
unsigned int console_out(unsigned int id);

/*
 * Starts a device on @fds, which are closed then, with all features and @nr_queues running. @confined:
 * see mock_start().
 */
void console_connect(struct mock_frontend *fe, const int *fds, unsigned int nr_fds,
		     const char *const *settings, unsigned int nr_queues, bool confined);

/* Control messages: from the driver; room for those to it; the next of those, within MOCK_TIMEOUT. */
void console_say(struct mock_frontend *fe, uint32_t id, uint16_t event, uint16_t value);
void console_offer(struct mock_frontend *fe, unsigned int nr_buffers, uint32_t len);
struct console_told console_hear(struct mock_frontend *fe);

/* The next message is this one, without anything behind it. */
void console_expect(struct mock_frontend *fe, uint32_t id, uint16_t event, uint16_t value);

/* No chain of queue @index is completed, and none will be. */
void console_expect_nothing(struct mock_frontend *fe, unsigned int index, const char *when);

/* Makes @id ready and open, and reads all that the device has to say. */
void console_open_port(struct mock_frontend *fe, uint32_t id);

/* The guest writes @text to the port; the buffer is not waited for. */
void console_write(struct mock_frontend *fe, uint32_t id, uint16_t head, const char *text);

/* @fd gets exactly @text, within MOCK_TIMEOUT. */
void console_expect_host_reads(int fd, const char *text);

#endif
