/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a long run asks of a device, and how it tells that the answers are right. One table for each
 * kind; functions return 0 or -errno after a line on standard error.
 */
#ifndef TESTS_ENDURANCE_TRAFFIC_H
#define TESTS_ENDURANCE_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/endurance/driver.h"

#define TRAFFIC_MAX_WORDS 8

struct traffic;

struct run {
	struct driver driver;
	const struct traffic *traffic;
	const char *folder; /* of our own, for sockets and files */
	uint64_t random;
	/* What prepare() adds to the command line of the device. */
	char words[TRAFFIC_MAX_WORDS][160];
	unsigned int nr_words;
};

struct traffic {
	const char *kind;
	unsigned int nr_queues;
	/*
	 * A request may be given up in the middle, and done again: otherwise the device is at rest
	 * when it is reset or killed.
	 */
	bool interruptible;
	/* Before the device is started: its host side. */
	int (*prepare)(struct run *run);
	/* The rings are empty, at the start and after a reset. */
	int (*begin)(struct run *run);
	/* The device process is another one; the rings are as they were. */
	int (*resume)(struct run *run);
	/*
	 * Takes what is there and looks at it; with @more, asks for more. Returns how much it did: 0
	 * means that it has to wait.
	 */
	int (*step)(struct run *run, bool more);
	/* Everything that was asked for has come. */
	bool (*at_rest)(const struct run *run);
	/* A host side that step() waits for as well, and the events; -1: none. */
	int (*host)(const struct run *run, short *events);
};

extern const struct traffic blk_traffic;
extern const struct traffic rng_traffic;
extern const struct traffic console_traffic;
extern const struct traffic net_traffic;
extern const struct traffic vsock_traffic;

/* A number below @limit. The same ones in each run. */
uint32_t run_random(struct run *run, uint32_t limit);

/* Adds a word to the command line of the device. */
void run_add_word(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
