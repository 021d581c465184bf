/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The host side of a console or of a port, opened on behalf of the device process, which can open
 * nothing itself.
 *
 *	file:PATH	made empty, or made; what the guest writes is appended
 *	pipe:PATH	two FIFOs that exist: the guest writes PATH.out and reads PATH.in. One FIFO
 *			would give the guest back what it has written itself.
 *	socket:PATH	a Unix stream socket; the device process takes one peer at a time
 *	(exit code)	one end of a socket pair; the other one is ours
 *
 * A FIFO is opened for both directions: so neither the opening nor a write waits for somebody at the
 * other end, and a reader or a writer of the host's may come, go and come again.
 */
#ifndef VMM_STREAM_H
#define VMM_STREAM_H

#include <stdbool.h>

#include "vmm/config.h"
#include "vmm/unix_socket.h"

struct stream {
	int fd;	      /* for the device process; owned, as the others; -1 when closed */
	int input_fd; /* of a pipe: PATH.in, then fd is PATH.out; -1: fd is for both directions */
	int near_fd;  /* of CONFIG_STREAM_EXIT: our end; who takes it out leaves -1 */
	bool listens; /* fd is a listening socket, and @listener is where stream_close() removes it */
	struct unix_listener listener;
};

/*
 * Opens what @config names, which is not CONFIG_STREAM_STDIO; @option is for messages. 0, or -errno
 * after one line on stderr, with nothing open.
 */
int stream_open(struct stream *stream, const struct config_stream *config, const char *option);

/* Closes what the device process has got by now, so that it alone has it. */
void stream_hand_over(struct stream *stream);

/* Closes all, and removes the socket if it is still the one that was made. */
void stream_close(struct stream *stream);

#endif
