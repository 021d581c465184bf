/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * --exit-code-from: the guest tells the exit status of what it ran, over a console port or a vsock
 * connection.
 *
 *	"N\n"	N decimal, 0 to 255, as of a process
 *
 * The last such line counts, also one that the end of the stream ends. Everything else is garbage
 * that costs one line of log. A guest's code becomes the exit status of minivmm up to
 * EXIT_STATUS_GUEST_MAX; larger ones count as that, since the numbers above it are minivmm's own.
 */
#ifndef VMM_EXIT_CODE_H
#define VMM_EXIT_CODE_H

#include <stdbool.h>
#include <stddef.h>

#include "vmm/main_loop.h"

#define EXIT_CODE_MAX	      255
#define EXIT_CODE_MAX_STREAMS 4 /* at a time */

/* Something that the code is read from. */
struct exit_code_stream {
	struct exit_code *owner;
	int fd;		/* owned; -1: free */
	char digits[4]; /* of the line so far; one more than a code has means garbage */
	size_t len;
	bool garbage;  /* in this line */
	bool one_line; /* is closed after that: who told a code sees that it has arrived */
};

struct exit_code {
	struct exit_code_stream streams[EXIT_CODE_MAX_STREAMS];
	struct main_loop *loop;
	bool told;
	unsigned int code; /* 0 to EXIT_CODE_MAX, once told */
	bool complained;
};

/* @loop is used from the first stream on, and must not be destroyed before exit_code_drain(). */
void exit_code_init(struct exit_code *exit_code, struct main_loop *loop);

/*
 * Reads codes from @fd, a stream of which we have the only end, from now on. Takes @fd over in any
 * case. 0 or -errno; -EMFILE when there are too many.
 */
int exit_code_watch(struct exit_code *exit_code, int fd);

/*
 * Likewise from a connection that somebody made in order to tell one code: closed after a line.
 * @exit_code is a struct exit_code, as for a callback.
 */
void exit_code_connected(void *exit_code, int fd);

/*
 * Reads what has arrived and was not read, without waiting, and closes all streams: after the loop
 * and the device processes have ended, for a guest that powers off as soon as it has told its code.
 */
void exit_code_drain(struct exit_code *exit_code);

/*
 * The exit status of a run that ended with @status (enum exit_status): the code instead of a power
 * off or a reset, EXIT_STATUS_NO_CODE when none was told, and @status when the guest ended otherwise.
 */
int exit_code_apply(const struct exit_code *exit_code, int status);

/* Puts what was told, or that nothing was, behind the @reason (@size bytes) of such a run. */
void exit_code_explain(const struct exit_code *exit_code, int status, char *reason, size_t size);

#endif
