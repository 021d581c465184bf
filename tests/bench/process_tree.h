/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef TESTS_BENCH_PROCESS_TREE_H
#define TESTS_BENCH_PROCESS_TREE_H

#include <sys/types.h>

/* Calls @visit for each thread of @pid and of all processes below it. */
void process_tree_visit(pid_t pid, void (*visit)(void *opaque, pid_t pid, pid_t tid), void *opaque);

#endif
