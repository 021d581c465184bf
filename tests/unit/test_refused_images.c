/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * minivmm itself and the files that it is given to boot. --dump-dtb reads and lays out all of them,
 * and needs no KVM.
 */
#include <criterion/criterion.h>
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/fdt_expect.h"
#include "tests/unit/process_bench.h"
#include "tests/unit/test_boot_support.h"

#define USAGE 110
#define INPUT 111

#define PAGE 4096

TestSuite(refused_images, .init = process_bench_enter, .fini = process_bench_leave, .timeout = 120);

static void make_kernel(void)
{
	uint8_t file[TEST_BZIMAGE_SIZE];

	test_bzimage_init(file);
	process_bench_file("kernel", file, sizeof(file), sizeof(file));
}

static void run_words(const char *words, struct process_end *end)
{
	const char *args[PROCESS_MAX_ARGS + 1] = { NULL };
	const struct process process = { .program = MINIVMM, .args = args };
	char *text = strdup(words);
	char *rest = text;
	size_t count = 0;

	while (rest)
		args[count++] = strsep(&rest, " ");
	process_bench_run(&process, end);
	free(text);
}

static void expect_good(const char *words)
{
	struct process_end end;

	run_words(words, &end);
	cr_expect_eq(end.status, 0, "%s: %d: %s", words, end.status, end.err);
	cr_expect_str_empty(end.err);
}

static void expect_bad(const char *words, const char *part)
{
	process_bench_expect_words_refused(MINIVMM, words, INPUT, part);
}

Test(refused_images, what_is_good_is_taken)
{
	make_kernel();
	process_bench_file("initrd", "x", 1, 1);
	expect_good("-k kernel -i initrd --dump-dtb dtb");
	cr_expect_eq(access("dtb", R_OK), 0);
}

/* Line 131 of the list, and what a path may lead to besides. */
Test(refused_images, what_is_no_file)
{
	const struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "socket" };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static const struct {
		const char *name, *part;
	} cases[] = {
		{ "absent", "absent: No such file" },
		{ "empty", "empty: is empty" },
		{ "byte", "byte: is in no known format" },
		{ "almost", "almost: is in no known format" },
		{ "zeros", "zeros: is in no known format" },
		{ "sparse", "sparse: is in no known format" },
		{ "folder", "folder: is a directory" },
		{ "fifo", "fifo: not a regular file" },
		{ "socket", "socket: No such device" },
		{ "loop", "loop: Too many levels of symbolic links" },
		{ "dangling", "dangling: No such file" },
		{ "kernel/x", "kernel/x: Not a directory" },
		{ "/dev/zero", "/dev/zero: not a regular file" },
		{ "/dev/null", "/dev/null: not a regular file" },
		{ "/proc/self/mem", "/proc/self/mem: is empty" },
	};

	make_kernel();
	process_bench_file("empty", "", 0, 0);
	process_bench_file("byte", "\x7f", 1, 1);
	process_bench_file("almost", "x", 1, 511);
	process_bench_file("zeros", "", 0, 1 << 20);
	process_bench_file("sparse", "", 0, 1ll << 40);
	cr_assert_eq(mkdir("folder", 0700), 0);
	cr_assert_eq(mkfifo("fifo", 0600), 0);
	cr_assert_eq(bind(sock, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	cr_assert_eq(symlink("loop", "loop"), 0);
	cr_assert_eq(symlink("nowhere", "dangling"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char words[128];

		snprintf(words, sizeof(words), "-k %s --dump-dtb dtb", cases[i].name);
		expect_bad(words, cases[i].part);
		/* Any contents will do for an initrd. */
		if (i >= 2 && i <= 5)
			continue;
		snprintf(words, sizeof(words), "-k kernel -i %s --dump-dtb dtb", cases[i].name);
		expect_bad(words, cases[i].part);
	}
	close(sock);
}

static void become_nobody(const void *opaque)
{
	(void)opaque;
	if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
		_exit(125);
}

Test(refused_images, what_may_not_be_read)
{
	static const char *const args[] = { "-k", "kernel", "--dump-dtb", "dtb", NULL };
	const struct process process = { MINIVMM, args, become_nobody, NULL };

	make_kernel();
	cr_assert_eq(chmod("kernel", 0), 0);
	process_bench_expect_refused(&process, INPUT, "kernel: kernel: Permission denied");
}

/* Images that are good for somebody else. */
Test(refused_images, kernels_for_other_loaders)
{
	static const struct {
		size_t at;
		const char *magic;
		size_t len;
		const char *part;
	} cases[] = {
		{ 56, "ARM\x64", 4, "is an arm64 Image; need an x86 bzImage or ELF kernel" },
		{ 56, "RSC\x05", 4, "is a RISC-V Image; need" },
		{ 0, "MZ\0\0zimg", 8,
		  "is an EFI zboot image, in which the kernel is packed; need" },
		{ 0, "MZ", 2, "is an EFI application, which firmware starts; need" },
		{ 0, "\x1f\x8b\x08", 3, "is a compressed file, to be unpacked first; need" },
		{ 0, "\xfd\x37zXZ", 6, "is a compressed file, to be unpacked first; need" },
		{ 0, "\x28\xb5\x2f\xfd", 4, "is a compressed file, to be unpacked first; need" },
		{ 0, "QFI\xfb\0\0\0\x03", 8, "is a disk image; need" },
		{ 0, "070701", 6, "is an initial RAM disk; need" },
		{ 0, "\xd0\x0d\xfe\xed", 4, "is a device tree; need" },
		{ 0, "\x27\x05\x19\x56", 4, "is an image for U-Boot; need" },
		{ 510, "\x55\xaa", 2, "boot sector without a Linux setup header (HdrS)" },
		{ 0, "#!/bin/sh\n", 10, "is in no known format; need" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char bytes[PAGE] = { 0 };

		memcpy(bytes + cases[i].at, cases[i].magic, cases[i].len);
		process_bench_file("kernel", bytes, sizeof(bytes), 1 << 20);
		expect_bad("-k kernel --dump-dtb dtb", cases[i].part);
	}
}

Test(refused_images, kernels_for_other_machines)
{
	uint8_t file[TEST_BZIMAGE_SIZE];
	struct test_elf elf;

	test_bzimage_init(file);
	memset(file + 0x236, 0, 2); /* xloadflags */
	process_bench_file("kernel", file, sizeof(file), sizeof(file));
	expect_bad("-k kernel --dump-dtb dtb", "no 64-bit entry point (xloadflags), as in a kernel "
					       "for 32-bit x86");
	test_elf_init(&elf);
	elf.ehdr.e_ident[EI_DATA] = ELFDATA2MSB;
	process_bench_file("kernel", &elf, sizeof(elf), sizeof(elf));
	expect_bad("-k kernel --dump-dtb dtb", "big-endian ELF file");
	test_elf_init(&elf);
	elf.ehdr.e_machine = EM_AARCH64;
	process_bench_file("kernel", &elf, sizeof(elf), sizeof(elf));
	expect_bad("-k kernel --dump-dtb dtb", "ELF file is for another machine than x86");
	/* A 32-bit header is shorter, and what matters is refused before it is missed. */
	test_elf_init(&elf);
	elf.ehdr.e_ident[EI_CLASS] = ELFCLASS32;
	process_bench_file("kernel", &elf, sizeof(elf), sizeof(elf));
	expect_bad("-k kernel --dump-dtb dtb", "ELF");
}

/* A file that was not copied whole: at each page, and at the bytes around the end. */
Test(refused_images, every_truncation)
{
	static uint8_t file[128 * PAGE];
	const off_t size = sizeof(file);
	char words[] = "-k kernel --dump-dtb dtb";

	test_bzimage_init(file);
	file[0x1f4] = (size - TEST_BZIMAGE_SETUP) / 16 & 0xff; /* syssize */
	file[0x1f5] = (size - TEST_BZIMAGE_SETUP) / 16 >> 8;
	process_bench_file("kernel", file, sizeof(file), size);
	expect_good(words);
	unlink("dtb");
	for (off_t at = PAGE; at <= size; at += PAGE) {
		cr_assert_eq(truncate("kernel", at == size ? size - 1 : at), 0);
		expect_bad(words, "kernel: kernel: file is cut short (syssize)");
		process_bench_file("kernel", file, sizeof(file), size);
	}
}

Test(refused_images, initrds_that_do_not_fit)
{
	make_kernel();
	process_bench_file("initrd", "x", 1, 32 << 20);
	expect_bad("-k kernel -m 32M -i initrd --dump-dtb dtb",
		   "initrd: initrd: 33554432 bytes do not fit");
	cr_assert_eq(truncate("initrd", 1ll << 40), 0);
	expect_bad("-k kernel -i initrd --dump-dtb dtb",
		   "initrd: initrd: 1099511627776 bytes do not fit");
	cr_assert_eq(truncate("initrd", 400 << 20), 0);
	expect_good("-k kernel -i initrd --dump-dtb dtb");
	/* Above the kernel, which is at 16 MiB and has 8 MiB; below it there is less room. */
	cr_assert_eq(truncate("initrd", 488 << 20), 0);
	expect_good("-k kernel -i initrd --dump-dtb dtb");
	unlink("dtb");
	cr_assert_eq(truncate("initrd", (488 << 20) + 1), 0);
	expect_bad("-k kernel -i initrd --dump-dtb dtb", "initrd: initrd: 511705089 bytes");
}

static atomic_bool enough;

/* Makes both files shorter, longer and whole again, all the time. */
static void *keep_changing(void *opaque)
{
	uint8_t file[TEST_BZIMAGE_SIZE];

	test_bzimage_init(file);
	for (unsigned int i = 0; !atomic_load(&enough); i++) {
		(void)!truncate("initrd", i % 7 * 1000);
		(void)!truncate("kernel", (off_t)(i % 5) * PAGE / 2);
		process_bench_file("kernel", file, sizeof(file), sizeof(file));
		if (i % 11 == 0) {
			unlink("kernel");
			process_bench_file("kernel", file, sizeof(file), sizeof(file));
		}
	}
	return opaque;
}

/* Whatever is seen of files that change meanwhile: a tree, or one line that says what is wrong. */
Test(refused_images, files_that_change_while_they_are_read)
{
	unsigned int good = 0, bad = 0;
	pthread_t thread;

	make_kernel();
	process_bench_file("initrd", "x", 1, 1);
	cr_assert_eq(pthread_create(&thread, NULL, keep_changing, NULL), 0);
	for (unsigned int i = 0; i < 200; i++) {
		struct process_end end;

		run_words("-k kernel -i initrd --dump-dtb dtb", &end);
		cr_expect(end.status == 0 || end.status == INPUT, "%d: %s", end.status, end.err);
		cr_expect_eq(end.status == 0, end.err[0] == '\0', "%d: %s", end.status, end.err);
		if (end.status)
			cr_expect_eq(strchr(end.err, '\n'), end.err + strlen(end.err) - 1, "%s",
				     end.err);
		good += end.status == 0;
		bad += end.status != 0;
	}
	atomic_store(&enough, true);
	pthread_join(thread, NULL);
	cr_expect_gt(bad, 0, "%u good", good);
}

Test(refused_images, command_lines)
{
	static const char *const bad[] = { "a\nb", "\x1b[2J", "\r", "\x7f" };
	char most[2048], line[4096];

	make_kernel();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *args[] = { "-k",	     "kernel", "--cmdline", bad[i],
				       "--dump-dtb", "dtb",    NULL };
		const struct process process = { .program = MINIVMM, .args = args };

		process_bench_expect_refused(&process, INPUT, "control character");
	}
	expect_good("-k kernel --cmdline= --dump-dtb dtb");
	unlink("dtb");
	/* The kernel takes 2047 bytes, and what minivmm adds counts. */
	memset(most, 'x', sizeof(most) - 1);
	most[sizeof(most) - 1] = '\0';
	snprintf(line, sizeof(line), "-k kernel --cmdline %s --dump-dtb dtb", most);
	expect_bad(line, "bytes, the kernel takes 2047");
	process_bench_file("kernel", "", 0, 0);
	snprintf(line, sizeof(line), "-k kernel --cmdline x%s --dump-dtb dtb", most);
	process_bench_expect_words_refused(MINIVMM, line, USAGE, "--cmdline: xxx");
}

/* Line 145: how much RAM there is decides what fits, and every amount that is taken has a machine. */
Test(refused_images, amounts_of_ram)
{
	static const struct {
		const char *memory;
		int status;
		const char *part;
	} cases[] = {
		{ "0", USAGE, "less than 32M" },
		{ "1M", USAGE, "less than 32M" },
		{ "3M", USAGE, "less than 32M" },
		{ "33550336", USAGE, "less than 32M" },
		{ "32M", 0, NULL },
		{ "33554433", USAGE, "not a multiple of 4K" },
		{ "3145724K", 0, NULL }, /* a page less than up to the hole */
		{ "3G", 0, NULL },
		{ "3145732K", 0, NULL },
		{ "3670012K", 0, NULL },
		{ "3584M", 0, NULL },
		{ "3670020K", 0, NULL },
		{ "65533G", 0, NULL },
		{ "65534G", USAGE, "more than 65533G" },
		{ "140737488355328", USAGE, "more than 65533G" }, /* 2^47 */
		{ "18446744073709547520", USAGE, "more than 65533G" },
		{ "18446744073709551616", USAGE, "too large" },
	};
	char words[160];

	make_kernel();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unlink("dtb");
		snprintf(words, sizeof(words), "-k kernel -m %s --dump-dtb dtb", cases[i].memory);
		if (cases[i].status)
			process_bench_expect_words_refused(MINIVMM, words, cases[i].status,
							   cases[i].part);
		else
			expect_good(words);
		/* With a pool on top of it. */
		snprintf(words, sizeof(words),
			 "-k kernel -m %s --rng --restricted-dma --dump-dtb dtb", cases[i].memory);
		if (!cases[i].status)
			expect_good(words);
	}
}

static void expect_tree(const char *words, const char *part)
{
	char warnings[4096];
	const char *source;
	static char dtb[1 << 20];
	size_t len;
	FILE *file;

	expect_good(words);
	file = fopen("dtb", "re");
	cr_assert_not_null(file);
	len = fread(dtb, 1, sizeof(dtb), file);
	fclose(file);
	cr_expect_lt(len, 0x40000 - 16, "more than setup_data takes");
	source = fdt_expect_decompile(dtb, len, warnings, sizeof(warnings));
	cr_expect_not_null(strstr(source, part), "%s", source);
	cr_expect_str_empty(warnings, "%s", warnings);
}

/* Line 147: as many of everything as there can be, as dtc reads it. */
Test(refused_images, the_largest_tree)
{
	char words[4096] = "-k kernel -c 64 -m 65533G --restricted-dma=size=64M --dump-dtb dtb";
	size_t len = strlen(words);

	make_kernel();
	for (int i = 0; i < 16; i++)
		len += (size_t)snprintf(words + len, sizeof(words) - len, " -d disk%d,ro", i);
	len += (size_t)snprintf(words + len, sizeof(words) - len, " --cmdline ");
	memset(words + len, 'x', 1900);
	words[len + 1900] = '\0';
	expect_tree(words, "virtio@fe00f000");
	cr_expect_eq(unlink("dtb"), 0);
	len = strlen(words);
	snprintf(words + len, sizeof(words) - len, " --transport pci");
	expect_tree(words, "dma-pool@");
}
