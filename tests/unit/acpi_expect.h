/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * ACPI tables as a kernel finds them in a boot plan, by offsets from the specification. What is not
 * there fails the test.
 */
#ifndef TESTS_UNIT_ACPI_EXPECT_H
#define TESTS_UNIT_ACPI_EXPECT_H

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "boot/plan.h"

#define ACPI_HEADER_SIZE 36

static inline uint64_t acpi_expect_number(const uint8_t *bytes, size_t size)
{
	uint64_t value = 0;

	memcpy(&value, bytes, size);
	return value;
}

/* The byte at @gpa of the segment with the tables, with @len bytes from there on. */
static inline const uint8_t *acpi_expect_bytes(const struct boot_plan *plan, uint64_t gpa,
					       size_t len)
{
	for (size_t i = 0; i < plan->nr_segments; i++) {
		const struct boot_segment *segment = &plan->segments[i];

		if (strcmp(segment->what, "ACPI tables") || gpa < segment->gpa)
			continue;
		cr_assert_leq(gpa - segment->gpa, segment->len);
		cr_assert_leq(len, segment->len - (gpa - segment->gpa));
		return (const uint8_t *)segment->data + (gpa - segment->gpa);
	}
	cr_assert_fail("no ACPI tables at 0x%lx", gpa);
	return NULL;
}

static inline void acpi_expect_sum(const uint8_t *bytes, size_t len, const char *what)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	cr_expect_eq(sum, 0, "%s: checksum", what);
}

/* The table at @gpa, with its signature and a good checksum; its length. */
static inline const uint8_t *acpi_expect_at(const struct boot_plan *plan, uint64_t gpa,
					    const char *signature, size_t *len)
{
	const uint8_t *table = acpi_expect_bytes(plan, gpa, ACPI_HEADER_SIZE);

	cr_expect(!memcmp(table, signature, 4), "%s: signature", signature);
	*len = acpi_expect_number(table + 4, 4);
	cr_assert_geq(*len, ACPI_HEADER_SIZE);
	acpi_expect_sum(acpi_expect_bytes(plan, gpa, *len), *len, signature);
	return table;
}

/* Follows the root pointer at @rsdp to the XSDT. */
static inline const uint8_t *acpi_expect_xsdt(const struct boot_plan *plan, uint64_t rsdp,
					      size_t *len)
{
	const uint8_t *root = acpi_expect_bytes(plan, rsdp, 36);

	return acpi_expect_at(plan, acpi_expect_number(root + 24, 8), "XSDT", len);
}

/* The XSDT, or what it or, for the DSDT, the FADT leads to; NULL when it does not. */
static inline const uint8_t *acpi_expect_find(const struct boot_plan *plan, uint64_t rsdp,
					      const char *signature, size_t *len)
{
	const uint8_t *xsdt = acpi_expect_xsdt(plan, rsdp, len);
	const size_t end = *len;

	if (!strcmp(signature, "XSDT"))
		return xsdt;
	if (!strcmp(signature, "DSDT")) {
		const uint8_t *fadt = acpi_expect_find(plan, rsdp, "FACP", len);

		cr_assert_not_null(fadt);
		return acpi_expect_at(plan, acpi_expect_number(fadt + 140, 8), "DSDT", len);
	}
	for (size_t at = ACPI_HEADER_SIZE; at + 8 <= end; at += 8) {
		uint64_t gpa = acpi_expect_number(xsdt + at, 8);

		if (!memcmp(acpi_expect_bytes(plan, gpa, 4), signature, 4))
			return acpi_expect_at(plan, gpa, signature, len);
	}
	return NULL;
}

#endif
