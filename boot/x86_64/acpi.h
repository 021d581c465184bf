/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The ACPI tables of a guest without a device tree, all in one segment from LAYOUT_ACPI on:
 *
 *	RSDP --> XSDT --> FADT --> DSDT
 *	              --> MADT
 *	              --> MCFG   with PCI
 */
#ifndef BOOT_X86_64_ACPI_H
#define BOOT_X86_64_ACPI_H

#include "boot/machine.h"
#include "boot/plan.h"

/*
 * Adds the tables of @machine, with the root pointer at LAYOUT_ACPI. That is in memory which the
 * memory map reserves and where boot_plan_check() allows nothing, so it comes after that check.
 * Returns 0, or -errno with plan->error set: -ENOSPC when there is no RAM for them.
 */
int acpi_add(struct boot_plan *plan, const struct machine *machine);

#endif
