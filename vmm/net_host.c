/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/net_host.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vmm/exit_status.h"
#include "vmm/log.h"
#include "vmm/net_tap.h"
#include "vmm/unix_socket.h"

static int open_socket(const char *path, int *fd)
{
	*fd = unix_connect(path);
	if (*fd >= 0)
		return 0;
	log_error("--net: %s: %s", path,
		  *fd == -EAGAIN ? "its owner accepts no connections" : strerror(-*fd));
	return EXIT_STATUS_INPUT;
}

int net_host_open(struct net_host *host, const struct config_net *net, unsigned int pairs)
{
	int ret = EXIT_STATUS_HOST;

	*host = (struct net_host){ 0 };
	switch (net->kind) {
	case CONFIG_NET_TAP:
		ret = net_tap_open(net->name, pairs, host->fds);
		break;
	case CONFIG_NET_USER:
		ret = net_passt_start(&host->passt, net, &host->fds[0]);
		break;
	case CONFIG_NET_SOCKET:
		ret = open_socket(net->name, &host->fds[0]);
		break;
	}
	if (!ret)
		host->nr_fds = net->kind == CONFIG_NET_TAP ? pairs : 1;
	return ret;
}

void net_host_hand_over(struct net_host *host)
{
	while (host->nr_fds > 0)
		close(host->fds[--host->nr_fds]);
}

int net_host_watch(struct net_host *host, struct main_loop *loop)
{
	return host->passt.pid ? net_passt_watch(&host->passt, loop) : 0;
}

void net_host_close(struct net_host *host)
{
	net_host_hand_over(host);
	net_passt_end(&host->passt);
}
