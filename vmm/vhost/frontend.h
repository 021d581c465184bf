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
#include "devices/proto/vhost_user.h"
#include "vmm/memory.h"
#include "vmm/vhost/channel.h"

struct virtio_queue;

/*
 * A window in the address space that ring addresses are told in. It never changes: a back-end
 * remembers rings by these addresses, and one that has served rings before would not find them in a
 * later table otherwise.
 */
struct vhost_window {
	uint64_t user_base; /* what SET_MEM_TABLE calls userspace_addr */
	uint64_t dma_base;
	uint64_t size; /* bytes */
};

struct vhost_frontend {
	int sock;		    /* owned; -1 once the connection has ended */
	int deadline_ms;	    /* for one request; may be changed at any time */
	uint64_t features;	    /* virtio features that the back-end offers */
	uint64_t protocol_features; /* in force */
	struct vhost_channel channel;
	uint64_t step_end_ms; /* when all answers of a step must be there; 0: no step is made */
	uint64_t pinged_ms;   /* when the question was asked that awaits its answer; 0: none does */
	bool resumed;	      /* queues start where a back-end before this one left them */
	struct vhost_window windows[VHOST_USER_MAX_FDS];
	size_t nr_windows;
};

/*
 * Takes over @sock: features, protocol features, owner, a channel for what the back-end says
 * unasked, the memory @kept_fd for what a successor of it needs (-1: it will have none), and the DMA
 * windows, which are all it ever sees of the guest. 0 or -errno; then release with
 * vhost_frontend_close() and vhost_frontend_close_channel().
 */
int vhost_frontend_open(struct vhost_frontend *fe, int sock, int deadline_ms, int kept_fd,
			const struct dma_window *windows, size_t nr_windows);

/*
 * Until vhost_frontend_end_step() all requests together have the deadline of one. A back-end that
 * answers each of them just in time would otherwise hold up the guest, and us, for minutes.
 */
void vhost_frontend_begin_step(struct vhost_frontend *fe);
void vhost_frontend_end_step(struct vhost_frontend *fe);

/*
 * Ends the connection, for the holders of copies of the descriptor too. The channel reports a
 * hang-up from now on, but stays open for the sake of whoever watches it.
 */
void vhost_frontend_close(struct vhost_frontend *fe);

/*
 * Where the back-end says what it was not asked, to be watched for EPOLLIN; -1: it never will.
 * Whoever watches it calls vhost_frontend_read_channel() then, see vhost_channel_read(): 1 when
 * configuration space has changed, 0 for nothing of interest. On -errno nobody needs to watch it
 * any more: it is taken out of the loop, and closed.
 */
int vhost_frontend_channel_fd(const struct vhost_frontend *fe);
int vhost_frontend_read_channel(struct vhost_frontend *fe);
void vhost_frontend_close_channel(struct vhost_frontend *fe);

/*
 * The same windows at other DMA addresses: a BAR was moved. Only while no queue is started. 0 or
 * -errno.
 */
int vhost_frontend_set_windows(struct vhost_frontend *fe, const struct dma_window *windows,
			       size_t nr_windows);

/*
 * How many queues the back-end has at most; network devices count pairs. 1 where it cannot have
 * more. 0 or -errno.
 */
int vhost_frontend_get_queue_num(struct vhost_frontend *fe, uint64_t *number);

/*
 * Reads the first @len bytes of configuration space. 0, -ENOTSUP when the back-end has none,
 * -EREMOTEIO when it has not so many; both leave the connection as it is. Or -errno.
 */
int vhost_frontend_get_config(struct vhost_frontend *fe, void *config, size_t len);

/* The driver changes @len bytes at @offset. Returns as vhost_frontend_get_config(). */
int vhost_frontend_set_config(struct vhost_frontend *fe, uint32_t offset, const void *data,
			      size_t len);

/* Tells which of its features the driver accepted. 0 or -errno. */
int vhost_frontend_set_features(struct vhost_frontend *fe, uint64_t features);

/*
 * The same to a back-end with the kept memory of one that the driver has begun with: it goes on as
 * that. -ENOTSUP when it cannot.
 */
int vhost_frontend_resume(struct vhost_frontend *fe, uint64_t features);

/* The eventfds of one queue; they stay the caller's. */
struct vhost_queue_fds {
	int kick;
	int call;
	int err;
};

/* Starts queue @index from an empty ring, or, after vhost_frontend_resume(), where it was. 0 or -errno. */
int vhost_frontend_start_queue(struct vhost_frontend *fe, uint32_t index,
			       const struct virtio_queue *queue, const struct vhost_queue_fds *fds);

/* Stops queue @index: once it returned 0 the back-end touches the ring no more. 0 or -errno. */
int vhost_frontend_stop_queue(struct vhost_frontend *fe, uint32_t index);

/*
 * Finds out whether the back-end still answers, without waiting: asks a question, and looks for the
 * answer the next time. @now_ms: of a clock that is not set, not 0. 0; -ETIMEDOUT when the answer has not
 * come within @limit_ms; or -errno.
 */
int vhost_frontend_ping(struct vhost_frontend *fe, uint64_t now_ms, unsigned int limit_ms);

/* 0, -ENOTSUP when the back-end cannot report (a foreign one), or -errno. */
int vhost_frontend_get_report(struct vhost_frontend *fe, struct device_report_wire *report);

#endif
