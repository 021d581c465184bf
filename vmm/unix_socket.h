/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Unix stream sockets by their path: connecting to one, and being one that others connect to. */
#ifndef VMM_UNIX_SOCKET_H
#define VMM_UNIX_SOCKET_H

/*
 * Connects to the socket at @path, and waits for nothing: a listener who has others to serve first is
 * an error (-EAGAIN). Returns a non-blocking descriptor or -errno.
 */
int unix_connect(const char *path);

/* A socket that clients find by its path; a device process accepts them. */
struct unix_listener {
	int fd;		  /* non-blocking; owned; -1: closed */
	int file;	  /* O_PATH: what we made at @path, to know it again; owned; -1: nothing */
	const char *path; /* the caller's */
};

/*
 * Listens at @path, where a socket that nobody listens at any more is replaced and nothing else.
 * Returns 0, or -errno with nothing left behind: -EADDRINUSE: somebody listens there; -EEXIST: it
 * is not a socket.
 */
int unix_listener_open(struct unix_listener *listener, const char *path, int backlog);

/* What an error of unix_listener_open() means, for a message. */
const char *unix_listener_problem(int error);

/* Closes the descriptor once the device process has it: clients are to see that one's end. */
void unix_listener_hand_over(struct unix_listener *listener);

/* Closes it, and removes the socket from its path if it is still the one that was made. */
void unix_listener_close(struct unix_listener *listener);

#endif
