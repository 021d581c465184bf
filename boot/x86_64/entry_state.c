/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "boot/x86_64/entry_state.h"

#include "boot/plan_build.h"
#include "boot/x86_64/layout.h"

/* Intel SDM volume 3, 3.4.5: segment descriptors, ring 0, accessed. */
#define DESCRIPTOR_CODE32 0x00cf9b000000ffffull
#define DESCRIPTOR_CODE64 0x00af9b000000ffffull
#define DESCRIPTOR_DATA	  0x00cf93000000ffffull

/* Intel SDM volume 3, 4.5: 4-level paging. */
#define PAGE_PRESENT	 0x01ull
#define PAGE_WRITABLE	 0x02ull
#define PAGE_LARGE	 0x80ull
#define TABLE_ENTRIES	 512u
#define TABLE_SIZE	 4096u
#define LARGE_PAGE_SIZE	 0x200000ull
#define PAGE_DIRECTORIES 4ull /* 1 GiB each */

int entry_state_add_gdt(struct boot_plan *plan)
{
	uint64_t *gdt;
	void *data;
	int ret = boot_plan_add_data(plan, "GDT", LAYOUT_GDT, LAYOUT_GDT_SIZE, &data);

	if (ret)
		return ret;
	gdt = data;
	gdt[LAYOUT_GDT_CODE32 / sizeof(*gdt)] = DESCRIPTOR_CODE32;
	gdt[LAYOUT_GDT_CODE64 / sizeof(*gdt)] = DESCRIPTOR_CODE64;
	gdt[LAYOUT_GDT_DATA / sizeof(*gdt)] = DESCRIPTOR_DATA;
	plan->gdt_gpa = LAYOUT_GDT;
	return 0;
}

/* One page each: PML4, PDPT, PAGE_DIRECTORIES page directories. */
int entry_state_add_page_tables(struct boot_plan *plan)
{
	const uint64_t flags = PAGE_PRESENT | PAGE_WRITABLE;
	const uint64_t pdpt_gpa = LAYOUT_PAGE_TABLES + TABLE_SIZE;
	const uint64_t first_pd_gpa = pdpt_gpa + TABLE_SIZE;
	uint64_t *pml4, *pdpt, *pd;
	void *data;
	int ret = boot_plan_add_data(plan, "page tables", LAYOUT_PAGE_TABLES,
				     (2 + PAGE_DIRECTORIES) * TABLE_SIZE, &data);

	if (ret)
		return ret;
	pml4 = data;
	pdpt = pml4 + TABLE_ENTRIES;
	pd = pdpt + TABLE_ENTRIES;
	pml4[0] = pdpt_gpa | flags;
	for (uint64_t i = 0; i < PAGE_DIRECTORIES; i++)
		pdpt[i] = (first_pd_gpa + i * TABLE_SIZE) | flags;
	for (uint64_t i = 0; i < PAGE_DIRECTORIES * TABLE_ENTRIES; i++)
		pd[i] = i * LARGE_PAGE_SIZE | flags | PAGE_LARGE;
	plan->page_table_gpa = LAYOUT_PAGE_TABLES;
	return 0;
}
