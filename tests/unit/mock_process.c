/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/unit/mock_process.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/sanitizer.h"

#define GROWTH_MAX 4096 /* KiB */
/* Besides what a guest can cause: that the host side has gone, and why the process ends. */
#define LINES_MAX (DEVICE_LOG_GUEST_MAX + 4)

void mock_use_process(void)
{
	char self[PATH_MAX] = "", path[PATH_MAX + 16];

	cr_assert_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
	*strrchr(self, '/') = 0;
	snprintf(path, sizeof(path), "%s/minivmm-device", self);
	setenv("MINIVMM_DEVICE", path, 0);
	setenv("MINIVMM_DEVICE_SANDBOX", "full", 1);
}

bool mock_process_wanted(void)
{
	return getenv("MINIVMM_DEVICE") && getenv("MINIVMM_DEVICE_SANDBOX");
}

/* As minivmm has it, the process never waits for a reader. */
int mock_process_log(struct mock_frontend *fe)
{
	int pair[2];

	cr_assert_eq(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
	fe->log = pair[0];
	return pair[1];
}

unsigned long mock_process_memory(const struct mock_frontend *fe)
{
	unsigned long kib = 0;
	char path[64], line[256];
	FILE *status;

	/* A sanitizer keeps what was freed. */
	if (fe->log < 0 || HAVE_SANITIZER)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/status", fe->pid);
	status = fopen(path, "re");
	while (status && fgets(line, sizeof(line), status)) {
		if (sscanf(line, "RssAnon: %lu kB", &kib) == 1)
			break;
	}
	if (status)
		fclose(status);
	return kib;
}

void mock_process_check_memory(const struct mock_frontend *fe)
{
	unsigned long now = mock_process_memory(fe);

	if (fe->memory)
		cr_expect_leq(now, fe->memory + GROWTH_MAX, "%lu KiB of memory, then %lu KiB",
			      fe->memory, now);
}

void mock_process_check_log(struct mock_frontend *fe)
{
	unsigned int lines = 0;
	char text[65536];
	ssize_t n;

	if (fe->log < 0)
		return;
	n = read(fe->log, text, sizeof(text));
	for (ssize_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	cr_expect_leq(lines, LINES_MAX, "%u lines: %.*s", lines, (int)n, text);
	close(fe->log);
	fe->log = -1;
}
