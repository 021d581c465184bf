/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The host side of the devices: files, interfaces, sockets and helper processes that minivmm opens
 * or starts for them, because the device processes themselves cannot. Some last as long as the guest.
 */
#ifndef VMM_DEVICE_HOST_H
#define VMM_DEVICE_HOST_H

#include <stddef.h>

#include "boot/machine.h"
#include "devices/registry.h"
#include "vmm/config.h"
#include "vmm/main_loop.h"
#include "vmm/net_host.h"
#include "vmm/stream.h"
#include "vmm/vhost/worker.h"
#include "vmm/vsock_host.h"

#define DEVICE_SETTING_MAX 512 /* bytes, with the NUL */

/* What a device process was started with and its successor gets, too. */
struct device_again {
	int fds[DEVICE_MAX_BACKENDS]; /* copies; the first nr_fds are owned */
	unsigned int nr_fds;
	char *settings[WORKER_MAX_SETTINGS]; /* owned; NULL: no more */
	struct net_host *net;		     /* of a network device; not owned; else NULL */
};

struct device_host {
	struct device_again again[MACHINE_MAX_DEVICES]; /* as config.devices[] */
	struct net_host nets[MACHINE_MAX_DEVICES];
	size_t nr_nets;
	struct vsock_host vsock;
	bool has_vsock;
	struct stream ports[CONFIG_MAX_PORTS];
	size_t nr_ports;
};

/* What a device process is started with. Descriptors stay those of whoever opened them. */
struct device_parts {
	int fds[DEVICE_MAX_BACKENDS];
	unsigned int nr_fds;
	char texts[WORKER_MAX_SETTINGS][DEVICE_SETTING_MAX];
	const char *settings[WORKER_MAX_SETTINGS + 1]; /* texts, and a NULL */
	size_t nr_settings;
	int file; /* one of fds that device_host_hand_over() closes; -1: none */
};

/*
 * Opens what @device needs; the console of it is at @console_fd. 0, or an exit status after one line
 * on stderr.
 */
int device_host_open(struct device_host *host, const struct config *config,
		     const struct config_device *device, int console_fd,
		     struct device_parts *parts);

/*
 * Keeps what a successor of the process of device @index needs: @parts, but for what is good for one
 * process only. 0 or -errno.
 */
int device_host_keep(struct device_host *host, const struct config *config, size_t index,
		     const struct device_parts *parts);

/*
 * The same parts for a successor. A disk, a tap, a file stay open all the time. A stream of frames, of
 * which the process may have read half a frame, is begun anew, with another passt if it led to one.
 * 0, or an exit status after one line on stderr.
 */
int device_host_open_again(struct device_host *host, const struct config *config, size_t index,
			   struct main_loop *loop, struct device_parts *parts);

/* The device process has its copies now, or was not started: closes what it alone is to have. */
void device_host_hand_over(struct device_host *host, struct device_parts *parts);

/* There will be no successor of the process of device @index: its peers see its end. */
void device_host_forget(struct device_host *host, size_t index);

/* Follows what lives beside the guest. 0 or -errno, told on stderr. */
int device_host_watch(struct device_host *host, struct main_loop *loop);

/* After the device processes have ended. Harmless on one that was never used (zeroed). */
void device_host_close(struct device_host *host);

#endif
