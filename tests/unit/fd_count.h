/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* How many descriptors this process has open, to see that none leaks. */
#ifndef TESTS_UNIT_FD_COUNT_H
#define TESTS_UNIT_FD_COUNT_H

#include <criterion/criterion.h>
#include <dirent.h>

static inline unsigned int fd_count(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	cr_assert_not_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

#endif
