/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The guest's devices: from the configuration to back-ends behind transports, and their end. */
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "vmm/exit_status.h"
#include "vmm/guest.h"
#include "vmm/log.h"

/* What the device process is to be; NULL: there is none of ours. */
static const char *kind_of(const struct config_device *device)
{
	static const char *const kinds[] = {
		[CONFIG_DISK] = "blk",	    [CONFIG_NET] = "net",	  [CONFIG_VSOCK] = "vsock",
		[CONFIG_VHOST_USER] = NULL, [CONFIG_CONSOLE] = "console",
	};

	return device->kind == CONFIG_PLAIN ? device->plain.kind : kinds[device->kind];
}

static struct device_policy device_policy(const struct config *config)
{
	return (struct device_policy){
		.mechanism = config->via,
		.place = config->place,
		.policy = config->policy,
		.proposal = &config->proposal,
		.group = config->share == CONFIG_SHARE_GROUP ? config->group : NULL,
	};
}

/* What the device at @place may reach; returns how many windows. */
static size_t find_windows(const struct guest *guest, const struct machine_virtio *place,
			   struct dma_window *windows, size_t max)
{
	if (place->pool != MACHINE_NO_POOL) {
		windows[0] = guest_memory_pool_window(&guest->memory, (size_t)place->pool);
		return 1;
	}
	if (place->device_memory == MACHINE_NO_POOL)
		return guest_memory_ram_windows(&guest->memory, windows, max);
	windows[0] = guest_memory_device_window(&guest->memory, (size_t)place->device_memory);
	if (guest->config->via == MECHANISM_DMB) {
		/* Addresses are offsets, and 0 is none (VIRTIO_F_DMB): the first byte is left out. */
		windows[0].range = (struct machine_range){ 1, windows[0].range.size - 1 };
		windows[0].offset = 1;
	}
	return 1;
}

/* Starts the next device in the windows that the machine plan gives it. */
static int start_in_windows(struct guest *guest, struct device_request *request)
{
	const struct machine_virtio *place = &guest->machine.virtio[guest->devices.count];
	const struct device_policy policy = device_policy(guest->config);
	struct dma_window windows[MACHINE_MAX_RAM_RANGES];
	size_t nr_windows = find_windows(guest, place, windows, MACHINE_MAX_RAM_RANGES);

	request->transport = place->transport;
	if (!devices_start(&guest->devices, request, windows, nr_windows, &policy))
		return 0;
	return request->foreign ? EXIT_STATUS_INPUT : EXIT_STATUS_HOST;
}

static struct device_request request_for(const struct guest *guest,
					 const struct config_device *device,
					 const struct device_parts *parts)
{
	return (struct device_request){
		.kind = kind_of(device),
		.foreign = device->kind == CONFIG_VHOST_USER ? device : NULL,
		.settings = parts->settings,
		.backend_fds = parts->fds,
		.nr_backends = parts->nr_fds,
		.queue_size = (uint16_t)device->queue_size,
		.sandbox = guest->config->sandbox,
		.evil = device->evil ? &device->evil_settings : NULL,
	};
}

static int start_device(struct guest *guest, size_t index)
{
	const struct config_device *device = &guest->config->devices[index];
	struct device_host *host = &guest->device_host;
	struct device_parts parts = { .file = -1 };
	struct device_request request;
	int ret = device_host_open(host, guest->config, device, guest->console.stream_far, &parts);

	if (!ret) {
		request = request_for(guest, device, &parts);
		ret = start_in_windows(guest, &request);
	}
	if (!ret && device_host_keep(host, guest->config, index, &parts)) {
		log_error("%s: %s", guest->devices.list[index].name, strerror(errno));
		ret = EXIT_STATUS_HOST;
	}
	device_host_hand_over(host, &parts);
	return ret;
}

static int restart_device(void *opaque, size_t index)
{
	struct guest *guest = opaque;
	struct device_host *host = &guest->device_host;
	struct device_parts parts = { .file = -1 };
	struct device_request request;
	int ret = device_host_open_again(host, guest->config, index, &guest->loop, &parts);

	if (!ret) {
		request = request_for(guest, &guest->config->devices[index], &parts);
		ret = devices_restart(&guest->devices, index, &request);
	}
	device_host_hand_over(host, &parts);
	return ret;
}

static void forget_device(void *opaque, size_t index)
{
	struct guest *guest = opaque;

	device_host_forget(&guest->device_host, index);
}

static int start_all_devices(struct guest *guest)
{
	const struct config *config = guest->config;
	int ret = 0;

	if (config->nr_devices == 0)
		return 0;
	if (!config->sandbox)
		log_error("--sandbox=off: device processes run with all rights of this user");
	guest->devices.exe_fd = worker_open_executable();
	if (guest->devices.exe_fd < 0)
		return EXIT_STATUS_HOST;
	guest->devices.restart_limit = (struct device_restart_limit){
		.crashes = config->restart_crashes,
		.seconds = config->restart_seconds,
	};
	guest->devices.restart = restart_device;
	guest->devices.forget = forget_device;
	guest->devices.restart_opaque = guest;
	for (size_t i = 0; i < config->nr_devices && !ret; i++) {
		ret = guest_check_signals();
		if (!ret)
			ret = start_device(guest, i);
	}
	return ret;
}

int guest_start_devices(struct guest *guest)
{
	const struct device_policy policy = device_policy(guest->config);
	const struct transport_context context = {
		.machine = &guest->machine,
		.memory = &guest->memory,
		.vm = &guest->vm,
		.mmio = &guest->platform.mmio,
		.pci = &guest->platform.pci,
	};
	int ret = start_all_devices(guest);

	if (ret)
		return ret;
	/*
	 * From here on no process of the same user may look into us: neither ptrace nor
	 * /proc/PID/mem. Only now, because it would give /proc/PID/uid_map of our children to root.
	 */
	if (prctl(PR_SET_DUMPABLE, 0) < 0) {
		log_error("sandbox: PR_SET_DUMPABLE: %s", strerror(errno));
		return EXIT_STATUS_HOST;
	}
	return devices_attach(&guest->devices, &context, &policy) < 0 ? EXIT_STATUS_HOST : 0;
}

static void resize_console(void *opaque, uint16_t columns, uint16_t rows)
{
	struct guest *guest = opaque;

	devices_resize_console(&guest->devices, columns, rows);
}

/* --exit-code-from: a port of the console, or connections that a guest makes. */
static int watch_exit_code(struct guest *guest)
{
	struct device_host *host = &guest->device_host;
	int ret = 0;

	for (size_t i = 0; i < host->nr_ports && !ret; i++) {
		int fd = host->ports[i].near_fd;

		host->ports[i].near_fd = -1;
		if (fd >= 0)
			ret = exit_code_watch(&guest->exit_code, fd);
	}
	if (guest->config->exit_code_from == CONFIG_EXIT_CODE_VSOCK) {
		host->vsock.exit_port = CONFIG_EXIT_CODE_PORT_NUMBER;
		host->vsock.exit_connected = exit_code_connected;
		host->vsock.exit_opaque = &guest->exit_code;
	}
	return ret;
}

int guest_watch_devices(struct guest *guest)
{
	int ret = watch_exit_code(guest);

	guest->console.resized = resize_console;
	guest->console.resized_opaque = guest;
	if (!ret)
		ret = devices_watch(&guest->devices, &guest->loop);
	if (!ret)
		ret = device_host_watch(&guest->device_host, &guest->loop);
	return ret;
}

void guest_stop_devices(struct guest *guest)
{
	if (guest->has_pci)
		pci_host_unmap_all(&guest->platform.pci);
	devices_end(&guest->devices);
	device_host_close(&guest->device_host);
	exit_code_drain(&guest->exit_code);
}
