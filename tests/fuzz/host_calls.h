/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Between host_calls.c and host_files.c. */
#ifndef TESTS_FUZZ_HOST_CALLS_H
#define TESTS_FUZZ_HOST_CALLS_H

#include <sys/uio.h>

#include "tests/fuzz/host.h"

/* The open descriptor @fd of ours: whatever else is used is a mistake of the code under test. */
struct host_fd *host_must_get(int fd, const char *call);

/* Whether @fd is no real descriptor. */
bool host_is_ours(int fd);

/* Sets errno; returns -1. */
int host_error(int number);

/* Bytes of all ranges. */
size_t host_total(const struct iovec *iov, int count);

/* Copies @len bytes at @from to them. */
void host_scatter(const struct iovec *iov, int count, const uint8_t *from, size_t len);

#endif
