// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * zero-range keep|unmap FILE OFFSET BYTES: makes zeroes of a part of a file or block device, in the
 * shortest way that its kernel knows; "unmap" insists on giving the space back.
 */
#define _GNU_SOURCE 1

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	int fd, mode;

	if (argc != 5) {
		fprintf(stderr, "usage: zero-range keep|unmap FILE OFFSET BYTES\n");
		return 2;
	}
	mode = strcmp(argv[1], "unmap") == 0 ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
	fd = open(argv[2], O_RDWR | O_CLOEXEC);
	if (fd < 0 || fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, strtoll(argv[3], NULL, 10),
				strtoll(argv[4], NULL, 10))) {
		perror(argv[2]);
		return 1;
	}
	return 0;
}
