/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Tables that the CPU needs in memory at the kernel's first instruction. Selectors: layout.h.
 */
#ifndef BOOT_X86_64_ENTRY_STATE_H
#define BOOT_X86_64_ENTRY_STATE_H

#include "boot/plan.h"

/* Adds the GDT. Returns 0, or -errno with plan->error set. */
int entry_state_add_gdt(struct boot_plan *plan);

/* Adds page tables that map the first 4 GiB to themselves. Returns 0, or -errno with plan->error
 * set. */
int entry_state_add_page_tables(struct boot_plan *plan);

#endif
