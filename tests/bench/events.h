/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Events of the kernel, through perf_event_open(2): when the first was, and how many there were. */
#ifndef TESTS_BENCH_EVENTS_H
#define TESTS_BENCH_EVENTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FIRST_ENTRY_MAX_CPUS 64

/* The first kvm:kvm_entry of the whole machine after opening; it costs one sample for each CPU. */
struct first_entry {
	int nr_cpus;
	int fds[FIRST_ENTRY_MAX_CPUS];
	void *rings[FIRST_ENTRY_MAX_CPUS];
};

/* Returns 0 or -1 with errno. Lasts as long as the process. */
int first_entry_open(struct first_entry *entry);

/* CLOCK_MONOTONIC in nanoseconds, 0: there was none. */
uint64_t first_entry_time(const struct first_entry *entry);

/* CPU time in nanoseconds is the first; the others are tracepoints. */
#define EVENT_COUNTS 4

/* What a process and all that it starts do from its next exec on. */
struct event_counts {
	size_t count;
	int fds[EVENT_COUNTS];
};

const char *event_counts_name(size_t i);

/* Only the first @count of them. Returns 0 or -1 with errno. Lasts as long as the process. */
int event_counts_open(struct event_counts *counts, pid_t pid, size_t count);

void event_counts_read(const struct event_counts *counts, uint64_t values[EVENT_COUNTS]);

#endif
