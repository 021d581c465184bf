/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/power.h"

#include "boot/machine.h"
#include "vmm/ending.h"
#include "vmm/exit_status.h"

/* QEMU docs/specs/pvpanic: bits of the one register. */
#define PVPANIC_PANICKED     (1u << 0)
#define PVPANIC_CRASH_LOADED (1u << 1) /* a crash kernel is going to run: not the end yet */

enum bus_result power_syscon_access(void *opaque, struct bus_access *access)
{
	if (access->offset != 0 || access->size != 4)
		return BUS_UNHANDLED;
	if (!access->is_write)
		access->value = 0;
	else if (access->value == MACHINE_SYSCON_POWEROFF)
		ending_set(opaque, EXIT_STATUS_OK, "guest powered off");
	return BUS_HANDLED;
}

enum bus_result power_pvpanic_access(void *opaque, struct bus_access *access)
{
	if (access->offset != 0 || access->size != 1)
		return BUS_UNHANDLED;
	if (!access->is_write)
		access->value = PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
	else if (access->value & PVPANIC_PANICKED)
		ending_set(opaque, EXIT_STATUS_PANIC, "guest kernel panicked");
	return BUS_HANDLED;
}
