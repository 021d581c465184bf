/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * ELF kernels. How one is entered:
 *
 *	file				entered at	in
 *	ELF64 with a "Linux" note	e_entry		64-bit mode, boot_params
 *	ELF64 without a PVH note	e_entry		64-bit mode, boot_params
 *	other with a PVH note		the note's	32-bit protected mode, hvm_start_info
 *	ELF32 without a PVH note	refused
 *
 * Linux has both; only boot_params carry setup_data, and with it the device tree and the pools.
 * e_entry of a vmlinux is the physical address of startup_64, so in every case the entry is taken
 * for a physical address, as p_paddr is.
 */
#ifndef BOOT_X86_64_ELF_KERNEL_H
#define BOOT_X86_64_ELF_KERNEL_H

#include "boot/image.h"
#include "boot/plan.h"
#include "boot/x86_64/kernel.h"

/* Adds the kernel's segments and fills in @kernel. Returns 0, or -errno with plan->error set. */
int elf_kernel_load(struct boot_plan *plan, const struct image *image, struct x86_kernel *kernel);

#endif
