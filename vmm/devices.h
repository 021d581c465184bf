/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The virtio devices of a guest: from the configuration to running device processes behind
 * transports, and what becomes of them.
 */
#ifndef VMM_DEVICES_H
#define VMM_DEVICES_H

#include <stdbool.h>
#include <stddef.h>

#include "boot/machine.h"
#include "vmm/bus.h"
#include "vmm/config.h"
#include "vmm/main_loop.h"
#include "vmm/memory.h"
#include "vmm/report.h"
#include "vmm/vhost/frontend.h"
#include "vmm/vhost/worker.h"
#include "vmm/virtio/device.h"
#include "vmm/virtio/mmio.h"
#include "vmm/vm.h"

#define DEVICE_LOG_LINE_MAX 256

struct device_kind;

/* One device: its process, the connection to it, and its transport. */
struct device {
	char name[32]; /* "blk0" */
	const struct device_kind *kind;
	struct worker worker;
	struct vhost_frontend frontend;
	struct vhost_queue_fds queue_fds[DEVICE_MAX_QUEUES]; /* call and err are the same for all */
	int call_fd;
	int err_fd;
	struct virtio_device virtio;
	struct virtio_mmio mmio;
	struct report_device *report;
	uint32_t violations_told;	    /* of those in the device's own report */
	char log_line[DEVICE_LOG_LINE_MAX]; /* a line of the process's stderr, until it is complete
					     */
	size_t log_len;
	struct log_limit log_limit;
	struct main_loop
		*loop; /* where its descriptors are registered; NULL before devices_watch() */
};

/* What devices_start() makes devices from. */
struct device_request {
	const char *kind; /* a name of devices/registry.h */
	int backend_fd;	  /* -1: none; the caller's */
	const char *args[WORKER_MAX_ARGS];
	bool sandbox;
};

struct devices {
	int exe_fd; /* minivmm-device; the caller's */
	int ack_fd; /* signalled by acknowledged interrupts, never read; -1 before devices_attach() */
	struct device list[MACHINE_MAX_DEVICES];
	struct report_device reports[MACHINE_MAX_DEVICES];
	size_t count;
};

/* Says how the guest is told of the windows, and what is demanded of it. */
struct device_policy {
	bool restricted;
	enum config_policy policy;
};

/*
 * Starts one device process and connects to it: it gets @windows and nothing else of the guest.
 * 0 or -errno, told on stderr; devices_end() releases it in either case.
 */
int devices_start(struct devices *devices, const struct device_request *request,
		  const struct dma_window *windows, size_t nr_windows,
		  const struct device_policy *policy);

/* Puts every device behind its transport. 0 or -errno, told on stderr. */
int devices_attach(struct devices *devices, const struct machine *machine, const struct vm *vm,
		   struct bus *mmio);

/* Follows the device processes from @loop: their log lines, violations and deaths. 0 or -errno. */
int devices_watch(struct devices *devices, struct main_loop *loop);

/*
 * After the last vCPU has stopped: collects the reports, stops the processes, releases everything.
 * devices->reports stays valid.
 */
void devices_end(struct devices *devices);

#endif
