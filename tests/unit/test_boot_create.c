/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* boot_plan_create() as a whole, on x86-64. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <asm/bootparam.h>

#include "boot/plan.h"
#include "boot/x86_64/layout.h"
#include "boot/x86_64/pvh.h"
#include "tests/unit/test_boot_support.h"

static struct test_file bzimage(void)
{
	uint8_t file[TEST_BZIMAGE_SIZE];

	test_bzimage_init(file);
	return test_file_create(file, sizeof(file), sizeof(file));
}

static struct test_file elf_file(const struct test_elf *elf)
{
	return test_file_create(elf, sizeof(*elf), sizeof(*elf));
}

static const struct boot_segment *find(const struct boot_plan *plan, const char *what)
{
	for (size_t i = 0; i < plan->nr_segments; i++)
		if (!strcmp(plan->segments[i].what, what))
			return &plan->segments[i];
	cr_assert_fail("no segment \"%s\"", what);
	return NULL;
}

Test(boot_create, bzimage_with_everything)
{
	struct machine machine = test_machine();
	struct test_file kernel = bzimage();
	struct test_file initrd = test_file_create("initrd", 6, 6);
	struct boot_request request = { kernel.path, initrd.path, "console=ttyS0", &machine };
	const struct boot_params *params;
	const struct setup_data *chain;
	struct boot_plan plan;

	cr_assert_eq(boot_plan_create(&plan, &request), 0, "%s", plan.error);
	cr_expect_eq(plan.entry, BOOT_ENTRY_LONG_MODE);
	cr_expect_eq(plan.entry_gpa, TEST_BZIMAGE_PREF + 0x200);
	cr_expect_eq(plan.info_gpa, LAYOUT_BOOT_PARAMS);
	cr_expect_eq(plan.gdt_gpa, LAYOUT_GDT);
	cr_expect_eq(plan.page_table_gpa, LAYOUT_PAGE_TABLES);
	cr_expect_eq(plan.nr_segments, 7);
	cr_expect_eq(find(&plan, "kernel")->fd, plan.kernel_fd);
	cr_expect_eq(find(&plan, "initrd")->fd, plan.initrd_fd);
	cr_expect_eq(find(&plan, "initrd")->gpa, 262 * MIB - 4096, "as high as RAM goes");
	cr_expect_str_eq(find(&plan, "command line")->data, "console=ttyS0");
	cr_expect_eq(find(&plan, "command line")->len, sizeof("console=ttyS0"));

	params = find(&plan, "boot_params")->data;
	cr_expect_eq(params->hdr.cmd_line_ptr, find(&plan, "command line")->gpa);
	cr_expect_eq(params->hdr.ramdisk_image, find(&plan, "initrd")->gpa);
	cr_expect_eq(params->hdr.ramdisk_size, 6);
	cr_expect_eq(params->acpi_rsdp_addr, 0);
	cr_expect_eq(params->hdr.setup_data, find(&plan, "setup_data")->gpa);
	chain = find(&plan, "setup_data")->data;
	cr_expect_eq(chain->type, SETUP_DTB);
	cr_assert_eq(chain->len, plan.dtb_len);
	cr_expect(!memcmp(chain->data, plan.dtb, plan.dtb_len));
	boot_plan_destroy(&plan);
}

Test(boot_create, destroy_closes_the_images)
{
	struct machine machine = test_machine();
	struct test_file kernel = bzimage();
	struct boot_request request = { kernel.path, kernel.path, "", &machine };
	struct boot_plan plan;
	int kernel_fd, initrd_fd;

	cr_assert_eq(boot_plan_create(&plan, &request), 0, "%s", plan.error);
	kernel_fd = plan.kernel_fd;
	initrd_fd = plan.initrd_fd;
	boot_plan_destroy(&plan);
	cr_expect_eq(fcntl(kernel_fd, F_GETFD), -1);
	cr_expect_eq(fcntl(initrd_fd, F_GETFD), -1);
}

/* Only boot_params lead to the device tree, so that is how Linux must be entered. */
Test(boot_create, vmlinux_gets_the_device_tree)
{
	struct machine machine = test_machine();
	uint64_t pvh_entry = TEST_ELF_CODE;
	const struct boot_params *params;
	struct boot_plan plan;
	struct test_elf elf;

	test_elf_init(&elf);
	test_elf_add_note(&elf, "Linux", 0x100, "", 1);
	test_elf_add_note(&elf, "Xen", 18, &pvh_entry, 8);
	{
		struct test_file kernel = elf_file(&elf);
		struct boot_request request = { kernel.path, NULL, "", &machine };

		cr_assert_eq(boot_plan_create(&plan, &request), 0, "%s", plan.error);
	}
	cr_expect_eq(plan.entry, BOOT_ENTRY_LONG_MODE);
	cr_expect_eq(plan.entry_gpa, TEST_ELF_CODE + 0x23);
	cr_assert_not_null(plan.dtb);
	params = find(&plan, "boot_params")->data;
	cr_expect_eq(params->hdr.header, 0x53726448);
	cr_expect_eq(params->hdr.boot_flag, 0xaa55);
	cr_expect_eq(params->hdr.type_of_loader, 0xff);
	cr_expect_eq(params->hdr.setup_data, LAYOUT_SETUP_DATA);
	cr_expect_eq(params->hdr.ramdisk_size, 0);
	boot_plan_destroy(&plan);
}

Test(boot_create, pvh_kernel_gets_start_info)
{
	struct machine machine = test_machine();
	uint32_t pvh_entry = TEST_ELF_CODE + 4;
	const struct pvh_page *page;
	struct boot_plan plan;
	struct test_elf elf;

	test_elf_init(&elf);
	test_elf_add_note(&elf, "Xen", 18, &pvh_entry, 4);
	{
		struct test_file kernel = elf_file(&elf);
		struct test_file initrd = test_file_create("initrd", 6, 6);
		struct boot_request request = { kernel.path, initrd.path, "a b", &machine };

		cr_assert_eq(boot_plan_create(&plan, &request), 0, "%s", plan.error);
	}
	cr_expect_eq(plan.entry, BOOT_ENTRY_PVH);
	cr_expect_eq(plan.entry_gpa, TEST_ELF_CODE + 4);
	cr_expect_eq(plan.info_gpa, LAYOUT_BOOT_PARAMS);
	cr_expect_null(plan.dtb);
	page = find(&plan, "PVH start_info")->data;
	cr_expect_eq(page->info.magic, PVH_MAGIC);
	cr_expect_eq(page->info.rsdp_paddr, 0);
	cr_expect_eq(page->initrd.paddr, find(&plan, "initrd")->gpa);
	cr_expect_str_eq(find(&plan, "command line")->data, "a b");
	boot_plan_destroy(&plan);
}

/* Never both: a kernel that reads either would find the interrupt controllers twice. */
Test(boot_create, acpi_tables_instead_of_the_device_tree)
{
	struct machine machine = test_pci_machine();
	struct test_file kernel = bzimage();
	struct boot_request request = { kernel.path, NULL, "", &machine };
	const struct boot_params *params;
	const struct setup_data *chain;
	struct boot_plan plan;

	machine.tables = MACHINE_TABLES_ACPI;
	machine.pools_in_device_tree = false;
	cr_assert_eq(boot_plan_create(&plan, &request), 0, "%s", plan.error);
	cr_expect_null(plan.dtb);
	params = find(&plan, "boot_params")->data;
	cr_expect_eq(params->acpi_rsdp_addr, find(&plan, "ACPI tables")->gpa);
	cr_expect_eq(params->e820_entries, 7);
	cr_expect_eq(params->e820_table[6].addr, 0xe0000000);
	cr_expect_eq(params->e820_table[6].type, 2, "ECAM");
	cr_assert_eq(params->hdr.setup_data, find(&plan, "setup_data")->gpa);
	chain = find(&plan, "setup_data")->data;
	cr_expect_eq(chain->type, 0x80000000u, "the pool");
	cr_expect_eq(chain->next, 0, "nothing else");
	boot_plan_destroy(&plan);

	machine.nr_pools = 0;
	machine.virtio[0].pool = MACHINE_NO_POOL;
	cr_assert_eq(boot_plan_create(&plan, &request), 0, "%s", plan.error);
	params = find(&plan, "boot_params")->data;
	cr_expect_eq(params->hdr.setup_data, 0);
	boot_plan_destroy(&plan);
}

Test(boot_create, pvh_kernel_gets_acpi_tables)
{
	struct machine machine = test_pci_machine();
	uint32_t pvh_entry = TEST_ELF_CODE + 4;
	const struct pvh_page *page;
	struct boot_plan plan;
	struct test_elf elf;

	machine.tables = MACHINE_TABLES_ACPI;
	test_elf_init(&elf);
	test_elf_add_note(&elf, "Xen", 18, &pvh_entry, 4);
	{
		struct test_file kernel = elf_file(&elf);
		struct boot_request request = { kernel.path, NULL, "", &machine };

		cr_assert_eq(boot_plan_create(&plan, &request), 0, "%s", plan.error);
	}
	page = find(&plan, "PVH start_info")->data;
	cr_expect_eq(page->info.rsdp_paddr, find(&plan, "ACPI tables")->gpa);
	boot_plan_destroy(&plan);
}

/* The tables' place is checked like everything else's: what is there was refused before. */
Test(boot_create, kernel_cannot_overwrite_acpi_tables)
{
	struct machine machine = test_pci_machine();
	struct boot_plan plan;
	struct test_elf elf;

	machine.tables = MACHINE_TABLES_ACPI;
	test_elf_init(&elf);
	elf.data_phdr.p_paddr = LAYOUT_ACPI;
	{
		struct test_file kernel = elf_file(&elf);
		struct boot_request request = { kernel.path, NULL, "", &machine };
		int ret = boot_plan_create(&plan, &request);

		test_expect_error(&plan, ret, "not inside the guest's RAM", "kernel over tables");
	}
	boot_plan_destroy(&plan);
}

/* Linux takes all from its first to its last segment; a gap between them is no room for an initrd.
 */
Test(boot_create, initrd_stays_out_of_gaps_in_the_kernel)
{
	struct machine machine = test_machine();
	struct boot_plan plan;
	struct test_elf elf;

	machine.ram[0].size = TEST_ELF_DATA + 0x11000;
	machine.nr_ram = 1;
	machine.nr_pools = 0;
	machine.virtio[0].pool = MACHINE_NO_POOL;
	test_elf_init(&elf);
	{
		struct test_file kernel = elf_file(&elf);
		struct test_file one_page = test_file_create("x", 1, 4096);
		struct test_file two_pages = test_file_create("x", 1, 4097);
		struct boot_request request = { kernel.path, one_page.path, "", &machine };

		cr_expect_eq(boot_plan_create(&plan, &request), 0, "%s", plan.error);
		cr_expect_eq(find(&plan, "initrd")->gpa, TEST_ELF_DATA + 0x10000);
		boot_plan_destroy(&plan);
		request.initrd = two_pages.path;
		cr_expect_eq(boot_plan_create(&plan, &request), -ENOSPC);
		boot_plan_destroy(&plan);
	}
}

/* initrd_addr_max is the kernel's; the pools, the MMIO hole and what is above are ours to avoid. */
Test(boot_create, initrd_stays_in_low_ram)
{
	struct machine machine = test_machine();
	struct test_file kernel = bzimage();
	struct boot_request request = { kernel.path, kernel.path, "", &machine };
	struct boot_plan plan;

	machine.ram[0].size = 3 * GIB;
	machine.ram[1] = (struct machine_range){ 4 * GIB, GIB };
	machine.nr_ram = 2;
	machine.nr_pools = 0;
	machine.virtio[0].pool = MACHINE_NO_POOL;
	cr_assert_eq(boot_plan_create(&plan, &request), 0, "%s", plan.error);
	cr_expect_eq(find(&plan, "initrd")->gpa, 2 * GIB - TEST_BZIMAGE_SIZE);
	boot_plan_destroy(&plan);
}

Test(boot_create, command_line_limits)
{
	struct machine machine = test_machine();
	struct test_file kernel = bzimage();
	char cmdline[TEST_BZIMAGE_CMDLINE + 2];
	struct boot_request request = { kernel.path, NULL, cmdline, &machine };
	struct boot_plan plan;
	int ret;

	memset(cmdline, 'x', sizeof(cmdline));
	cmdline[TEST_BZIMAGE_CMDLINE] = '\0';
	cr_expect_eq(boot_plan_create(&plan, &request), 0, "%s", plan.error);
	cr_expect_eq(find(&plan, "command line")->len, TEST_BZIMAGE_CMDLINE + 1);
	boot_plan_destroy(&plan);

	cmdline[TEST_BZIMAGE_CMDLINE] = 'x';
	cmdline[TEST_BZIMAGE_CMDLINE + 1] = '\0';
	ret = boot_plan_create(&plan, &request);
	cr_expect_eq(ret, -E2BIG);
	test_expect_error(&plan, ret, "2048 bytes, the kernel takes 2047", "long command line");
	boot_plan_destroy(&plan);
}

Test(boot_create, command_line_place_is_limited_too)
{
	struct machine machine = test_machine();
	static char cmdline[LAYOUT_CMDLINE_MAX + 1];
	uint8_t file[TEST_BZIMAGE_SIZE];
	struct boot_plan plan;

	test_bzimage_init(file);
	memset(file + 0x238, 0xff, 4); /* cmdline_size */
	{
		struct test_file kernel = test_file_create(file, sizeof(file), sizeof(file));
		struct boot_request request = { kernel.path, NULL, cmdline, &machine };

		memset(cmdline, 'x', LAYOUT_CMDLINE_MAX - 1);
		cr_expect_eq(boot_plan_create(&plan, &request), 0, "%s", plan.error);
		boot_plan_destroy(&plan);
		cmdline[LAYOUT_CMDLINE_MAX - 1] = 'x';
		cr_expect_eq(boot_plan_create(&plan, &request), -E2BIG);
		boot_plan_destroy(&plan);
	}
}

Test(boot_create, command_line_has_no_control_characters)
{
	static const char *const bad[] = { "a\nb", "\r", "a\x1b[2J", "\x7f" };
	struct machine machine = test_machine();
	struct test_file kernel = bzimage();

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct boot_request request = { kernel.path, NULL, bad[i], &machine };
		struct boot_plan plan;
		int ret = boot_plan_create(&plan, &request);

		cr_expect_eq(ret, -EINVAL);
		test_expect_error(&plan, ret, "control character", "command line");
		boot_plan_destroy(&plan);
	}
}

static void expect_refusal(const char *kernel, const char *initrd, const struct machine *machine,
			   const char *part)
{
	struct boot_request request = { kernel, initrd, "", machine };
	struct boot_plan plan;
	int ret = boot_plan_create(&plan, &request);

	test_expect_error(&plan, ret, part, part);
	boot_plan_destroy(&plan);
	cr_expect_eq(plan.kernel_fd, -1);
	cr_expect_eq(plan.initrd_fd, -1);
}

Test(boot_create, refuses_other_images)
{
	struct machine machine = test_machine();
	struct test_file good = bzimage();
	struct test_file gzip = test_file_create("\x1f\x8b", 2, 100);
	struct test_file text = test_file_create("text", 4, 4);
	struct test_file empty = test_file_create("", 0, 0);
	struct test_file huge = test_file_create("x", 1, 1ull << 40);

	expect_refusal(gzip.path, NULL, &machine,
		       "is a compressed file, to be unpacked first; need an x86 bzImage");
	expect_refusal(text.path, NULL, &machine, "is in no known format; need");
	expect_refusal("/dev/zero", NULL, &machine, "kernel: /dev/zero: not a regular file");
	expect_refusal(good.path, "/nonexistent", &machine, "initrd: /nonexistent: No such file");
	expect_refusal(good.path, empty.path, &machine, "is empty");
	expect_refusal(good.path, huge.path, &machine, "1099511627776 bytes do not fit");
}

/* Everything that lies where the kernel is handed its tables, or outside RAM. */
Test(boot_create, refuses_elf_segments_in_the_way)
{
	static const struct {
		uint64_t gpa;
		const char *part;
	} cases[] = {
		{ LAYOUT_GDT, "overlaps the kernel" },
		{ LAYOUT_BOOT_PARAMS, "overlaps the kernel" },
		{ LAYOUT_PAGE_TABLES + 0x5fff, "overlaps the kernel" },
		{ LAYOUT_CMDLINE - 0xffff, "overlaps the kernel" },
		{ LAYOUT_SETUP_DATA, "overlaps the kernel" },
		{ LAYOUT_EBDA, "not inside the guest's RAM" },
		{ 0xf8000, "not inside the guest's RAM" },
		{ 256 * MIB - 0xffff, "not inside the guest's RAM" }, /* into the pool */
		{ 256 * MIB, "not inside the guest's RAM" },
		{ 0xfe000000, "not inside the guest's RAM" },
		{ TEST_ELF_CODE + 255, "overlaps the kernel at 0x100000" },
	};
	struct machine machine = test_machine();

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct test_elf elf;

		test_elf_init(&elf);
		elf.data_phdr.p_paddr = cases[i].gpa;
		expect_refusal(elf_file(&elf).path, NULL, &machine, cases[i].part);
	}
}

Test(boot_create, refuses_too_little_ram)
{
	static const uint64_t sizes[] = { 0, 0x1000, 0x8000, MIB, 3 * MIB, 16 * MIB };
	struct test_file kernel = bzimage();

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct machine machine = test_machine();

		machine.ram[0].size = sizes[i];
		machine.nr_ram = 1;
		expect_refusal(kernel.path, NULL, &machine, "needs 0x800000 bytes of RAM");
	}
}
