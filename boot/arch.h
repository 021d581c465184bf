/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What every architecture under boot/ provides; the Makefile links one boot/ARCH/ directory.
 */
#ifndef BOOT_ARCH_H
#define BOOT_ARCH_H

#include "boot/image.h"
#include "boot/plan.h"

/*
 * Lays out @kernel, @initrd (or NULL) and everything that is handed over with them, and fills in
 * all of @plan. Returns 0, or -errno with plan->error set.
 */
int boot_arch_plan(struct boot_plan *plan, const struct boot_request *request,
		   const struct image *kernel, const struct image *initrd);

#endif
