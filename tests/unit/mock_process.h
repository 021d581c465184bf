/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The real thing behind mock_start(): the executable minivmm-device in its whole sandbox, watched
 * from outside. With these two in the environment every test of a device is one of that process, for
 * which `make device-test` is there:
 *
 *	MINIVMM_DEVICE=build/minivmm-device MINIVMM_DEVICE_SANDBOX=full
 *
 * Such a process may not grow while a test lasts, and its log is short whatever a guest does.
 */
#ifndef TESTS_UNIT_MOCK_PROCESS_H
#define TESTS_UNIT_MOCK_PROCESS_H

#include <stdbool.h>

#include "tests/unit/mock_frontend.h"

/* From now on in this test, mock_start() starts the executable that was built with the tests. */
void mock_use_process(void);

/* Is that what mock_start() is to do? */
bool mock_process_wanted(void);

/* A pipe for the stderr of the process: its read end is fe->log from now on. Returns the other. */
int mock_process_log(struct mock_frontend *fe);

/*
 * Starts a device process, as mock_start() and mock_start_foreign() say: fe->pid at the other end of
 * fe->sock.
 */
void mock_process_start(struct mock_frontend *fe, const char *kind,
			const struct device_options *options, bool confined, bool foreign);

/* KiB of private memory that the process has in RAM; 0 when that is not looked at. */
unsigned long mock_process_memory(const struct mock_frontend *fe);

/* Expectations: it has grown by less than 4 MiB; it has not said more than a few lines. */
void mock_process_check_memory(const struct mock_frontend *fe);
void mock_process_check_log(struct mock_frontend *fe);

#endif
