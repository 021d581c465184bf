/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "boot/x86_64/dsdt.h"

#include "boot/x86_64/layout.h"

#define PCI_EXPRESS_ROOT "PNP0A08"
#define PCI_ROOT	 "PNP0A03"
#define RESERVED	 "PNP0C02" /* motherboard resources that no other device has */
#define UART_16550	 "PNP0501"

/* ACPI 6.5, 7.4.2: values for the sleep type fields of control registers A and B. */
static void put_state_off(struct aml *aml)
{
	static const uint32_t types[] = { MACHINE_SLEEP_TYPE_OFF, MACHINE_SLEEP_TYPE_OFF };

	aml_name_package(aml, "_S5_", types, 2);
}

/* No _PRT: our functions have no interrupt pins. */
static void put_pci_root(struct aml *aml, const struct machine_pci *pci)
{
	size_t device = aml_begin_device(aml, "PCI0");
	size_t resources;

	aml_name_eisa_id(aml, "_HID", PCI_EXPRESS_ROOT);
	aml_name_eisa_id(aml, "_CID", PCI_ROOT);
	aml_name_integer(aml, "_UID", 0);
	aml_name_integer(aml, "_SEG", 0);
	aml_name_integer(aml, "_BBN", 0);
	resources = aml_begin_resources(aml);
	aml_resource_buses(aml, 0, 0);
	aml_resource_ports(aml, LAYOUT_PCI_PORT, LAYOUT_PCI_PORTS);
	aml_resource_low_window(aml, pci->low);
	aml_resource_high_window(aml, pci->high);
	aml_end_resources(aml, resources);
	aml_end(aml, device);
}

/* PCI Firmware 3.3, 4.1.2: not the host bridge, but this is where ECAM is reserved. */
static void put_ecam(struct aml *aml, const struct machine_pci *pci)
{
	size_t device = aml_begin_device(aml, "ECAM");
	size_t resources;

	aml_name_eisa_id(aml, "_HID", RESERVED);
	aml_name_integer(aml, "_UID", 0);
	resources = aml_begin_resources(aml);
	aml_resource_memory(aml, pci->ecam);
	aml_end_resources(aml, resources);
	aml_end(aml, device);
}

static void put_uart(struct aml *aml)
{
	size_t device = aml_begin_device(aml, "COM1");
	size_t resources;

	aml_name_eisa_id(aml, "_HID", UART_16550);
	aml_name_integer(aml, "_UID", 0);
	resources = aml_begin_resources(aml);
	aml_resource_ports(aml, LAYOUT_UART_PORT, LAYOUT_UART_PORTS);
	aml_resource_interrupt(aml, LAYOUT_UART_IRQ);
	aml_end_resources(aml, resources);
	aml_end(aml, device);
}

void dsdt_write(struct aml *aml, const struct machine *machine)
{
	size_t scope;

	put_state_off(aml);
	scope = aml_begin_scope(aml, "_SB_");
	if (machine->pci.present) {
		put_pci_root(aml, &machine->pci);
		put_ecam(aml, &machine->pci);
	}
	put_uart(aml);
	aml_end(aml, scope);
}
