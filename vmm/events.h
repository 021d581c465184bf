/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * --events: what happens, as it happens, one JSON object a line, each in one write.
 * docs/events.md describes the form. All functions do nothing unless events_open() has succeeded;
 * they may be called from any thread, and keep errno.
 *
 * Nobody is waited for: a line that does not fit (a pipe whose reader is slow), or that comes too
 * soon after many others (a guest that resets a device in a loop), is dropped and counted.
 */
#ifndef VMM_EVENTS_H
#define VMM_EVENTS_H

#include "devices/proto/report.h"

/* Lines that a guest can cause, in a second. */
#define EVENTS_MAX_RATE 100

/*
 * Opens @where, a file or "fd:N", which stays open by its own number; children do not inherit it.
 * Time counts from here. 0 or -errno.
 */
int events_open(const char *where);

/* A step on the way of the run, see docs/events.md. */
void events_phase(const char *phase);

/* The device called @name has got into @state; @detail says more to people, or is NULL. */
void events_device(const char *name, const char *state, const char *detail);

void events_violation(const char *name, const struct dma_violation *violation);

/* The last line, with the number of those dropped. Waits up to a second for a reader. */
void events_exit(int status, const char *reason);

void events_close(void);

#endif
