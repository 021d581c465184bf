/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/terminal.h"

#define CTRL_A "\x01"

static struct terminal terminal;
static int input[2] = { -1, -1 }; /* pipes: [0] read end, [1] write end */
static int output[2] = { -1, -1 };

static void set_up(void)
{
	signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(pipe2(input, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(output, O_CLOEXEC), 0);
}

TestSuite(terminal, .init = set_up, .timeout = 20);

static void start(void)
{
	cr_assert_eq(terminal_init(&terminal, input[0], output[1]), 0);
}

/* Reads @len bytes from @fd, waiting for each at most two seconds; returns how many came. */
static size_t read_some(int fd, void *data, size_t len)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	size_t got = 0;

	while (got < len && poll(&ready, 1, 2000) > 0) {
		const ssize_t n = read(fd, (char *)data + got, len - got);

		if (n <= 0)
			break;
		got += (size_t)n;
	}
	return got;
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Waits for at most two seconds until @flag is set. */
static bool wait_for(const atomic_uint *flag)
{
	for (int i = 0; i < 200 && !atomic_load(flag); i++)
		usleep(10000);
	return atomic_load(flag) != 0;
}

Test(terminal, output_arrives)
{
	char text[6] = "";

	start();
	cr_expect_eq(terminal_write(&terminal, "hel", 3), 3);
	cr_expect_eq(terminal_write(&terminal, "lo", 2), 2);
	cr_expect_eq(read_some(output[0], text, 5), 5);
	cr_expect_str_eq(text, "hello");
	terminal_destroy(&terminal);
}

Test(terminal, destroy_writes_out_what_is_left)
{
	char text[TERMINAL_RING_SIZE];
	char got[TERMINAL_RING_SIZE];

	memset(text, 'x', sizeof(text));
	start();
	cr_expect_eq(terminal_write(&terminal, text, sizeof(text)), sizeof(text));
	terminal_destroy(&terminal);
	cr_expect_eq(read_some(output[0], got, sizeof(got)), sizeof(got));
	cr_expect_arr_eq(got, text, sizeof(got));
}

static atomic_uint drained_calls;

static void count_drained(void *opaque)
{
	struct terminal *t = opaque;

	/* The lock is free here: this would hang otherwise. */
	pthread_mutex_lock(&t->lock);
	pthread_mutex_unlock(&t->lock);
	atomic_fetch_add(&drained_calls, 1);
}

/* Fills pipe and ring until terminal_write() refuses; returns the bytes taken. */
static size_t fill(void)
{
	char text[1000];
	size_t total = 0;

	for (int quiet = 0; quiet < 5;) {
		size_t n;

		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = (char)((total + i) % 251);
		n = terminal_write(&terminal, text, sizeof(text));
		total += n;
		quiet = n == 0 ? quiet + 1 : 0;
		if (n == 0)
			usleep(5000);
	}
	return total;
}

static void expect_backpressure(void)
{
	size_t total, got = 0;
	char text[4096];
	clock_t busy;

	terminal.drained = count_drained;
	terminal.drained_opaque = &terminal;
	total = fill();
	cr_expect_geq(total, TERMINAL_RING_SIZE);
	atomic_store(&drained_calls, 0);
	busy = clock();
	usleep(200000);
	cr_expect_lt(clock() - busy, CLOCKS_PER_SEC / 10, "the writer must sleep too");
	while (got < total) {
		const size_t want = total - got < sizeof(text) ? total - got : sizeof(text);
		const size_t n = read_some(output[0], text, want);

		cr_assert_gt(n, 0);
		for (size_t i = 0; i < n; i++)
			cr_assert_eq((unsigned char)text[i], (got + i) % 251);
		got += n;
	}
	cr_expect(wait_for(&drained_calls));
	cr_expect_eq(atomic_load(&drained_calls), 1);
	cr_expect_eq(terminal_write(&terminal, "more", 4), 4);
	cr_expect_eq(read_some(output[0], text, 4), 4);
	cr_expect_eq(atomic_load(&drained_calls), 1, "only after a refusal");
	terminal_destroy(&terminal);
}

Test(terminal, slow_reader_is_backpressure)
{
	start();
	expect_backpressure();
}

Test(terminal, slow_reader_on_a_non_blocking_descriptor)
{
	cr_assert_eq(fcntl(output[1], F_SETFL, O_NONBLOCK), 0);
	start();
	expect_backpressure();
}

static void expect_bounded_flush(void)
{
	double begin;

	start();
	fill();
	begin = seconds_now();
	terminal_destroy(&terminal);
	cr_expect_leq(seconds_now() - begin, 3.0);
	cr_expect_geq(seconds_now() - begin, 0.9);
}

Test(terminal, sleeping_reader_delays_the_end_by_a_second)
{
	expect_bounded_flush();
}

Test(terminal, sleeping_reader_on_a_non_blocking_descriptor_likewise)
{
	cr_assert_eq(fcntl(output[1], F_SETFL, O_NONBLOCK), 0);
	expect_bounded_flush();
}

/* The line on stderr that tells of lost output is no news for who runs the tests. */
static void hush(void)
{
	const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	cr_assert_geq(null, 0);
	dup2(null, STDERR_FILENO);
	close(null);
}

/* A reader that is gone costs the output, not the guest. */
static void expect_dropped(int out_fd)
{
	char text[TERMINAL_RING_SIZE];

	hush();
	memset(text, 'x', sizeof(text));
	cr_assert_eq(terminal_init(&terminal, input[0], out_fd), 0);
	terminal.drained = count_drained;
	terminal.drained_opaque = &terminal;
	for (int i = 0; i < 200 && terminal_write(&terminal, text, sizeof(text)) < sizeof(text);
	     i++)
		usleep(10000);
	for (int i = 0; i < 20; i++) {
		usleep(1000);
		terminal_write(&terminal, text, sizeof(text));
	}
	cr_expect_eq(terminal_write(&terminal, text, sizeof(text)), sizeof(text));
	cr_expect(terminal.output_failed);
	terminal_destroy(&terminal);
}

Test(terminal, reader_gone)
{
	close(output[0]);
	expect_dropped(output[1]);
}

Test(terminal, reader_goes_while_the_writer_sleeps)
{
	start();
	terminal.drained = count_drained;
	terminal.drained_opaque = &terminal;
	fill();
	hush();
	atomic_store(&drained_calls, 0);
	close(output[0]);
	cr_expect(wait_for(&drained_calls), "a refused writer must not wait for ever");
	cr_expect_eq(terminal_write(&terminal, "x", 1), 1);
	terminal_destroy(&terminal);
}

Test(terminal, output_closed_or_full)
{
	const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	cr_assert_geq(full, 0);
	expect_dropped(full);
	close(output[1]);
	expect_dropped(output[1]);
}

Test(terminal, input_that_is_no_terminal_is_binary_clean)
{
	static const char text[] = CTRL_A "x" CTRL_A "h" CTRL_A CTRL_A "\0\xff\n";
	uint8_t data[64];
	size_t len;

	start();
	cr_expect_eq(terminal_raw(&terminal), 0);
	cr_expect_not(terminal.raw);
	cr_assert_eq(write(input[1], text, sizeof(text)), (ssize_t)sizeof(text));
	cr_expect_eq(terminal_read(&terminal, data, sizeof(data), &len), TERMINAL_CONTINUE);
	cr_expect_eq(len, sizeof(text));
	cr_expect_arr_eq(data, text, sizeof(text));
	close(input[1]);
	cr_expect_eq(terminal_read(&terminal, data, sizeof(data), &len), TERMINAL_EOF);
	cr_expect_eq(len, 0);
	terminal_destroy(&terminal);
}

Test(terminal, ends_of_input)
{
	uint8_t data[8];
	size_t len = 7;

	cr_assert_eq(fcntl(input[0], F_SETFL, O_NONBLOCK), 0);
	start();
	cr_expect_eq(terminal_read(&terminal, data, sizeof(data), &len), TERMINAL_CONTINUE);
	cr_expect_eq(len, 0, "nothing there is not the end");
	cr_assert_eq(write(input[1], "x", 1), 1);
	cr_expect_eq(terminal_read(&terminal, data, 0, &len), TERMINAL_CONTINUE);
	cr_expect_eq(len, 0, "no room is not the end");
	cr_expect_eq(terminal_read(&terminal, data, sizeof(data), &len), TERMINAL_CONTINUE);
	cr_expect_eq(len, 1);
	close(input[0]);
	cr_expect_eq(terminal_raw(&terminal), 0);
	cr_expect_eq(terminal_read(&terminal, data, sizeof(data), &len), TERMINAL_EOF);
	terminal_destroy(&terminal);
}

/* A pseudo-terminal as the input; its other end. */
static int start_on_pty(struct termios *before)
{
	int master, slave;

	cr_assert_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
	cr_assert_eq(tcgetattr(slave, before), 0);
	close(input[0]);
	input[0] = slave;
	start();
	cr_assert_eq(terminal_raw(&terminal), 0);
	return master;
}

Test(terminal, raw_mode_and_back)
{
	struct termios before, during, after;

	start_on_pty(&before);
	cr_expect(terminal.raw);
	cr_assert_eq(tcgetattr(input[0], &during), 0);
	cr_expect_eq(during.c_lflag & (ICANON | ECHO | ISIG), 0);
	cr_expect_eq(during.c_oflag & OPOST, 0, "a guest's newline stays one");
	terminal_destroy(&terminal);
	cr_assert_eq(tcgetattr(input[0], &after), 0);
	cr_expect_eq(after.c_lflag, before.c_lflag);
	cr_expect_eq(after.c_oflag, before.c_oflag);
	cr_expect_eq(after.c_iflag, before.c_iflag);
}

Test(terminal, escapes)
{
	static const struct {
		const char *typed;
		enum terminal_event event;
		const char *guest; /* what it gets */
	} cases[] = {
		{ "abc\r\x03\x1a", TERMINAL_CONTINUE, "abc\r\x03\x1a" },
		{ "a" CTRL_A CTRL_A "b", TERMINAL_CONTINUE, "a" CTRL_A "b" },
		{ CTRL_A CTRL_A "x", TERMINAL_CONTINUE, CTRL_A "x" },
		{ "a" CTRL_A "zb", TERMINAL_CONTINUE, "ab" },
		{ "a" CTRL_A "hb", TERMINAL_CONTINUE, "ab" },
		{ "a" CTRL_A, TERMINAL_CONTINUE, "a" },
		{ "xb", TERMINAL_QUIT, "" }, /* Ctrl-A was the last byte before */
		{ "a" CTRL_A "xb", TERMINAL_QUIT, "a" },
		{ "x", TERMINAL_CONTINUE, "x" },
	};
	struct termios before;
	const int master = start_on_pty(&before);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t data[64];
		size_t len;
		const ssize_t n = (ssize_t)strlen(cases[i].typed);

		cr_assert_eq(write(master, cases[i].typed, (size_t)n), n);
		cr_expect_eq(terminal_read(&terminal, data, sizeof(data), &len), cases[i].event,
			     "case %zu", i);
		cr_expect_eq(len, strlen(cases[i].guest), "case %zu", i);
		cr_expect_arr_eq(data, cases[i].guest, len, "case %zu", i);
	}
	terminal_destroy(&terminal);
}

Test(terminal, help_goes_to_the_user)
{
	struct termios before;
	const int master = start_on_pty(&before);
	char text[512] = "";
	uint8_t data[8];
	size_t len, n;

	cr_assert_eq(write(master, CTRL_A "h", 2), 2);
	terminal_read(&terminal, data, sizeof(data), &len);
	cr_expect_eq(len, 0);
	terminal_destroy(&terminal);
	close(output[1]);
	n = read_some(output[0], text, sizeof(text) - 1);
	cr_assert_gt(n, 0);
	cr_expect_not_null(strstr(text, "Ctrl-A x"));
	for (char *newline = strchr(text, '\n'); newline; newline = strchr(newline + 1, '\n'))
		cr_expect_eq(newline[-1], '\r', "the terminal is raw");
}

Test(terminal, no_signal_reaches_the_writer)
{
	sigset_t all, old;

	sigfillset(&all);
	start();
	/* All other threads block it: the process-wide signal stays pending. */
	pthread_sigmask(SIG_BLOCK, &all, &old);
	kill(getpid(), SIGTERM);
	usleep(20000);
	terminal_write(&terminal, "x", 1);
	terminal_destroy(&terminal);
	sigpending(&all);
	cr_expect(sigismember(&all, SIGTERM));
}
