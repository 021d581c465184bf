/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "boot/x86_64/boot_params.h"

#include <assert.h>
#include <string.h>

#include "boot/plan_build.h"
#include "boot/x86_64/layout.h"

#define LOADER_UNDEFINED 0xff /* boot.rst, type_of_loader: no number of its own */

static_assert(sizeof(struct boot_params) == 4096, "the zero page is a page");
static_assert(MEMORY_MAP_MAX_ENTRIES <= E820_MAX_ENTRIES_ZEROPAGE, "the map fits the zero page");

static void fill_e820(struct boot_params *params, const struct memory_map *map)
{
	for (size_t i = 0; i < map->nr_entries; i++)
		params->e820_table[i] = (struct boot_e820_entry){
			.addr = map->entries[i].range.base,
			.size = map->entries[i].range.size,
			.type = map->entries[i].type,
		};
	params->e820_entries = (uint8_t)map->nr_entries;
}

void boot_params_fill(struct boot_params *params, const struct x86_kernel *kernel,
		      const struct memory_map *map, const struct x86_handover *handover)
{
	memset(params, 0, sizeof(*params));
	params->hdr = kernel->header;
	params->hdr.type_of_loader = LOADER_UNDEFINED;
	params->hdr.loadflags |= LOADED_HIGH;
	params->hdr.loadflags &= (uint8_t)~CAN_USE_HEAP; /* for real-mode code only */
	params->hdr.cmd_line_ptr = LAYOUT_CMDLINE;
	params->hdr.setup_data = handover->setup_data;
	params->hdr.ramdisk_image = (uint32_t)handover->initrd.base;
	params->hdr.ramdisk_size = (uint32_t)handover->initrd.size;
	params->ext_ramdisk_image = (uint32_t)(handover->initrd.base >> 32);
	params->ext_ramdisk_size = (uint32_t)(handover->initrd.size >> 32);
	params->acpi_rsdp_addr = handover->rsdp;
	fill_e820(params, map);
}

int boot_params_add(struct boot_plan *plan, const struct x86_kernel *kernel,
		    const struct memory_map *map, const struct x86_handover *handover)
{
	void *params;
	int ret = boot_plan_add_data(plan, "boot_params", LAYOUT_BOOT_PARAMS,
				     sizeof(struct boot_params), &params);

	if (ret)
		return ret;
	boot_params_fill(params, kernel, map, handover);
	plan->info_gpa = LAYOUT_BOOT_PARAMS;
	return 0;
}
