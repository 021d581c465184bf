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

	request->sandbox = guest->config->sandbox;
	request->transport = place->transport;
	if (!devices_start(&guest->devices, request, windows, nr_windows, &policy))
		return 0;
	return request->foreign ? EXIT_STATUS_INPUT : EXIT_STATUS_HOST;
}

static int start_device(struct guest *guest, const struct config_device *device)
{
	struct device_parts parts = { .file = -1 };
	struct device_request request = {
		.kind = kind_of(device),
		.foreign = device->kind == CONFIG_VHOST_USER ? device : NULL,
		.settings = parts.settings,
		.backend_fds = parts.fds,
		.queue_size = (uint16_t)device->queue_size,
	};
	int ret = device_host_open(&guest->device_host, guest->config, device,
				   guest->console.stream_far, &parts);

	if (!ret) {
		request.nr_backends = parts.nr_fds;
		ret = start_in_windows(guest, &request);
	}
	device_host_hand_over(&guest->device_host, &parts);
	return ret;
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
	for (size_t i = 0; i < config->nr_devices && !ret; i++)
		ret = start_device(guest, &config->devices[i]);
	close(guest->devices.exe_fd);
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
