/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Synthetic kernels and machines for the tests of boot/.
 */
#ifndef TEST_BOOT_SUPPORT_H
#define TEST_BOOT_SUPPORT_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#include "boot/image.h"
#include "boot/machine.h"
#include "boot/plan.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define MIB (1ull << 20)
#define GIB (1ull << 30)

/* An anonymous file with a path, for as long as the test's process lives. */
struct test_file {
	int fd;
	char path[32];
};

/* A file of @size bytes, the first @len of them from @data. */
struct test_file test_file_create(const void *data, size_t len, uint64_t size);

/* The same, opened as the loaders want it. */
struct image test_image_open(const char *what, const void *data, size_t len);

/* Two CPUs, 256 MiB of RAM, a pool of 4 MiB directly above, two devices, the first with the pool.
 */
struct machine test_machine(void);

/*
 * The same with a PCI host: the first device is in slot 1, a third one with 4 MiB of device memory
 * in slot 2; between them the one without a pool is still a virtio-mmio device.
 */
struct machine test_pci_machine(void);

/* Two sectors of setup code with a header that is good, and TEST_BZIMAGE_KERNEL bytes of kernel. */
#define TEST_BZIMAGE_SETUP     0x400
#define TEST_BZIMAGE_KERNEL    0x1c00
#define TEST_BZIMAGE_SIZE      (TEST_BZIMAGE_SETUP + TEST_BZIMAGE_KERNEL)
#define TEST_BZIMAGE_PREF      0x1000000ull
#define TEST_BZIMAGE_INIT_SIZE 0x800000ull
#define TEST_BZIMAGE_CMDLINE   2047
void test_bzimage_init(uint8_t file[TEST_BZIMAGE_SIZE]);

/* An executable that loads to [1 MiB, 1 MiB + 256) and [2 MiB, 2 MiB + 64 KiB), and has notes. */
#define TEST_ELF_CODE 0x100000ull
#define TEST_ELF_DATA 0x200000ull
struct test_elf {
	Elf64_Ehdr ehdr;
	Elf64_Phdr code_phdr;
	Elf64_Phdr data_phdr;
	Elf64_Phdr note_phdr;
	uint8_t code[256];
	uint8_t data[64];
	uint8_t notes[256];
};
void test_elf_init(struct test_elf *elf);
void test_elf_add_note(struct test_elf *elf, const char *name, uint32_t type, const void *desc,
		       uint32_t desc_len);

/* Fails the test unless @plan failed with @ret and an error of one line that has @part in it. */
void test_expect_error(const struct boot_plan *plan, int ret, const char *part, const char *which);

#endif
