/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Attacks on the memory that the device process was given, and on that of others. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/attack/attack.h"

#define PAGE 4096

static int shrink(const struct target *target, uint8_t *secret)
{
	(void)secret;
	return ftruncate(target->pool_fd, 0) == 0 ? 0 : -errno;
}

static int grow(const struct target *target, uint8_t *secret)
{
	(void)secret;
	return ftruncate(target->pool_fd, (off_t)target->pool_size + PAGE) == 0 ? 0 : -errno;
}

/* A call that blk needs for its disk, here with another descriptor. */
static int grow_by_fallocate(const struct target *target, uint8_t *secret)
{
	(void)secret;
	return fallocate(target->pool_fd, 0, (off_t)target->pool_size, PAGE) == 0 ? 0 : -errno;
}

static int grow_by_write(const struct target *target, uint8_t *secret)
{
	return pwrite(target->pool_fd, secret, SECRET_LEN, (off_t)target->pool_size) == SECRET_LEN
		       ? 0
		       : -errno;
}

static int add_seals(const struct target *target, uint8_t *secret)
{
	(void)secret;
	/* Not by fcntl(), see layers.c. */
	return syscall(SYS_fcntl, target->pool_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0 ? 0
											  : -errno;
}

/* An early one: mapping shared and writable is what the filter still allows. */
static int leaked_descriptor(const struct target *target, uint8_t *secret)
{
	const uint8_t *map = mmap(NULL, target->pool_size, PROT_READ | PROT_WRITE, MAP_SHARED,
				  target->other_fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	memcpy(secret, map, SECRET_LEN);
	return 0;
}

static int map_after_seal(const struct target *target, uint8_t *secret)
{
	(void)secret;
	return mmap(NULL, target->pool_size, PROT_READ | PROT_WRITE, MAP_SHARED, target->pool_fd,
		    0) == MAP_FAILED
		       ? -errno
		       : 0;
}

static int ram_in_window(const struct target *target, uint8_t *secret)
{
	/* Guest RAM begins at address 0, and the secret is its second page. */
	memcpy(secret, target->pool + PAGE, SECRET_LEN);
	return 0;
}

/* The disk is open read-only; its file is ours to open anew if /proc is there. */
static int reopen_disk(const struct target *target, uint8_t *secret)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", target->backend_fd);
	fd = open(path, O_RDWR);
	if (fd < 0)
		return -errno;
	return pwrite(fd, secret, SECRET_LEN, 0) == SECRET_LEN ? 0 : -errno;
}

/* The kernel dumps what the pool holds, if it may. */
static int dump_core(const struct target *target, uint8_t *secret)
{
	(void)target;
	(void)secret;
	__builtin_trap();
}

const struct attack attacks_on_pool[] = {
	{ "pool-shrink", "ftruncate()s its pool, so that minivmm's access is SIGBUS", EVIDENCE_HARM,
	  shrink, NULL },
	{ "pool-grow", "ftruncate()s its pool to more", EVIDENCE_HARM, grow, NULL },
	{ "pool-grow-by-fallocate", "the same by a call that blk may make", EVIDENCE_HARM,
	  grow_by_fallocate, NULL },
	{ "pool-grow-by-pwrite", "likewise", EVIDENCE_HARM, grow_by_write, NULL },
	{ "pool-add-seals", "adds a seal to its pool", EVIDENCE_HARM, add_seals, NULL },
	{ "leaked-descriptor", "maps another's pool, whose descriptor minivmm lost",
	  EVIDENCE_SECRET, NULL, leaked_descriptor },
	{ "map-after-seal", "maps what it got later", EVIDENCE_WORD, map_after_seal, NULL },
	{ "ram-in-window", "reads RAM in its windows", EVIDENCE_SECRET, ram_in_window, NULL },
	{ "reopen-disk", "opens its read-only disk for writing", EVIDENCE_HARM, reopen_disk, NULL },
	{ "core-dump", "crashes, for a dump of its pool", EVIDENCE_CORE, dump_core, NULL },
	{ 0 },
};
