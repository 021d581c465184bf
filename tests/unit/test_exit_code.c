/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/exit_code.h"
#include "vmm/exit_status.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static struct main_loop loop;
static struct exit_code exit_code;

/* The end at which the guest is. */
static int add_stream(bool connection)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	if (connection)
		exit_code_connected(&exit_code, pair[0]);
	else
		cr_assert_eq(exit_code_watch(&exit_code, pair[0]), 0);
	return pair[1];
}

static void setup(void)
{
	cr_assert_eq(main_loop_init(&loop), 0);
	exit_code_init(&exit_code, &loop);
}

static void teardown(void)
{
	exit_code_drain(&exit_code);
	main_loop_destroy(&loop);
}

static void tell(int fd, const char *text)
{
	cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Lets the loop run as long as it has something to do. */
static void run_loop(void)
{
	struct epoll_event event;

	while (epoll_wait(loop.epoll_fd, &event, 1, 0) > 0) {
		struct main_loop_source *source = &loop.sources[event.data.u64 >> 32];

		source->handler(source->opaque, event.events);
	}
}

/* What is told, all of it, and the code that comes of it; -1: none. */
static const struct {
	const char *text;
	int code;
} texts[] = {
	{ "0\n", 0 },
	{ "1\n", 1 },
	{ "255\n", 255 },
	{ "007\n", 7 },
	{ "0000\n", 0 },
	{ "1\n2\n", 2 },
	/* The end of the stream ends a line. */
	{ "3", 3 },
	{ "3\n4", 4 },
	{ "", -1 },
	{ "\n", -1 },
	{ "256\n", -1 },
	{ "9999\n", -1 },
	{ "00001\n", -1 },
	{ "4294967296\n", -1 },
	{ "-1\n", -1 },
	{ "+1\n", -1 },
	{ " 1\n", -1 },
	{ "1 \n", -1 },
	{ "1\r\n", -1 },
	{ "0x1\n", -1 },
	{ "one\n", -1 },
	{ "\xff\xfe\n", -1 },
	{ "1.5", -1 },
	/* Garbage takes nothing back, and does not last. */
	{ "5\nfoo\n", 5 },
	{ "foo\n6\n", 6 },
	{ "12345\n7\n", 7 },
	{ "\n8\n", 8 },
};

Test(exit_code, texts, .init = setup, .fini = teardown)
{
	cr_redirect_stderr();
	for (size_t i = 0; i < LENGTH(texts); i++) {
		for (int piecemeal = 0; piecemeal < 2; piecemeal++) {
			const int fd = add_stream(false);

			exit_code.told = false;
			for (const char *at = texts[i].text; piecemeal && *at; at++) {
				char byte[] = { *at, '\0' };

				tell(fd, byte);
				run_loop();
			}
			if (!piecemeal)
				tell(fd, texts[i].text);
			close(fd);
			run_loop();
			cr_expect_eq(exit_code.told, texts[i].code >= 0, "\"%s\"", texts[i].text);
			if (texts[i].code >= 0)
				cr_expect_eq(exit_code.code, (unsigned int)texts[i].code, "\"%s\"",
					     texts[i].text);
		}
	}
}

Test(exit_code, garbage_is_told_of_once, .init = setup, .fini = teardown)
{
	char line[256] = "", more[2];
	const int fd = add_stream(false);
	FILE *err;

	cr_redirect_stderr();
	for (int i = 0; i < 100; i++) {
		tell(fd, "no number at all, and longer than one\n300\n");
		run_loop();
	}
	err = cr_get_redirected_stderr();
	cr_expect_not_null(fgets(line, sizeof(line), err));
	cr_expect_str_eq(line, "minivmm: --exit-code-from: the guest wrote something else than a "
			       "number from 0 to 255\n");
	close(STDERR_FILENO);
	cr_expect_eq(fread(more, 1, 1, err), 0);
	close(fd);
}

/* The guest is gone before the loop has looked. */
Test(exit_code, what_was_told_last_is_not_lost, .init = setup, .fini = teardown)
{
	static const char *const lasts[] = { "42\n", "42" };

	for (size_t i = 0; i < LENGTH(lasts); i++) {
		for (int closed = 0; closed < 2; closed++) {
			const int fd = add_stream(i == 0);

			exit_code.told = false;
			tell(fd, lasts[i]);
			if (closed)
				close(fd);
			exit_code_drain(&exit_code);
			cr_expect(exit_code.told);
			cr_expect_eq(exit_code.code, 42);
			if (!closed)
				close(fd);
		}
	}
}

Test(exit_code, a_flood_is_read_to_its_end, .init = setup, .fini = teardown)
{
	const int fd = add_stream(false);
	char zeros[4096];

	cr_redirect_stderr();
	memset(zeros, '0', sizeof(zeros));
	while (send(fd, zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
		continue;
	exit_code_drain(&exit_code);
	cr_expect_not(exit_code.told);
	cr_expect_eq(exit_code.streams[0].fd, -1);
	close(fd);
}

/* Who told a code by a connection sees it closed, and may power off then. */
Test(exit_code, connections, .init = setup, .fini = teardown, .timeout = 10)
{
	char byte;

	for (unsigned int i = 0; i < 3 * EXIT_CODE_MAX_STREAMS; i++) {
		const int fd = add_stream(true);
		char text[16];

		snprintf(text, sizeof(text), "%u\n", i);
		tell(fd, text);
		run_loop();
		cr_expect_eq(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
		cr_expect_eq(exit_code.code, i);
		close(fd);
	}
}

Test(exit_code, too_many_connections, .init = setup, .fini = teardown)
{
	int fds[EXIT_CODE_MAX_STREAMS + 1];
	char byte;

	for (size_t i = 0; i < LENGTH(fds); i++)
		fds[i] = add_stream(true);
	cr_expect_eq(recv(fds[EXIT_CODE_MAX_STREAMS], &byte, 1, MSG_DONTWAIT), 0, "closed");
	cr_expect_eq(recv(fds[0], &byte, 1, MSG_DONTWAIT), -1);
	cr_expect_eq(errno, EAGAIN, "open");
	/* The end of one makes room. */
	close(fds[0]);
	run_loop();
	fds[0] = add_stream(true);
	tell(fds[0], "9\n");
	run_loop();
	cr_expect_eq(exit_code.code, 9);
	for (size_t i = 0; i < LENGTH(fds); i++)
		close(fds[i]);
}

Test(exit_code, statuses)
{
	static const struct {
		int ending, told, status; /* told: -1 when nothing was */
	} cases[] = {
		{ EXIT_STATUS_OK, 0, 0 },
		{ EXIT_STATUS_OK, 1, 1 },
		{ EXIT_STATUS_OK, 99, 99 },
		{ EXIT_STATUS_OK, 100, 99 },
		{ EXIT_STATUS_OK, 255, 99 },
		{ EXIT_STATUS_OK, -1, EXIT_STATUS_NO_CODE },
		{ EXIT_STATUS_REBOOT, 0, 0 },
		{ EXIT_STATUS_REBOOT, 3, 3 },
		{ EXIT_STATUS_REBOOT, -1, EXIT_STATUS_NO_CODE },
		/* The guest did not get to its end. */
		{ 42, 0, 42 },
		{ EXIT_STATUS_HALT, 0, EXIT_STATUS_HALT },
		{ EXIT_STATUS_PANIC, 0, EXIT_STATUS_PANIC },
		{ EXIT_STATUS_TRIPLE_FAULT, 0, EXIT_STATUS_TRIPLE_FAULT },
		{ EXIT_STATUS_TIMEOUT, 0, EXIT_STATUS_TIMEOUT },
		{ EXIT_STATUS_TIMEOUT, -1, EXIT_STATUS_TIMEOUT },
		{ EXIT_STATUS_VCPU, 0, EXIT_STATUS_VCPU },
		{ 128 + 15, 0, 128 + 15 },
	};

	for (size_t i = 0; i < LENGTH(cases); i++) {
		const struct exit_code told = {
			.told = cases[i].told >= 0,
			.code = cases[i].told >= 0 ? (unsigned int)cases[i].told : 0,
		};

		cr_expect_eq(exit_code_apply(&told, cases[i].ending), cases[i].status, "case %zu",
			     i);
	}
}

Test(exit_code, reasons)
{
	static const struct {
		int ending;
		bool told;
		const char *reason;
	} cases[] = {
		{ EXIT_STATUS_OK, true, "guest ended, exit code 200" },
		{ EXIT_STATUS_REBOOT, true, "guest ended, exit code 200" },
		{ EXIT_STATUS_OK, false, "guest ended, and told no exit code" },
		{ EXIT_STATUS_PANIC, true, "guest ended" },
		{ EXIT_STATUS_TIMEOUT, false, "guest ended" },
	};

	for (size_t i = 0; i < LENGTH(cases); i++) {
		const struct exit_code told = { .told = cases[i].told, .code = 200 };
		char reason[64] = "guest ended", small[16] = "guest ended";

		exit_code_explain(&told, cases[i].ending, reason, sizeof(reason));
		cr_expect_str_eq(reason, cases[i].reason);
		exit_code_explain(&told, cases[i].ending, small, sizeof(small));
		cr_expect_eq(strncmp(small, cases[i].reason, strlen(small)), 0);
	}
}
