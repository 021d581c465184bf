/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "vmm/log.h"

/* stderr as a datagram socket: each write(2) arrives as one message. */
static int sock = -1;
static int real_stderr = -1;

static void catch_stderr(void)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	real_stderr = dup(STDERR_FILENO);
	dup2(pair[1], STDERR_FILENO);
	close(pair[1]);
	sock = pair[0];
}

static void release_stderr(void)
{
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(sock);
}

/* The next write in @line; -1 when there was none. */
static ssize_t next_write(char *line, size_t size)
{
	const ssize_t n = recv(sock, line, size - 1, 0);

	line[n > 0 ? n : 0] = '\0';
	return n;
}

TestSuite(log, .init = catch_stderr, .fini = release_stderr);

static void expect_line(const char *expected)
{
	char line[2 * LOG_LINE_MAX];

	next_write(line, sizeof(line));
	cr_expect_str_eq(line, expected);
}

static void expect_silence(void)
{
	char line[2 * LOG_LINE_MAX];

	cr_expect_lt(next_write(line, sizeof(line)), 0, "got: %s", line);
}

Test(log, error_is_one_prefixed_line_in_one_write)
{
	log_error("kernel: %s: %d", "file", 7);
	expect_line("minivmm: kernel: file: 7\n");
	expect_silence();
}

Test(log, info_only_when_verbose)
{
	log_info("quiet");
	expect_silence();
	log_set_verbose(true);
	log_info("loud");
	expect_line("minivmm: loud\n");
	log_set_verbose(false);
	log_info("quiet again");
	expect_silence();
}

Test(log, foreign_bytes_are_escaped)
{
	log_error("%s", "a\nb\r\t\x1b[2J\x7f\xc3\xa9~ ");
	expect_line("minivmm: a\\x0ab\\x0d\\x09\\x1b[2J\\x7f\\xc3\\xa9~ \n");
}

/* The longest name of a file does not take the reason away. */
Test(log, long_lines_are_cut_in_their_middle)
{
	char path[PATH_MAX];
	char line[2 * LOG_LINE_MAX];
	ssize_t n;

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	log_error("--disk: %s: No such file or directory", path);
	n = next_write(line, sizeof(line));
	cr_expect_leq(n, LOG_LINE_MAX);
	cr_expect_eq(strncmp(line, "minivmm: --disk: xxx", 20), 0, "%s", line);
	cr_expect_not_null(strstr(line, "xxx...xxx"), "%s", line);
	cr_expect_not_null(strstr(line, "xxx: No such file or directory\n"), "%s", line);
	expect_silence();
}

Test(log, escapes_that_are_too_long_are_cut_with_a_mark)
{
	char text[4 * LOG_LINE_MAX];
	char line[2 * LOG_LINE_MAX];
	ssize_t n;

	memset(text, '\n', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_error("%s", text);
	n = next_write(line, sizeof(line));
	cr_expect_leq(n, LOG_LINE_MAX);
	cr_expect_gt(n, LOG_LINE_MAX - 16);
	cr_expect_str_eq(line + n - 4, "...\n");
	expect_silence();
}

Test(log, errno_is_kept)
{
	errno = ENOTTY;
	log_error("x");
	cr_expect_eq(errno, ENOTTY);
	close(STDERR_FILENO);
	errno = EXDEV;
	log_error("x");
	cr_expect_eq(errno, EXDEV);
}

Test(log, closed_and_broken_stderr_is_survived)
{
	int pipe_fds[2];

	signal(SIGPIPE, SIG_IGN);
	close(STDERR_FILENO);
	log_error("nobody hears this");
	cr_assert_eq(pipe(pipe_fds), 0);
	dup2(pipe_fds[1], STDERR_FILENO);
	close(pipe_fds[0]);
	log_error("nobody hears this either");
}

/* The first line that finds no room waits a moment, the others do not. */
Test(log, full_pipe_without_a_reader_costs_lines, .timeout = 20)
{
	char text[PIPE_BUF] = { 0 };
	struct timespec start, end;
	int pipe_fds[2];

	cr_assert_eq(pipe2(pipe_fds, O_NONBLOCK), 0);
	while (write(pipe_fds[1], text, sizeof(text)) > 0)
		;
	cr_assert_eq(fcntl(pipe_fds[1], F_SETFL, 0), 0);
	dup2(pipe_fds[1], STDERR_FILENO);
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (int i = 0; i < 1000; i++)
		log_error("nobody reads this");
	clock_gettime(CLOCK_MONOTONIC, &end);
	cr_expect_lt(end.tv_sec - start.tv_sec, 5);
	/* With a reader there are lines again. */
	while (read(pipe_fds[0], text, sizeof(text)) > 0)
		;
	log_error("heard");
	cr_assert_gt(read(pipe_fds[0], text, sizeof(text)), 0);
	cr_expect_eq(strncmp(text, "minivmm: heard\n", 15), 0);
}

Test(log, raw_terminal_gets_carriage_returns)
{
	struct termios attr;
	int master, slave;
	char line[64];
	ssize_t n;

	cr_assert_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
	cr_assert_eq(tcgetattr(slave, &attr), 0);
	cfmakeraw(&attr);
	cr_assert_eq(tcsetattr(slave, TCSANOW, &attr), 0);
	dup2(slave, STDERR_FILENO);
	log_error("x");
	n = read(master, line, sizeof(line) - 1);
	cr_assert_gt(n, 0);
	line[n] = '\0';
	cr_expect_str_eq(line, "minivmm: x\r\n");
}

Test(log, limit_holds_back_and_tells)
{
	struct log_limit limit = { 0 };

	for (int i = 0; i < LOG_LIMIT_BURST + 3; i++)
		log_limited(&limit, "line %d", i);
	for (int i = 0; i < LOG_LIMIT_BURST; i++) {
		char expected[32];

		snprintf(expected, sizeof(expected), "minivmm: line %d\n", i);
		expect_line(expected);
	}
	expect_silence();
	cr_expect_eq(limit.suppressed, 3);

	/* As if LOG_LIMIT_SECONDS had gone by. */
	limit.window_start_ns -= LOG_LIMIT_SECONDS * 1000000000ull;
	log_limited(&limit, "again");
	log_limited(&limit, "and again");
	expect_line("minivmm: (3 lines held back) again\n");
	expect_line("minivmm: and again\n");
}

Test(log, limit_stands_until_the_window_ends)
{
	struct log_limit limit = { 0 };

	log_limited(&limit, "first");
	expect_line("minivmm: first\n");
	limit.printed = LOG_LIMIT_BURST;
	limit.window_start_ns -= (LOG_LIMIT_SECONDS - 1) * 1000000000ull;
	log_limited(&limit, "too early");
	expect_silence();
}

Test(log, limits_are_separate)
{
	struct log_limit one = { 0 };
	struct log_limit other = { 0 };
	char line[64];

	for (int i = 0; i < LOG_LIMIT_BURST; i++) {
		log_limited(&one, "one");
		expect_line("minivmm: one\n");
	}
	log_limited(&one, "one");
	cr_expect_lt(next_write(line, sizeof(line)), 0);
	log_limited(&other, "other");
	expect_line("minivmm: other\n");
}

#define THREADS		 8
#define LINES_PER_THREAD 500

static struct log_limit shared_limit;

static void *shout(void *arg)
{
	for (int i = 0; i < LINES_PER_THREAD; i++)
		log_limited(&shared_limit, "shout");
	return arg;
}

Test(log, threads_count_together)
{
	pthread_t threads[THREADS];
	char line[64];
	int lines = 0;

	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, shout, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	while (next_write(line, sizeof(line)) > 0)
		lines++;
	cr_expect_eq(lines, LOG_LIMIT_BURST);
	cr_expect_eq(shared_limit.suppressed, THREADS * LINES_PER_THREAD - LOG_LIMIT_BURST);
}

Test(log, escape_fits_its_room)
{
	static const struct {
		const char *text;
		size_t size;
		const char *expected;
	} cases[] = {
		{ "", 4, "" },
		{ "abc", 4, "abc" },
		{ "abcd", 4, "..." },
		{ "abcd", 5, "abcd" },
		{ "abcde", 5, "a..." },
		{ "\n", 4, "..." },
		{ "\n", 5, "\\x0a" },
		{ "ab\n", 6, "ab..." },
		{ "ab\n", 7, "ab\\x0a" },
		{ "\n\n", 8, "\\x0a..." },
		{ "\n\n", 9, "\\x0a\\x0a" },
		{ "abcdef\n", 8, "abcd..." },
		{ "\\x0a", 8, "\\x0a" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *out = malloc(cases[i].size); /* exactly: ASan sees an overrun */
		const size_t n =
			log_escape(out, cases[i].size, cases[i].text, strlen(cases[i].text));

		cr_expect_str_eq(out, cases[i].expected);
		cr_expect_eq(n, strlen(cases[i].expected));
		free(out);
	}
}

Test(log, escape_takes_nul_bytes)
{
	char out[16];

	log_escape(out, sizeof(out), "a\0b", 3);
	cr_expect_str_eq(out, "a\\x00b");
}
