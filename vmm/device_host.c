/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/device_host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/disk.h"
#include "vmm/exit_status.h"
#include "vmm/log.h"
#include "vmm/ports.h"

static void add_setting(struct device_parts *parts, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void add_setting(struct device_parts *parts, const char *fmt, ...)
{
	char *text = parts->texts[parts->nr_settings];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, DEVICE_SETTING_MAX, fmt, args);
	va_end(args);
	parts->settings[parts->nr_settings++] = text;
}

static int open_disk(struct device_host *host, const struct config *config,
		     const struct config_device *device, struct device_parts *parts)
{
	const struct config_disk *disk = &device->disk;

	(void)host;
	(void)config;
	parts->file = disk_open(disk->path, disk->read_only, disk->cache == CONFIG_CACHE_NONE);
	if (parts->file < 0)
		return EXIT_STATUS_INPUT;
	parts->fds[parts->nr_fds++] = parts->file;
	if (disk->read_only)
		add_setting(parts, "ro");
	if (disk->serial[0] != '\0')
		add_setting(parts, "serial=%s", disk->serial);
	if (device->queues > 0)
		add_setting(parts, "queues=%u", device->queues);
	if (disk->cache == CONFIG_CACHE_NONE)
		add_setting(parts, "cache=none");
	return 0;
}

static int open_net(struct device_host *host, const struct config *config,
		    const struct config_device *device, struct device_parts *parts)
{
	const struct config_net *net = &device->net;
	struct net_host *net_host = &host->nets[host->nr_nets];
	int ret = net_host_open(net_host, net, device->queues > 0 ? device->queues : 1);

	(void)config;
	if (ret)
		return ret;
	host->nr_nets++;
	for (unsigned int i = 0; i < net_host->nr_fds; i++)
		parts->fds[parts->nr_fds++] = net_host->fds[i];
	if (net->has_mac)
		add_setting(parts, "mac=%02x:%02x:%02x:%02x:%02x:%02x", net->mac[0], net->mac[1],
			    net->mac[2], net->mac[3], net->mac[4], net->mac[5]);
	return 0;
}

static int open_vsock(struct device_host *host, const struct config *config,
		      const struct config_device *device, struct device_parts *parts)
{
	int ret = vsock_host_open(&host->vsock, &device->vsock);

	(void)config;
	if (ret)
		return ret;
	host->has_vsock = true;
	parts->fds[parts->nr_fds++] = host->vsock.listener.fd;
	parts->fds[parts->nr_fds++] = host->vsock.far;
	add_setting(parts, "cid=%u", device->vsock.cid);
	return 0;
}

static void add_evil(struct device_parts *parts, const struct config_device *device)
{
	char text[EVIL_SETTING_MAX];

	evil_format(&device->evil_settings, text);
	add_setting(parts, "evil=%s", text);
}

int device_host_open(struct device_host *host, const struct config *config,
		     const struct config_device *device, int console_fd, struct device_parts *parts)
{
	if (device->queue_size > 0)
		add_setting(parts, "queue-size=%u", device->queue_size);
	if (device->evil)
		add_evil(parts, device);
	switch (device->kind) {
	case CONFIG_DISK:
		return open_disk(host, config, device, parts);
	case CONFIG_NET:
		return open_net(host, config, device, parts);
	case CONFIG_VSOCK:
		return open_vsock(host, config, device, parts);
	case CONFIG_CONSOLE:
		return ports_open(host, config, console_fd, parts);
	case CONFIG_PLAIN:
	case CONFIG_VHOST_USER:
		return 0;
	}
	return EXIT_STATUS_HOST;
}

void device_host_hand_over(struct device_host *host, struct device_parts *parts)
{
	if (parts->file >= 0)
		close(parts->file);
	parts->file = -1;
	for (size_t i = 0; i < host->nr_nets; i++)
		net_host_hand_over(&host->nets[i]);
	for (size_t i = 0; i < host->nr_ports; i++)
		stream_hand_over(&host->ports[i]);
	if (host->has_vsock)
		vsock_host_hand_over(&host->vsock);
}

/* How many of its descriptors, from the first, are as good for another process. */
static unsigned int count_lasting(const struct config_device *device,
				  const struct device_parts *parts)
{
	if (device->kind == CONFIG_NET && device->net.kind != CONFIG_NET_TAP)
		return 0;
	/* The listener, but not the socket on which the first process has asked for connections. */
	return device->kind == CONFIG_VSOCK ? 1 : parts->nr_fds;
}

int device_host_keep(struct device_host *host, const struct config *config, size_t index,
		     const struct device_parts *parts)
{
	const struct config_device *device = &config->devices[index];
	struct device_again *again = &host->again[index];

	for (unsigned int i = 0; i < count_lasting(device, parts); i++) {
		again->fds[i] = fcntl(parts->fds[i], F_DUPFD_CLOEXEC, 0);
		if (again->fds[i] < 0)
			return -errno;
		again->nr_fds++;
	}
	for (size_t i = 0; i < parts->nr_settings; i++) {
		again->settings[i] = strdup(parts->settings[i]);
		if (!again->settings[i])
			return -ENOMEM;
	}
	if (device->kind == CONFIG_NET)
		again->net = &host->nets[host->nr_nets - 1];
	return 0;
}

/* What count_lasting() leaves out. */
static int open_lasting_one_process(struct device_host *host, const struct config_device *device,
				    struct net_host *net, struct main_loop *loop,
				    struct device_parts *parts)
{
	int ret;

	if (device->kind == CONFIG_VSOCK) {
		ret = vsock_host_renew(&host->vsock);
		parts->fds[parts->nr_fds++] = host->vsock.far;
		return ret;
	}
	if (device->kind != CONFIG_NET || device->net.kind == CONFIG_NET_TAP)
		return 0;
	net_host_close(net);
	ret = net_host_open(net, &device->net, 1);
	parts->fds[parts->nr_fds++] = net->fds[0];
	return ret ? ret : net_host_watch(net, loop);
}

int device_host_open_again(struct device_host *host, const struct config *config, size_t index,
			   struct main_loop *loop, struct device_parts *parts)
{
	struct device_again *again = &host->again[index];

	for (size_t i = 0; i < WORKER_MAX_SETTINGS && again->settings[i]; i++)
		add_setting(parts, "%s", again->settings[i]);
	for (unsigned int i = 0; i < again->nr_fds; i++)
		parts->fds[parts->nr_fds++] = again->fds[i];
	return open_lasting_one_process(host, &config->devices[index], again->net, loop, parts);
}

void device_host_forget(struct device_host *host, size_t index)
{
	struct device_again *again = &host->again[index];

	while (again->nr_fds > 0)
		close(again->fds[--again->nr_fds]);
	for (size_t i = 0; i < WORKER_MAX_SETTINGS; i++) {
		free(again->settings[i]);
		again->settings[i] = NULL;
	}
}

int device_host_watch(struct device_host *host, struct main_loop *loop)
{
	int ret = 0;

	for (size_t i = 0; i < host->nr_nets && !ret; i++)
		ret = net_host_watch(&host->nets[i], loop);
	if (!ret && host->has_vsock)
		ret = vsock_host_watch(&host->vsock, loop);
	return ret;
}

void device_host_close(struct device_host *host)
{
	for (size_t i = 0; i < MACHINE_MAX_DEVICES; i++)
		device_host_forget(host, i);
	for (size_t i = 0; i < host->nr_nets; i++)
		net_host_close(&host->nets[i]);
	for (size_t i = 0; i < host->nr_ports; i++)
		stream_close(&host->ports[i]);
	if (host->has_vsock)
		vsock_host_close(&host->vsock);
}
