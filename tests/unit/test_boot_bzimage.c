/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "boot/x86_64/bzimage.h"
#include "tests/unit/test_boot_support.h"

/* Little-endian @value of @size bytes at @offset of the file. */
struct patch {
	size_t offset;
	size_t size;
	uint64_t value;
};

static const struct patch no_patch = { 0 };

static int load(const struct patch *patch, size_t file_size, const struct machine *machine,
		struct boot_plan *plan, struct x86_kernel *kernel)
{
	uint8_t file[TEST_BZIMAGE_SIZE + 64] = { 0 };
	struct memory_map map;
	struct image image;

	test_bzimage_init(file);
	memcpy(file + patch->offset, &patch->value, patch->size);
	image = test_image_open("kernel", file, file_size);
	memory_map_build(&map, machine, MEMORY_RAM);
	*plan = (struct boot_plan){ 0 };
	return bzimage_load(plan, &image, &map, kernel);
}

Test(boot_bzimage, goes_to_its_preferred_address)
{
	struct machine machine = test_machine();
	struct x86_kernel kernel;
	struct boot_plan plan;

	cr_assert_eq(load(&no_patch, TEST_BZIMAGE_SIZE, &machine, &plan, &kernel), 0, "%s",
		     plan.error);
	cr_expect_eq(kernel.entry, BOOT_ENTRY_LONG_MODE);
	cr_expect_eq(kernel.entry_gpa, TEST_BZIMAGE_PREF + 0x200);
	cr_expect_eq(kernel.span.base, TEST_BZIMAGE_PREF);
	cr_expect_eq(kernel.span.size, TEST_BZIMAGE_INIT_SIZE);
	cr_expect_eq(kernel.cmdline_max, TEST_BZIMAGE_CMDLINE);
	cr_expect_eq(kernel.initrd_max, 0x7fffffff);
	cr_assert_eq(plan.nr_segments, 1);
	cr_expect_eq(plan.segments[0].gpa, TEST_BZIMAGE_PREF);
	cr_expect_eq(plan.segments[0].len, TEST_BZIMAGE_KERNEL);
	cr_expect_eq(plan.segments[0].mem_len, TEST_BZIMAGE_INIT_SIZE);
	cr_expect_eq(plan.segments[0].offset, TEST_BZIMAGE_SETUP);
	cr_expect_null(plan.segments[0].data, "the kernel must not be copied");
}

Test(boot_bzimage, hands_on_the_setup_header)
{
	struct machine machine = test_machine();
	struct x86_kernel kernel;
	struct boot_plan plan;

	cr_assert_eq(load(&no_patch, TEST_BZIMAGE_SIZE, &machine, &plan, &kernel), 0);
	cr_expect_eq(kernel.header.header, 0x53726448);
	cr_expect_eq(kernel.header.version, 0x020f);
	cr_expect_eq(kernel.header.code32_start, TEST_BZIMAGE_PREF);
	cr_expect_eq(kernel.header.kernel_info_offset, 0x1234);
}

/* What lies behind the end of the header is code, not fields. */
Test(boot_bzimage, header_ends_where_its_jump_says)
{
	const struct patch older = { 0x201, 1, 0x264 - 0x202 };
	const struct patch longer = { 0x201, 1, 0xff };
	struct machine machine = test_machine();
	struct x86_kernel kernel;
	struct boot_plan plan;

	cr_assert_eq(load(&older, TEST_BZIMAGE_SIZE, &machine, &plan, &kernel), 0);
	cr_expect_eq(kernel.header.init_size, TEST_BZIMAGE_INIT_SIZE);
	cr_expect_eq(kernel.header.kernel_info_offset, 0);
	cr_assert_eq(load(&longer, TEST_BZIMAGE_SIZE, &machine, &plan, &kernel), 0);
	cr_expect_eq(kernel.header.kernel_info_offset, 0x1234);
}

Test(boot_bzimage, setup_sects_0_means_4)
{
	const struct patch sects = { 0x1f1, 1, 0 };
	struct machine machine = test_machine();
	uint8_t file[TEST_BZIMAGE_SIZE];
	struct x86_kernel kernel;
	struct boot_plan plan;
	int ret;

	ret = load(&sects, TEST_BZIMAGE_SIZE, &machine, &plan, &kernel);
	test_expect_error(&plan, ret, "cut short (syssize)", "syssize too large by 3 sectors");

	test_bzimage_init(file);
	file[0x1f1] = 0;
	file[0x1f4] = (TEST_BZIMAGE_SIZE - 5 * 512) / 16 & 0xff;
	file[0x1f5] = (TEST_BZIMAGE_SIZE - 5 * 512) / 16 >> 8;
	{
		struct image image = test_image_open("kernel", file, sizeof(file));
		struct memory_map map;

		memory_map_build(&map, &machine, MEMORY_RAM);
		plan = (struct boot_plan){ 0 };
		cr_assert_eq(bzimage_load(&plan, &image, &map, &kernel), 0, "%s", plan.error);
	}
	cr_expect_eq(plan.segments[0].offset, 5ul * 512);
}

/* A kernel signed for secure boot has its signature behind the payload. */
Test(boot_bzimage, ignores_what_follows_the_payload)
{
	struct machine machine = test_machine();
	struct x86_kernel kernel;
	struct boot_plan plan;

	cr_assert_eq(load(&no_patch, TEST_BZIMAGE_SIZE + 64, &machine, &plan, &kernel), 0);
	cr_expect_eq(plan.segments[0].len, TEST_BZIMAGE_KERNEL);
}

Test(boot_bzimage, refuses_bad_headers)
{
	static const struct {
		struct patch patch;
		const char *part;
	} cases[] = {
		{ { 0x1fe, 2, 0 }, "boot_flag" },
		{ { 0x202, 4, 0x12345678 }, "HdrS" },
		{ { 0x206, 2, 0x0205 }, "older than 2.12" },
		{ { 0x206, 2, 0x020b }, "older than 2.12" },
		{ { 0x236, 2, XLF_CAN_BE_LOADED_ABOVE_4G }, "no 64-bit entry point (xloadflags)" },
		{ { 0x201, 1, 0 }, "(jump)" },
		{ { 0x201, 1, 0x263 - 0x202 }, "(jump)" },
		{ { 0x1f1, 1, 255 }, "(setup_sects)" },
		{ { 0x1f1, 1, TEST_BZIMAGE_SIZE / 512 - 1 }, "(setup_sects)" },
		{ { 0x1f4, 4, 0 }, "too short for a 64-bit entry" },
		{ { 0x1f4, 4, 0x20 }, "too short for a 64-bit entry" },
		{ { 0x1f4, 4, TEST_BZIMAGE_KERNEL / 16 + 1 }, "cut short (syssize)" },
		{ { 0x1f4, 4, 0xffffffff }, "cut short (syssize)" },
		{ { 0x260, 4, 0 }, "init_size" },
		{ { 0x260, 4, TEST_BZIMAGE_KERNEL - 1 }, "init_size" },
		{ { 0x260, 4, 0xffffffff }, "needs 0xffffffff bytes of RAM" },
		{ { 0x230, 4, 0 }, "kernel_alignment" },
		{ { 0x230, 4, 0x300000 }, "kernel_alignment" },
		{ { 0x258, 8, TEST_BZIMAGE_PREF + 0x1000 }, "pref_address is not aligned" },
		{ { 0x258, 8, 0xffffffffffe00000 }, "needs 0x800000 bytes of RAM at" },
		{ { 0x258, 8, 256 * MIB }, "needs 0x800000 bytes of RAM at 0x10000000" },
		{ { 0x258, 8, 0xfe000000 }, "needs 0x800000 bytes of RAM at 0xfe000000" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct machine machine = test_machine();
		struct x86_kernel kernel;
		struct boot_plan plan;
		char which[32];
		int ret = load(&cases[i].patch, TEST_BZIMAGE_SIZE, &machine, &plan, &kernel);

		snprintf(which, sizeof(which), "case %zu", i);
		test_expect_error(&plan, ret, cases[i].part, which);
		cr_expect_eq(plan.nr_segments, 0);
	}
}

Test(boot_bzimage, refuses_every_truncation)
{
	static const size_t sizes[] = {
		1,
		0x1f1,
		511,
		512,
		0x203,
		0x26c,
		0x28f,
		0x290,
		TEST_BZIMAGE_SETUP,
		TEST_BZIMAGE_SETUP + 1,
		4096,
		TEST_BZIMAGE_SIZE - 1,
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct machine machine = test_machine();
		struct x86_kernel kernel;
		struct boot_plan plan;
		char which[32];
		int ret = load(&no_patch, sizes[i], &machine, &plan, &kernel);

		snprintf(which, sizeof(which), "%zu bytes", sizes[i]);
		test_expect_error(&plan, ret, "kernel: test-image: ", which);
	}
}

Test(boot_bzimage, init_size_decides_whether_it_fits)
{
	struct machine machine = test_machine();
	struct x86_kernel kernel;
	struct boot_plan plan;

	machine.ram[0].size = TEST_BZIMAGE_PREF + TEST_BZIMAGE_INIT_SIZE;
	machine.nr_pools = 0;
	cr_expect_eq(load(&no_patch, TEST_BZIMAGE_SIZE, &machine, &plan, &kernel), 0);
	machine.ram[0].size--;
	cr_expect_eq(load(&no_patch, TEST_BZIMAGE_SIZE, &machine, &plan, &kernel), -ENOSPC);
}

/* RAM ends 4 MiB above the preferred address, a pool follows, then more RAM. */
static struct machine machine_with_pool_in_the_way(void)
{
	struct machine machine = test_machine();

	machine.ram[0] = (struct machine_range){ 0, TEST_BZIMAGE_PREF + 4 * MIB };
	machine.pools[0] = (struct machine_range){ machine.ram[0].size, 1 * MIB };
	machine.ram[1] = (struct machine_range){ machine.ram[0].size + 1 * MIB, 64 * MIB };
	machine.nr_ram = 2;
	return machine;
}

Test(boot_bzimage, relocatable_kernel_moves_up_past_a_pool)
{
	struct machine machine = machine_with_pool_in_the_way();
	struct x86_kernel kernel;
	struct boot_plan plan;

	cr_assert_eq(load(&no_patch, TEST_BZIMAGE_SIZE, &machine, &plan, &kernel), 0, "%s",
		     plan.error);
	cr_expect_eq(kernel.span.base, TEST_BZIMAGE_PREF + 6 * MIB, "aligned to 2 MiB");
	cr_expect_eq(kernel.entry_gpa, kernel.span.base + 0x200);
	cr_expect_eq(kernel.header.code32_start, kernel.span.base);
	cr_expect_eq(plan.segments[0].gpa, kernel.span.base);
}

Test(boot_bzimage, other_kernel_stays_where_it_must_be)
{
	const struct patch fixed = { 0x234, 1, 0 };
	struct machine machine = machine_with_pool_in_the_way();
	struct x86_kernel kernel;
	struct boot_plan plan;
	int ret = load(&fixed, TEST_BZIMAGE_SIZE, &machine, &plan, &kernel);

	cr_expect_eq(ret, -ENOSPC);
	test_expect_error(&plan, ret, "at 0x1000000 (init_size", "fixed kernel");
}

/* The page tables at entry map 4 GiB. */
Test(boot_bzimage, never_moves_above_4_gib)
{
	struct machine machine = test_machine();
	struct x86_kernel kernel;
	struct boot_plan plan;

	machine.ram[0].size = 8 * MIB;
	machine.ram[1] = (struct machine_range){ 4 * GIB, GIB };
	machine.nr_ram = 2;
	cr_expect_eq(load(&no_patch, TEST_BZIMAGE_SIZE, &machine, &plan, &kernel), -ENOSPC);
}
