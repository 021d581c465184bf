/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/bench/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/bench/process_tree.h"

struct memory {
	unsigned int processes;
	uint64_t private_kib;	/* Private_Clean + Private_Dirty */
	uint64_t anonymous_kib; /* Anonymous */
	uint64_t guest_kib;	/* private in what was left out */
	bool each;		/* tell of each device process by itself */
};

/* One mapping, of which the last line tells whether it is the guest's. */
struct mapping {
	bool is_shared;
	uint64_t private_kib;
	uint64_t anonymous_kib;
};

/* Guest memory is shared with a device process, or at least kept from children ("dc"). */
static void end_mapping(struct memory *memory, const struct mapping *mapping, const char *flags)
{
	if (mapping->is_shared || strstr(flags, " dc")) {
		memory->guest_kib += mapping->private_kib;
		return;
	}
	memory->private_kib += mapping->private_kib;
	memory->anonymous_kib += mapping->anonymous_kib;
}

static void take_line(struct memory *memory, struct mapping *mapping, const char *line)
{
	unsigned long long kib;
	char share; /* the last of "rw-s" */
	char name[64];

	if (sscanf(line, "%*x-%*x %*3c%c", &share) == 1)
		*mapping = (struct mapping){ .is_shared = share == 's' };
	else if (strncmp(line, "VmFlags:", 8) == 0)
		end_mapping(memory, mapping, line);
	else if (sscanf(line, "%63[^:]: %llu kB", name, &kib) != 2)
		return;
	else if (strcmp(name, "Private_Clean") == 0 || strcmp(name, "Private_Dirty") == 0)
		mapping->private_kib += kib;
	else if (strcmp(name, "Anonymous") == 0)
		mapping->anonymous_kib += kib;
}

/* What kind of device process @pid is: the first word behind the name of the program; or NULL. */
static const char *device_kind(pid_t pid, char *line, size_t size)
{
	static const char program[] = "minivmm-device";
	FILE *file;
	size_t len;

	snprintf(line, size, "/proc/%d/cmdline", pid);
	file = fopen(line, "re");
	if (!file)
		return NULL;
	len = fread(line, 1, size - 1, file);
	fclose(file);
	line[len] = '\0';
	return len > sizeof(program) && strcmp(line, program) == 0 ? line + sizeof(program) : NULL;
}

static void print_device(const struct memory *memory, uint64_t private_before, pid_t pid)
{
	char line[512];
	const char *kind = device_kind(pid, line, sizeof(line));

	if (kind)
		printf("private.%s=%llu\n", kind,
		       (unsigned long long)(memory->private_kib - private_before));
}

static void add_process(void *opaque, pid_t pid, pid_t tid)
{
	struct memory *memory = opaque;
	struct mapping mapping = { 0 };
	uint64_t private_before = memory->private_kib;
	char line[512];
	FILE *file;

	if (pid != tid)
		return;
	snprintf(line, sizeof(line), "/proc/%d/smaps", pid);
	file = fopen(line, "re");
	if (!file)
		return;
	memory->processes++;
	while (fgets(line, sizeof(line), file))
		take_line(memory, &mapping, line);
	fclose(file);
	if (memory->each)
		print_device(memory, private_before, pid);
}

void memory_print(pid_t pid, bool each)
{
	struct memory memory = { .each = each };

	process_tree_visit(pid, add_process, &memory);
	printf("processes=%u\nprivate=%llu\nanonymous=%llu\nguest=%llu\n", memory.processes,
	       (unsigned long long)memory.private_kib, (unsigned long long)memory.anonymous_kib,
	       (unsigned long long)memory.guest_kib);
}
