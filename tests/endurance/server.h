/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * `minivmm-device KIND --socket-path PATH` as a child of ours: a server, which stays, and the device process
 * that it starts for each connection.
 */
#ifndef TESTS_ENDURANCE_SERVER_H
#define TESTS_ENDURANCE_SERVER_H

#include <sys/types.h>

/* What a process has; both are compared with what it had before. */
struct usage {
	long rss_kib;
	long fds;
};

/* Starts @argv, whose last words are --socket-path and @path; -1 after a line on standard error. */
pid_t server_start(const char *path, char *const *argv);
void server_end(pid_t server);

/* The device process of the connection that has just been made; 0: there is none. */
pid_t server_device(pid_t server);

/* -errno when the process cannot be looked at. */
int usage_read(pid_t pid, struct usage *usage);

#endif
