/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * ACPI 6.5 tables, as few as Linux distributions' kernels need that know no device trees.
 *
 * Why not an MP table, which is a tenth of this: it tells of CPUs and interrupts only. ACPI also
 * has the way to switch the machine off, the windows in which BARs may be placed, ECAM, and the
 * serial port. And it can say what there is not: the machine is "hardware-reduced", so a kernel
 * uses neither 8259s nor PIT, and asks no RTC, keyboard or VGA.
 */
#include "boot/x86_64/acpi.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "boot/plan_build.h"
#include "boot/x86_64/acpi_tables.h"
#include "boot/x86_64/aml.h"
#include "boot/x86_64/dsdt.h"
#include "boot/x86_64/layout.h"

#define RSDP_REVISION  2
#define RSDP_V1_LENGTH 20 /* the bytes of the first checksum */
#define XSDT_REVISION  1
#define FADT_REVISION  6
#define FADT_MINOR     5
#define MADT_REVISION  6
#define MCFG_REVISION  1
#define DSDT_REVISION  2 /* 64-bit integers */

/* The IO-APIC's id register is 0 after a reset; ids of local APICs are numbers of another kind. */
#define IOAPIC_ID 0

#define TABLE_ALIGN 16u

static_assert(LAYOUT_ACPI + LAYOUT_ACPI_SIZE <= LAYOUT_HIGH_MEMORY, "inside the reserved area");

/* Where the next table goes. */
struct tables {
	uint8_t *bytes; /* LAYOUT_ACPI_SIZE of them */
	size_t used;
};

static uint8_t checksum(const void *table, size_t len)
{
	const uint8_t *bytes = table;
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return (uint8_t)-sum;
}

/* The next table, of @size zero bytes apart from its header. */
static void *begin_table(struct tables *tables, const char *signature, uint8_t revision,
			 size_t size)
{
	struct table_header *header = (void *)(tables->bytes + tables->used);

	assert(tables->used <= LAYOUT_ACPI_SIZE && size <= LAYOUT_ACPI_SIZE - tables->used);
	*header = (struct table_header){
		.length = (uint32_t)size,
		.revision = revision,
		.oem_id = "MINIVM",
		.oem_table_id = "MINIVMM ",
		.oem_revision = 1,
		.creator_id = "MVMM",
		.creator_revision = 1,
	};
	memcpy(header->signature, signature, sizeof(header->signature));
	return header;
}

/* Returns the guest physical address of the table that was begun. */
static uint64_t finish_table(struct tables *tables, void *table)
{
	struct table_header *header = table;
	uint64_t gpa = LAYOUT_ACPI + tables->used;

	header->checksum = checksum(table, header->length);
	tables->used += (header->length + TABLE_ALIGN - 1) & ~(size_t)(TABLE_ALIGN - 1);
	return gpa;
}

static uint64_t add_dsdt(struct tables *tables, const struct machine *machine)
{
	struct table_header *dsdt = begin_table(tables, "DSDT", DSDT_REVISION, sizeof(*dsdt));
	struct aml aml = {
		.bytes = (uint8_t *)(dsdt + 1),
		.size = LAYOUT_ACPI_SIZE - tables->used - sizeof(*dsdt),
	};

	dsdt_write(&aml, machine);
	dsdt->length += (uint32_t)aml.len;
	return finish_table(tables, dsdt);
}

/* Registers of 8 bits. */
static struct generic_address address(uint8_t space, uint64_t at)
{
	return (struct generic_address){
		.space = space,
		.bit_width = 8,
		.access_size = ADDRESS_BYTE,
		.address = at,
	};
}

static uint64_t add_fadt(struct tables *tables, uint64_t dsdt)
{
	struct fadt *fadt = begin_table(tables, "FACP", FADT_REVISION, sizeof(*fadt));

	fadt->minor_revision = FADT_MINOR;
	fadt->dsdt = dsdt;
	fadt->legacy = FADT_LEGACY_NO_VGA | FADT_LEGACY_NO_RTC;
	fadt->flags = FADT_HW_REDUCED | FADT_WBINVD | FADT_POWER_BUTTON | FADT_SLEEP_BUTTON |
		      FADT_FIXED_RTC | FADT_HEADLESS | FADT_RESET_REG;
	fadt->reset = address(ADDRESS_PORT, LAYOUT_RESET_PORT);
	fadt->reset_value = LAYOUT_RESET_VALUE;
	fadt->sleep_control = address(ADDRESS_MEMORY, LAYOUT_SLEEP);
	fadt->sleep_status = address(ADDRESS_MEMORY, LAYOUT_SLEEP + 1);
	return finish_table(tables, fadt);
}

static uint64_t add_madt(struct tables *tables, const struct machine *machine)
{
	const size_t size = sizeof(struct madt) + machine->nr_cpus * sizeof(struct madt_lapic);
	struct madt *madt = begin_table(tables, "APIC", MADT_REVISION, size);

	madt->lapic_address = LAYOUT_LAPIC;
	madt->flags = MADT_PCAT_COMPAT;
	madt->ioapic = (struct madt_ioapic){
		.type = MADT_IOAPIC,
		.length = sizeof(madt->ioapic),
		.ioapic_id = IOAPIC_ID,
		.address = LAYOUT_IOAPIC,
		.first_irq = 0,
	};
	for (unsigned int i = 0; i < machine->nr_cpus; i++)
		madt->cpus[i] = (struct madt_lapic){
			.type = MADT_LAPIC,
			.length = sizeof(madt->cpus[i]),
			.processor = (uint8_t)i,
			.apic_id = (uint8_t)i,
			.flags = MADT_CPU_ENABLED,
		};
	return finish_table(tables, madt);
}

static uint64_t add_mcfg(struct tables *tables, const struct machine_pci *pci)
{
	struct mcfg *mcfg = begin_table(tables, "MCFG", MCFG_REVISION, sizeof(*mcfg));

	mcfg->base = pci->ecam.base; /* bus 0 alone, segment 0 */
	return finish_table(tables, mcfg);
}

static uint64_t add_xsdt(struct tables *tables, const uint64_t *gpas, size_t n)
{
	const size_t size = sizeof(struct table_header) + n * sizeof(*gpas);
	struct xsdt *xsdt = begin_table(tables, "XSDT", XSDT_REVISION, size);

	memcpy(xsdt->tables, gpas, n * sizeof(*gpas));
	return finish_table(tables, xsdt);
}

static void fill_rsdp(struct rsdp *rsdp, uint64_t xsdt)
{
	*rsdp = (struct rsdp){
		.signature = "RSD PTR ",
		.oem_id = "MINIVM",
		.revision = RSDP_REVISION,
		.length = sizeof(*rsdp),
		.xsdt = xsdt,
	};
	rsdp->checksum = checksum(rsdp, RSDP_V1_LENGTH);
	rsdp->extended_checksum = checksum(rsdp, sizeof(*rsdp));
}

int acpi_add(struct boot_plan *plan, const struct machine *machine)
{
	struct tables tables = { .used = sizeof(struct rsdp) };
	uint64_t gpas[XSDT_MAX_TABLES];
	size_t n = 0;
	void *data;
	int ret;

	assert(machine->nr_cpus <= MACHINE_MAX_CPUS);
	if (!machine->nr_ram ||
	    !machine_range_contains(&machine->ram[0], LAYOUT_ACPI, LAYOUT_ACPI_SIZE))
		return boot_plan_fail(plan, -ENOSPC, "ACPI tables", "0xf0000",
				      "not inside the guest's RAM");
	ret = boot_plan_add_data(plan, "ACPI tables", LAYOUT_ACPI, LAYOUT_ACPI_SIZE, &data);
	if (ret)
		return ret;
	tables.bytes = data;
	tables.used = (tables.used + TABLE_ALIGN - 1) & ~(size_t)(TABLE_ALIGN - 1);
	gpas[n++] = add_fadt(&tables, add_dsdt(&tables, machine));
	gpas[n++] = add_madt(&tables, machine);
	if (machine->pci.present)
		gpas[n++] = add_mcfg(&tables, &machine->pci);
	fill_rsdp(data, add_xsdt(&tables, gpas, n));
	return 0;
}
