/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a kernel entered through its PVH note gets (Xen, public/arch-x86/hvm/start_info.h), all in
 * one page: hvm_start_info version 1, then the module list, then the memory map. All little-endian.
 */
#ifndef BOOT_X86_64_PVH_H
#define BOOT_X86_64_PVH_H

#include <stdint.h>

#include "boot/plan.h"
#include "boot/x86_64/kernel.h"
#include "boot/x86_64/memory_map.h"

#define PVH_MAGIC   0x336ec578u
#define PVH_VERSION 1u

struct pvh_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist_paddr;
	uint64_t cmdline_paddr;
	uint64_t rsdp_paddr; /* 0: no ACPI tables */
	uint64_t memmap_paddr;
	uint32_t memmap_entries;
	uint32_t reserved;
};

struct pvh_module {
	uint64_t paddr;
	uint64_t size;
	uint64_t cmdline_paddr;
	uint64_t reserved;
};

struct pvh_memory {
	uint64_t addr;
	uint64_t size;
	uint32_t type; /* as in E820 */
	uint32_t reserved;
};

struct pvh_page {
	struct pvh_start_info info;
	struct pvh_module initrd;
	struct pvh_memory memory[MEMORY_MAP_MAX_ENTRIES];
};

/*
 * Adds the page at LAYOUT_BOOT_PARAMS; an initrd is the only module, and setup_data has no place.
 * Returns 0, or -errno with plan->error set.
 */
int pvh_add(struct boot_plan *plan, const struct memory_map *map,
	    const struct x86_handover *handover);

#endif
