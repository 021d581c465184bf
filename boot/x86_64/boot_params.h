/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The "zero page" of the Linux boot protocol.
 */
#ifndef BOOT_X86_64_BOOT_PARAMS_H
#define BOOT_X86_64_BOOT_PARAMS_H

#include <asm/bootparam.h>

#include "boot/machine.h"
#include "boot/plan.h"
#include "boot/x86_64/kernel.h"
#include "boot/x86_64/memory_map.h"

/* Fills in all of @params. */
void boot_params_fill(struct boot_params *params, const struct x86_kernel *kernel,
		      const struct memory_map *map, const struct x86_handover *handover);

/* Adds the zero page at LAYOUT_BOOT_PARAMS. Returns 0, or -errno with plan->error set. */
int boot_params_add(struct boot_plan *plan, const struct x86_kernel *kernel,
		    const struct memory_map *map, const struct x86_handover *handover);

#endif
