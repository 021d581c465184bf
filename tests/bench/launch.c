/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * launch [OPTION]... COMMAND ARG...: starts a VMM, watches it, ends it, and prints what it cost.
 *
 *	--line TEXT     stop when standard output has a line that begins with TEXT
 *	--memory        then print the memory of all its processes without that of the guest
 *	--each          and that of each device process
 *	--count         count events, in all and from each line "begin NAME" to the line "end NAME"
 *	--console FILE  keep what the VMM writes to standard output
 *	--limit MS      give up after so long without a byte from it (status 3)
 *
 * Prints lines of the form NAME=VALUE; times are microseconds from exec.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/events.h"
#include "tests/bench/memory.h"

struct options {
	const char *line;
	bool memory;
	bool each;
	bool count;
	int console;
	unsigned int limit_ms;
};

struct watch {
	const struct options *options;
	struct event_counts counts;
	uint64_t at_begin[EVENT_COUNTS];
	char line[256]; /* so far; what is too long is cut */
	size_t len;
	bool line_seen;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "launch: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* @start is shared with the child, which notes there when it calls exec. */
static pid_t start_vmm(char **argv, int gate[2], int output[2], volatile uint64_t *start)
{
	pid_t pid = fork();
	char byte;

	if (pid < 0)
		die("fork");
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(gate[1]);
	if (read(gate[0], &byte, 1) != 1)
		_exit(126);
	dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
	dup2(output[1], STDOUT_FILENO);
	*start = now_ns();
	execvp(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

static void print_counts(struct watch *watch, const char *name)
{
	uint64_t now[EVENT_COUNTS];

	event_counts_read(&watch->counts, now);
	for (size_t i = 0; i < EVENT_COUNTS; i++)
		printf("%s.%s=%llu\n", name, event_counts_name(i),
		       (unsigned long long)(now[i] - watch->at_begin[i]));
}

static void take_line(struct watch *watch)
{
	const struct options *options = watch->options;

	watch->line[watch->len] = '\0';
	watch->line[strcspn(watch->line, "\r")] = '\0';
	watch->len = 0;
	if (options->count && strncmp(watch->line, "begin ", 6) == 0)
		event_counts_read(&watch->counts, watch->at_begin);
	if (options->count && strncmp(watch->line, "end ", 4) == 0)
		print_counts(watch, watch->line + 4);
}

static void take_output(struct watch *watch, const char *data, size_t len)
{
	const char *wanted = watch->options->line;

	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n') {
			take_line(watch);
			continue;
		}
		if (watch->len < sizeof(watch->line) - 1)
			watch->line[watch->len++] = data[i];
		if (wanted && watch->len == strlen(wanted) &&
		    memcmp(watch->line, wanted, watch->len) == 0)
			watch->line_seen = true;
	}
}

/* Until the line is seen (0), the VMM closes its standard output (1) or is silent too long (3). */
static int watch_output(struct watch *watch, int output)
{
	const struct options *options = watch->options;
	struct pollfd pfd = { .fd = output, .events = POLLIN };
	char data[4096];

	while (!watch->line_seen) {
		ssize_t n;

		if (poll(&pfd, 1, (int)options->limit_ms) == 0)
			return 3;
		n = read(output, data, sizeof(data));
		if (n <= 0)
			return 1;
		if (options->console >= 0 && write(options->console, data, (size_t)n) != n)
			die("--console");
		take_output(watch, data, (size_t)n);
	}
	return 0;
}

static void parse(struct options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{ "line", required_argument, NULL, 'l' },
		{ "memory", no_argument, NULL, 'm' },
		{ "each", no_argument, NULL, 'e' },
		{ "count", no_argument, NULL, 'c' },
		{ "console", required_argument, NULL, 'o' },
		{ "limit", required_argument, NULL, 't' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
		switch (option) {
		case 'l':
			options->line = optarg;
			break;
		case 'm':
			options->memory = true;
			break;
		case 'e':
			options->each = true;
			break;
		case 'c':
			options->count = true;
			break;
		case 'o':
			options->console =
				open(optarg, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
			if (options->console < 0)
				die(optarg);
			break;
		case 't':
			options->limit_ms = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		default:
			exit(2);
		}
	}
	if (optind == argc) {
		fprintf(stderr, "launch: a command is needed\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct options options = { .console = -1, .limit_ms = 500 };
	struct watch watch = { .options = &options };
	struct first_entry entry;
	int gate[2], output[2], status;
	volatile uint64_t *start =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t end, first, totals[EVENT_COUNTS];
	pid_t pid;

	parse(&options, argc, argv);
	if (start == MAP_FAILED || pipe2(gate, O_CLOEXEC) || pipe2(output, O_CLOEXEC))
		die("start");
	pid = start_vmm(argv + optind, gate, output, start);
	if (first_entry_open(&entry) ||
	    event_counts_open(&watch.counts, pid, options.count ? EVENT_COUNTS : 1))
		die("perf_event_open");
	close(gate[0]);
	close(output[1]);
	if (write(gate[1], "", 1) != 1)
		die("start");
	status = watch_output(&watch, output[0]);
	end = now_ns();
	event_counts_read(&watch.counts, totals);
	first = first_entry_time(&entry);
	if (first)
		printf("entry=%.1f\n", (double)(first - *start) / 1e3);
	printf("line=%.1f\ncpu=%.1f\n", (double)(end - *start) / 1e3, (double)totals[0] / 1e3);
	for (size_t i = 1; i < watch.counts.count; i++)
		printf("%s=%llu\n", event_counts_name(i), (unsigned long long)totals[i]);
	if (status == 0 && options.memory)
		memory_print(pid, options.each);
	if (status != 1)
		kill(pid, SIGKILL);
	waitpid(pid, &(int){ 0 }, 0);
	return status == 1 && !options.line ? 0 : status;
}
