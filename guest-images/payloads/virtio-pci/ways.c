/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Nonsense at the two ways to configuration space, and in what is behind them. */
#include "guest-images/payloads/payload.h"
#include "guest-images/payloads/virtio-pci/pci.h"
#include "guest-images/payloads/virtio-pci/scenario.h"

#define CONFIG_DWORDS 64u
#define RESERVED_BITS 0x7f000000u

/* Of the PCI configuration access capability (virtio 1.3, 4.1.4.9). */
#define ACCESS_BAR    4u
#define ACCESS_OFFSET 8u
#define ACCESS_LENGTH 12u
#define ACCESS_DATA   16u
#define ACCESS_SIZE   20u

static uint32_t data_at(uint32_t address)
{
	outl(PCI_ADDRESS_PORT, address);
	return inl(PCI_DATA_PORT);
}

static void check_address_port(const struct device *device)
{
	const uint32_t own = PCI_ADDRESS_ENABLE | device->slot << 11;

	outl(PCI_ADDRESS_PORT, own | 3);
	expect_equal(inl(PCI_ADDRESS_PORT), own, "the address without its lowest bits");
	/* The register has four bytes, and no fewer at a time. */
	for (uint16_t i = 0; i < 4; i++)
		outb((uint16_t)(PCI_ADDRESS_PORT + i), 0x55);
	outw(PCI_ADDRESS_PORT, 0x5555);
	outw(PCI_ADDRESS_PORT + 2, 0x5555);
	outl(PCI_ADDRESS_PORT + 2, 0x55555555);
	expect_equal(inl(PCI_ADDRESS_PORT), own, "the address after parts of it were written");
	expect(inb(PCI_ADDRESS_PORT) == 0xff && inw(PCI_ADDRESS_PORT) == 0xffff,
	       "parts of the address are not to be read");
}

static void check_nobody(const struct device *device)
{
	const uint32_t own = PCI_ADDRESS_ENABLE | device->slot << 11;
	static const struct {
		uint32_t set, clear;
		const char *what;
	} wrong[] = {
		{ 0, PCI_ADDRESS_ENABLE, "not enabled" },
		{ 1u << 16, 0, "bus 1" },
		{ 0xffu << 16, 0, "bus 255" },
		{ 1u << 8, 0, "function 1" },
		{ 7u << 8, 0, "function 7" },
		{ 1u << 24, 0, "a reserved bit" },
		{ RESERVED_BITS, 0, "all reserved bits" },
		{ 0x1fu << 11, 0, "device 31" },
	};

	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		expect_equal(data_at((own | wrong[i].set) & ~wrong[i].clear), UINT32_MAX,
			     wrong[i].what);
		outl(PCI_DATA_PORT, 0);
	}
}

static void check_data_ports(const struct device *device)
{
	const uint32_t id = pci_port_read(device->slot, PCI_VENDOR_ID, 4);

	for (uint16_t i = 0; i < 4; i++)
		expect_equal(inb((uint16_t)(PCI_DATA_PORT + i)), id >> (8 * i) & 0xff,
			     "byte of the identity");
	expect_equal(inw(PCI_DATA_PORT + 2), id >> 16, "upper half of the identity");
	expect_equal(inw(PCI_DATA_PORT + 1), id >> 8 & 0xffff, "half in the middle");
	expect_equal(inl(PCI_DATA_PORT + 1), UINT32_MAX, "data beyond the last port");
	expect_equal(inw(PCI_DATA_PORT + 3), 0xffff, "the same");
}

static void check_ecam(const struct device *device)
{
	const uint64_t own = pci_ecam(device->slot, 0);

	expect_equal(mmio_read(own + 0x100, 4), 0, "extended capabilities");
	expect_equal(mmio_read(own + 0xffc, 4), 0, "the end of extended configuration space");
	mmio_write(own + 0x100, 4, UINT32_MAX);
	expect_equal(mmio_read(own + 0x100, 4), 0, "extended capabilities after a write");
	expect_equal(mmio_read(own + 0x1000, 4), UINT32_MAX, "function 1");
	expect_equal(mmio_read(own, 8), UINT64_MAX, "8 bytes");
	expect_equal(mmio_read(own + 2, 4), UINT32_MAX, "4 bytes of two dwords");
	expect_equal(mmio_read(PCI_ECAM_END - 4, 4), UINT32_MAX, "the end of ECAM");
	expect_equal(mmio_read(PCI_ECAM_END, 4), UINT32_MAX, "bus 1");
	mmio_write(PCI_ECAM_END - 4, 4, 0);
	mmio_write(PCI_ECAM_END, 4, 0);
	mmio_write(own + 2, 4, 0);
	mmio_write(own + PCI_COMMAND, 8, 0);
}

/* Dwords in which a guest may change bits. */
static bool is_writable(const struct device *device, unsigned int offset)
{
	return offset == PCI_COMMAND || offset == PCI_BAR(REGISTERS_BAR) ||
	       offset == device->msix_cap ||
	       (device->kind != POOL_IN_MEMORY &&
		(offset == PCI_BAR(MEMORY_BAR) || offset == PCI_BAR(MEMORY_BAR + 1))) ||
	       (offset >= device->access_cap && offset < device->access_cap + ACCESS_SIZE);
}

static void check_read_only(const struct device *device)
{
	for (unsigned int offset = 0; offset < 4 * CONFIG_DWORDS; offset += 4) {
		const uint32_t before = pci_read(device->slot, offset, 4);

		if (is_writable(device, offset))
			continue;
		for (unsigned int size = 1; size <= 4; size *= 2)
			for (unsigned int i = 0; i < 4; i += size) {
				pci_write(device->slot, offset + i, size, 0);
				pci_write(device->slot, offset + i, size, UINT32_MAX);
			}
		expect_equal(pci_read(device->slot, offset, 4), before,
			     "read-only configuration space");
	}
}

/* Of the others not more than the bits that there are. */
static void check_writable(const struct device *device)
{
	const unsigned int control = device->msix_cap + 2;
	const uint32_t before = pci_read(device->slot, control, 2);

	pci_write(device->slot, PCI_COMMAND, 2, 0xffff);
	expect_equal(pci_read(device->slot, PCI_COMMAND, 2),
		     PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER, "the command register");
	pci_write(device->slot, PCI_STATUS, 2, 0xffff);
	expect_equal(pci_read(device->slot, PCI_STATUS, 2), PCI_STATUS_CAPABILITIES,
		     "the status register");
	pci_write(device->slot, control, 2, 0xffff);
	expect_equal(pci_read(device->slot, control, 2), before | 0xc000, "Message Control");
	pci_write(device->slot, control, 2, before);
}

/* The access capability describes an access that cannot be made: none is. */
static void check_access(const struct device *device)
{
	const uint32_t status = device->common.offset + DEVICE_STATUS;
	static const struct {
		uint8_t bar;
		uint32_t offset, length; /* the offset from the status register */
	} wrong[] = {
		{ 1, 0, 1 },
		{ 2, 0, 1 },
		{ 7, 0, 1 },
		{ 0xff, 0, 1 },
		{ 0, 0, 0 },
		{ 0, 0, 2 },
		{ 0, 0, 3 },
		{ 0, 0, 4 },
		{ 0, 0, 8 },
		{ 0, 0, 0x80000001 },
		{ 0, REGISTERS_SIZE, 1 },
		{ 0, 1u << 31, 1 },
	};

	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const unsigned int cap = device->access_cap;

		pci_write(device->slot, cap + ACCESS_BAR, 1, wrong[i].bar);
		pci_write(device->slot, cap + ACCESS_OFFSET, 4, status + wrong[i].offset);
		pci_write(device->slot, cap + ACCESS_LENGTH, 4, wrong[i].length);
		pci_read(device->slot, cap + ACCESS_DATA, 4);
		pci_write(device->slot, cap + ACCESS_DATA, 4, 0);
		expect_equal(device_status(device), RUNNING, "status after a wrong access");
	}
}

void scenario_ways(struct device *device)
{
	device_set_up(device);
	check_address_port(device);
	check_nobody(device);
	check_data_ports(device);
	check_ecam(device);
	for (unsigned int i = 0; i < 2; i++) {
		pci_by_ports = i == 1;
		check_read_only(device);
		check_writable(device);
		check_access(device);
	}
	pci_compare_ways();
	expect_equal(device_status(device), RUNNING, "status of a device that runs");
	block_read(device, 5);
}
