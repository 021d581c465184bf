/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The bytes of AML (ACPI 6.5, 20) and of resource descriptors (6.4). */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "boot/x86_64/aml.h"
#include "tests/unit/test_boot_support.h"

static uint8_t bytes[8192];

static struct aml empty(void)
{
	memset(bytes, 0xee, sizeof(bytes));
	return (struct aml){ .bytes = bytes, .size = sizeof(bytes) };
}

static void expect(const struct aml *aml, const void *expected, size_t len, const char *what)
{
	cr_expect_eq(aml->len, len, "%s: %zu bytes", what, aml->len);
	for (size_t i = 0; i < len && i < aml->len; i++)
		cr_expect_eq(aml->bytes[i], ((const uint8_t *)expected)[i], "%s: byte %zu: 0x%02x",
			     what, i, aml->bytes[i]);
}

#define EXPECT(aml, what, ...)                                                                  \
	expect(aml, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), \
	       what)

#define NAME(a, b, c, d) 0x08, a, b, c, d

Test(boot_aml, integers_are_as_long_as_they_must)
{
	struct aml aml = empty();

	aml_name_integer(&aml, "_UID", 0xff);
	EXPECT(&aml, "byte", NAME('_', 'U', 'I', 'D'), 0x0a, 0xff);
	aml = empty();
	aml_name_integer(&aml, "_UID", 0x100);
	EXPECT(&aml, "word", NAME('_', 'U', 'I', 'D'), 0x0b, 0, 1);
	aml = empty();
	aml_name_integer(&aml, "_UID", 0x10000);
	EXPECT(&aml, "dword", NAME('_', 'U', 'I', 'D'), 0x0c, 0, 0, 1, 0);
}

Test(boot_aml, names_of_other_kinds)
{
	static const uint32_t values[] = { 5, 0x1234 };
	struct aml aml = empty();

	/* ACPI 6.5, 19.3.4; the value of PNP0A03 is the one in every PC's table. */
	aml_name_eisa_id(&aml, "_HID", "PNP0A03");
	EXPECT(&aml, "EISA id", NAME('_', 'H', 'I', 'D'), 0x0c, 0x41, 0xd0, 0x0a, 0x03);
	aml = empty();
	aml_name_eisa_id(&aml, "_HID", "ABCDEF9");
	EXPECT(&aml, "EISA id", NAME('_', 'H', 'I', 'D'), 0x0c, 0x04, 0x43, 0xde, 0xf9);
	aml = empty();
	aml_name_package(&aml, "_S5_", values, 2);
	EXPECT(&aml, "package", NAME('_', 'S', '5', '_'), 0x12, 0x80 | 9, 0, 0, 2, 0x0a, 5, 0x0b,
	       0x34, 0x12);
}

Test(boot_aml, packages_nest)
{
	struct aml aml = empty();
	size_t scope = aml_begin_scope(&aml, "_SB_");
	size_t device = aml_begin_device(&aml, "DEV0");

	aml_end(&aml, device);
	aml_end(&aml, scope);
	EXPECT(&aml, "device in scope", 0x10, 0x80 | 1, 1, 0, '\\', '_', 'S', 'B', '_',
	       /* from here on 9 bytes; a package's length does not count what is before it */
	       0x5b, 0x82, 0x80 | 7, 0, 0, 'D', 'E', 'V', '0');
}

/* Lengths of 12 bits and more go into all three bytes. */
Test(boot_aml, long_packages)
{
	struct aml aml = empty();
	size_t scope = aml_begin_scope(&aml, "_SB_");
	size_t len;

	for (int i = 0; i < 1000; i++)
		aml_name_integer(&aml, "_UID", 1);
	aml_end(&aml, scope);
	len = aml.len - 1;
	cr_expect_gt(len, 4096);
	cr_expect_eq(bytes[1], 0x80 | (len & 15));
	cr_expect_eq(bytes[2], len >> 4 & 255);
	cr_expect_eq(bytes[3], len >> 12);
}

Test(boot_aml, resources_of_a_device)
{
	struct aml aml = empty();
	size_t resources = aml_begin_resources(&aml);

	aml_resource_memory(&aml, (struct machine_range){ 0xfe001000, 0x200 });
	aml_resource_ports(&aml, 0x3f8, 8);
	aml_resource_interrupt(&aml, 23);
	aml_end_resources(&aml, resources);
	EXPECT(&aml, "_CRS", NAME('_', 'C', 'R', 'S'), 0x11, 0x80 | 5, 2, 0, 0x0b, 31, 0,
	       /* Memory32Fixed, read and write */
	       0x86, 9, 0, 1, 0x00, 0x10, 0x00, 0xfe, 0x00, 0x02, 0, 0,
	       /* IO, 16 bits, alignment 1 */
	       0x47, 1, 0xf8, 3, 0xf8, 3, 1, 8,
	       /* Interrupt, consumer, edge, high, exclusive */
	       0x89, 6, 0, 3, 1, 23, 0, 0, 0,
	       /* end, no checksum */
	       0x79, 0);
}

Test(boot_aml, windows_of_a_bridge)
{
	struct aml aml = empty();

	aml_resource_buses(&aml, 0, 0xff);
	EXPECT(&aml, "buses", 0x88, 13, 0, 2, 0x0c, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 1);
	aml = empty();
	aml_resource_low_window(&aml, (struct machine_range){ 0xd0000000, 0x10000000 });
	EXPECT(&aml, "low", 0x87, 23, 0, 0, 0x0c, 1, 0, 0, 0, 0, 0, 0, 0, 0xd0, 0xff, 0xff, 0xff,
	       0xdf, 0, 0, 0, 0, 0, 0, 0, 0x10);
	aml = empty();
	aml_resource_high_window(&aml, (struct machine_range){ 8 * GIB, GIB });
	EXPECT(&aml, "high", 0x8a, 43, 0, 0, 0x0c, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0,
	       0, 0xff, 0xff, 0xff, 0x3f, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0,
	       0, 0);
}

/* Our own mistake, and never a write behind the table. */
Test(boot_aml, stops_at_the_end_of_its_room, .signal = SIGABRT)
{
	struct aml aml = { .bytes = bytes, .size = 6 };

	aml_name_integer(&aml, "_UID", 0xff);
}
