/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * x86-64: the kernel, the initrd as high as it may be, and below 1 MiB what the kernel is handed.
 */
#include "boot/arch.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "boot/fdt.h"
#include "boot/initrd.h"
#include "boot/plan_build.h"
#include "boot/x86_64/acpi.h"
#include "boot/x86_64/boot_params.h"
#include "boot/x86_64/bzimage.h"
#include "boot/x86_64/elf_kernel.h"
#include "boot/x86_64/entry_state.h"
#include "boot/x86_64/layout.h"
#include "boot/x86_64/memory_map.h"
#include "boot/x86_64/pvh.h"
#include "boot/x86_64/setup_data.h"

static int add_kernel(struct boot_plan *plan, const struct image *image,
		      const struct memory_map *map, struct x86_kernel *kernel)
{
	enum image_format format;
	int ret = image_identify(image, &format, plan);

	if (ret)
		return ret;
	switch (format) {
	case IMAGE_BZIMAGE:
		return bzimage_load(plan, image, map, kernel);
	case IMAGE_ELF:
		return elf_kernel_load(plan, image, kernel);
	default:
		return boot_plan_fail(plan, -ENOEXEC, image->what, image->path,
				      "is %s; need an x86 bzImage or ELF kernel",
				      image_format_name(format));
	}
}

static int add_cmdline(struct boot_plan *plan, const char *cmdline, uint64_t kernel_max)
{
	uint64_t max = LAYOUT_CMDLINE_MAX - 1;
	size_t len = strlen(cmdline);
	void *data;
	int ret;

	if (max > kernel_max)
		max = kernel_max;
	if (len > max)
		return boot_plan_fail(plan, -E2BIG, "command line", cmdline,
				      "%zu bytes, the kernel takes %" PRIu64, len, max);
	ret = boot_plan_add_data(plan, "command line", LAYOUT_CMDLINE, len + 1, &data);
	if (!ret)
		memcpy(data, cmdline, len);
	return ret;
}

static int add_initrd(struct boot_plan *plan, const struct image *image,
		      const struct memory_map *map, const struct x86_kernel *kernel,
		      struct machine_range *place)
{
	struct initrd_room room = {
		.ram = map->ram,
		.nr_ram = map->nr_ram,
		.kernel = kernel->span,
		.min = LAYOUT_HIGH_MEMORY,
		.max = kernel->initrd_max,
	};

	if (room.max >= LAYOUT_LOW_RAM_END)
		room.max = LAYOUT_LOW_RAM_END - 1;
	place->size = image->size;
	return initrd_place(plan, image, &room, &place->base);
}

/* The device tree, unless there are ACPI tables, and the pools. */
static int add_setup_data(struct boot_plan *plan, const struct machine *machine,
			  struct x86_handover *handover)
{
	int ret = 0;

	if (machine->tables == MACHINE_TABLES_DEVICE_TREE)
		ret = boot_dtb_build(machine, &plan->dtb, &plan->dtb_len);
	if (ret)
		return boot_plan_fail(plan, ret, "device tree", "libfdt", "%s", strerror(-ret));
	return setup_data_add(plan, machine, &handover->setup_data);
}

/* What the kernel finds in memory by its entry protocol. */
static int add_handover(struct boot_plan *plan, const struct machine *machine,
			const struct x86_kernel *kernel, const struct memory_map *map,
			struct x86_handover *handover)
{
	struct memory_map pvh_map;
	int ret = entry_state_add_gdt(plan);

	if (ret)
		return ret;
	if (machine->tables == MACHINE_TABLES_ACPI)
		handover->rsdp = LAYOUT_ACPI;
	if (kernel->entry == BOOT_ENTRY_PVH) {
		memory_map_build(&pvh_map, machine, MEMORY_RESERVED);
		return pvh_add(plan, &pvh_map, handover);
	}
	ret = entry_state_add_page_tables(plan);
	if (ret)
		return ret;
	ret = add_setup_data(plan, machine, handover);
	if (ret)
		return ret;
	return boot_params_add(plan, kernel, map, handover);
}

int boot_arch_plan(struct boot_plan *plan, const struct boot_request *request,
		   const struct image *kernel_image, const struct image *initrd_image)
{
	const struct machine *machine = request->machine;
	struct x86_handover handover = { 0 };
	struct x86_kernel kernel = { 0 };
	struct memory_map map;
	int ret;

	memory_map_build(&map, machine, MEMORY_RAM);
	ret = add_kernel(plan, kernel_image, &map, &kernel);
	if (ret)
		return ret;
	plan->entry = kernel.entry;
	plan->entry_gpa = kernel.entry_gpa;
	ret = add_cmdline(plan, request->cmdline, kernel.cmdline_max);
	if (ret)
		return ret;
	if (initrd_image) {
		ret = add_initrd(plan, initrd_image, &map, &kernel, &handover.initrd);
		if (ret)
			return ret;
	}
	ret = add_handover(plan, machine, &kernel, &map, &handover);
	if (!ret)
		ret = boot_plan_check(plan, map.ram, map.nr_ram);
	if (!ret && machine->tables == MACHINE_TABLES_ACPI)
		ret = acpi_add(plan, machine);
	return ret;
}
