/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a device process leaves to its successor.
 *
 * A process may end at any instruction, by its own fault or by a signal. minivmm then starts another one
 * with the same windows and the same memory of this struct, and tells it to go on (MINIVMM_RESUME).
 * Requests are completed in order and none is left over, so one index for each queue says which are
 * done:
 *
 *	1  the request is carried out, its entry of the used ring is written
 *	2  next[] goes past it                                   (here)
 *	3  used.idx in guest memory goes past it                 (the driver sees it)
 *
 * Before step 2 the successor carries it out again; after it, it does step 3 and no more. Either way
 * the driver sees each request completed once. What it did to the host may happen twice, which only
 * matters where twice is not the same as once: see docs/architecture.md for each device.
 *
 * minivmm holds a descriptor of this memory and never maps it. The successor is as little trusted as
 * the process before it, and checks what it finds.
 */
#ifndef DEVICES_CORE_KEPT_H
#define DEVICES_CORE_KEPT_H

#include <stdint.h>

#include "devices/proto/report.h"
#include "devices/proto/vhost_user.h"
#include "devices/registry.h"

#define KEPT_STATE_MAX 1024 /* bytes */

struct device_kept {
	uint32_t in_use;		  /* 0: no process has had it before */
	uint16_t next[DEVICE_MAX_QUEUES]; /* of the used ring, see above */
	struct device_report_wire report;
	/* The kind's own: what the driver, or the host, has told it. Zeroes at first. */
	uint8_t state[KEPT_STATE_MAX] __attribute__((aligned(8)));
};

_Static_assert(sizeof(struct device_kept) <= VHOST_USER_KEPT_SIZE, "fits");

/*
 * Maps the memory behind @fd, VHOST_USER_KEPT_SIZE bytes, and puts it in the place of *@kept, which was
 * allocated. When no process has had it before, it gets what *@kept holds. 0 or -errno, then
 * nothing has changed.
 */
int kept_map(struct device_kept **kept, int fd);

#endif
