/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/console.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/arch/arch.h"
#include "vmm/exit_status.h"
#include "vmm/log.h"

/* --- UART side: called with the UART's lock held, or by the terminal's writer thread --- */

static bool uart_transmit_byte(void *opaque, uint8_t byte)
{
	struct console *console = opaque;

	return console->uart_unread || terminal_write(&console->terminal, &byte, 1) == 1;
}

static void uart_set_irq(void *opaque, bool level)
{
	struct console *console = opaque;

	(void)vm_set_irq_line(console->vm, arch_uart_irq(), level);
}

static void resume_soon(void *opaque)
{
	struct console *console = opaque;

	(void)eventfd_write(console->resume_fd, 1);
}

static const struct uart_ops uart_ops = {
	.transmit = uart_transmit_byte,
	.set_irq = uart_set_irq,
	.receive_ready = resume_soon,
};

static void terminal_drained(void *opaque)
{
	struct console *console = opaque;

	if (console->stream < 0)
		uart_transmit_ready(console->uart);
	else
		resume_soon(console);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int make_stream(struct console *console)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	console->stream = pair[0];
	console->stream_far = pair[1];
	return 0;
}

/* Where the bytes go. Returns 0 or -errno, told on stderr where @told says so. */
static int open_ends(struct console *console, const struct config *config, bool *told)
{
	bool on_file = config->console.kind == CONFIG_STREAM_FILE;
	int out_fd = STDOUT_FILENO;
	int ret = 0;

	if (console->uart_unread && !on_file)
		ret = make_stream(console);
	if (!console->uart_unread && on_file) {
		ret = stream_open(&console->file, &config->console, "--console");
		*told = true;
		out_fd = console->file.fd;
	}
	if (ret)
		return ret;
	*told = false;
	return terminal_init(&console->terminal, on_file ? -1 : STDIN_FILENO, out_fd);
}

static void close_ends(struct console *console)
{
	close_fd(&console->resume_fd);
	close_fd(&console->stream);
	close_fd(&console->stream_far);
	stream_close(&console->file);
}

int console_init(struct console *console, struct uart *uart, const struct vm *vm,
		 const struct config *config)
{
	bool told = false;
	int ret;

	*console = (struct console){
		.uart = uart,
		.vm = vm,
		.uart_unread = config->virtio_console,
		.file = { .fd = -1, .input_fd = -1, .near_fd = -1 },
		.stream = -1,
		.stream_far = -1,
	};
	console->resume_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = console->resume_fd < 0 ? -errno : open_ends(console, config, &told);
	if (ret) {
		if (!told)
			log_error("console: %s", strerror(-ret));
		close_ends(console);
		return ret;
	}
	console->terminal.drained = terminal_drained;
	console->terminal.drained_opaque = console;
	uart_init(uart, &uart_ops, console);
	return 0;
}

/* --- the main thread's side --- */

/* Offers the guest what it has not taken yet; false while it has no room. */
static bool deliver_input(struct console *console)
{
	while (console->input_done < console->input_len) {
		const uint8_t *data = console->input + console->input_done;
		size_t len = console->input_len - console->input_done;

		if (console->stream >= 0) {
			ssize_t n = send(console->stream, data, len, MSG_NOSIGNAL);

			if (n < 0 && errno == EAGAIN)
				return false;
			/* The device process is gone: so is its input. */
			console->input_done += n < 0 ? len : (size_t)n;
		} else {
			size_t n = uart_receive(console->uart, data, len);

			console->input_done += n;
			if (n < len)
				return false;
		}
	}
	return true;
}

static void handle_input(void *opaque, uint32_t events);
static void handle_stream(void *opaque, uint32_t events);

/*
 * What is not wanted now is taken out of the loop altogether: a hang-up would be announced again
 * and again otherwise. Setting what is already set changes nothing.
 */
static void watch_input(struct console *console, bool on)
{
	if (console->input_always_ready || on == console->input_watched)
		return;
	if (!on)
		main_loop_remove(console->loop, console->terminal.in_fd);
	else if (main_loop_add(console->loop, console->terminal.in_fd, EPOLLIN, handle_input,
			       console) < 0)
		return;
	console->input_watched = on;
}

static void watch_stream(struct console *console, bool on)
{
	uint32_t events = EPOLLIN;

	if (console->input_done < console->input_len)
		events |= EPOLLOUT;
	main_loop_remove(console->loop, console->stream);
	if (on)
		(void)main_loop_add(console->loop, console->stream, events, handle_stream, console);
}

static void read_input(struct console *console)
{
	enum terminal_event event;

	console->input_done = 0;
	event = terminal_read(&console->terminal, console->input, sizeof(console->input),
			      &console->input_len);
	if (event == TERMINAL_QUIT)
		ending_set(console->ending, EXIT_STATUS_OK, "ended by the user (Ctrl-A x)");
	if (event == TERMINAL_EOF) {
		console->input_ended = true;
		watch_input(console, false);
	}
}

/* Carries input on from where it stopped, and asks to be called again. */
static void pump_input(struct console *console)
{
	while (deliver_input(console)) {
		if (console->input_ended)
			return;
		if (!console->input_always_ready) {
			watch_input(console, true);
			return;
		}
		read_input(console);
	}
	/* resume_fd or EPOLLOUT of the stream tells when there is room. */
	watch_input(console, false);
	if (console->stream >= 0)
		watch_stream(console, true);
}

static void handle_input(void *opaque, uint32_t events)
{
	struct console *console = opaque;

	(void)events;
	read_input(console);
	pump_input(console);
}

/* Passes on what the virtio-console wrote; stops reading it while the terminal is slow. */
static void pump_output(struct console *console)
{
	for (;;) {
		ssize_t n;

		console->output_done +=
			terminal_write(&console->terminal, console->output + console->output_done,
				       console->output_len - console->output_done);
		if (console->output_done < console->output_len) {
			watch_stream(console, false);
			return;
		}
		console->output_done = 0;
		console->output_len = 0;
		n = recv(console->stream, console->output, sizeof(console->output), 0);
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			watch_stream(console, false);
			return;
		}
		if (n < 0) {
			watch_stream(console, true);
			return;
		}
		console->output_len = (size_t)n;
	}
}

static void handle_stream(void *opaque, uint32_t events)
{
	struct console *console = opaque;

	if (events & EPOLLOUT)
		pump_input(console);
	pump_output(console);
}

static void handle_resume(void *opaque, uint32_t events)
{
	struct console *console = opaque;
	eventfd_t count;

	(void)events;
	(void)eventfd_read(console->resume_fd, &count);
	pump_input(console);
	if (console->stream >= 0)
		pump_output(console);
}

int console_start(struct console *console, struct main_loop *loop, struct ending *ending)
{
	int ret;

	console->loop = loop;
	console->ending = ending;
	close_fd(&console->stream_far);
	ret = terminal_raw(&console->terminal);
	if (!ret)
		ret = main_loop_add(loop, console->resume_fd, EPOLLIN, handle_resume, console);
	if (!ret && console->stream >= 0)
		ret = main_loop_add(loop, console->stream, EPOLLIN, handle_stream, console);
	if (ret) {
		log_error("console: %s", strerror(-ret));
		return ret;
	}
	console_resized(console);
	ret = main_loop_add(loop, console->terminal.in_fd, EPOLLIN, handle_input, console);
	/* A regular file never makes one wait; a closed descriptor has nothing to say. */
	console->input_watched = ret == 0;
	console->input_always_ready = ret == -EPERM;
	console->input_ended = ret && ret != -EPERM;
	if (console->input_always_ready)
		pump_input(console);
	return 0;
}

void console_resized(struct console *console)
{
	uint16_t columns, rows;

	/* A UART has no means to tell. */
	if (console->stream >= 0 && console->resized &&
	    terminal_size(&console->terminal, &columns, &rows))
		console->resized(console->resized_opaque, columns, rows);
}

void console_destroy(struct console *console)
{
	terminal_destroy(&console->terminal);
	uart_destroy(console->uart);
	close_ends(console);
}
