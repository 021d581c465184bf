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
#include "vmm/config.h"
#include "vmm/main_loop.h"
#include "vmm/memory.h"
#include "vmm/report.h"
#include "vmm/transport.h"
#include "vmm/vhost/foreign.h"
#include "vmm/vhost/frontend.h"
#include "vmm/vhost/worker.h"
#include "vmm/virtio/device.h"

#define DEVICE_LOG_LINE_MAX 256

/* When the last processes of a device ended, by themselves or by us. */
struct device_ends {
	uint64_t at_ms[CONFIG_MAX_CRASHES]; /* a ring, of as many as the limit says */
	unsigned int count;		    /* all in all */
};

/* A device fails for good when @crashes of its processes end within @seconds. 0 crashes: at once. */
struct device_restart_limit {
	unsigned int crashes; /* at most CONFIG_MAX_CRASHES */
	unsigned int seconds;
};

struct devices;

/* One device: its back-end, the connection to it, and its transport. */
struct device {
	struct devices *devices; /* all of them */
	char name[32];		 /* "blk0" */
	const char *type;	 /* "blk" */
	struct worker worker;
	struct foreign_device foreign; /* of a back-end that is not a process of ours */
	bool is_foreign;
	int kept_fd; /* memory that its processes hand down; owned; -1: of a foreign one */
	bool begun;  /* the process, or the one before it, knows of the driver that there is */
	char lost_why[REPORT_TEXT_MAX]; /* why we ended the process; "": we have not */
	struct device_ends ends;
	int hangup_fd; /* of a foreign one: a copy of its socket; -1: none */
	struct vhost_frontend frontend;
	struct dma_window windows[REPORT_MAX_WINDOWS]; /* as the back-end was told */
	size_t nr_windows;
	struct transport_fds fds;
	int err_fd; /* written by the back-end: a queue is broken; heard of once in each start */
	uint64_t err_token;
	struct virtio_device virtio;
	struct transport transport;
	struct report_device *report;
	uint32_t violations_told;	    /* of those in the device's own report */
	char log_line[DEVICE_LOG_LINE_MAX]; /* a line of the process's stderr, until it is complete
					     */
	size_t log_len;
	struct log_limit log_limit;
	struct main_loop
		*loop; /* where its descriptors are registered; NULL before devices_watch() */
};

/* What devices_start() makes devices from. Everything stays the caller's. */
struct device_request {
	const char *kind;		     /* a name of devices/registry.h */
	const struct config_device *foreign; /* instead: whose back-end this is, by its socket */
	const char *const *settings;	     /* of the device process; see struct worker_request */
	const int *backend_fds;
	unsigned int nr_backends;
	uint16_t queue_size; /* the largest that a driver may choose; 0: the registry's */
	bool sandbox;
	enum machine_transport transport;
	const struct evil_settings *evil; /* as in @settings, for the report; NULL: it is not */
};

struct devices {
	int exe_fd; /* minivmm-device; owned; -1: none */
	struct device_restart_limit restart_limit;
	/*
	 * Opens the host side of device @index again and calls devices_restart(). In the main thread.
	 * Returns 0, or something else after a line on stderr.
	 */
	int (*restart)(void *opaque, size_t index);
	/* Device @index has failed for good: nothing of its host side is needed any more. */
	void (*forget)(void *opaque, size_t index);
	void *restart_opaque;
	int ack_fd; /* transport_context.ack_fd; -1 before devices_attach() */
	struct transport_context context;
	struct device list[MACHINE_MAX_DEVICES];
	struct report_device reports[MACHINE_MAX_DEVICES];
	size_t count;
};

/* How the guest is told of the windows, and what is demanded of it. */
struct device_policy {
	enum mechanism mechanism;
	enum pool_place place;
	enum config_policy policy;
	const struct proposal *proposal;
	const uint8_t *group; /* UUID of the pool that all share, or NULL */
};

/*
 * Starts one device process, or finds a foreign back-end, and connects to it: it gets @windows and
 * nothing else of the guest.
 * 0 or -errno, told on stderr; devices_end() releases it in either case.
 */
int devices_start(struct devices *devices, const struct device_request *request,
		  const struct dma_window *windows, size_t nr_windows,
		  const struct device_policy *policy);

/*
 * Starts another process for device @index, whose process has ended: it goes on where that one was.
 * 0 or -errno, told on stderr.
 */
int devices_restart(struct devices *devices, size_t index, const struct device_request *request);

/* A child of ours may have been stopped: a device process that is of no more use is ended. */
void devices_check_stopped(struct devices *devices);

/* To be called once a second: ends device processes that answer nothing any more. */
void devices_check_alive(struct devices *devices);

/*
 * Puts every device behind its transport. @context is copied, and completed with what is ours.
 * 0 or -errno, told on stderr.
 */
int devices_attach(struct devices *devices, const struct transport_context *context,
		   const struct device_policy *policy);

/* Follows the back-ends from @loop: their log lines, violations and deaths. 0 or -errno. */
int devices_watch(struct devices *devices, struct main_loop *loop);

/* Reads all configuration spaces again: a disk may have another size. Tells the drivers. */
void devices_refresh(struct devices *devices);

/* The terminal of the console device, if there is one, has a new size. */
void devices_resize_console(struct devices *devices, uint16_t columns, uint16_t rows);

/*
 * After the last vCPU has stopped: collects the reports, stops the processes, releases everything.
 * devices->reports stays valid.
 */
void devices_end(struct devices *devices);

/* Between the files of this part. */

/* Starts the process and connects to it. 0 or -errno, told on stderr; lock held once vCPUs run. */
int device_start_process(struct device *device, int exe_fd, const struct device_request *request);

/* Follows a process that has just been started. 0 or -errno. */
int device_watch_process(struct device *device);

/* The process has ended; a main loop handler, opaque is the device. */
void device_handle_end(void *opaque, uint32_t events);

/*
 * The back-end is of no more use: @error of the connection to it, and in words. If its process can be followed by another, it is ended, and the main
 * thread hears of that: 0, and the device is as good as started. Else the device has failed: -EIO.
 * With the virtio lock held.
 */
int device_lose(struct device *device, int error, const char *why);

/* The driver's features and rings go to the back-end, which begins or goes on. 0 or -errno. Lock held. */
int device_backend_begin(struct device *device, const struct virtio_device *virtio);

/*
 * Reads the configuration space again, and tells the driver when it has changed. @unasked: the back-end
 * has just said so, and gets less time to answer.
 */
void device_refresh(struct device *device, bool unasked);

/* Reads all of the configuration space from the back-end; lock held. 0 or -errno. */
int device_read_config(struct device *device, uint8_t config[VHOST_USER_MAX_CONFIG]);

/* The back-end is of no more use: tells, once, and ends it. With the virtio lock held. */
void device_note_failure(struct device *device, const char *why);

/* From here on a broken queue is heard of, once. */
void device_expect_error(const struct device *device);

/* Takes the device's own account, and tells of the violations that are new in it. Lock held. */
void device_collect_report(struct device *device);

/* Passes on what the process wrote to its stderr; a main loop handler, opaque is the device. */
void device_read_log(void *opaque, uint32_t events);

extern const struct virtio_backend_ops device_backend_ops;

#endif
