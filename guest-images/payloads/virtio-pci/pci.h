/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Configuration space of function 0 of the devices on bus 0, by both ways to it: mechanism #1 (PCI
 * 3.0, 3.2.2.3.2) and ECAM. Sizes are 1, 2 or 4 bytes.
 */
#ifndef PAYLOAD_PCI_H
#define PAYLOAD_PCI_H

#include <stdbool.h>
#include <stdint.h>

#define PCI_ADDRESS_PORT   0xcf8
#define PCI_DATA_PORT	   0xcfc
#define PCI_ADDRESS_ENABLE (1u << 31)

#define PCI_ECAM     0xe0000000ull
#define PCI_ECAM_END 0xe0100000ull
#define PCI_LOW	     0xd0000000ull /* the window for BARs below 4 GiB ... */
#define PCI_LOW_END  0xe0000000ull
#define PCI_NR_SLOTS 32u

#define PCI_VENDOR_ID	 0x00u
#define PCI_DEVICE_ID	 0x02u
#define PCI_COMMAND	 0x04u
#define PCI_STATUS	 0x06u
#define PCI_BAR(index)	 (0x10u + 4u * (index))
#define PCI_CAPABILITIES 0x34u

#define PCI_COMMAND_MEMORY	0x2u
#define PCI_COMMAND_BUS_MASTER	0x4u
#define PCI_STATUS_CAPABILITIES 0x10u

#define PCI_CAP_VENDOR 0x09u
#define PCI_CAP_MSIX   0x11u

#define PCI_BAR_64BIT	     0x4u
#define PCI_BAR_PREFETCHABLE 0x8u

static inline uint64_t pci_ecam(unsigned int slot, unsigned int offset)
{
	return PCI_ECAM + (uint64_t)slot * 0x8000 + offset;
}

uint32_t pci_port_read(unsigned int slot, unsigned int offset, unsigned int size);
void pci_port_write(unsigned int slot, unsigned int offset, unsigned int size, uint32_t value);

/* By ECAM, or by ports while pci_by_ports is set. */
extern bool pci_by_ports;
uint32_t pci_read(unsigned int slot, unsigned int offset, unsigned int size);
void pci_write(unsigned int slot, unsigned int offset, unsigned int size, uint32_t value);

/*
 * The offset of the next capability behind the one at @offset, of the first one if that is 0; 0 if
 * there is none.
 */
unsigned int pci_next_capability(unsigned int slot, unsigned int offset);

/* By the registers. A 64-bit BAR is written half by half, the low one first. */
uint64_t pci_bar_address(unsigned int slot, unsigned int bar);
void pci_bar_write(unsigned int slot, unsigned int bar, uint64_t address);
/* Finds the size as firmware does it; leaves the BAR where it was. 0: there is none. */
uint64_t pci_bar_size(unsigned int slot, unsigned int bar);

/* That both ways show the same, on all of bus 0. */
void pci_compare_ways(void);

#endif
