/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/ending.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

int ending_init(struct ending *ending)
{
	*ending = (struct ending){ .event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	if (ending->event_fd < 0)
		return -errno;
	pthread_mutex_init(&ending->lock, NULL);
	return 0;
}

void ending_destroy(struct ending *ending)
{
	close(ending->event_fd);
	pthread_mutex_destroy(&ending->lock);
}

void ending_set(struct ending *ending, int status, const char *fmt, ...)
{
	pthread_mutex_lock(&ending->lock);
	if (!ending->over) {
		va_list args;

		va_start(args, fmt);
		vsnprintf(ending->reason, sizeof(ending->reason), fmt, args);
		va_end(args);
		ending->status = status;
		ending->over = true;
		/* Cannot fail: the counter is written once. */
		(void)eventfd_write(ending->event_fd, 1);
	}
	pthread_mutex_unlock(&ending->lock);
}
