/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/core/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

__attribute__((format(printf, 1, 0))) static void log_line(const char *fmt, va_list args)
{
	char line[DEVICE_LOG_LINE_MAX];
	int len = vsnprintf(line, sizeof(line) - 1, fmt, args);

	if (len < 0)
		return;
	if (len > (int)sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len] = '\n';
	/* A log that takes no more loses lines and nothing else. */
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
