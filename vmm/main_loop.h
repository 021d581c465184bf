/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The main thread's event loop: everything that is neither a vCPU nor a device process.
 */
#ifndef VMM_MAIN_LOOP_H
#define VMM_MAIN_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAIN_LOOP_MAX_SOURCES 128

struct main_loop_source {
	int fd; /* -1: the slot is free */
	uint32_t serial;
	void (*handler)(void *opaque, uint32_t events); /* EPOLLIN, EPOLLHUP, ... */
	void *opaque;
};

struct main_loop {
	int epoll_fd;
	struct main_loop_source sources[MAIN_LOOP_MAX_SOURCES];
	size_t nr_sources;
	uint32_t last_serial;
	bool stopped;
};

/* 0 or -errno. */
int main_loop_init(struct main_loop *loop);
void main_loop_destroy(struct main_loop *loop);

/*
 * Calls @handler whenever @fd has one of @events, or an error or hang-up.
 * The descriptor stays the caller's and must stay open until main_loop_remove().
 * 0 or -errno (-EPERM: @fd is a regular file, always ready and of no use here).
 */
int main_loop_add(struct main_loop *loop, int fd, uint32_t events,
		  void (*handler)(void *, uint32_t), void *opaque);
void main_loop_remove(struct main_loop *loop, int fd);

/*
 * For a descriptor that whoever we do not trust can make ready as often as they like: @handler is
 * called once, and again only after main_loop_arm() with *@token, which any thread may call. 0 or
 * -errno.
 */
int main_loop_add_once(struct main_loop *loop, int fd, uint32_t events,
		       void (*handler)(void *, uint32_t), void *opaque, uint64_t *token);
int main_loop_arm(const struct main_loop *loop, int fd, uint32_t events, uint64_t token);

/* Runs handlers until one of them calls main_loop_stop(). */
void main_loop_run(struct main_loop *loop);
void main_loop_stop(struct main_loop *loop);

#endif
