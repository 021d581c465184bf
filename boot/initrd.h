/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef BOOT_INITRD_H
#define BOOT_INITRD_H

#include <stddef.h>
#include <stdint.h>

#include "boot/image.h"
#include "boot/machine.h"
#include "boot/plan.h"

/* Where an initrd may go. */
struct initrd_room {
	const struct machine_range *ram; /* ascending */
	size_t nr_ram;
	struct machine_range kernel; /* all that the kernel uses, with gaps between its segments */
	uint64_t min;		     /* lowest address of a byte */
	uint64_t max;		     /* highest address of a byte */
};

/*
 * Adds @initrd to @plan as high as possible, page aligned, clear of the kernel and of every segment
 * that the plan has so far. Returns 0 and sets @gpa, or -ENOSPC with plan->error set.
 */
int initrd_place(struct boot_plan *plan, const struct image *initrd, const struct initrd_room *room,
		 uint64_t *gpa);

#endif
