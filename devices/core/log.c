/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/core/log.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CUT	"..."
#define LONGEST (DEVICE_LOG_LINE_MAX - 2) /* bytes of a line without its end */

static unsigned int lines_logged;

unsigned int device_log_count(void)
{
	return lines_logged;
}

/* What is long is a name in the middle; the reason behind it is what the line is for. */
static int cut_middle(char *line, int len)
{
	const int cut = sizeof(CUT) - 1;
	const int shown = (LONGEST - cut) / 2;

	memmove(line + shown + cut, line + len - shown, shown);
	memcpy(line + shown, CUT, cut);
	return 2 * shown + cut;
}

__attribute__((format(printf, 1, 0))) static void log_line(const char *fmt, va_list args)
{
	/* Not on the stack, which cannot grow in the sandbox. */
	static char line[PATH_MAX + DEVICE_LOG_LINE_MAX];
	int len = vsnprintf(line, sizeof(line) - 1, fmt, args);

	if (len < 0)
		return;
	if (len > (int)sizeof(line) - 2)
		len = sizeof(line) - 2;
	if (len > LONGEST)
		len = cut_middle(line, len);
	for (int i = 0; i < len; i++)
		if (iscntrl((unsigned char)line[i]))
			line[i] = '?';
	line[len] = '\n';
	/* A log that takes no more loses lines and nothing else. */
	lines_logged++;
	if (write(STDERR_FILENO, line, len + 1) < 0)
		return;
}

void device_log(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_line(fmt, args);
	va_end(args);
}

void device_log_guest(const char *fmt, ...)
{
	static unsigned int lines;
	va_list args;

	if (lines == DEVICE_LOG_GUEST_MAX)
		return;
	lines++;
	va_start(args, fmt);
	log_line(fmt, args);
	va_end(args);
}
