/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/log.h"

#define SECTOR_SIZE 512

static const char *unusable(const struct stat *st)
{
	if (S_ISBLK(st->st_mode))
		return NULL;
	if (!S_ISREG(st->st_mode))
		return "neither a regular file nor a block device";
	if (st->st_size < SECTOR_SIZE)
		return "smaller than one sector of 512 bytes";
	return NULL;
}

int disk_open(const char *path, bool read_only)
{
	/* O_NONBLOCK: a FIFO must not make us wait for its other end. */
	int fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
	const char *why;
	struct stat st;

	if (fd < 0) {
		int err = errno;

		log_error("--disk: %s: %s", path, strerror(err));
		return -err;
	}
	if (fstat(fd, &st) < 0)
		why = strerror(errno);
	else
		why = unusable(&st);
	if (why) {
		log_error("--disk: %s: %s", path, why);
		close(fd);
		return -EINVAL;
	}
	return fd;
}
