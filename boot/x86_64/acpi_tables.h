/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The ACPI tables that acpi.c fills in, as they are in memory: little-endian, without gaps. Sections
 * are those of ACPI 6.5 unless another document is named.
 */
#ifndef BOOT_X86_64_ACPI_TABLES_H
#define BOOT_X86_64_ACPI_TABLES_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define XSDT_MAX_TABLES 3

/* 5.2.3.2: address spaces, access size. */
#define ADDRESS_MEMORY 0
#define ADDRESS_PORT   1
#define ADDRESS_BYTE   1

/* 5.2.9: IAPC_BOOT_ARCH and flags of the FADT. */
#define FADT_LEGACY_NO_VGA (1u << 2)
#define FADT_LEGACY_NO_RTC (1u << 5)
#define FADT_WBINVD	   (1u << 0)
#define FADT_POWER_BUTTON  (1u << 4) /* none with fixed registers, and so the next two */
#define FADT_SLEEP_BUTTON  (1u << 5)
#define FADT_FIXED_RTC	   (1u << 6)
#define FADT_RESET_REG	   (1u << 10)
#define FADT_HEADLESS	   (1u << 12)
#define FADT_HW_REDUCED	   (1u << 20)

/* 5.2.12: flags of the MADT, types of its entries, flags of a local APIC. */
#define MADT_PCAT_COMPAT (1u << 0)
#define MADT_LAPIC	 0
#define MADT_IOAPIC	 1
#define MADT_CPU_ENABLED (1u << 0)

/* 5.2.6 */
struct table_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));

/* 5.2.5.3 */
struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __attribute__((packed));

/* 5.2.8 */
struct xsdt {
	struct table_header header;
	uint64_t tables[XSDT_MAX_TABLES];
} __attribute__((packed));

/* 5.2.3.2 */
struct generic_address {
	uint8_t space;
	uint8_t bit_width;
	uint8_t bit_offset;
	uint8_t access_size;
	uint64_t address;
} __attribute__((packed));

/* 5.2.9; what a hardware-reduced machine has no use for is left out by number of bytes */
struct fadt {
	struct table_header header;
	uint8_t unused1[109 - 36];
	uint16_t legacy; /* IAPC_BOOT_ARCH */
	uint8_t unused2;
	uint32_t flags;
	struct generic_address reset;
	uint8_t reset_value;
	uint16_t arm;
	uint8_t minor_revision;
	uint64_t facs;
	uint64_t dsdt;
	uint8_t unused3[244 - 148];
	struct generic_address sleep_control;
	struct generic_address sleep_status;
	uint64_t hypervisor;
} __attribute__((packed));

/* 5.2.12 */
struct madt_lapic {
	uint8_t type;
	uint8_t length;
	uint8_t processor;
	uint8_t apic_id;
	uint32_t flags;
} __attribute__((packed));

struct madt_ioapic {
	uint8_t type;
	uint8_t length;
	uint8_t ioapic_id;
	uint8_t reserved;
	uint32_t address;
	uint32_t first_irq;
} __attribute__((packed));

struct madt {
	struct table_header header;
	uint32_t lapic_address;
	uint32_t flags;
	struct madt_ioapic ioapic;
	struct madt_lapic cpus[];
} __attribute__((packed));

/* PCI Firmware 3.3, 4.1.2 */
struct mcfg {
	struct table_header header;
	uint64_t reserved1;
	uint64_t base;
	uint16_t segment;
	uint8_t first_bus;
	uint8_t last_bus;
	uint32_t reserved2;
} __attribute__((packed));

static_assert(sizeof(struct rsdp) == 36, "5.2.5.3");
static_assert(sizeof(struct table_header) == 36, "5.2.6");
static_assert(offsetof(struct fadt, flags) == 112, "5.2.9");
static_assert(offsetof(struct fadt, dsdt) == 140, "5.2.9");
static_assert(sizeof(struct fadt) == 276, "5.2.9");
static_assert(sizeof(struct madt) == 56, "5.2.12");
static_assert(sizeof(struct mcfg) == 60, "PCI Firmware 3.3, 4.1.2");

#endif
