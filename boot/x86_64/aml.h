/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A writer of ACPI Machine Language (ACPI 6.5, 20) and resource descriptors (6.4), as much as
 * describing fixed devices takes. What is opened by a function called begin is closed by the end
 * of the same kind, innermost first. Writing more than there is room for is an error of the caller.
 */
#ifndef BOOT_X86_64_AML_H
#define BOOT_X86_64_AML_H

#include <stddef.h>
#include <stdint.h>

#include "boot/machine.h"

struct aml {
	uint8_t *bytes; /* the caller's */
	size_t size;	/* of @bytes */
	size_t len;	/* written so far */
};

/* Scope (\NAME) and Device (NAME); @name has four characters. Return what aml_end() takes. */
size_t aml_begin_scope(struct aml *aml, const char *name);
size_t aml_begin_device(struct aml *aml, const char *name);
void aml_end(struct aml *aml, size_t begin);

/* Name (NAME, value), with an integer, an EISA id as "PNP0A08", a package of integers. */
void aml_name_integer(struct aml *aml, const char *name, uint32_t value);
void aml_name_eisa_id(struct aml *aml, const char *name, const char *id);
void aml_name_package(struct aml *aml, const char *name, const uint32_t *values, uint8_t n);

/* Name (_CRS, ResourceTemplate () { ... }). */
size_t aml_begin_resources(struct aml *aml);
void aml_end_resources(struct aml *aml, size_t begin);

/* What a device uses: memory below 4 GiB, I/O ports, an interrupt that is a rising edge. */
void aml_resource_memory(struct aml *aml, struct machine_range range);
void aml_resource_ports(struct aml *aml, uint16_t base, uint8_t size);
void aml_resource_interrupt(struct aml *aml, uint32_t irq);

/*
 * What a bridge passes on: bus numbers, memory below 4 GiB that is not prefetchable, and memory
 * anywhere that is.
 */
void aml_resource_buses(struct aml *aml, uint16_t first, uint16_t last);
void aml_resource_low_window(struct aml *aml, struct machine_range range);
void aml_resource_high_window(struct aml *aml, struct machine_range range);

#endif
