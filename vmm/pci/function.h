/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One PCI function: 256 bytes of configuration space (PCI 3.0, 6), its BARs and its capabilities.
 * It is built before the first vCPU runs; afterwards struct pci_host calls it with its lock held,
 * and only the functions of struct pci_function_ops lead out of here.
 */
#ifndef VMM_PCI_FUNCTION_H
#define VMM_PCI_FUNCTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/bus.h"

#define PCI_CONFIG_SIZE 256
#define PCI_NR_BARS	6

/* Offsets in configuration space (PCI 3.0, 6.1 and 6.2). */
#define PCI_VENDOR_ID	     0x00
#define PCI_DEVICE_ID	     0x02
#define PCI_COMMAND	     0x04
#define PCI_STATUS	     0x06
#define PCI_REVISION	     0x08
#define PCI_CLASS	     0x09 /* 3 bytes: programming interface, subclass, class */
#define PCI_BAR(index)	     (0x10 + 4 * (index))
#define PCI_SUBSYSTEM_VENDOR 0x2c
#define PCI_SUBSYSTEM_ID     0x2e
#define PCI_CAPABILITIES     0x34
#define PCI_FIRST_CAPABILITY 0x40

#define PCI_COMMAND_MEMORY	0x0002u
#define PCI_COMMAND_BUS_MASTER	0x0004u
#define PCI_STATUS_CAPABILITIES 0x0010u

#define PCI_CAP_VENDOR 0x09
#define PCI_CAP_MSIX   0x11

struct pci_function;

/*
 * Without BARs the first three may be NULL, without such registers the last two. What is called
 * with the lock held must not access configuration space or a BAR through the host.
 */
struct pci_function_ops {
	/*
	 * A register access that lies wholly inside BAR @bar; offset is relative to it. From any
	 * vCPU thread, without the host's lock.
	 */
	enum bus_result (*bar_access)(void *opaque, unsigned int bar, struct bus_access *access);
	/* BAR @bar answers at @address from now on, until bar_unmapped(). Lock held. */
	void (*bar_mapped)(void *opaque, unsigned int bar, uint64_t address);
	void (*bar_unmapped)(void *opaque, unsigned int bar, uint64_t address);
	/*
	 * A guest is about to read, or has written, [offset, offset + size) of configuration space;
	 * the bytes are in function->config. For registers that are more than memory. Lock held.
	 */
	void (*config_read)(void *opaque, unsigned int offset, unsigned int size);
	void (*config_written)(void *opaque, unsigned int offset, unsigned int size);
};

struct pci_bar {
	uint64_t size; /* bytes, a power of two; 0: not there, or the upper half of a 64-bit BAR */
	bool is_64bit;
	bool is_ram;	  /* a memslot stands behind it: accesses never reach bar_access() */
	bool mapped;	  /* bar_mapped() was called */
	uint64_t address; /* where, if it is */
};

struct pci_function {
	uint8_t config[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE]; /* bits that a guest may change */
	struct pci_bar bars[PCI_NR_BARS];
	unsigned int next_capability; /* offset of the first free byte */
	unsigned int last_capability; /* offset of the newest, 0: none */
	const struct pci_function_ops *ops;
	void *opaque;
};

struct pci_identity {
	uint16_t vendor, device;
	uint16_t subsystem_vendor, subsystem;
	uint32_t class_code; /* class, subclass, programming interface: 24 bits */
	uint8_t revision;
};

/* Fills in a type 0 header: memory decoding and bus mastering off, nothing else to enable. */
void pci_function_init(struct pci_function *function, const struct pci_identity *identity,
		       const struct pci_function_ops *ops, void *opaque);

/* Flags of pci_function_add_bar(). */
#define PCI_BAR_64BIT	     0x1u
#define PCI_BAR_PREFETCHABLE 0x2u
#define PCI_BAR_RAM	     0x4u

/*
 * Adds memory BAR @index (and @index + 1 if it has 64 bits) of @size bytes, a power of two of at
 * least 16, with @address in its register as firmware would leave it. The caller sees to it that
 * the BAR is free and @address a multiple of @size.
 */
void pci_function_add_bar(struct pci_function *function, unsigned int index, uint64_t size,
			  unsigned int flags, uint64_t address);

/*
 * Appends a capability: @len bytes at @bytes, of which the first is the capability's id and the
 * second is filled in here (PCI 3.0, 6.7). Returns its offset; asserts that it fits.
 */
unsigned int pci_function_add_capability(struct pci_function *function, const void *bytes,
					 size_t len);

/* Little-endian fields of configuration space, for the code that builds and watches it. */
uint16_t pci_function_get16(const struct pci_function *function, unsigned int offset);
uint32_t pci_function_get32(const struct pci_function *function, unsigned int offset);
void pci_function_put16(struct pci_function *function, unsigned int offset, uint16_t value);
void pci_function_put32(struct pci_function *function, unsigned int offset, uint32_t value);

/*
 * A guest's access to [offset, offset + size), inside one dword; size is 1, 2 or 4. Only writable
 * bits change.
 */
uint32_t pci_function_config_read(struct pci_function *function, unsigned int offset,
				  unsigned int size);
void pci_function_config_write(struct pci_function *function, unsigned int offset,
			       unsigned int size, uint32_t value);

/* Where BAR @index stands by its registers, 0 if it is not there; what the guest has switched on. */
uint64_t pci_function_bar_address(const struct pci_function *function, unsigned int index);
bool pci_function_decodes_memory(const struct pci_function *function);
bool pci_function_is_bus_master(const struct pci_function *function);

#endif
