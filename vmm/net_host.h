/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The host side of --net, opened on behalf of the device process, which can open nothing itself.
 *
 *	tap=NAME	one descriptor of /dev/net/tun for each pair of queues, see net_tap.h
 *	user		one end of a socket pair; at the other is passt, see net_passt.h
 *	socket=PATH	a connected Unix stream socket
 *
 * On the latter two, 4 bytes with its length, big endian, precede each frame: the protocol of QEMU's
 * stream sockets. All are non-blocking.
 */
#ifndef VMM_NET_HOST_H
#define VMM_NET_HOST_H

#include "vmm/config.h"
#include "vmm/main_loop.h"
#include "vmm/net_passt.h"

struct net_host {
	int fds[CONFIG_MAX_PAIRS]; /* for the device process; the first nr_fds are owned */
	unsigned int nr_fds;
	struct net_passt passt;
};

/*
 * Opens what @net names, for @pairs pairs of queues, 1 to CONFIG_MAX_PAIRS; of a stream there is
 * one, whatever their number. Does not wait for passt: net_host_watch() does.
 * 0, or an exit status (enum exit_status) after one line on stderr, with nothing left open.
 */
int net_host_open(struct net_host *host, const struct config_net *net, unsigned int pairs);

/*
 * Closes the descriptors once the device process has them: it alone is to have them, so that passt or
 * the peer of a socket sees its end.
 */
void net_host_hand_over(struct net_host *host);

/*
 * Waits until passt is ready, then follows it: what it says, and its end, become log lines. The
 * device process notices that end by itself, as the end of its stream. Does nothing for the other
 * kinds. 0, or -errno after one line on stderr.
 */
int net_host_watch(struct net_host *host, struct main_loop *loop);

/* Ends passt and reaps it; closes all. Harmless on a zeroed @host. */
void net_host_close(struct net_host *host);

#endif
