/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Unix sockets that tests make for the code to find. */
#ifndef TESTS_UNIT_UNIX_PEER_H
#define TESTS_UNIT_UNIX_PEER_H

#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static inline struct sockaddr_un unix_address(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	cr_assert_lt(strlen(path), sizeof(addr.sun_path));
	memcpy(addr.sun_path, path, strlen(path));
	return addr;
}

/* A socket of @type at @path. */
static inline int unix_bind(const char *path, int type)
{
	const struct sockaddr_un addr = unix_address(path);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	cr_assert_eq(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

#endif
