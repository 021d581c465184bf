/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/core/loop.h"

#include <errno.h>
#include <unistd.h>

int loop_init(struct loop *loop)
{
	loop->timeout_ms = -1;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return loop->epoll_fd < 0 ? -errno : 0;
}

static int control(struct loop *loop, int op, int fd, uint32_t source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u32 = source };

	return epoll_ctl(loop->epoll_fd, op, fd, &event) ? -errno : 0;
}

int loop_add(struct loop *loop, int fd, uint32_t source, uint32_t events)
{
	return control(loop, EPOLL_CTL_ADD, fd, source, events);
}

int loop_modify(struct loop *loop, int fd, uint32_t source, uint32_t events)
{
	return control(loop, EPOLL_CTL_MOD, fd, source, events);
}

int loop_remove(struct loop *loop, int fd)
{
	return control(loop, EPOLL_CTL_DEL, fd, 0, 0);
}

void loop_destroy(struct loop *loop)
{
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	loop->epoll_fd = -1;
}

int loop_wait(struct loop *loop, struct epoll_event events[LOOP_MAX_EVENTS], bool block)
{
	/* epoll_pwait() is the same system call on every architecture; epoll_wait() is not. */
	int n = epoll_pwait(loop->epoll_fd, events, LOOP_MAX_EVENTS, block ? loop->timeout_ms : 0,
			    NULL);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n;
}
