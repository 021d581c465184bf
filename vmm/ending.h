/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Why the run is over. Any thread may say so; the first one is believed.
 */
#ifndef VMM_ENDING_H
#define VMM_ENDING_H

#include <pthread.h>
#include <stdbool.h>

#define ENDING_REASON_MAX 160

struct ending {
	pthread_mutex_t lock;
	int event_fd; /* readable once the run is over; owned */
	bool over;
	int status; /* enum exit_status, or 128 + signal */
	char reason[ENDING_REASON_MAX];
};

/* 0 or -errno. */
int ending_init(struct ending *ending);
void ending_destroy(struct ending *ending);

/* Ends the run; later calls change nothing. */
void ending_set(struct ending *ending, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
