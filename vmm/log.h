/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The one place that prints for people. Lines go to stderr as "minivmm: TEXT", in one write each,
 * with control and non-ASCII bytes escaped, because parts of the text may come from a guest or a
 * device process. A stderr that is closed, full or gone loses lines and nothing else. errno is
 * kept. All functions may be called from any thread.
 */
#ifndef VMM_LOG_H
#define VMM_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a line with its end; of a longer one the middle is left out, and "..." in its place. */
#define LOG_LINE_MAX 1024

void log_set_verbose(bool verbose);

/* An error for the user: "what: which: why". */
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Only with --verbose. */
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * At most LOG_LIMIT_BURST lines per LOG_LIMIT_SECONDS for one source; what was held back is counted
 * and told with the next line let through. A zeroed struct is ready for use.
 */
#define LOG_LIMIT_BURST	  10
#define LOG_LIMIT_SECONDS 5

struct log_limit {
	uint64_t window_start_ns; /* CLOCK_MONOTONIC */
	unsigned int printed;	  /* in this window */
	unsigned long suppressed; /* since the last line let through */
};

/* For everything a guest or a device process can trigger. */
void log_limited(struct log_limit *limit, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Copies the @len bytes at @text to @out (@size bytes, at least 4) as printable ASCII with a
 * terminating NUL: any other byte becomes \xNN. What does not fit is cut, and "..." put in its
 * place. Returns the length of the result.
 */
size_t log_escape(char *out, size_t size, const char *text, size_t len);

#endif
