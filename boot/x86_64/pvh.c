/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "boot/x86_64/pvh.h"

#include <assert.h>
#include <stddef.h>

#include "boot/plan_build.h"
#include "boot/x86_64/layout.h"

static_assert(sizeof(struct pvh_start_info) == 56, "start_info.h: version 1");
static_assert(sizeof(struct pvh_module) == 32, "start_info.h");
static_assert(sizeof(struct pvh_memory) == 24, "start_info.h");
static_assert(LAYOUT_BOOT_PARAMS + sizeof(struct pvh_page) <= LAYOUT_PAGE_TABLES, "fits its place");

int pvh_add(struct boot_plan *plan, const struct memory_map *map,
	    const struct x86_handover *handover)
{
	struct pvh_page *page;
	void *data;
	int ret = boot_plan_add_data(plan, "PVH start_info", LAYOUT_BOOT_PARAMS, sizeof(*page),
				     &data);

	if (ret)
		return ret;
	page = data;
	page->info = (struct pvh_start_info){
		.magic = PVH_MAGIC,
		.version = PVH_VERSION,
		.cmdline_paddr = LAYOUT_CMDLINE,
		.rsdp_paddr = handover->rsdp,
		.memmap_paddr = LAYOUT_BOOT_PARAMS + offsetof(struct pvh_page, memory),
		.memmap_entries = (uint32_t)map->nr_entries,
	};
	if (handover->initrd.size) {
		page->info.nr_modules = 1;
		page->info.modlist_paddr = LAYOUT_BOOT_PARAMS + offsetof(struct pvh_page, initrd);
		page->initrd.paddr = handover->initrd.base;
		page->initrd.size = handover->initrd.size;
	}
	for (size_t i = 0; i < map->nr_entries; i++)
		page->memory[i] = (struct pvh_memory){
			.addr = map->entries[i].range.base,
			.size = map->entries[i].range.size,
			.type = map->entries[i].type,
		};
	plan->info_gpa = LAYOUT_BOOT_PARAMS;
	return 0;
}
