/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A network namespace of the test's own, in which it may do everything. */
#ifndef TESTS_UNIT_EMPTY_NETWORK_H
#define TESTS_UNIT_EMPTY_NETWORK_H

#include <criterion/criterion.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static inline void empty_network_raise(const char *interface)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { 0 };

	strncpy(request.ifr_name, interface, sizeof(request.ifr_name) - 1);
	request.ifr_flags = IFF_UP;
	cr_assert_eq(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}

/*
 * As root, leaves this process with a loopback interface and nothing else. False for others: they
 * would need a user namespace, which a process with threads, as Criterion's are, cannot enter.
 */
static inline bool empty_network_enter(void)
{
	if (geteuid() != 0)
		return false;
	cr_assert_eq(unshare(CLONE_NEWNET), 0);
	empty_network_raise("lo");
	return true;
}

#endif
