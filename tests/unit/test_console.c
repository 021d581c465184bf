/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Which of terminal, file, UART and virtio-console are connected, and the size of the terminal. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/unit/fd_count.h"
#include "vmm/console.h"

static struct console console;
static struct uart uart;
static struct main_loop loop;
static struct ending ending;
static char path[] = "/tmp/console-XXXXXX";
static int user = -1; /* the other end of our terminal */

/* Our terminal is one of 80 by 25 characters. */
static void set_up(void)
{
	const struct winsize size = { .ws_col = 80, .ws_row = 25 };
	int terminal;

	cr_assert_eq(openpty(&user, &terminal, NULL, NULL, &size), 0);
	dup2(terminal, STDIN_FILENO);
	dup2(terminal, STDOUT_FILENO);
	close(terminal);
	cr_assert_eq(main_loop_init(&loop), 0);
	close(mkstemp(path));
}

static void tear_down(void)
{
	main_loop_destroy(&loop);
	unlink(path);
}

TestSuite(console, .init = set_up, .fini = tear_down, .timeout = 20);

static struct config make_config(bool virtio, enum config_stream_kind kind)
{
	return (struct config){
		.virtio_console = virtio,
		.console = { .kind = kind, .path = kind == CONFIG_STREAM_FILE ? path : NULL },
	};
}

static void start(bool virtio, enum config_stream_kind kind)
{
	const struct config config = make_config(virtio, kind);

	cr_assert_eq(console_init(&console, &uart, NULL, &config), 0);
}

/* The guest writes to its serial line. */
static void transmit(const char *text)
{
	for (; *text; text++) {
		struct bus_access access = { .size = 1, .is_write = true, .value = (uint8_t)*text };

		cr_assert_eq(uart_access(&uart, &access), BUS_HANDLED);
	}
}

static void expect_file(const char *text)
{
	char got[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	cr_assert_geq(read(fd, got, sizeof(got) - 1), 0);
	cr_expect_str_eq(got, text);
	close(fd);
}

static void expect_terminal(const char *text)
{
	char got[64] = "";

	cr_assert_eq(fcntl(user, F_SETFL, O_NONBLOCK), 0);
	(void)!read(user, got, sizeof(got) - 1);
	cr_expect_str_eq(got, text);
}

static bool is_raw(void)
{
	struct termios attr;

	cr_assert_eq(tcgetattr(STDIN_FILENO, &attr), 0);
	return !(attr.c_lflag & ICANON);
}

static const struct {
	const char *name;
	bool virtio;
	enum config_stream_kind kind;
	const char *terminal, *file; /* what arrives there of the UART's output */
	bool raw;
	bool has_stream;
} ways[] = {
	{ "serial", false, CONFIG_STREAM_STDIO, "uart", "", true, false },
	{ "serial,file", false, CONFIG_STREAM_FILE, "", "uart", false, false },
	{ "virtio", true, CONFIG_STREAM_STDIO, "", "", true, true },
	{ "virtio,file", true, CONFIG_STREAM_FILE, "", "", false, false },
};

Test(console, ways)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		unsigned int before = fd_count();

		cr_assert_eq(truncate(path, 0), 0);
		start(ways[i].virtio, ways[i].kind);
		cr_expect_eq(console.stream_far >= 0, ways[i].has_stream, "%s", ways[i].name);
		cr_assert_eq(console_start(&console, &loop, &ending), 0);
		cr_expect_eq(is_raw(), ways[i].raw, "%s", ways[i].name);
		cr_expect_eq(console.stream_far, -1);
		transmit("uart");
		main_loop_remove(&loop, STDIN_FILENO);
		console_destroy(&console);
		cr_expect_not(is_raw());
		expect_terminal(ways[i].terminal);
		expect_file(ways[i].file);
		cr_expect_eq(fd_count(), before, "%s", ways[i].name);
	}
}

Test(console, a_file_that_cannot_be)
{
	struct config config = make_config(false, CONFIG_STREAM_FILE);
	unsigned int before = fd_count();
	int messages[2];
	char said[128] = "";

	cr_assert_eq(pipe2(messages, O_CLOEXEC), 0);
	dup2(messages[1], STDERR_FILENO);
	config.console.path = (char[]){ "/nonexistent/file" };
	cr_expect_neq(console_init(&console, &uart, NULL, &config), 0);
	cr_expect_gt(read(messages[0], said, sizeof(said) - 1), 0);
	cr_expect_str_eq(said,
			 "minivmm: --console: /nonexistent/file: No such file or directory\n");
	close(messages[0]);
	close(messages[1]);
	cr_expect_eq(fd_count(), before);
}

static struct {
	unsigned int calls;
	uint16_t columns, rows;
} told;

static void note_size(void *opaque, uint16_t columns, uint16_t rows)
{
	cr_expect_eq(opaque, &told);
	told.calls++;
	told.columns = columns;
	told.rows = rows;
}

static void resize(uint16_t columns, uint16_t rows)
{
	const struct winsize size = { .ws_col = columns, .ws_row = rows };

	cr_assert_eq(ioctl(user, TIOCSWINSZ, &size), 0);
	console_resized(&console);
}

static void start_with_sizes(bool virtio, enum config_stream_kind kind)
{
	start(virtio, kind);
	console.resized = note_size;
	console.resized_opaque = &told;
	cr_assert_eq(console_start(&console, &loop, &ending), 0);
}

Test(console, size_of_the_terminal)
{
	start_with_sizes(true, CONFIG_STREAM_STDIO);
	cr_expect_eq(told.calls, 1, "as it starts");
	cr_expect(told.columns == 80 && told.rows == 25);
	resize(132, 43);
	cr_expect_eq(told.calls, 2);
	cr_expect(told.columns == 132 && told.rows == 43);
	console_destroy(&console);
}

static void expect_size_without(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	dup2(null, fd);
	close(null);
	start_with_sizes(true, CONFIG_STREAM_STDIO);
	cr_expect_eq(told.calls, 1);
	cr_expect(told.columns == 80 && told.rows == 25);
	console_destroy(&console);
}

Test(console, size_when_only_the_input_is_a_terminal)
{
	expect_size_without(STDOUT_FILENO);
}

Test(console, size_when_only_the_output_is_a_terminal)
{
	expect_size_without(STDIN_FILENO);
}

Test(console, no_size_to_tell)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	start_with_sizes(false, CONFIG_STREAM_STDIO);
	resize(132, 43);
	console_destroy(&console);
	start_with_sizes(true, CONFIG_STREAM_FILE);
	resize(100, 30);
	console_destroy(&console);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	start_with_sizes(true, CONFIG_STREAM_STDIO);
	console_resized(&console);
	console_destroy(&console);
	cr_expect_eq(told.calls, 0);
}
