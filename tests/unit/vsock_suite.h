/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the suites with a vsock device begin and end with: it runs, and has buffers to receive. */
#ifndef TESTS_UNIT_VSOCK_SUITE_H
#define TESTS_UNIT_VSOCK_SUITE_H

#include "tests/unit/vsock_bench.h"

static struct vsock_bench bench;

static inline void set_up(void)
{
	bench_start(&bench, false);
	bench_give(&bench, 0, BENCH_BUFFERS);
}

static inline void tear_down(void)
{
	bench_stop(&bench);
}

#endif
