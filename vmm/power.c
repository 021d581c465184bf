/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/power.h"

#include "boot/machine.h"
#include "vmm/ending.h"
#include "vmm/exit_status.h"

/* QEMU docs/specs/pvpanic: bits of the one register. */
#define PVPANIC_PANICKED     (1u << 0)
#define PVPANIC_CRASH_LOADED (1u << 1) /* a crash kernel is going to run: not the end yet */

/* ACPI 6.5, 4.8.3.7: the sleep control and status registers, 8 bits each. */
#define SLEEP_CONTROL	 0
#define SLEEP_TYPE_SHIFT 2
#define SLEEP_TYPE_MASK	 0x7u
#define SLEEP_ENABLE	 (1u << 5)

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

/* Both read 0: SLP_EN does by definition, and WAK_STS says that nobody woke the machine up. */
enum bus_result power_sleep_access(void *opaque, struct bus_access *access)
{
	if (access->size != 1)
		return BUS_UNHANDLED;
	if (!access->is_write)
		access->value = 0;
	else if (access->offset == SLEEP_CONTROL && access->value & SLEEP_ENABLE &&
		 (access->value >> SLEEP_TYPE_SHIFT & SLEEP_TYPE_MASK) == MACHINE_SLEEP_TYPE_OFF)
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
