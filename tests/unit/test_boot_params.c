/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Memory map, zero page, PVH start_info, GDT and page tables, as a kernel reads them. */
#include <criterion/criterion.h>
#include <string.h>

#include "boot/x86_64/boot_params.h"
#include "boot/x86_64/entry_state.h"
#include "boot/x86_64/layout.h"
#include "boot/x86_64/pvh.h"
#include "tests/unit/test_boot_support.h"

struct expected_map {
	const char *name;
	struct machine machine;
	enum memory_type pool_type;
	struct memory_map_entry entries[8];
	size_t nr_entries;
	struct machine_range ram[3];
	size_t nr_ram;
};

#define LEGACY                                                                   \
	{ { 0, 0x9fc00 }, MEMORY_RAM }, { { 0x9fc00, 0x400 }, MEMORY_RESERVED }, \
	{                                                                        \
		{ 0xf0000, 0x10000 }, MEMORY_RESERVED                            \
	}

static const struct expected_map expected_maps[] = {
	{
		.name = "RAM",
		.machine = { .ram = { { 0, 512 * MIB } }, .nr_ram = 1 },
		.entries = { LEGACY, { { MIB, 511 * MIB }, MEMORY_RAM } },
		.nr_entries = 4,
		.ram = { { 0, 0x9fc00 }, { MIB, 511 * MIB } },
		.nr_ram = 2,
	},
	{
		.name = "RAM, pools, RAM above 4 GiB",
		.machine = { .ram = { { 0, 64 * MIB }, { 4 * GIB, 2 * GIB } },
			     .nr_ram = 2,
			     .pools = { { 64 * MIB, 4 * MIB }, { 68 * MIB, MIB } },
			     .nr_pools = 2 },
		.pool_type = MEMORY_RAM,
		.entries = { LEGACY,
			     { { MIB, 63 * MIB }, MEMORY_RAM },
			     { { 64 * MIB, 4 * MIB }, MEMORY_RAM },
			     { { 68 * MIB, MIB }, MEMORY_RAM },
			     { { 4 * GIB, 2 * GIB }, MEMORY_RAM } },
		.nr_entries = 7,
		.ram = { { 0, 0x9fc00 }, { MIB, 63 * MIB }, { 4 * GIB, 2 * GIB } },
		.nr_ram = 3,
	},
	{
		.name = "reserved pool",
		.machine = { .ram = { { 0, 64 * MIB } },
			     .nr_ram = 1,
			     .pools = { { 64 * MIB, 4 * MIB } },
			     .nr_pools = 1 },
		.pool_type = MEMORY_RESERVED,
		.entries = { LEGACY,
			     { { MIB, 63 * MIB }, MEMORY_RAM },
			     { { 64 * MIB, 4 * MIB }, MEMORY_RESERVED } },
		.nr_entries = 5,
		.ram = { { 0, 0x9fc00 }, { MIB, 63 * MIB } },
		.nr_ram = 2,
	},
	{
		.name = "PCI: ECAM, but neither windows nor device memory",
		.machine = { .ram = { { 0, 64 * MIB }, { 4 * GIB, GIB } },
			     .nr_ram = 2,
			     .device_memory = { { 8 * GIB, MIB } },
			     .nr_device_memory = 1,
			     .pci = { .present = true,
				      .ecam = { 0xe0000000, MIB },
				      .low = { 0xd0000000, 256 * MIB },
				      .high = { 8 * GIB, GIB } } },
		.entries = { LEGACY,
			     { { MIB, 63 * MIB }, MEMORY_RAM },
			     { { 0xe0000000, MIB }, MEMORY_RESERVED },
			     { { 4 * GIB, GIB }, MEMORY_RAM } },
		.nr_entries = 6,
		.ram = { { 0, 0x9fc00 }, { MIB, 63 * MIB }, { 4 * GIB, GIB } },
		.nr_ram = 3,
	},
	{
		.name = "less than a MiB",
		.machine = { .ram = { { 0, 0x9f000 } }, .nr_ram = 1 },
		.entries = { { { 0, 0x9f000 }, MEMORY_RAM },
			     { { 0x9fc00, 0x400 }, MEMORY_RESERVED },
			     { { 0xf0000, 0x10000 }, MEMORY_RESERVED } },
		.nr_entries = 3,
		.ram = { { 0, 0x9f000 } },
		.nr_ram = 1,
	},
};

static bool same_range(struct machine_range a, struct machine_range b)
{
	return a.base == b.base && a.size == b.size;
}

Test(boot_memory_map, tells_ram_and_what_is_not)
{
	for (size_t i = 0; i < ARRAY_SIZE(expected_maps); i++) {
		const struct expected_map *expected = &expected_maps[i];
		struct memory_map map;

		memory_map_build(&map, &expected->machine, expected->pool_type);
		cr_assert_eq(map.nr_entries, expected->nr_entries, "%s", expected->name);
		for (size_t j = 0; j < map.nr_entries; j++) {
			cr_expect(same_range(map.entries[j].range, expected->entries[j].range),
				  "%s: entry %zu", expected->name, j);
			cr_expect_eq(map.entries[j].type, expected->entries[j].type,
				     "%s: entry %zu", expected->name, j);
		}
		cr_assert_eq(map.nr_ram, expected->nr_ram, "%s", expected->name);
		for (size_t j = 0; j < map.nr_ram; j++)
			cr_expect(same_range(map.ram[j], expected->ram[j]), "%s: RAM %zu",
				  expected->name, j);
	}
}

static struct boot_params fill_params(const struct x86_handover *handover)
{
	struct x86_kernel kernel = {
		.header = { .header = 0x53726448, .loadflags = CAN_USE_HEAP, .init_size = 0x1234 },
	};
	struct machine machine = test_machine();
	struct boot_params params;
	struct memory_map map;

	memory_map_build(&map, &machine, MEMORY_RAM);
	memset(&params, 0xee, sizeof(params));
	boot_params_fill(&params, &kernel, &map, handover);
	return params;
}

/* Offsets as in Linux, Documentation/arch/x86/zero-page.rst and boot.rst. */
Test(boot_params, fields_are_where_the_protocol_says)
{
	const struct x86_handover handover = {
		.initrd = { 0x7f00000, 0x12345 },
		.setup_data = 0x40000,
		.rsdp = 0xf0000,
	};
	struct boot_params params = fill_params(&handover);
	const uint8_t *page = (const uint8_t *)&params;
	static const struct {
		size_t offset, size;
		uint64_t value;
	} fields[] = {
		{ 0x0c0, 4, 0 },
		{ 0x0c4, 4, 0 },
		{ 0x1ef, 1, 0 },
		{ 0x202, 4, 0x53726448 },
		{ 0x210, 1, 0xff },
		{ 0x211, 1, LOADED_HIGH },
		{ 0x218, 4, 0x7f00000 },
		{ 0x21c, 4, 0x12345 },
		{ 0x228, 4, LAYOUT_CMDLINE },
		{ 0x250, 8, 0x40000 },
		{ 0x260, 4, 0x1234 },
		{ 0x070, 8, 0xf0000 },
		{ 0x1e8, 1, 6 },
		{ 0x2d0, 8, 0 },
		{ 0x2d8, 8, 0x9fc00 },
		{ 0x2e0, 4, 1 },
		{ 0x2d0 + 80, 8, 256 * MIB },
		{ 0x2d8 + 80, 8, 4 * MIB },
		{ 0x2e0 + 80, 4, 1 },
		{ 0x2d0 + 100, 8, 260 * MIB },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		uint64_t value = 0;

		memcpy(&value, page + fields[i].offset, fields[i].size);
		cr_expect_eq(value, fields[i].value, "offset 0x%zx: 0x%lx", fields[i].offset,
			     value);
	}
}

Test(boot_params, initrd_has_high_halves)
{
	const struct x86_handover handover = { .initrd = { 0x123456789000, 5 * GIB } };
	struct boot_params params = fill_params(&handover);

	cr_expect_eq(params.ext_ramdisk_image, 0x1234);
	cr_expect_eq(params.hdr.ramdisk_image, 0x56789000);
	cr_expect_eq(params.ext_ramdisk_size, 1);
	cr_expect_eq(params.hdr.ramdisk_size, GIB);
}

Test(boot_params, what_is_not_there_has_no_address)
{
	const struct x86_handover handover = { 0 };
	struct boot_params params = fill_params(&handover);

	cr_expect_eq(params.hdr.setup_data, 0);
	cr_expect_eq(params.hdr.ramdisk_image, 0);
	cr_expect_eq(params.acpi_rsdp_addr, 0);
}

Test(boot_pvh, start_info_leads_to_everything)
{
	const struct x86_handover handover = {
		.initrd = { 0x5000000, 0x777 },
		.rsdp = 0xf0000,
	};
	struct machine machine = test_machine();
	struct boot_plan plan = { .kernel_fd = -1, .initrd_fd = -1 };
	struct memory_map map;
	const uint8_t *page;
	const struct pvh_start_info *info;
	const struct pvh_module *module;
	const struct pvh_memory *memory;

	memory_map_build(&map, &machine, MEMORY_RESERVED);
	cr_assert_eq(pvh_add(&plan, &map, &handover), 0);
	cr_expect_eq(plan.info_gpa, LAYOUT_BOOT_PARAMS);
	page = plan.segments[0].data;
	info = (const struct pvh_start_info *)page;
	cr_expect_eq(info->magic, 0x336ec578);
	cr_expect_eq(info->version, 1);
	cr_expect_eq(info->rsdp_paddr, 0xf0000);
	cr_expect_eq(info->cmdline_paddr, LAYOUT_CMDLINE);
	cr_assert_eq(info->nr_modules, 1);
	module = (const struct pvh_module *)(page + (info->modlist_paddr - LAYOUT_BOOT_PARAMS));
	cr_expect_eq(module->paddr, 0x5000000);
	cr_expect_eq(module->size, 0x777);
	cr_assert_eq(info->memmap_entries, 6);
	memory = (const struct pvh_memory *)(page + (info->memmap_paddr - LAYOUT_BOOT_PARAMS));
	cr_expect_eq(memory[0].size, 0x9fc00);
	cr_expect_eq(memory[0].type, 1);
	cr_expect_eq(memory[4].addr, machine.pools[0].base);
	cr_expect_eq(memory[4].type, 2, "pools are not for a guest without a device tree");
	boot_plan_destroy(&plan);
}

Test(boot_pvh, no_initrd_is_no_module)
{
	const struct x86_handover handover = { 0 };
	struct machine machine = test_machine();
	struct boot_plan plan = { .kernel_fd = -1, .initrd_fd = -1 };
	const struct pvh_start_info *info;
	struct memory_map map;

	memory_map_build(&map, &machine, MEMORY_RESERVED);
	cr_assert_eq(pvh_add(&plan, &map, &handover), 0);
	info = plan.segments[0].data;
	cr_expect_eq(info->nr_modules, 0);
	cr_expect_eq(info->modlist_paddr, 0);
	cr_expect_eq(info->rsdp_paddr, 0);
	boot_plan_destroy(&plan);
}

Test(boot_entry_state, gdt_has_the_boot_protocols_selectors)
{
	struct boot_plan plan = { .kernel_fd = -1, .initrd_fd = -1 };
	const uint64_t *gdt;

	cr_assert_eq(entry_state_add_gdt(&plan), 0);
	cr_expect_eq(plan.gdt_gpa, LAYOUT_GDT);
	cr_expect_eq(plan.segments[0].len, LAYOUT_GDT_SIZE);
	gdt = plan.segments[0].data;
	cr_expect_eq(gdt[0], 0);
	cr_expect_eq(gdt[LAYOUT_GDT_CODE32 >> 3], 0x00cf9b000000ffff);
	cr_expect_eq(gdt[0x10 >> 3], 0x00af9b000000ffff, "__BOOT_CS");
	cr_expect_eq(gdt[0x18 >> 3], 0x00cf93000000ffff, "__BOOT_DS");
	boot_plan_destroy(&plan);
}

/* Translates as the CPU does; only large pages. */
static uint64_t translate(const struct boot_segment *segment, uint64_t cr3, uint64_t virtual)
{
	const uint64_t address = 0x000ffffffffff000;
	uint64_t table = cr3;

	for (unsigned int shift = 39; shift >= 21; shift -= 9) {
		const uint64_t *entries;
		uint64_t entry;

		cr_assert_geq(table, segment->gpa);
		cr_assert_lt(table - segment->gpa, segment->len);
		entries = (const uint64_t *)((uint8_t *)segment->data + (table - segment->gpa));
		entry = entries[virtual >> shift & 511];
		if ((entry & 3) != 3)
			return UINT64_MAX;
		cr_expect_eq(!!(entry & 0x80), shift == 21);
		table = entry & address;
	}
	return table + (virtual & 0x1fffff);
}

Test(boot_entry_state, page_tables_map_4_gib_to_themselves)
{
	struct boot_plan plan = { .kernel_fd = -1, .initrd_fd = -1 };

	cr_assert_eq(entry_state_add_page_tables(&plan), 0);
	for (uint64_t gpa = 0; gpa < 4 * GIB; gpa += 2 * MIB)
		cr_assert_eq(translate(&plan.segments[0], plan.page_table_gpa, gpa + 5), gpa + 5);
	cr_expect_eq(translate(&plan.segments[0], plan.page_table_gpa, 4 * GIB), UINT64_MAX);
	cr_expect_eq(translate(&plan.segments[0], plan.page_table_gpa, 1ull << 47), UINT64_MAX);
	boot_plan_destroy(&plan);
}
