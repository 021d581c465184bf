/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef TESTS_BENCH_MEMORY_H
#define TESTS_BENCH_MEMORY_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Prints the private and the anonymous memory in KiB of @pid and of all processes below it, summed
 * over their smaps without the mappings that hold guest memory: shared ones and those that a child
 * would not get, as both minivmm and QEMU have it. With @each, also what is private to each device
 * process.
 */
void memory_print(pid_t pid, bool each);

#endif
