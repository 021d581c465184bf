/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * How a guest says that it is over: "syscon-poweroff" and "qemu,pvpanic-mmio" of the device tree,
 * the sleep registers of ACPI.
 */
#ifndef VMM_POWER_H
#define VMM_POWER_H

#include "vmm/bus.h"

/* bus_handlers; opaque is the struct ending. */
enum bus_result power_syscon_access(void *opaque, struct bus_access *access);
enum bus_result power_sleep_access(void *opaque, struct bus_access *access);
enum bus_result power_pvpanic_access(void *opaque, struct bus_access *access);

#endif
