/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define PREFIX	    "minivmm: "
#define CUT	    "..."
#define PATIENCE_MS 200
#define SHOWN	    450 /* bytes at either end of a text that is too long for a line */

static atomic_bool log_verbose;
static pthread_mutex_t limit_lock = PTHREAD_MUTEX_INITIALIZER;

void log_set_verbose(bool verbose)
{
	atomic_store(&log_verbose, verbose);
}

/* Puts one byte at @out in its printable form; returns its length, 1 or 4. */
static size_t escape_byte(char out[4], unsigned char byte)
{
	static const char digits[] = "0123456789abcdef";

	if (byte >= 0x20 && byte < 0x7f) {
		out[0] = (char)byte;
		return 1;
	}
	out[0] = '\\';
	out[1] = 'x';
	out[2] = digits[byte >> 4];
	out[3] = digits[byte & 0xf];
	return 4;
}

size_t log_escape(char *out, size_t size, const char *text, size_t len)
{
	const size_t room = size - 1;
	const size_t cut_len = sizeof(CUT) - 1;
	size_t used = 0;
	size_t cut_at = 0; /* end of the last whole byte that leaves room for CUT */

	for (size_t i = 0; i < len; i++) {
		char form[4];
		const size_t n = escape_byte(form, (unsigned char)text[i]);

		if (used + n > room) {
			memcpy(out + cut_at, CUT, cut_len);
			used = cut_at + cut_len;
			break;
		}
		memcpy(out + used, form, n);
		used += n;
		if (used + cut_len <= room)
			cut_at = used;
	}
	out[used] = '\0';
	return used;
}

/* What is long is a name in the middle; the reason behind it is what the line is for. */
static void cut_middle(char *text)
{
	const size_t len = strlen(text);

	if (len < SHOWN + sizeof(CUT) + SHOWN)
		return;
	memcpy(text + SHOWN, CUT, sizeof(CUT) - 1);
	memmove(text + SHOWN + sizeof(CUT) - 1, text + len - SHOWN, SHOWN + 1);
}

/* A terminal in raw mode does not return the carriage by itself. */
static bool stderr_is_raw(void)
{
	struct termios attr;

	return tcgetattr(STDERR_FILENO, &attr) == 0 && (attr.c_oflag & OPOST) == 0;
}

/*
 * Whether a line can be written without waiting for a reader that may be asleep: a guest would stand
 * still with us. A pipe that is ready takes PIPE_BUF bytes. Who does not read for a moment loses lines
 * until he does, and costs nobody a second moment.
 */
static bool has_room(void)
{
	static atomic_bool stalled;
	struct pollfd target = { .fd = STDERR_FILENO, .events = POLLOUT };
	bool room = poll(&target, 1, atomic_load(&stalled) ? 0 : PATIENCE_MS) != 0;

	atomic_store(&stalled, !room);
	return room;
}

__attribute__((format(printf, 2, 0))) static void write_line(const char *note, const char *fmt,
							     va_list args)
{
	char text[PATH_MAX + LOG_LINE_MAX];
	char line[LOG_LINE_MAX];
	const size_t prefix = sizeof(PREFIX) - 1;
	size_t note_len = strlen(note);
	size_t used;
	ssize_t written;

	if (vsnprintf(text, sizeof(text), fmt, args) < 0)
		return;
	cut_middle(text);
	memcpy(line, PREFIX, prefix);
	memcpy(line + prefix, note, note_len);
	used = prefix + note_len;
	/* One byte short of the end, so that "\r\n" fits where log_escape() puts its NUL. */
	used += log_escape(line + used, sizeof(line) - used - 1, text, strlen(text));
	if (stderr_is_raw())
		line[used++] = '\r';
	line[used++] = '\n';
	if (!has_room())
		return;
	do {
		written = write(STDERR_FILENO, line, used);
	} while (written < 0 && errno == EINTR);
}

__attribute__((format(printf, 2, 0))) static void
write_line_keeping_errno(const char *note, const char *fmt, va_list args)
{
	const int saved_errno = errno;

	write_line(note, fmt, args);
	errno = saved_errno;
}

void log_error(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	write_line_keeping_errno("", fmt, args);
	va_end(args);
}

void log_info(const char *fmt, ...)
{
	va_list args;

	if (!atomic_load(&log_verbose))
		return;
	va_start(args, fmt);
	write_line_keeping_errno("", fmt, args);
	va_end(args);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Counts one line against @limit. True: print it and say that @suppressed went missing before. */
static bool limit_pass(struct log_limit *limit, unsigned long *suppressed)
{
	bool pass = false;
	uint64_t now;

	pthread_mutex_lock(&limit_lock);
	now = now_ns(); /* under the lock: never before window_start_ns */
	if (now - limit->window_start_ns >= LOG_LIMIT_SECONDS * UINT64_C(1000000000)) {
		limit->window_start_ns = now;
		limit->printed = 0;
	}
	if (limit->printed < LOG_LIMIT_BURST) {
		limit->printed++;
		*suppressed = limit->suppressed;
		limit->suppressed = 0;
		pass = true;
	} else {
		limit->suppressed++;
	}
	pthread_mutex_unlock(&limit_lock);
	return pass;
}

void log_limited(struct log_limit *limit, const char *fmt, ...)
{
	char note[48] = "";
	unsigned long suppressed;
	va_list args;

	if (!limit_pass(limit, &suppressed))
		return;
	if (suppressed > 0)
		snprintf(note, sizeof(note), "(%lu lines held back) ", suppressed);
	va_start(args, fmt);
	write_line_keeping_errno(note, fmt, args);
	va_end(args);
}
