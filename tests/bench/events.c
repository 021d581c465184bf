/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/bench/events.h"

#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TRACEPOINTS "/sys/kernel/tracing/events"
#define RING_PAGES  2 /* one of them for data */

static const struct {
	const char *name;
	const char *tracepoint; /* NULL: CPU time */
} kinds[EVENT_COUNTS] = {
	{ "cpu_ns", NULL },
	{ "exits", "kvm/kvm_exit" },
	{ "exits_to_user", "kvm/kvm_userspace_exit" },
	{ "syscalls", "raw_syscalls/sys_enter" },
};

static int perf_open(struct perf_event_attr *attr, pid_t pid, int cpu)
{
	attr->size = sizeof(*attr);
	return (int)syscall(SYS_perf_event_open, attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

/* The number of a tracepoint, or -1. */
static long tracepoint_id(const char *tracepoint)
{
	char path[128];
	long id = -1;
	FILE *file;

	snprintf(path, sizeof(path), TRACEPOINTS "/%s/id", tracepoint);
	file = fopen(path, "re");
	if (!file)
		return -1;
	if (fscanf(file, "%ld", &id) != 1)
		id = -1;
	fclose(file);
	return id;
}

int first_entry_open(struct first_entry *entry)
{
	long page = sysconf(_SC_PAGESIZE);
	long id = tracepoint_id("kvm/kvm_entry");

	if (id < 0)
		return -1;
	entry->nr_cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	if (entry->nr_cpus > FIRST_ENTRY_MAX_CPUS)
		entry->nr_cpus = FIRST_ENTRY_MAX_CPUS;
	for (int cpu = 0; cpu < entry->nr_cpus; cpu++) {
		struct perf_event_attr attr = {
			.type = PERF_TYPE_TRACEPOINT,
			.config = (uint64_t)id,
			.sample_period = 1,
			.sample_type = PERF_SAMPLE_TIME,
			.wakeup_events = 1,
			.disabled = 1,
			.use_clockid = 1,
			.clockid = CLOCK_MONOTONIC,
		};

		entry->fds[cpu] = perf_open(&attr, -1, cpu);
		if (entry->fds[cpu] < 0)
			return -1;
		entry->rings[cpu] = mmap(NULL, (size_t)(RING_PAGES * page), PROT_READ | PROT_WRITE,
					 MAP_SHARED, entry->fds[cpu], 0);
		/* It counts one event and then disables itself. */
		if (entry->rings[cpu] == MAP_FAILED ||
		    ioctl(entry->fds[cpu], PERF_EVENT_IOC_REFRESH, 1))
			return -1;
	}
	return 0;
}

uint64_t first_entry_time(const struct first_entry *entry)
{
	long page = sysconf(_SC_PAGESIZE);
	uint64_t first = 0;

	for (int cpu = 0; cpu < entry->nr_cpus; cpu++) {
		const struct perf_event_mmap_page *head = entry->rings[cpu];
		struct {
			struct perf_event_header header;
			uint64_t time;
		} sample;

		if (__atomic_load_n(&head->data_head, __ATOMIC_ACQUIRE) < sizeof(sample))
			continue;
		memcpy(&sample, (const char *)head + page, sizeof(sample));
		if (sample.header.type == PERF_RECORD_SAMPLE && (!first || sample.time < first))
			first = sample.time;
	}
	return first;
}

const char *event_counts_name(size_t i)
{
	return kinds[i].name;
}

int event_counts_open(struct event_counts *counts, pid_t pid, size_t count)
{
	counts->count = count;
	for (size_t i = 0; i < count; i++) {
		struct perf_event_attr attr = {
			.type = PERF_TYPE_SOFTWARE,
			.config = PERF_COUNT_SW_TASK_CLOCK,
			.disabled = 1,
			.inherit = 1,
			.enable_on_exec = 1,
		};

		if (kinds[i].tracepoint) {
			long id = tracepoint_id(kinds[i].tracepoint);

			if (id < 0)
				return -1;
			attr.type = PERF_TYPE_TRACEPOINT;
			attr.config = (uint64_t)id;
		}
		counts->fds[i] = perf_open(&attr, pid, -1);
		if (counts->fds[i] < 0)
			return -1;
	}
	return 0;
}

void event_counts_read(const struct event_counts *counts, uint64_t values[EVENT_COUNTS])
{
	memset(values, 0, EVENT_COUNTS * sizeof(values[0]));
	for (size_t i = 0; i < counts->count; i++)
		if (read(counts->fds[i], &values[i], sizeof(values[i])) != sizeof(values[i]))
			values[i] = 0;
}
