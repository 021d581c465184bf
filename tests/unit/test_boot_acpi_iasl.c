/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The ACPI tables read by iasl, which has another author's idea of the specification: it takes them
 * apart, and compiles what it made of the DSDT again.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot/x86_64/acpi.h"
#include "boot/x86_64/layout.h"
#include "tests/unit/acpi_expect.h"
#include "tests/unit/test_boot_support.h"

#define NO_IASL 127 /* of the shell */

static struct boot_plan plan = { .kernel_fd = -1, .initrd_fd = -1 };
static char folder[64];
static char said[65536];

static void set_up(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(folder, sizeof(folder), "%s/minivmm-iasl-XXXXXX", tmp ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(folder), "%s", folder);
}

static void tear_down(void)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	boot_plan_destroy(&plan);
	cr_assert_not_null(dir);
	while ((entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	rmdir(folder);
}

TestSuite(boot_acpi_iasl, .init = set_up, .fini = tear_down);

/* What `iasl ARGUMENTS` says is in said[]. */
static void run_iasl(const char *arguments)
{
	char command[192];
	FILE *iasl;
	int status;

	snprintf(command, sizeof(command), "cd %s && iasl %s 2>&1", folder, arguments);
	/* NOLINTNEXTLINE(cert-env33-c): nothing in the command comes from outside. */
	iasl = popen(command, "r");
	cr_assert_not_null(iasl);
	said[fread(said, 1, sizeof(said) - 1, iasl)] = '\0';
	status = pclose(iasl);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_IASL) {
		tear_down(); /* a test that is skipped ends here */
		cr_skip_test("no iasl (acpica-tools)");
	}
	cr_expect_eq(status, 0, "iasl %s: %s", arguments, said);
}

static void expect_not_said(const char *part)
{
	cr_expect_null(strstr(said, part), "\"%s\" is in:\n%s", part, said);
}

/* Returns false when the machine has no such table. */
static bool write_table(const char *signature)
{
	char path[96];
	const uint8_t *table;
	size_t len;
	int fd;

	table = acpi_expect_find(&plan, LAYOUT_ACPI, signature, &len);
	if (!table)
		return false;
	snprintf(path, sizeof(path), "%s/%s.aml", folder, signature);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, table, len), (ssize_t)len);
	close(fd);
	return true;
}

/* Reads into said[] what iasl made of a table. */
static void read_listing(const char *signature)
{
	char path[96];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.dsl", folder, signature);
	file = fopen(path, "re");
	cr_assert_not_null(file, "%s", path);
	said[fread(said, 1, sizeof(said) - 1, file)] = '\0';
	fclose(file);
}

static void disassemble(const char *signature)
{
	char arguments[32];

	snprintf(arguments, sizeof(arguments), "-d %s.aml", signature);
	run_iasl(arguments);
	expect_not_said("rror");
	expect_not_said("arning");
	read_listing(signature);
	/* This is how the listing of a table with fields that are not as they must be looks. */
	expect_not_said("Invalid");
	expect_not_said("rror");
	expect_not_said("arning");
	expect_not_said("Unknown");
	expect_not_said("ncorrect");
}

static void compile(const char *signature)
{
	char arguments[32];

	snprintf(arguments, sizeof(arguments), "-p again %s.dsl", signature);
	run_iasl(arguments);
	cr_expect_not_null(strstr(said, "0 Errors, 0 Warnings, 0 Remarks"), "%s: %s", signature,
			   said);
}

Test(boot_acpi_iasl, every_table_is_well_formed)
{
	static const char *const signatures[] = { "XSDT", "DSDT", "FACP", "APIC", "MCFG" };
	struct machine machines[] = { test_machine(), test_pci_machine(), test_pci_machine() };

	machines[2].nr_cpus = MACHINE_MAX_CPUS;
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		cr_assert_eq(acpi_add(&plan, &machines[i]), 0);
		for (size_t j = 0; j < ARRAY_SIZE(signatures); j++)
			if (write_table(signatures[j])) {
				disassemble(signatures[j]);
				compile(signatures[j]);
			}
		boot_plan_destroy(&plan);
	}
}

/* What the listing of the DSDT must have, in this order. */
static const char *const described[] = {
	"Name (_S5, Package (0x02)",
	"0x05,",
	"0x05",
	"Scope (\\_SB)",
	"Device (PCI0)",
	"Name (_HID, EisaId (\"PNP0A08\")",
	"Name (_CID, EisaId (\"PNP0A03\")",
	"Name (_SEG, 0x00)",
	"Name (_BBN, 0x00)",
	"WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,",
	"0x0000,             // Range Minimum",
	"0x0000,             // Range Maximum",
	"0x0001,             // Length",
	"IO (Decode16,",
	"0x0CF8,             // Range Minimum",
	"0x08,               // Length",
	"DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,",
	"0xD0000000,         // Range Minimum",
	"0xDFFFFFFF,         // Range Maximum",
	"0x10000000,         // Length",
	"QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Prefetchable, ReadWrite,",
	"0x0000000200000000, // Range Minimum",
	"0x000000023FFFFFFF, // Range Maximum",
	"0x0000000040000000, // Length",
	"Device (ECAM)",
	"Name (_HID, EisaId (\"PNP0C02\")",
	"Memory32Fixed (ReadWrite,",
	"0xE0000000,         // Address Base",
	"0x00100000,         // Address Length",
	"Device (COM1)",
	"Name (_HID, EisaId (\"PNP0501\")",
	"0x03F8,             // Range Minimum",
	"0x08,               // Length",
	"Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive, ,, )",
	"0x00000004,",
};

Test(boot_acpi_iasl, dsdt_describes_what_was_meant)
{
	const struct machine machine = test_pci_machine();
	const char *at = said;

	cr_assert_eq(acpi_add(&plan, &machine), 0);
	cr_assert(write_table("DSDT"));
	disassemble("DSDT");
	for (size_t i = 0; i < ARRAY_SIZE(described); i++) {
		at = strstr(at, described[i]);
		cr_assert_not_null(at, "\"%s\" is not in its place in:\n%s", described[i], said);
		at += strlen(described[i]);
	}
	expect_not_said("_PRT");
}
