/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The ACPI tables byte by byte, as ACPI 6.5 and the PCI Firmware Specification have them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "boot/x86_64/acpi.h"
#include "boot/x86_64/layout.h"
#include "tests/unit/acpi_expect.h"
#include "tests/unit/test_boot_support.h"

static struct boot_plan plan = { .kernel_fd = -1, .initrd_fd = -1 };

static void release(void)
{
	boot_plan_destroy(&plan);
}

TestSuite(boot_acpi, .fini = release);

/* Once in a test. */
static void build(const struct machine *machine)
{
	cr_assert_eq(acpi_add(&plan, machine), 0, "%s", plan.error);
}

static const uint8_t *find(const char *signature, size_t *len)
{
	return acpi_expect_find(&plan, LAYOUT_ACPI, signature, len);
}

struct field {
	size_t offset, size;
	uint64_t value;
};

static void expect_fields(const uint8_t *table, const struct field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t value = acpi_expect_number(table + fields[i].offset, fields[i].size);

		cr_expect_eq(value, fields[i].value, "offset %zu: 0x%lx", fields[i].offset, value);
	}
}

/* ACPI 6.5, 5.2.5.1: on a 16-byte boundary between 0xe0000 and 0xfffff. */
Test(boot_acpi, root_pointer_can_be_found_by_looking_for_it)
{
	struct machine machine = test_pci_machine();
	const uint8_t *rsdp;

	build(&machine);
	cr_expect_geq(LAYOUT_ACPI, 0xe0000);
	cr_expect_lt(LAYOUT_ACPI, 0x100000);
	cr_expect_eq(LAYOUT_ACPI % 16, 0);
	rsdp = acpi_expect_bytes(&plan, LAYOUT_ACPI, 36);
	cr_expect(!memcmp(rsdp, "RSD PTR ", 8));
	cr_expect_eq(rsdp[15], 2, "revision");
	cr_expect_eq(acpi_expect_number(rsdp + 16, 4), 0, "no RSDT");
	cr_expect_eq(acpi_expect_number(rsdp + 20, 4), 36, "length");
	acpi_expect_sum(rsdp, 20, "RSDP 1.0");
	acpi_expect_sum(rsdp, 36, "RSDP 2.0");
}

/* FACP, then the others; all with good sums, in nobody's way, inside what E820 reserves. */
Test(boot_acpi, xsdt_leads_to_every_table)
{
	static const char *const with_pci[] = { "FACP", "APIC", "MCFG", "DSDT" };
	struct machine machine = test_pci_machine();
	size_t len;

	build(&machine);
	cr_assert_eq(plan.nr_segments, 1);
	cr_expect_geq(plan.segments[0].gpa, LAYOUT_BIOS);
	cr_expect_leq(plan.segments[0].gpa + plan.segments[0].mem_len, LAYOUT_HIGH_MEMORY);
	acpi_expect_xsdt(&plan, LAYOUT_ACPI, &len);
	cr_expect_eq(len, ACPI_HEADER_SIZE + 3 * 8);
	for (size_t i = 0; i < ARRAY_SIZE(with_pci); i++)
		cr_expect_not_null(find(with_pci[i], &len), "%s", with_pci[i]);
}

Test(boot_acpi, fadt_describes_hardware_reduced_acpi)
{
	static const struct field fields[] = {
		{ 8, 1, 6 },		     /* ACPI 6 */
		{ 131, 1, 5 },		     /* .5 */
		{ 40, 4, 0 },		     /* DSDT: the 64-bit field counts */
		{ 46, 2, 0 },		     /* no SCI */
		{ 48, 4, 0 },		     /* no SMI */
		{ 109, 2, 1 << 2 | 1 << 5 }, /* no VGA, no RTC; no 8042, no legacy devices */
		{ 116, 1, 1 },		     /* reset: I/O port */
		{ 117, 1, 8 },		     /* 8 bits */
		{ 120, 8, 0x64 },	     /* keyboard controller */
		{ 128, 1, 0xfe },	     /* reset the CPU */
		{ 132, 8, 0 },		     /* no FACS */
		{ 148, 8, 0 },		     /* no PM1a event block */
		{ 172, 8, 0 },		     /* no PM1a control block */
		{ 208, 8, 0 },		     /* no PM timer */
		{ 244, 1, 0 },		     /* sleep control: memory */
		{ 245, 1, 8 },
		{ 248, 8, LAYOUT_SLEEP },
		{ 256, 1, 0 }, /* sleep status: memory */
		{ 257, 1, 8 },
		{ 260, 8, LAYOUT_SLEEP + 1 },
	};
	struct machine machine = test_pci_machine();
	const uint8_t *fadt;
	uint32_t flags;
	size_t len;

	build(&machine);
	fadt = find("FACP", &len);
	cr_assert_eq(len, 276);
	expect_fields(fadt, fields, ARRAY_SIZE(fields));
	flags = (uint32_t)acpi_expect_number(fadt + 112, 4);
	cr_expect(flags & 1u << 20, "HW_REDUCED_ACPI");
	cr_expect(flags & 1u << 10, "RESET_REG_SUP");
	cr_expect(flags & 1u << 4, "no power button with fixed registers");
	cr_expect(flags & 1u << 5, "no sleep button with fixed registers");
}

/* A listed CPU that is absent costs Linux 10 s, one that is not listed stays off. */
Test(boot_acpi, madt_lists_exactly_the_cpus)
{
	static const struct field ioapic[] = {
		{ 0, 1, 1 }, { 1, 1, 12 }, { 2, 1, 0 }, { 4, 4, LAYOUT_IOAPIC }, { 8, 4, 0 },
	};
	static const unsigned int counts[] = { 1, 2, MACHINE_MAX_CPUS };
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		struct machine machine = test_machine();
		const uint8_t *madt;
		size_t at = 44 + 12;

		machine.nr_cpus = counts[i];
		build(&machine);
		madt = find("APIC", &len);
		cr_assert_eq(len, at + 8 * counts[i]);
		cr_expect_eq(acpi_expect_number(madt + 36, 4), LAYOUT_LAPIC);
		cr_expect_eq(acpi_expect_number(madt + 40, 4), 1, "PCAT_COMPAT");
		expect_fields(madt + 44, ioapic, ARRAY_SIZE(ioapic));
		for (unsigned int cpu = 0; cpu < counts[i]; cpu++, at += 8) {
			const struct field lapic[] = {
				{ 0, 1, 0 }, { 1, 1, 8 }, { 2, 1, cpu }, { 3, 1, cpu }, { 4, 4, 1 },
			};

			expect_fields(madt + at, lapic, ARRAY_SIZE(lapic));
		}
		boot_plan_destroy(&plan);
	}
}

Test(boot_acpi, mcfg_has_the_one_bus)
{
	static const struct field fields[] = {
		{ 44, 8, 0xe0000000 },
		{ 52, 2, 0 },
		{ 54, 1, 0 },
		{ 55, 1, 0 },
	};
	struct machine machine = test_pci_machine();
	const uint8_t *mcfg;
	size_t len;

	build(&machine);
	mcfg = find("MCFG", &len);
	cr_assert_not_null(mcfg);
	cr_assert_eq(len, 60);
	expect_fields(mcfg, fields, ARRAY_SIZE(fields));
}

static bool contains(const uint8_t *bytes, size_t len, const void *part, size_t part_len)
{
	return memmem(bytes, len, part, part_len) != NULL;
}

Test(boot_acpi, no_pci_no_word_about_it)
{
	struct machine machine = test_machine();
	const uint8_t *dsdt;
	size_t len;

	build(&machine);
	cr_expect_null(find("MCFG", &len));
	dsdt = find("DSDT", &len);
	cr_expect_not(contains(dsdt, len, "PCI0", 4));
	cr_expect_not(contains(dsdt, len, "ECAM", 4));
	cr_expect(contains(dsdt, len, "COM1", 4));
}

/* What an AML interpreter needs to know to switch the machine off; vmm/power.c knows the number. */
Test(boot_acpi, off_is_a_sleep_type)
{
	static const uint8_t s5[] = { 0x08, '_', 'S', '5', '_', 0x12 };
	static const uint8_t types[] = { 2, 0x0a, MACHINE_SLEEP_TYPE_OFF, 0x0a,
					 MACHINE_SLEEP_TYPE_OFF };
	struct machine machine = test_machine();
	const uint8_t *dsdt;
	size_t len;

	build(&machine);
	dsdt = find("DSDT", &len);
	cr_assert(contains(dsdt, len, s5, sizeof(s5)));
	cr_expect(contains(dsdt, len, types, sizeof(types)));
	cr_expect_leq(MACHINE_SLEEP_TYPE_OFF, 7, "three bits");
}

Test(boot_acpi, largest_machine_fits)
{
	struct machine machine = test_pci_machine();
	size_t len;

	machine.nr_cpus = MACHINE_MAX_CPUS;
	build(&machine);
	cr_expect_not_null(find("DSDT", &len));
	cr_expect_not_null(find("MCFG", &len));
}

Test(boot_acpi, refuses_a_machine_without_ram_for_them)
{
	static const uint64_t sizes[] = { 0, LAYOUT_ACPI, LAYOUT_ACPI + LAYOUT_ACPI_SIZE - 1 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct machine machine = { .nr_cpus = 1, .ram = { { 0, sizes[i] } }, .nr_ram = 1 };
		int ret = acpi_add(&plan, &machine);

		cr_expect_eq(ret, -ENOSPC);
		test_expect_error(&plan, ret, "ACPI tables: 0xf0000: not inside", "too little RAM");
	}
}
