/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The setup_data chain (Linux, Documentation/arch/x86/boot.rst), all in one segment:
 *
 *	+---------------------+     +--------------------------+
 *	| next, SETUP_DTB     | --> | next, SETUP_INDIRECT, 24 | --> ... one for each pool, the last
 *	| device tree         |     | type, len, addr of pool  |
 *	+---------------------+     +--------------------------+
 *
 * Without a device tree the first node is missing.
 *
 * An x86 kernel never reserves /reserved-memory itself. What a SETUP_INDIRECT node points to it
 * reserves before it allocates anything, and keeps KASLR away from. It also no longer counts that
 * range where it looks for the end of RAM, and ends its direct map there: there must be RAM above
 * the highest pool.
 */
#ifndef BOOT_X86_64_SETUP_DATA_H
#define BOOT_X86_64_SETUP_DATA_H

#include <stdint.h>

#include "boot/machine.h"
#include "boot/plan.h"

/*
 * Adds the chain at LAYOUT_SETUP_DATA, with plan->dtb unless that is NULL, and sets @gpa to its
 * first node, or to 0 when there is nothing to put into a chain. Returns 0, or -errno with
 * plan->error set: -ENOSPC for a device tree larger than Linux can map early, -EINVAL for a pool
 * above all RAM.
 */
int setup_data_add(struct boot_plan *plan, const struct machine *machine, uint64_t *gpa);

#endif
