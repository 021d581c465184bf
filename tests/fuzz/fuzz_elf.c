/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * ELF kernels, of 64 and of 32 bits, with notes: good ones with some of their fields changed, or cut
 * short. libelf reads a real file.
 */
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/kernel_plan.h"
#include "tests/unit/test_boot_support.h"

#define EHDR(name)                                                          \
	{                                                                   \
		offsetof(Elf64_Ehdr, name), sizeof(((Elf64_Ehdr *)0)->name) \
	}
#define PHDR(which, name)                                                      \
	{                                                                      \
		offsetof(struct test_elf, which) + offsetof(Elf64_Phdr, name), \
			sizeof(((Elf64_Phdr *)0)->name)                        \
	}
#define PHDRS(which)                                                                             \
	PHDR(which, p_type), PHDR(which, p_offset), PHDR(which, p_paddr), PHDR(which, p_filesz), \
		PHDR(which, p_memsz), PHDR(which, p_align)
#define NOTES(offset_in)                                          \
	{                                                         \
		offsetof(struct test_elf, notes) + (offset_in), 4 \
	}

static const struct kernel_field fields[] = {
	{ EI_CLASS, 1 },  { EI_DATA, 1 },   { EI_VERSION, 1 }, EHDR(e_type),	  EHDR(e_machine),
	EHDR(e_version),  EHDR(e_entry),    EHDR(e_phoff),     EHDR(e_phentsize), EHDR(e_phnum),
	EHDR(e_shoff),	  EHDR(e_shnum),    EHDR(e_shstrndx),  EHDR(e_shentsize), PHDRS(code_phdr),
	PHDRS(data_phdr), PHDRS(note_phdr), NOTES(0),	       NOTES(4),	  NOTES(8),
	NOTES(12),	  NOTES(16),	    NOTES(20),
};

static struct {
	int fd;
	uint8_t *bytes; /* of the file, all of its pages */
	size_t size;
} file;

static void set_size(size_t size)
{
	if (size != file.size)
		fuzz_check(ftruncate(file.fd, (off_t)size) == 0);
	file.size = size;
}

static void create(void)
{
	file.fd = memfd_create("elf", MFD_CLOEXEC);
	set_size(sizeof(struct test_elf));
	file.bytes =
		mmap(NULL, sizeof(struct test_elf), PROT_READ | PROT_WRITE, MAP_SHARED, file.fd, 0);
	fuzz_check(file.bytes != MAP_FAILED);
}

/* The same header and segments in 32 bits, behind each other. */
static void make_32(struct test_elf *elf)
{
	const Elf64_Phdr phdrs[] = { elf->code_phdr, elf->data_phdr, elf->note_phdr };
	Elf32_Ehdr ehdr = {
		.e_type = ET_EXEC,
		.e_machine = EM_386,
		.e_version = EV_CURRENT,
		.e_entry = (Elf32_Addr)elf->ehdr.e_entry,
		.e_phoff = sizeof(ehdr),
		.e_ehsize = sizeof(ehdr),
		.e_phentsize = sizeof(Elf32_Phdr),
		.e_phnum = 3,
	};
	uint8_t *at = (uint8_t *)elf;

	memcpy(ehdr.e_ident, elf->ehdr.e_ident, EI_NIDENT);
	ehdr.e_ident[EI_CLASS] = ELFCLASS32;
	memcpy(at, &ehdr, sizeof(ehdr));
	for (unsigned int i = 0; i < 3; i++) {
		const Elf32_Phdr phdr = {
			.p_type = phdrs[i].p_type,
			.p_offset = (Elf32_Off)phdrs[i].p_offset,
			.p_paddr = (Elf32_Addr)phdrs[i].p_paddr,
			.p_filesz = (Elf32_Word)phdrs[i].p_filesz,
			.p_memsz = (Elf32_Word)phdrs[i].p_memsz,
			.p_align = (Elf32_Word)phdrs[i].p_align,
		};

		memcpy(at + sizeof(ehdr) + i * sizeof(phdr), &phdr, sizeof(phdr));
	}
}

static void make_elf(struct test_elf *elf, uint8_t how)
{
	const uint64_t entry = TEST_ELF_CODE + 0x40;

	test_elf_init(elf);
	if (how & 1)
		test_elf_add_note(elf, "Linux", 0x101, "", 0);
	if (how & 2)
		test_elf_add_note(elf, "Xen", 18, &entry, how & 4 ? 4 : 8);
	if (how & 8)
		test_elf_add_note(elf, "Xen", 18, &entry, 8);
	if (how & 0x10)
		make_32(elf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct test_elf elf;
	struct fuzz_input in = { data, size };
	const uint8_t how = fuzz_u8(&in);

	if (!file.bytes)
		create();
	make_elf(&elf, how);
	kernel_patch(&in, (uint8_t *)&elf, sizeof(elf), fields, sizeof(fields) / sizeof(fields[0]));
	set_size(how & 0x80 ? 1 + fuzz_u16(&in) % sizeof(elf) : sizeof(elf));
	memcpy(file.bytes, &elf, file.size);
	kernel_plan(&in, file.fd, file.size);
	return 0;
}
