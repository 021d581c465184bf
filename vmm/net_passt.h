/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * passt, the process behind --net user: it answers DHCP, ARP and NDP and turns the guest's TCP, UDP and
 * ping into sockets of the host. It needs no privileges and confines itself (namespaces, an empty
 * root, seccomp) before it reads the first frame.
 *
 *	fd 0, 1  /dev/null
 *	fd 2     pipe to minivmm: what it has to say
 *	fd 3     one end of a socket pair; the other is for the device process
 *	fd 4     pipe to minivmm: its process id comes there when it is ready
 *
 * It ends with its stream, so it outlives neither the device process nor minivmm. PR_SET_PDEATHSIG
 * would be of no use: it does not survive passt's change of user.
 */
#ifndef VMM_NET_PASST_H
#define VMM_NET_PASST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "vmm/config.h"
#include "vmm/log.h"
#include "vmm/main_loop.h"

#define NET_PASST_TEXT_MAX 512 /* bytes of what it says that are kept, with a NUL */
#define NET_PASST_SPEC_MAX 64  /* of a port specification: an IPv6 address and two ports */
#define NET_PASST_MAX_ARGS (20 + 2 * CONFIG_MAX_FORWARDS)

struct net_passt {
	pid_t pid; /* 0: none, and then the rest means nothing */
	int pidfd; /* readable when it has ended; owned, like the others; -1 when closed */
	int said;  /* read end of its stderr */
	int ready;
	char line[NET_PASST_TEXT_MAX]; /* not ended yet */
	size_t line_len;
	char why[NET_PASST_TEXT_MAX]; /* what it said while it started */
	struct log_limit limit;
	struct main_loop *loop; /* NULL: it is starting */
};

struct net_passt_args {
	const char *argv[NET_PASST_MAX_ARGS]; /* NULL-terminated; static strings, and specs */
	char specs[CONFIG_MAX_FORWARDS][NET_PASST_SPEC_MAX];
};

/*
 * The command line for @net. With @alone, one that needs no interface but the loopback: the guest
 * gets addresses of our choice instead of the host's own. 0, or -EINVAL when a forward does not read
 * "tcp:ADDRESS:PORT-:PORT" or "udp:...", where ADDRESS may be empty and IPv6 stands in brackets.
 */
int net_passt_build_args(struct net_passt_args *args, const struct config_net *net, bool alone);

/*
 * Whether the routes in @proc_net, "/proc/net" but for tests, have a default through a gateway: without
 * one, passt finds no interface whose addresses it could take.
 */
bool net_passt_has_route(const char *proc_net);

/*
 * Starts it and leaves the device's end of the stream, non-blocking, in @stream. Frames may be sent
 * at once: they wait until it reads. 0, or an exit status after one line on stderr.
 */
int net_passt_start(struct net_passt *passt, const struct config_net *net, int *stream);

/*
 * Waits until passt is ready, then lets what it says, and its end, become log lines. 0, or -errno
 * after one line that says why it did not start.
 */
int net_passt_watch(struct net_passt *passt, struct main_loop *loop);

/* Ends and reaps it. Harmless when there is none. */
void net_passt_end(struct net_passt *passt);

#endif
