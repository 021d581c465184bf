/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the loaders of the two kernel formats tell about the kernel that they put into the plan.
 */
#ifndef BOOT_X86_64_KERNEL_H
#define BOOT_X86_64_KERNEL_H

#include <stdint.h>

#include <asm/bootparam.h>

#include "boot/machine.h"
#include "boot/plan.h"

/* Linux, Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header". */
#define SETUP_HEADER_BOOT_FLAG 0xaa55
#define SETUP_HEADER_MAGIC     0x53726448 /* "HdrS" */
#define SETUP_HEADER_VERSION   0x020c	  /* 2.12: the first with xloadflags */

struct x86_kernel {
	enum boot_entry entry;
	uint64_t entry_gpa;
	struct machine_range span; /* all that the kernel uses before it reads the memory map */
	uint64_t initrd_max;	   /* highest address of an initrd's byte */
	uint64_t cmdline_max;	   /* bytes, without the NUL */
	/* For boot_params, to be completed by boot_params_fill(); unused under BOOT_ENTRY_PVH. */
	struct setup_header header;
};

/* What a kernel is handed the addresses of; 0, or size 0, for what is not there. */
struct x86_handover {
	struct machine_range initrd;
	uint64_t setup_data; /* the first node */
	uint64_t rsdp;
};

#endif
