/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The event loop: epoll, with a small number instead of a pointer for each source. */
#ifndef DEVICES_CORE_LOOP_H
#define DEVICES_CORE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#define LOOP_MAX_EVENTS 8 /* returned by one loop_wait() */

/* Who became ready: epoll_event.data.u32. */
enum loop_source {
	LOOP_CONTROL,	     /* the vhost-user socket */
	LOOP_QUEUE = 0x100,  /* kick of queue 0; LOOP_QUEUE + N for queue N */
	LOOP_HOST = 0x10000, /* LOOP_HOST + id of a struct device_source */
};

struct loop {
	int epoll_fd;	/* owned; -1: none */
	int timeout_ms; /* of a wait that blocks; -1: none */
};

/* All return 0 or -errno. @events as for epoll_ctl(2). */
int loop_init(struct loop *loop);
int loop_add(struct loop *loop, int fd, uint32_t source, uint32_t events);
int loop_modify(struct loop *loop, int fd, uint32_t source, uint32_t events);
int loop_remove(struct loop *loop, int fd);
void loop_destroy(struct loop *loop);

/*
 * Fills @events and returns how many, or -errno. Without @block it only looks. A wait that is
 * interrupted, or takes longer than loop->timeout_ms, returns 0.
 */
int loop_wait(struct loop *loop, struct epoll_event events[LOOP_MAX_EVENTS], bool block);

#endif
