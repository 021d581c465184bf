/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/bench/process_tree.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

/* The children that one thread has started. NOLINTNEXTLINE(misc-no-recursion): few levels */
static void visit_children(pid_t pid, pid_t tid, void (*visit)(void *opaque, pid_t pid, pid_t tid),
			   void *opaque)
{
	char path[64];
	FILE *file;
	pid_t child;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, tid);
	file = fopen(path, "re");
	if (!file)
		return;
	while (fscanf(file, "%d", &child) == 1)
		process_tree_visit(child, visit, opaque);
	fclose(file);
}

/* NOLINTNEXTLINE(misc-no-recursion) */
void process_tree_visit(pid_t pid, void (*visit)(void *opaque, pid_t pid, pid_t tid), void *opaque)
{
	const struct dirent *entry;
	char path[64];
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	if (!tasks)
		return;
	while ((entry = readdir(tasks))) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (tid <= 0)
			continue;
		visit(opaque, pid, tid);
		visit_children(pid, tid, visit, opaque);
	}
	closedir(tasks);
}
