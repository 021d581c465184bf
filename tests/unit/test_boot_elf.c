/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "boot/plan_build.h"
#include "boot/x86_64/elf_kernel.h"
#include "boot/x86_64/layout.h"
#include "tests/unit/test_boot_support.h"

#define PVH_NOTE 18

static int load_bytes(const void *bytes, size_t len, struct boot_plan *plan,
		      struct x86_kernel *kernel)
{
	struct image image = test_image_open("kernel", bytes, len);

	*plan = (struct boot_plan){ 0 };
	return elf_kernel_load(plan, &image, kernel);
}

static int load(const struct test_elf *elf, struct boot_plan *plan, struct x86_kernel *kernel)
{
	return load_bytes(elf, sizeof(*elf), plan, kernel);
}

Test(boot_elf, segments_go_to_their_physical_addresses)
{
	struct x86_kernel kernel;
	struct boot_plan plan;
	struct test_elf elf;

	test_elf_init(&elf);
	cr_assert_eq(load(&elf, &plan, &kernel), 0, "%s", plan.error);
	cr_assert_eq(plan.nr_segments, 2);
	cr_expect_eq(plan.segments[0].gpa, TEST_ELF_CODE);
	cr_expect_eq(plan.segments[0].len, sizeof(elf.code));
	cr_expect_eq(plan.segments[0].mem_len, sizeof(elf.code));
	cr_expect_eq(plan.segments[0].offset, offsetof(struct test_elf, code));
	cr_expect_null(plan.segments[0].data);
	cr_expect_eq(plan.segments[1].gpa, TEST_ELF_DATA);
	cr_expect_eq(plan.segments[1].len, sizeof(elf.data));
	cr_expect_eq(plan.segments[1].mem_len, 0x10000);
	cr_expect_eq(kernel.span.base, TEST_ELF_CODE);
	cr_expect_eq(kernel.span.size, TEST_ELF_DATA + 0x10000 - TEST_ELF_CODE);
}

Test(boot_elf, empty_segments_do_not_count)
{
	struct x86_kernel kernel;
	struct boot_plan plan;
	struct test_elf elf;

	test_elf_init(&elf);
	elf.data_phdr.p_filesz = 0;
	elf.data_phdr.p_memsz = 0;
	cr_assert_eq(load(&elf, &plan, &kernel), 0, "%s", plan.error);
	cr_expect_eq(plan.nr_segments, 1);
	cr_expect_eq(kernel.span.size, sizeof(elf.code));
}

/* The table in elf_kernel.h. */
Test(boot_elf, chooses_the_entry_by_its_notes)
{
	static const struct {
		bool is_linux, is_pvh;
		uint32_t pvh_len;
		enum boot_entry entry;
		uint64_t gpa;
	} cases[] = {
		{ false, false, 0, BOOT_ENTRY_LONG_MODE, TEST_ELF_CODE + 0x23 },
		{ true, false, 0, BOOT_ENTRY_LONG_MODE, TEST_ELF_CODE + 0x23 },
		{ true, true, 8, BOOT_ENTRY_LONG_MODE, TEST_ELF_CODE + 0x23 },
		{ false, true, 8, BOOT_ENTRY_PVH, TEST_ELF_CODE + 0x40 },
		{ false, true, 4, BOOT_ENTRY_PVH, TEST_ELF_CODE + 0x40 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t pvh_entry = TEST_ELF_CODE + 0x40;
		struct x86_kernel kernel;
		struct boot_plan plan;
		struct test_elf elf;

		test_elf_init(&elf);
		test_elf_add_note(&elf, "GNU", 3, "id", 2);
		/* The same number from another vendor is another note. */
		test_elf_add_note(&elf, "GNU", PVH_NOTE, "", 1);
		if (cases[i].is_linux)
			test_elf_add_note(&elf, "Linux", 0x100, "salt", 4);
		if (cases[i].is_pvh)
			test_elf_add_note(&elf, "Xen", PVH_NOTE, &pvh_entry, cases[i].pvh_len);
		test_elf_add_note(&elf, "Xen", 6, "any", 4);
		cr_assert_eq(load(&elf, &plan, &kernel), 0, "case %zu: %s", i, plan.error);
		cr_expect_eq(kernel.entry, cases[i].entry, "case %zu", i);
		cr_expect_eq(kernel.entry_gpa, cases[i].gpa, "case %zu: 0x%lx", i,
			     kernel.entry_gpa);
	}
}

Test(boot_elf, linux_gets_a_setup_header)
{
	struct x86_kernel kernel;
	struct boot_plan plan;
	struct test_elf elf;

	test_elf_init(&elf);
	cr_assert_eq(load(&elf, &plan, &kernel), 0);
	cr_expect_eq(kernel.header.boot_flag, 0xaa55);
	cr_expect_eq(kernel.header.header, 0x53726448);
	cr_expect_geq(kernel.header.version, 0x020c);
	cr_expect_eq(kernel.header.kernel_alignment, 0x1000000);
	cr_expect_eq(kernel.cmdline_max, 2047);
}

Test(boot_elf, pvh_kernel_may_have_a_long_command_line)
{
	uint32_t entry = TEST_ELF_CODE;
	struct x86_kernel kernel;
	struct boot_plan plan;
	struct test_elf elf;

	test_elf_init(&elf);
	test_elf_add_note(&elf, "Xen", PVH_NOTE, &entry, 4);
	cr_assert_eq(load(&elf, &plan, &kernel), 0);
	cr_expect_eq(kernel.cmdline_max, LAYOUT_CMDLINE_MAX - 1);
}

#define FIELD(member) offsetof(struct test_elf, member), sizeof(((struct test_elf *)0)->member)

Test(boot_elf, refuses_bad_files)
{
	static const struct {
		size_t offset, size;
		uint64_t value;
		const char *part;
	} cases[] = {
		{ FIELD(ehdr.e_ident[EI_CLASS]), 0, "ELF class" },
		{ FIELD(ehdr.e_ident[EI_CLASS]), 3, "ELF class" },
		{ FIELD(ehdr.e_ident[EI_DATA]), ELFDATA2MSB, "big-endian ELF file" },
		{ FIELD(ehdr.e_ident[EI_DATA]), 0, "data encoding" },
		{ FIELD(ehdr.e_ident[EI_VERSION]), 0, "ELF version" },
		{ FIELD(ehdr.e_version), 2, "(e_version)" },
		{ FIELD(ehdr.e_type), ET_REL, "(e_type)" },
		{ FIELD(ehdr.e_type), ET_CORE, "(e_type)" },
		{ FIELD(ehdr.e_machine), EM_AARCH64, "(e_machine)" },
		{ FIELD(ehdr.e_machine), EM_386, "(e_machine)" },
		{ FIELD(ehdr.e_phnum), 0, "(e_phnum)" },
		{ FIELD(ehdr.e_phnum), 65, "(e_phnum)" },
		{ FIELD(ehdr.e_phnum), 0xffff, "(e_phnum)" },
		{ FIELD(ehdr.e_phnum), 60, "(e_phoff)" },
		{ FIELD(ehdr.e_phentsize), 32, "(e_phentsize)" },
		{ FIELD(ehdr.e_phentsize), 0, "(e_phentsize)" },
		{ FIELD(ehdr.e_phoff), sizeof(struct test_elf) - 100, "(e_phoff)" },
		{ FIELD(ehdr.e_phoff), UINT64_MAX - 8, "kernel: test-image: " },
		{ FIELD(ehdr.e_entry), TEST_ELF_CODE - 1, "is outside every loaded segment" },
		{ FIELD(ehdr.e_entry), TEST_ELF_CODE + 256, "is outside every loaded segment" },
		/* In a segment's zero-filled part there is nothing to run. */
		{ FIELD(ehdr.e_entry), TEST_ELF_DATA + 64, "is outside every loaded segment" },
		{ FIELD(ehdr.e_entry), 0xffffffff81000023, "above 4 GiB" },
		{ FIELD(code_phdr.p_filesz), 257, "(p_filesz)" },
		{ FIELD(code_phdr.p_filesz), UINT64_MAX, "(p_filesz)" },
		{ FIELD(code_phdr.p_offset), sizeof(struct test_elf) - 255,
		  "(p_offset, p_filesz)" },
		{ FIELD(code_phdr.p_offset), UINT64_MAX - 16, "(p_offset, p_filesz)" },
		{ FIELD(data_phdr.p_paddr), UINT64_MAX - 16, "do not fit the address space" },
		{ FIELD(data_phdr.p_memsz), UINT64_MAX, "do not fit the address space" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct x86_kernel kernel;
		struct boot_plan plan;
		struct test_elf elf;
		char which[32];
		int ret;

		test_elf_init(&elf);
		memcpy((uint8_t *)&elf + cases[i].offset, &cases[i].value, cases[i].size);
		ret = load(&elf, &plan, &kernel);
		snprintf(which, sizeof(which), "case %zu", i);
		test_expect_error(&plan, ret, cases[i].part, which);
	}
}

Test(boot_elf, refuses_every_truncation)
{
	struct test_elf elf;

	test_elf_init(&elf);
	for (size_t len = 4; len < offsetof(struct test_elf, notes); len += 4) {
		struct x86_kernel kernel;
		struct boot_plan plan;
		char which[32];
		int ret = load_bytes(&elf, len, &plan, &kernel);

		snprintf(which, sizeof(which), "%zu bytes", len);
		test_expect_error(&plan, ret, "kernel: test-image: ", which);
	}
}

Test(boot_elf, refuses_a_file_with_nothing_to_load)
{
	struct x86_kernel kernel;
	struct boot_plan plan;
	struct test_elf elf;
	int ret;

	test_elf_init(&elf);
	elf.code_phdr.p_type = PT_NULL;
	elf.data_phdr.p_type = PT_NULL;
	ret = load(&elf, &plan, &kernel);
	test_expect_error(&plan, ret, "(PT_LOAD)", "no PT_LOAD");
}

#define NOTES(at, size) offsetof(struct test_elf, notes) + (at), (size)

Test(boot_elf, refuses_bad_notes)
{
	static const struct {
		size_t offset, size;
		uint64_t value;
		const char *part;
	} cases[] = {
		{ NOTES(0, 4), 0xffffffff, "(PT_NOTE)" }, /* n_namesz */
		{ NOTES(4, 4), 0xffffffff, "(PT_NOTE)" }, /* n_descsz */
		{ NOTES(4, 4), 9, "(PT_NOTE)" },	  /* one byte past the segment */
		{ NOTES(4, 4), 0, "4 nor 8 bytes" },
		{ NOTES(4, 4), 7, "4 nor 8 bytes" },
		{ FIELD(note_phdr.p_align), 3, "(PT_NOTE)" },
		{ FIELD(note_phdr.p_align), 16, "(PT_NOTE)" },
		{ FIELD(note_phdr.p_offset), sizeof(struct test_elf) - 4, "(PT_NOTE)" },
		{ FIELD(note_phdr.p_offset), UINT64_MAX - 4, "(PT_NOTE)" },
		{ FIELD(note_phdr.p_filesz), UINT64_MAX, "(PT_NOTE)" },
		{ NOTES(16, 8), TEST_ELF_CODE - 1, "is outside every loaded segment" },
		{ NOTES(16, 8), 1ull << 32, "above 4 GiB" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t entry = TEST_ELF_CODE;
		struct x86_kernel kernel;
		struct boot_plan plan;
		struct test_elf elf;
		char which[32];
		int ret;

		test_elf_init(&elf);
		test_elf_add_note(&elf, "Xen", PVH_NOTE, &entry, 8);
		memcpy((uint8_t *)&elf + cases[i].offset, &cases[i].value, cases[i].size);
		ret = load(&elf, &plan, &kernel);
		snprintf(which, sizeof(which), "case %zu", i);
		test_expect_error(&plan, ret, cases[i].part, which);
	}
}

Test(boot_elf, refuses_a_huge_note_segment)
{
	static uint8_t bytes[sizeof(struct test_elf) + 65536];
	struct x86_kernel kernel;
	struct boot_plan plan;
	struct test_elf elf;
	int ret;

	test_elf_init(&elf);
	elf.note_phdr.p_filesz = 65537;
	memcpy(bytes, &elf, sizeof(elf));
	ret = load_bytes(bytes, sizeof(bytes), &plan, &kernel);
	test_expect_error(&plan, ret, "(PT_NOTE)", "65537 bytes of notes");
}

Test(boot_elf, refuses_two_pvh_notes)
{
	uint64_t entry = TEST_ELF_CODE;
	struct x86_kernel kernel;
	struct boot_plan plan;
	struct test_elf elf;
	int ret;

	test_elf_init(&elf);
	test_elf_add_note(&elf, "Xen", PVH_NOTE, &entry, 8);
	test_elf_add_note(&elf, "Xen", PVH_NOTE, &entry, 4);
	ret = load(&elf, &plan, &kernel);
	test_expect_error(&plan, ret, "more than one PVH", "two notes");
}

/* gABI notes with 8-byte alignment: name and descriptor are padded to 8. */
Test(boot_elf, reads_notes_aligned_to_8)
{
	const uint64_t entry = TEST_ELF_CODE;
	const Elf64_Nhdr nhdr = { 4, 8, PVH_NOTE };
	struct x86_kernel kernel;
	struct boot_plan plan;
	struct test_elf elf;

	test_elf_init(&elf);
	memcpy(elf.notes, &nhdr, sizeof(nhdr));
	memcpy(elf.notes + 12, "Xen", 4);
	memcpy(elf.notes + 16, &entry, 8);
	elf.note_phdr.p_filesz = 24;
	elf.note_phdr.p_align = 8;
	cr_assert_eq(load(&elf, &plan, &kernel), 0, "%s", plan.error);
	cr_expect_eq(kernel.entry, BOOT_ENTRY_PVH);
	cr_expect_eq(kernel.entry_gpa, TEST_ELF_CODE);
}

struct test_elf32 {
	Elf32_Ehdr ehdr;
	Elf32_Phdr phdr[2];
	uint8_t code[64];
	struct {
		Elf32_Nhdr nhdr;
		char name[4];
		uint32_t entry;
	} note;
};

static struct test_elf32 make_elf32(void)
{
	return (struct test_elf32){
		.ehdr = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_386,
			.e_version = EV_CURRENT,
			.e_entry = TEST_ELF_CODE,
			.e_phoff = offsetof(struct test_elf32, phdr),
			.e_ehsize = sizeof(Elf32_Ehdr),
			.e_phentsize = sizeof(Elf32_Phdr),
			.e_phnum = 2,
		},
		.phdr = {
			{
				.p_type = PT_LOAD,
				.p_offset = offsetof(struct test_elf32, code),
				.p_paddr = TEST_ELF_CODE,
				.p_filesz = 64,
				.p_memsz = 128,
			},
			{
				.p_type = PT_NOTE,
				.p_offset = offsetof(struct test_elf32, note),
				.p_filesz = 20,
				.p_align = 4,
			},
		},
		.note = { { 4, 4, PVH_NOTE }, "Xen", TEST_ELF_CODE + 8 },
	};
}

Test(boot_elf, takes_a_32_bit_file_with_a_pvh_note)
{
	struct test_elf32 elf = make_elf32();
	struct x86_kernel kernel;
	struct boot_plan plan;

	cr_assert_eq(load_bytes(&elf, sizeof(elf), &plan, &kernel), 0, "%s", plan.error);
	cr_expect_eq(kernel.entry, BOOT_ENTRY_PVH);
	cr_expect_eq(kernel.entry_gpa, TEST_ELF_CODE + 8);
	cr_expect_eq(plan.segments[0].gpa, TEST_ELF_CODE);
	cr_expect_eq(plan.segments[0].mem_len, 128);
}

Test(boot_elf, refuses_a_32_bit_file_without)
{
	struct test_elf32 elf = make_elf32();
	struct x86_kernel kernel;
	struct boot_plan plan;
	int ret;

	elf.phdr[1].p_type = PT_NULL;
	ret = load_bytes(&elf, sizeof(elf), &plan, &kernel);
	test_expect_error(&plan, ret, "32-bit ELF file without a PVH", "ELF32");
	elf = make_elf32();
	elf.ehdr.e_machine = EM_X86_64;
	ret = load_bytes(&elf, sizeof(elf), &plan, &kernel);
	test_expect_error(&plan, ret, "(e_machine)", "x32");
}
