/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Starting and ending a device process.
 *
 * minivmm clones it into namespaces of its own (user, pid, mount, network, IPC, UTS, cgroup), with
 * nothing open but what its command line names, and executes minivmm-device, which then confines
 * itself further before it reads anything (devices/core/sandbox.h).
 *
 *	fd 0, 1  /dev/null
 *	fd 2     pipe to minivmm: log lines; non-blocking: a line too many is lost, not waited for
 *	fd 3     vhost-user socket
 *	fd 4...  the device's backing file, streams, tap queues, ..., if it has any
 */
#ifndef VMM_VHOST_WORKER_H
#define VMM_VHOST_WORKER_H

#include <stdbool.h>
#include <sys/types.h>

#define WORKER_MAX_SETTINGS 8

struct worker_request {
	const char *name; /* "blk0", for error lines */
	const char *kind; /* "blk" */
	const char *const
		*settings;	  /* at most WORKER_MAX_SETTINGS and a NULL, see devices/device.h */
	const int *backend_fds;	  /* stay the caller's */
	unsigned int nr_backends; /* at most DEVICE_MAX_BACKENDS */
	bool sandbox;
};

struct worker {
	pid_t pid; /* 0: none */
	int pidfd; /* readable when the process has ended; owned, like the others; -1 when closed */
	int control; /* our end of the vhost-user socket */
	int log;     /* read end of its stderr */
};

/*
 * Opens the device executable beside our own. Returns its descriptor or -errno, told on stderr.
 */
int worker_open_executable(void);

/* Starts one process from @exe_fd. 0, or -errno after a line that names the missing layer. */
int worker_start(struct worker *worker, int exe_fd, const struct worker_request *request);

/*
 * Waits up to @timeout_ms for the process to end by itself, then kills it; reaps it and closes the
 * descriptors. Returns its wait status, -1 when there was none.
 */
int worker_end(struct worker *worker, int timeout_ms);

#endif
