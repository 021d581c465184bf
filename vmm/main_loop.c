/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/main_loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define MAIN_LOOP_BATCH 16

int main_loop_init(struct main_loop *loop)
{
	*loop = (struct main_loop){ .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
	return loop->epoll_fd < 0 ? -errno : 0;
}

void main_loop_destroy(struct main_loop *loop)
{
	close(loop->epoll_fd);
}

static struct main_loop_source *find_source(struct main_loop *loop, int fd)
{
	for (size_t i = 0; i < loop->nr_sources; i++)
		if (loop->sources[i].fd == fd)
			return &loop->sources[i];
	return NULL;
}

static int add(struct main_loop *loop, int fd, uint32_t events, void (*handler)(void *, uint32_t),
	       void *opaque, uint64_t *token)
{
	struct main_loop_source *source = find_source(loop, -1); /* one that was removed */
	struct epoll_event event = { .events = events };

	if (!source) {
		if (loop->nr_sources == MAIN_LOOP_MAX_SOURCES)
			return -ENOSPC;
		source = &loop->sources[loop->nr_sources++];
	}
	*source = (struct main_loop_source){
		.fd = fd,
		.serial = ++loop->last_serial,
		.handler = handler,
		.opaque = opaque,
	};
	/*
	 * Slot and serial, so that an event for a source since removed is known as such, even when
	 * its slot and its descriptor number have a new owner.
	 */
	event.data.u64 = (uint64_t)(source - loop->sources) << 32 | source->serial;
	*token = event.data.u64;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		source->fd = -1;
		return -errno;
	}
	return 0;
}

int main_loop_add(struct main_loop *loop, int fd, uint32_t events,
		  void (*handler)(void *, uint32_t), void *opaque)
{
	uint64_t token;

	return add(loop, fd, events, handler, opaque, &token);
}

int main_loop_add_once(struct main_loop *loop, int fd, uint32_t events,
		       void (*handler)(void *, uint32_t), void *opaque, uint64_t *token)
{
	return add(loop, fd, events | EPOLLONESHOT, handler, opaque, token);
}

int main_loop_arm(const struct main_loop *loop, int fd, uint32_t events, uint64_t token)
{
	struct epoll_event event = { .events = events | EPOLLONESHOT, .data.u64 = token };

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, fd, &event) < 0 ? -errno : 0;
}

void main_loop_remove(struct main_loop *loop, int fd)
{
	struct main_loop_source *source = find_source(loop, fd);

	if (source) {
		(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		source->fd = -1;
	}
}

void main_loop_run(struct main_loop *loop)
{
	struct epoll_event events[MAIN_LOOP_BATCH];

	while (!loop->stopped) {
		int n = epoll_wait(loop->epoll_fd, events, MAIN_LOOP_BATCH, -1);

		for (int i = 0; i < n && !loop->stopped; i++) {
			struct main_loop_source *source = &loop->sources[events[i].data.u64 >> 32];

			/* A handler before us in this batch may have removed it. */
			if (source->fd >= 0 && source->serial == (uint32_t)events[i].data.u64)
				source->handler(source->opaque, events[i].events);
		}
	}
}

void main_loop_stop(struct main_loop *loop)
{
	loop->stopped = true;
}
