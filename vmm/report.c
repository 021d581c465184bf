/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/report_json.h"

#define TEMPORARY_TRIES 100

static uint64_t addresses_outside(const struct report_device *device)
{
	uint64_t any = 0;

	for (unsigned int i = 0; i < DMA_NR_PURPOSES; i++)
		any |= device->counters.addresses_outside[i];
	return any;
}

enum report_verdict report_device_verdict(const struct report_device *device, bool restricted)
{
	if (device->failure[0] != '\0')
		return REPORT_FAILED;
	if (device->nr_violations > 0 || (device->counters_valid && addresses_outside(device) > 0))
		return REPORT_VIOLATION;
	if (device->nr_refusals > 0)
		return REPORT_REFUSED;
	if (!device->driven)
		return REPORT_UNUSED;
	if (device->evil)
		return REPORT_EVIL;
	return restricted ? REPORT_CONFINED : REPORT_UNRESTRICTED;
}

const char *report_verdict_name(enum report_verdict verdict)
{
	switch (verdict) {
	case REPORT_FAILED:
		return "failed";
	case REPORT_VIOLATION:
		return "violation";
	case REPORT_REFUSED:
		return "refused";
	case REPORT_EVIL:
		return "evil";
	case REPORT_CONFINED:
		return "confined";
	case REPORT_UNRESTRICTED:
		return "unrestricted";
	case REPORT_UNUSED:
		return "unused";
	}
	return "unknown";
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		const ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Writes @text to @fd and closes it; some file systems tell of a failed write only then. */
static int write_and_close(int fd, const char *text)
{
	int err = write_all(fd, text, strlen(text));

	if (close(fd) < 0 && err == 0)
		err = -errno;
	return err;
}

static int write_in_place(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_TRUNC | O_NOCTTY | O_CLOEXEC);

	return fd < 0 ? -errno : write_and_close(fd, text);
}

/*
 * Creates a file in the directory of @path and puts its name in @name (PATH_MAX bytes). Returns a
 * descriptor or -errno.
 */
static int create_beside(const char *path, char *name)
{
	const char *slash = strrchr(path, '/');
	const int dir_len = slash ? (int)(slash + 1 - path) : 0;

	for (unsigned int i = 0; i < TEMPORARY_TRIES; i++) {
		const int n = snprintf(name, PATH_MAX, "%.*s.minivmm-report.%ld.%u", dir_len, path,
				       (long)getpid(), i);
		int fd;

		if (n >= PATH_MAX)
			return -ENAMETOOLONG;
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

/* @old is what is at @path now, or NULL. */
static int write_replacing(const char *path, const struct stat *old, const char *text)
{
	char name[PATH_MAX];
	int err;
	const int fd = create_beside(path, name);

	if (fd < 0)
		return fd;
	err = old && fchmod(fd, old->st_mode & 0777) < 0 ? -errno : 0;
	if (err)
		close(fd);
	else
		err = write_and_close(fd, text);
	if (!err && rename(name, path) < 0)
		err = -errno;
	if (err)
		unlink(name);
	return err;
}

static int write_text(const char *path, const char *text)
{
	struct stat old;

	if (strcmp(path, "-") == 0)
		return write_all(STDOUT_FILENO, text, strlen(text));
	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	if (lstat(path, &old) < 0)
		return errno == ENOENT ? write_replacing(path, NULL, text) : -errno;
	/* Devices, pipes and symbolic links, such as /dev/stdout, are written to, not replaced. */
	if (!S_ISREG(old.st_mode))
		return write_in_place(path, text);
	return write_replacing(path, &old, text);
}

int report_check(const char *path)
{
	char name[PATH_MAX];
	struct stat old;
	int fd;

	if (strcmp(path, "-") == 0)
		return 0;
	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	if (lstat(path, &old) == 0 && !S_ISREG(old.st_mode))
		return S_ISDIR(old.st_mode) ? -EISDIR : access(path, W_OK) < 0 ? -errno : 0;
	fd = create_beside(path, name);
	if (fd < 0)
		return fd;
	close(fd);
	unlink(name);
	return 0;
}

int report_write(const struct report *report, const char *path)
{
	json_t *document = report_json(report);
	char *text;
	char *line;
	int err = -ENOMEM;

	if (!document)
		return -ENOMEM;
	text = json_dumps(document, JSON_INDENT(2));
	json_decref(document);
	if (!text)
		return -ENOMEM;
	if (asprintf(&line, "%s\n", text) >= 0) {
		err = write_text(path, line);
		free(line);
	}
	free(text);
	return err;
}
