/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/image.h"
#include "boot/plan_build.h"
#include "tests/unit/test_boot_support.h"

static int open_path(const char *path, struct boot_plan *plan)
{
	struct image image;
	int ret = image_open(&image, "kernel", path, plan);

	if (ret)
		cr_expect_eq(image.fd, -1);
	return ret;
}

Test(boot_image, opens_a_regular_file)
{
	struct test_file file = test_file_create("abc", 3, 3);
	struct boot_plan plan = { 0 };
	struct image image;

	cr_assert_eq(image_open(&image, "kernel", file.path, &plan), 0);
	cr_expect_eq(image.size, 3);
	cr_expect(fcntl(image.fd, F_GETFD) & FD_CLOEXEC);
	cr_expect_eq(fcntl(image.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
}

Test(boot_image, refuses_what_is_no_file)
{
	static const struct {
		const char *path;
		int err;
		const char *part;
	} cases[] = {
		{ "/nonexistent/kernel", -ENOENT, "/nonexistent/kernel: No such file" },
		{ "", -ENOENT, "No such file" },
		{ "/", -EINVAL, "kernel: /: is a directory" },
		{ "/dev/zero", -EINVAL, "not a regular file" },
		{ "/dev/null", -EINVAL, "not a regular file" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct boot_plan plan = { 0 };
		int ret = open_path(cases[i].path, &plan);

		cr_expect_eq(ret, cases[i].err, "%s: %d", cases[i].path, ret);
		test_expect_error(&plan, ret, cases[i].part, cases[i].path);
	}
}

Test(boot_image, refuses_an_empty_file)
{
	struct test_file file = test_file_create("", 0, 0);
	struct boot_plan plan = { 0 };

	cr_expect_eq(open_path(file.path, &plan), -EINVAL);
	test_expect_error(&plan, -EINVAL, "is empty", "empty file");
}

/* Opening a FIFO for reading normally waits for a writer. */
Test(boot_image, refuses_a_fifo_at_once, .timeout = 5)
{
	const char *tmp = getenv("TMPDIR") ?: "/tmp";
	struct boot_plan plan = { 0 };
	char dir[256], path[300];
	int ret;

	snprintf(dir, sizeof(dir), "%s/minivmm-XXXXXX", tmp);
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	cr_assert_eq(mkfifo(path, 0600), 0);
	ret = open_path(path, &plan);
	unlink(path);
	rmdir(dir);
	cr_expect_eq(ret, -EINVAL);
	test_expect_error(&plan, ret, "not a regular file", "FIFO");
}

/* Root may read everything, so the test becomes somebody else. */
Test(boot_image, tells_why_a_file_is_unreadable)
{
	char path[] = "/tmp/minivmm-XXXXXX";
	struct boot_plan plan = { 0 };
	int fd = mkstemp(path);
	int ret;

	cr_assert_geq(fd, 0);
	cr_assert_eq(fchmod(fd, 0), 0);
	if (geteuid() == 0)
		cr_assert_eq(seteuid(65534), 0);
	ret = open_path(path, &plan);
	if (getuid() == 0)
		cr_assert_eq(seteuid(0), 0);
	unlink(path);
	cr_expect_eq(ret, -EACCES);
	test_expect_error(&plan, ret, "Permission denied", "unreadable");
}

Test(boot_image, reads_exactly)
{
	struct image image = test_image_open("kernel", "0123456789", 10);
	char buf[4] = { 0 };

	cr_expect_eq(image_read(&image, 6, buf, 4), 0);
	cr_expect(!memcmp(buf, "6789", 4));
	cr_expect_eq(image_read(&image, 10, buf, 0), 0);
	cr_expect_eq(image_read(&image, 7, buf, 4), -ENODATA);
	cr_expect_eq(image_read(&image, UINT64_MAX - 1, buf, 4), -ENODATA);
}

Test(boot_image, notices_a_file_that_shrinks)
{
	struct image image = test_image_open("kernel", "0123456789", 10);
	struct test_file writable = { .fd = -1 };
	struct boot_plan plan = { 0 };
	char buf[10], path[32];

	cr_expect_eq(image_check_size(&image, &plan), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", image.fd);
	writable.fd = open(path, O_RDWR | O_CLOEXEC);
	cr_assert_eq(ftruncate(writable.fd, 5), 0);
	cr_expect_eq(image_read(&image, 0, buf, 10), -ENODATA);
	cr_expect_eq(image_check_size(&image, &plan), -ESTALE);
	test_expect_error(&plan, -ESTALE, "was 10 bytes long", "shrunk file");
}

#define COMPRESSED "a compressed file, to be unpacked first"

Test(boot_image, identifies_formats)
{
	static const struct {
		enum image_format format;
		size_t len;
		size_t at;
		const char *magic;
		size_t magic_len;
		const char *name;
	} cases[] = {
		{ IMAGE_UNKNOWN, 1, 0, "\x7f", 1, "in no known format" },
		{ IMAGE_UNKNOWN, 511, 510, "\x55", 1, "in no known format" },
		{ IMAGE_UNKNOWN, 4096, 0, "#!/bin/sh", 9, "in no known format" },
		{ IMAGE_ELF, 4, 0, "\177ELF", 4, "an ELF file" },
		{ IMAGE_BZIMAGE, 512, 510, "\x55\xaa", 2, "an x86 bzImage" },
		{ IMAGE_BZIMAGE, 1024, 0x202, "HdrS", 4, "an x86 bzImage" },
		{ IMAGE_ARM64, 64, 56, "ARM\x64", 4, "an arm64 Image" },
		{ IMAGE_RISCV, 64, 56, "RSC\x05", 4, "a RISC-V Image" },
		{ IMAGE_EFI_ZBOOT, 64, 4, "zimg", 4,
		  "an EFI zboot image, in which the kernel is packed" },
		{ IMAGE_EFI_PE, 64, 0, "MZ", 2, "an EFI application, which firmware starts" },
		{ IMAGE_COMPRESSED, 64, 0, "\x1f\x8b", 2, COMPRESSED },
		{ IMAGE_COMPRESSED, 64, 0, "\xfd\x37zXZ\0", 6, COMPRESSED },
		{ IMAGE_COMPRESSED, 64, 0, "\x28\xb5\x2f\xfd", 4, COMPRESSED },
		{ IMAGE_COMPRESSED, 64, 0, "\x02\x21\x4c\x18", 4, COMPRESSED },
		{ IMAGE_COMPRESSED, 64, 0, "BZh", 3, COMPRESSED },
		{ IMAGE_COMPRESSED, 64, 0, "\x5d\0\0\x80", 4, COMPRESSED },
		{ IMAGE_COMPRESSED, 64, 0, "\x89LZO", 4, COMPRESSED },
		{ IMAGE_CPIO, 110, 0, "070701", 6, "an initial RAM disk" },
		{ IMAGE_DISK, 512, 0, "QFI\xfb", 4, "a disk image" },
		{ IMAGE_DISK, 512, 0, "KDMV", 4, "a disk image" },
		{ IMAGE_DISK, 512, 0, "vhdxfile", 8, "a disk image" },
		{ IMAGE_UBOOT, 64, 0, "\x27\x05\x19\x56", 4, "an image for U-Boot" },
		{ IMAGE_DEVICE_TREE, 40, 0, "\xd0\x0d\xfe\xed", 4, "a device tree" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct boot_plan plan = { 0 };
		enum image_format format;
		char bytes[4096] = { 0 };
		struct image image;

		memcpy(bytes + cases[i].at, cases[i].magic, cases[i].magic_len);
		image = test_image_open("kernel", bytes, cases[i].len);
		cr_assert_eq(image_identify(&image, &format, &plan), 0);
		cr_expect_eq(format, cases[i].format, "case %zu: format %d", i, format);
		cr_expect_str_eq(image_format_name(format), cases[i].name);
	}
}

/* x86 kernels with an EFI stub begin like any EFI application. */
Test(boot_image, bzimage_wins_over_pe)
{
	struct boot_plan plan = { 0 };
	enum image_format format;
	char bytes[1024] = "MZ";
	struct image image;

	memcpy(bytes + 0x202, "HdrS", 4);
	image = test_image_open("kernel", bytes, sizeof(bytes));
	cr_assert_eq(image_identify(&image, &format, &plan), 0);
	cr_expect_eq(format, IMAGE_BZIMAGE);
}

Test(boot_image, error_stays_one_line_with_a_reason)
{
	struct boot_plan plan = { 0 };
	char path[4096];

	memset(path, 'x', sizeof(path) - 1);
	memcpy(path + sizeof(path) - 10, "a\nb\x1b/end", 9);
	path[sizeof(path) - 1] = '\0';
	cr_expect_eq(boot_plan_fail(&plan, -EIO, "kernel", path, "why"), -EIO);
	cr_expect(strncmp(plan.error, "kernel: ...xxx", 14) == 0);
	cr_expect(strstr(plan.error, "a?b?/end: why") != NULL, "%s", plan.error);
}
