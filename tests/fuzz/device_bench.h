/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A device between a driver and a host that do what an input says. Devices are created once: after
 * each run all of their state is put back, which costs less than to make a new one.
 *
 * Whatever was done to a device, after a reset of its driver it serves the next good request: that is
 * what the prove function of each target looks at.
 */
#ifndef TESTS_FUZZ_DEVICE_BENCH_H
#define TESTS_FUZZ_DEVICE_BENCH_H

#include "devices/device.h"
#include "tests/fuzz/host.h"
#include "tests/fuzz/ring.h"

#define DEVICE_BENCH_BACKENDS 8

struct device_bench {
	/* Set before device_bench_create(). */
	struct device_kind kind;
	enum host_kind backends[DEVICE_BENCH_BACKENDS]; /* up to the first HOST_CLOSED */
	const char *settings[6];
	/* What only this device knows: a request made from the input, a peer that says something. */
	void (*step)(struct device_bench *b, struct fuzz_input *in);
	/* With all queues running anew and a host that works: a good request is served. */
	void (*prove)(struct device_bench *b);
	unsigned int keeps_fds; /* more than it began with, at most, while no queue runs */

	struct device device;
	struct mock_driver drivers[DEVICE_MAX_QUEUES];
	struct device before; /* as device_bench_create() left it, with the next */
	void *state_before;
	struct device_kept kept_before;
	struct host_snapshot host_before;
};

/* Makes it, once, with the backends that there are and @disk. */
void device_bench_create(struct device_bench *b, const struct host_disk *disk);

/* A whole run of an input. */
void device_bench_run(struct device_bench *b, struct fuzz_input *in);

/* For step and prove: a chain on queue @index, and what follows a kick. */
void device_bench_submit(struct device_bench *b, unsigned int index,
			 const struct ring_piece *pieces, unsigned int n);
void device_bench_kick(struct device_bench *b, unsigned int index);

/* Hands the device what the loop would tell it, until it tells nothing or @rounds are over. */
void device_bench_events(struct device_bench *b, unsigned int rounds, unsigned int from);

/* Adds a piece with an address for which the test has chosen @len bytes; splits it as @in says. */
unsigned int device_bench_pieces(struct fuzz_input *in, struct ring_piece *pieces, unsigned int n,
				 uint64_t addr, uint32_t len, bool write);

/* The other end of a descriptor of @kind writes, takes, or goes. */
void device_bench_peer(struct fuzz_input *in, enum host_kind kind);

/* From now on the other ends of all of @kind take everything. */
void device_bench_take_all(enum host_kind kind);

/* @len bytes that stay until the run is over; NULL: no more. */
uint8_t *device_bench_bytes(size_t len);

/* The length of the next used entry; fails when there is none. */
uint32_t device_bench_take_used(struct device_bench *b, unsigned int index, const char *what);

#endif
