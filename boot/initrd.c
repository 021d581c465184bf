/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "boot/initrd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>

#include "boot/plan_build.h"

#define INITRD_ALIGN 4096u

/* Finds something that overlaps @range. */
static bool find_blocker(const struct boot_plan *plan, const struct initrd_room *room,
			 struct machine_range range, struct machine_range *blocker)
{
	*blocker = room->kernel;
	if (room->kernel.size && boot_range_overlaps(range, room->kernel))
		return true;
	for (size_t i = 0; i < plan->nr_segments; i++) {
		*blocker =
			(struct machine_range){ plan->segments[i].gpa, plan->segments[i].mem_len };
		if (boot_range_overlaps(range, *blocker))
			return true;
	}
	return false;
}

/* Goes down through [@base, @end), past one blocker after the other. */
static bool find_place(const struct boot_plan *plan, const struct initrd_room *room, uint64_t base,
		       uint64_t end, uint64_t size, uint64_t *gpa)
{
	while (end > base && end - base >= size) {
		struct machine_range blocker;

		*gpa = (end - size) & ~(uint64_t)(INITRD_ALIGN - 1);
		if (*gpa < base)
			return false;
		if (!find_blocker(plan, room, (struct machine_range){ *gpa, size }, &blocker))
			return true;
		end = blocker.base;
	}
	return false;
}

int initrd_place(struct boot_plan *plan, const struct image *initrd, const struct initrd_room *room,
		 uint64_t *gpa)
{
	for (size_t i = room->nr_ram; i-- > 0;) {
		uint64_t base = room->ram[i].base;
		uint64_t end = base + room->ram[i].size;

		if (base < room->min)
			base = room->min;
		if (end - 1 > room->max)
			end = room->max + 1;
		if (find_place(plan, room, base, end, initrd->size, gpa))
			return boot_plan_add_file(plan, initrd, *gpa, initrd->size, 0,
						  initrd->size);
	}
	return boot_plan_fail(plan, -ENOSPC, initrd->what, initrd->path,
			      "%" PRIu64 " bytes do not fit into the guest's RAM up to 0x%" PRIx64
			      " beside the kernel",
			      initrd->size, room->max);
}
