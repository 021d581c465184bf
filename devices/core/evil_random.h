/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Numbers that depend on the seed, a stream and a position in it, and on nothing else: what happens to
 * completion N of a queue is the same whatever happened on other queues.
 */
#ifndef DEVICES_CORE_EVIL_RANDOM_H
#define DEVICES_CORE_EVIL_RANDOM_H

#include <stdint.h>

struct evil_random {
	uint64_t state;
};

/* The position of @stream (a queue, or EVIL_CONFIG_STREAM) that the numbers belong to. */
#define EVIL_CONFIG_STREAM 0xffffu
struct evil_random evil_random_at(uint32_t seed, unsigned int stream, uint64_t position);

uint64_t evil_random_next(struct evil_random *random);

/* From 0 to @limit - 1; @limit is not 0. */
uint64_t evil_random_below(struct evil_random *random, uint64_t limit);

#endif
