/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Lines for stderr, plain text: minivmm reads them from a pipe and puts the device's name before.
 */
#ifndef DEVICES_CORE_LOG_H
#define DEVICES_CORE_LOG_H

#define DEVICE_LOG_LINE_MAX \
	256 /* bytes of a line with its end; of a longer one the middle is left out */
#define DEVICE_LOG_GUEST_MAX 16 /* lines in a process' life that a guest can trigger */

/* In one write each. Not for anything that a guest can trigger. */
void device_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* How many lines there were: a reason that was told needs no second one. */
unsigned int device_log_count(void);

/* For what a guest can trigger: silent after DEVICE_LOG_GUEST_MAX lines; the report has it all. */
void device_log_guest(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
