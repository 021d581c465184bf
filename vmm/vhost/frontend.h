/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The front-end of the vhost-user subset: one connection to one back-end, which is not trusted.
 * Every request has a deadline; an answer that is late, malformed or to another question ends the
 * connection for good (-EPROTO, -ETIMEDOUT, ...), and every later call returns -ENOTCONN.
 *
 * Not thread-safe; struct virtio_device's lock orders the callers.
 */
#ifndef VMM_VHOST_FRONTEND_H
#define VMM_VHOST_FRONTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/proto/report.h"
#include "vmm/memory.h"

struct virtio_queue;

struct vhost_frontend {
	int sock;		    /* owned; -1 once the connection has ended */
	int deadline_ms;	    /* for one request; may be changed at any time */
	uint64_t features;	    /* virtio features that the back-end offers */
	uint64_t protocol_features; /* in force */
};

/*
 * Takes over @sock: features, protocol features, owner, and the DMA windows, which are all the
 * back-end ever sees of the guest. 0 or -errno; then release with vhost_frontend_close().
 */
int vhost_frontend_open(struct vhost_frontend *fe, int sock, int deadline_ms,
			const struct dma_window *windows, size_t nr_windows);
void vhost_frontend_close(struct vhost_frontend *fe);

/*
 * The same windows at other DMA addresses: a BAR was moved. Only while no queue is started. 0 or
 * -errno.
 */
int vhost_frontend_set_windows(struct vhost_frontend *fe, const struct dma_window *windows,
			       size_t nr_windows);

/* Reads @len bytes of configuration space. 0 or -errno. */
int vhost_frontend_get_config(struct vhost_frontend *fe, void *config, size_t len);

/* Tells which of its features the driver accepted. 0 or -errno. */
int vhost_frontend_set_features(struct vhost_frontend *fe, uint64_t features);

/* The eventfds of one queue; they stay the caller's. */
struct vhost_queue_fds {
	int kick;
	int call;
	int err;
};

/* Starts queue @index from an empty ring. 0 or -errno. */
int vhost_frontend_start_queue(struct vhost_frontend *fe, uint32_t index,
			       const struct virtio_queue *queue, const struct vhost_queue_fds *fds);

/* Stops queue @index: once it returned 0 the back-end touches the ring no more. 0 or -errno. */
int vhost_frontend_stop_queue(struct vhost_frontend *fe, uint32_t index);

/* 0, -ENOTSUP when the back-end cannot report (a foreign one), or -errno. */
int vhost_frontend_get_report(struct vhost_frontend *fe, struct device_report_wire *report);

#endif
