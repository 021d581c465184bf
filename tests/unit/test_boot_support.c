/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/unit/test_boot_support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <asm/bootparam.h>

struct test_file test_file_create(const void *data, size_t len, uint64_t size)
{
	struct test_file file = { .fd = memfd_create("image", MFD_CLOEXEC) };

	cr_assert_geq(file.fd, 0);
	cr_assert_eq(pwrite(file.fd, data, len, 0), (ssize_t)len);
	cr_assert_eq(ftruncate(file.fd, (off_t)size), 0);
	snprintf(file.path, sizeof(file.path), "/proc/self/fd/%d", file.fd);
	return file;
}

struct image test_image_open(const char *what, const void *data, size_t len)
{
	struct test_file file = test_file_create(data, len, len);
	struct boot_plan plan = { 0 };
	struct image image;

	cr_assert_eq(image_open(&image, what, file.path, &plan), 0, "%s", plan.error);
	image.path = "test-image";
	return image;
}

static struct machine_virtio mmio_device(uint64_t window, unsigned int irq, int pool)
{
	return (struct machine_virtio){
		.transport = MACHINE_TRANSPORT_MMIO,
		.window = { window, 0x200 },
		.irq = irq,
		.pool = pool,
		.device_memory = MACHINE_NO_POOL,
	};
}

static struct machine_virtio pci_device(unsigned int slot, int pool, int device_memory)
{
	return (struct machine_virtio){
		.transport = MACHINE_TRANSPORT_PCI,
		.slot = slot,
		.pool = pool,
		.device_memory = device_memory,
	};
}

struct machine test_machine(void)
{
	return (struct machine){
		.nr_cpus = 2,
		.ram = { { 0, 256 * MIB }, { 260 * MIB, 2 * MIB } },
		.nr_ram = 2,
		.pools = { { 256 * MIB, 4 * MIB } },
		.nr_pools = 1,
		.pools_in_device_tree = true,
		.virtio = { mmio_device(0xfe000000, 5, 0),
			    mmio_device(0xfe001000, 7, MACHINE_NO_POOL) },
		.nr_virtio = 2,
	};
}

struct machine test_pci_machine(void)
{
	struct machine machine = test_machine();

	machine.device_memory[0] = (struct machine_range){ 8 * GIB, 4 * MIB };
	machine.nr_device_memory = 1;
	machine.pci = (struct machine_pci){
		.present = true,
		.ecam = { 0xe0000000, MIB },
		.low = { 0xd0000000, 256 * MIB },
		.high = { 8 * GIB, GIB },
	};
	machine.virtio[0] = pci_device(1, 0, MACHINE_NO_POOL);
	machine.virtio[2] = pci_device(2, MACHINE_NO_POOL, 0);
	machine.nr_virtio = 3;
	return machine;
}

void test_bzimage_init(uint8_t file[TEST_BZIMAGE_SIZE])
{
	struct setup_header header = {
		.setup_sects = 1,
		.syssize = TEST_BZIMAGE_KERNEL / 16,
		.boot_flag = 0xaa55,
		.jump = 0xeb | 0x6a << 8, /* ends where struct setup_header does */
		.header = 0x53726448,
		.version = 0x020f,
		.loadflags = LOADED_HIGH | CAN_USE_HEAP,
		.code32_start = 0x100000,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = TEST_BZIMAGE_CMDLINE,
		.pref_address = TEST_BZIMAGE_PREF,
		.init_size = TEST_BZIMAGE_INIT_SIZE,
		.kernel_info_offset = 0x1234,
	};

	memset(file, 0xcc, TEST_BZIMAGE_SIZE);
	memcpy(file + offsetof(struct boot_params, hdr), &header, sizeof(header));
}

void test_elf_init(struct test_elf *elf)
{
	*elf = (struct test_elf){
		.ehdr = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_entry = TEST_ELF_CODE + 0x23,
			.e_phoff = offsetof(struct test_elf, code_phdr),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 3,
		},
		.code_phdr = {
			.p_type = PT_LOAD,
			.p_offset = offsetof(struct test_elf, code),
			.p_vaddr = 0xffffffff81000000,
			.p_paddr = TEST_ELF_CODE,
			.p_filesz = sizeof(elf->code),
			.p_memsz = sizeof(elf->code),
		},
		.data_phdr = {
			.p_type = PT_LOAD,
			.p_offset = offsetof(struct test_elf, data),
			.p_vaddr = 0xffffffff82000000,
			.p_paddr = TEST_ELF_DATA,
			.p_filesz = sizeof(elf->data),
			.p_memsz = 0x10000,
		},
		.note_phdr = {
			.p_type = PT_NOTE,
			.p_offset = offsetof(struct test_elf, notes),
			.p_align = 4,
		},
	};
}

static uint32_t align4(uint32_t value)
{
	return (value + 3) & ~3u;
}

void test_elf_add_note(struct test_elf *elf, const char *name, uint32_t type, const void *desc,
		       uint32_t desc_len)
{
	Elf64_Nhdr nhdr = { (uint32_t)strlen(name) + 1, desc_len, type };
	uint8_t *to = elf->notes + elf->note_phdr.p_filesz;
	uint32_t size = sizeof(nhdr) + align4(nhdr.n_namesz) + align4(desc_len);

	cr_assert_leq(elf->note_phdr.p_filesz + size, sizeof(elf->notes));
	memcpy(to, &nhdr, sizeof(nhdr));
	memcpy(to + sizeof(nhdr), name, nhdr.n_namesz);
	memcpy(to + sizeof(nhdr) + align4(nhdr.n_namesz), desc, desc_len);
	elf->note_phdr.p_filesz += size;
}

void test_expect_error(const struct boot_plan *plan, int ret, const char *part, const char *which)
{
	cr_expect_lt(ret, 0, "%s: accepted", which);
	cr_expect(strstr(plan->error, part) != NULL, "%s: error is \"%s\"", which, plan->error);
	cr_expect(strchr(plan->error, '\n') == NULL, "%s: more than one line", which);
}
