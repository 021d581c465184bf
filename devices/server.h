/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * minivmm-device on its own: a Unix socket for any vhost-user front-end.
 *
 * The windows can be mapped once in a process' life (the sandbox takes mmap() away after that), so
 * each connection gets a process of its own, one connection at a time.
 */
#ifndef DEVICES_SERVER_H
#define DEVICES_SERVER_H

#include <stdbool.h>

/* Serves one connection in a new process; what it returns becomes that process' exit status. */
typedef int (*server_connection)(int sock, const void *opaque);

/*
 * Listens on @path, where a socket at which nobody listens any more is replaced, and serves
 * front-ends until it is killed. With @namespaces each process starts as the first one in namespaces
 * of its own. Returns -errno after a line in the log, and only then.
 */
int server_run(const char *path, bool namespaces, server_connection serve, const void *opaque);

#endif
