/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Linux bzImage, 64-bit boot protocol (Linux, Documentation/arch/x86/boot.rst).
 *
 *	file	0		setup_sects + 1 sectors: real-mode code, not used;
 *				setup header at 0x1f1
 *		...		protected-mode kernel, syssize * 16 bytes -> guest memory
 *	memory	load address	kernel; load address + 0x200 is the 64-bit entry
 *		...		up to load address + init_size: the kernel's to unpack itself into
 */
#ifndef BOOT_X86_64_BZIMAGE_H
#define BOOT_X86_64_BZIMAGE_H

#include "boot/image.h"
#include "boot/plan.h"
#include "boot/x86_64/kernel.h"
#include "boot/x86_64/memory_map.h"

/*
 * Adds the kernel and fills in @kernel. It goes to its preferred address or, when that range is not
 * all RAM below 4 GiB and the kernel is relocatable, to the next higher place that fits.
 * Returns 0, or -errno with plan->error set.
 */
int bzimage_load(struct boot_plan *plan, const struct image *image, const struct memory_map *map,
		 struct x86_kernel *kernel);

#endif
