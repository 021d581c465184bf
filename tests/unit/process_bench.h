/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The executables themselves, started as a user would, in an empty directory that each test has of
 * its own; and what they leave behind. Those that lie beside the tests are taken, so a sanitized
 * build tests sanitized ones.
 */
#ifndef TESTS_UNIT_PROCESS_BENCH_H
#define TESTS_UNIT_PROCESS_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum process_program { MINIVMM, MINIVMM_DEVICE };

#define PROCESS_MAX_ARGS 64
#define PROCESS_TEXT_MAX 16384

struct process {
	enum process_program program;
	const char *const *args; /* without the program; NULL ends them */
	/* In the child right before it executes, with its output on pipes already; may be NULL. */
	void (*prepare)(const void *opaque);
	const void *opaque;
};

struct process_end {
	int status; /* 128 + N: killed by signal N, as a shell tells it */
	double cpu_seconds;
	char out[PROCESS_TEXT_MAX], err[PROCESS_TEXT_MAX]; /* what it wrote, as strings */
};

/* For .init and .fini of a suite: makes the directory, goes there, and removes it with all of it. */
void process_bench_enter(void);
void process_bench_leave(void);

/* Makes a file of @size bytes there, the first @len from @data. */
void process_bench_file(const char *name, const void *data, size_t len, off_t size);

/* A text about all files there: names, modes, sizes, contents. To be freed. */
char *process_bench_snapshot(void);

/* Starts it without waiting; @err becomes the reading end of its stderr, unless NULL. */
pid_t process_bench_start(const struct process *process, int *err);

/* Runs it to its end. Fails the test if it takes 20 seconds, or leaves a process behind. */
void process_bench_run(const struct process *process, struct process_end *end);

/*
 * The same; it must end with @status after one line on stderr, printable, which begins with
 * "@program: " and has @part in it; within two seconds of CPU time, with nothing on stdout, and with
 * all files as they were.
 */
void process_bench_expect_refused(const struct process *process, int status, const char *part);

/* The same for words that are separated by single spaces. */
void process_bench_expect_words_refused(enum process_program program, const char *words, int status,
					const char *part);

#endif
