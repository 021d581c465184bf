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

/*
 * Two guests that write to one image destroy it. The lock belongs to the open file description, which
 * the device process shares: it is held for as long as either of us lives.
 */
static const char *lock_image(int fd, bool read_only)
{
	struct flock lock = { .l_type = read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return NULL;
	if (errno == EAGAIN || errno == EACCES)
		return "in use by another process (locked)";
	/* A file system without locks is no reason not to use what lies on it. */
	log_info("--disk: not locked: %s", strerror(errno));
	return NULL;
}

static const char *why_not_open(int err, bool direct)
{
	/* Of our flags, that is the one that not every file system knows. */
	if (err == EINVAL && direct)
		return "cache=none: the file system has no direct I/O";
	return strerror(err);
}

int disk_open(const char *path, bool read_only, bool direct)
{
	/* O_NONBLOCK: a FIFO must not make us wait for its other end. */
	int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK;
	int fd = open(path, direct ? flags | O_DIRECT : flags);
	const char *why;
	struct stat st;

	if (fd < 0) {
		int err = errno;

		log_error("--disk: %s: %s", path, why_not_open(err, direct));
		return -err;
	}
	if (fstat(fd, &st) < 0)
		why = strerror(errno);
	else
		why = unusable(&st);
	if (!why)
		why = lock_image(fd, read_only);
	if (why) {
		log_error("--disk: %s: %s", path, why);
		close(fd);
		return -EINVAL;
	}
	return fd;
}
