/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Looking into device trees, by libfdt and by dtc. What is not there fails the test.
 */
#ifndef TESTS_UNIT_FDT_EXPECT_H
#define TESTS_UNIT_FDT_EXPECT_H

#include <criterion/criterion.h>
#include <libfdt.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "boot/fdt.h"
#include "tests/unit/test_boot_support.h"

/* The device tree of @machine, for the caller to free(). */
static inline void *fdt_expect_build(const struct machine *machine, size_t *len)
{
	void *dtb;

	cr_assert_eq(boot_dtb_build(machine, &dtb, len), 0);
	cr_assert_eq(fdt_check_full(dtb, *len), 0);
	cr_expect_eq(fdt_totalsize(dtb), *len);
	return dtb;
}

static inline int fdt_expect_node(const void *dtb, const char *path)
{
	int node = fdt_path_offset(dtb, path);

	cr_assert_geq(node, 0, "%s: %s", path, fdt_strerror(node));
	return node;
}

static inline void fdt_expect_cells(const void *dtb, const char *path, const char *name,
				    const uint32_t *cells, int n)
{
	int len;
	const fdt32_t *value = fdt_getprop(dtb, fdt_expect_node(dtb, path), name, &len);

	cr_assert_eq(len, n * 4, "%s: %s: %d bytes", path, name, len);
	for (int i = 0; i < n; i++)
		cr_expect_eq(fdt32_to_cpu(value[i]), cells[i], "%s: %s: cell %d is 0x%x", path,
			     name, i, fdt32_to_cpu(value[i]));
}

#define FDT_EXPECT_CELLS(dtb, path, name, ...)                               \
	fdt_expect_cells(dtb, path, name, (const uint32_t[]){ __VA_ARGS__ }, \
			 (int)(sizeof((const uint32_t[]){ __VA_ARGS__ }) / 4))

static inline void fdt_expect_string(const void *dtb, const char *path, const char *name,
				     const char *expected)
{
	const char *value = fdt_getprop(dtb, fdt_expect_node(dtb, path), name, NULL);

	cr_assert_not_null(value, "%s: no %s", path, name);
	cr_expect_str_eq(value, expected, "%s: %s", path, name);
}

static inline uint32_t fdt_expect_phandle(const void *dtb, const char *path)
{
	uint32_t phandle = fdt_get_phandle(dtb, fdt_expect_node(dtb, path));

	cr_expect_neq(phandle, 0, "%s", path);
	return phandle;
}

/* Runs `dtc -I dtb -O dts` on @dtb; returns what it said on stdout, and on stderr through
 * @warnings. */
static inline char *fdt_expect_decompile(const void *dtb, size_t len, char *warnings,
					 size_t warnings_size)
{
	static char text[65536];
	struct test_file in = test_file_create(dtb, len, len);
	struct test_file err = test_file_create("", 0, 0);
	char command[128];
	FILE *dtc;
	ssize_t n;

	/* dtc is another process, so not /proc/self. */
	snprintf(command, sizeof(command), "dtc -I dtb -O dts /proc/%d/fd/%d 2>/proc/%d/fd/%d",
		 getpid(), in.fd, getpid(), err.fd);
	/* NOLINTNEXTLINE(cert-env33-c): nothing in the command comes from outside. */
	dtc = popen(command, "r");
	cr_assert_not_null(dtc);
	text[fread(text, 1, sizeof(text) - 1, dtc)] = '\0';
	cr_assert_eq(pclose(dtc), 0, "dtc (device-tree-compiler) failed");
	n = pread(err.fd, warnings, warnings_size - 1, 0);
	warnings[n > 0 ? n : 0] = '\0';
	return text;
}

#endif
