/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest-images/payloads/virtio-pci/pci.h"

#include "guest-images/payloads/payload.h"

#define CONFIG_SIZE	 256u
#define BAR_ADDRESS_MASK 0xfffffff0u
#define LINK_MASK	 0xfcu

bool pci_by_ports;

static void select_register(unsigned int slot, unsigned int offset)
{
	outl(PCI_ADDRESS_PORT, PCI_ADDRESS_ENABLE | slot << 11 | (offset & LINK_MASK));
}

uint32_t pci_port_read(unsigned int slot, unsigned int offset, unsigned int size)
{
	const uint16_t port = (uint16_t)(PCI_DATA_PORT + offset % 4);

	select_register(slot, offset);
	switch (size) {
	case 1:
		return inb(port);
	case 2:
		return inw(port);
	default:
		return inl(port);
	}
}

void pci_port_write(unsigned int slot, unsigned int offset, unsigned int size, uint32_t value)
{
	const uint16_t port = (uint16_t)(PCI_DATA_PORT + offset % 4);

	select_register(slot, offset);
	switch (size) {
	case 1:
		outb(port, (uint8_t)value);
		break;
	case 2:
		outw(port, (uint16_t)value);
		break;
	default:
		outl(port, value);
	}
}

uint32_t pci_read(unsigned int slot, unsigned int offset, unsigned int size)
{
	if (pci_by_ports)
		return pci_port_read(slot, offset, size);
	return (uint32_t)mmio_read(pci_ecam(slot, offset), size);
}

void pci_write(unsigned int slot, unsigned int offset, unsigned int size, uint32_t value)
{
	if (pci_by_ports)
		pci_port_write(slot, offset, size, value);
	else
		mmio_write(pci_ecam(slot, offset), size, value);
}

unsigned int pci_next_capability(unsigned int slot, unsigned int offset)
{
	unsigned int next;

	if (!(pci_read(slot, PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES))
		return 0;
	next = pci_read(slot, offset == 0 ? PCI_CAPABILITIES : offset + 1, 1);
	expect(next == 0 || (next > offset && next >= 0x40 && next % 4 == 0),
	       "capabilities are one behind the other");
	return next;
}

static bool is_64bit(unsigned int slot, unsigned int bar)
{
	return pci_read(slot, PCI_BAR(bar), 4) & PCI_BAR_64BIT;
}

uint64_t pci_bar_address(unsigned int slot, unsigned int bar)
{
	const uint32_t low = pci_read(slot, PCI_BAR(bar), 4);
	uint64_t address = low & BAR_ADDRESS_MASK;

	if (low & PCI_BAR_64BIT)
		address |= (uint64_t)pci_read(slot, PCI_BAR(bar + 1), 4) << 32;
	return address;
}

void pci_bar_write(unsigned int slot, unsigned int bar, uint64_t address)
{
	pci_write(slot, PCI_BAR(bar), 4, (uint32_t)address);
	if (is_64bit(slot, bar))
		pci_write(slot, PCI_BAR(bar + 1), 4, (uint32_t)(address >> 32));
}

uint64_t pci_bar_size(unsigned int slot, unsigned int bar)
{
	const uint64_t address = pci_bar_address(slot, bar);
	uint64_t mask;

	pci_bar_write(slot, bar, UINT64_MAX);
	mask = pci_bar_address(slot, bar);
	pci_bar_write(slot, bar, address);
	/* The upper half of one with 32 bits is all-ones. */
	if (mask != 0 && !is_64bit(slot, bar))
		mask |= 0xffffffffull << 32;
	return ~mask + 1;
}

static void compare_function(unsigned int slot)
{
	for (unsigned int offset = 0; offset < CONFIG_SIZE; offset += 4)
		expect_equal(mmio_read32(pci_ecam(slot, offset)), pci_port_read(slot, offset, 4),
			     "ECAM shows what the ports show");
}

void pci_compare_ways(void)
{
	for (unsigned int slot = 0; slot < PCI_NR_SLOTS; slot++) {
		if (pci_port_read(slot, PCI_VENDOR_ID, 4) == UINT32_MAX)
			expect_equal(mmio_read32(pci_ecam(slot, 0)), UINT32_MAX,
				     "ECAM shows no device where the ports show none");
		else
			compare_function(slot);
	}
}
