/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/pci/function.h"

#include <assert.h>
#include <string.h>

/* Low bits of a memory BAR, read-only (PCI 3.0, 6.2.5.1). */
#define BAR_TYPE_64BIT	  0x4u
#define BAR_PREFETCHABLE  0x8u
#define BAR_ADDRESS_MASK  0xfffffff0u
#define BAR_MIN_SIZE	  16u
#define BAR_MAX_SIZE_32	  (UINT64_C(1) << 31)
#define CAPABILITY_HEADER 2u /* id and next */

static bool inside_config(unsigned int offset, size_t size)
{
	return offset <= PCI_CONFIG_SIZE && size <= PCI_CONFIG_SIZE - offset;
}

static void put_bytes(uint8_t *bytes, uint32_t value, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_bytes(const uint8_t *bytes, unsigned int size)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < size; i++)
		value |= (uint32_t)bytes[i] << (8 * i);
	return value;
}

uint16_t pci_function_get16(const struct pci_function *function, unsigned int offset)
{
	assert(inside_config(offset, 2));
	return (uint16_t)get_bytes(&function->config[offset], 2);
}

uint32_t pci_function_get32(const struct pci_function *function, unsigned int offset)
{
	assert(inside_config(offset, 4));
	return get_bytes(&function->config[offset], 4);
}

void pci_function_put16(struct pci_function *function, unsigned int offset, uint16_t value)
{
	assert(inside_config(offset, 2));
	put_bytes(&function->config[offset], value, 2);
}

void pci_function_put32(struct pci_function *function, unsigned int offset, uint32_t value)
{
	assert(inside_config(offset, 4));
	put_bytes(&function->config[offset], value, 4);
}

void pci_function_init(struct pci_function *function, const struct pci_identity *identity,
		       const struct pci_function_ops *ops, void *opaque)
{
	memset(function, 0, sizeof(*function));
	function->ops = ops;
	function->opaque = opaque;
	function->next_capability = PCI_FIRST_CAPABILITY;
	pci_function_put16(function, PCI_VENDOR_ID, identity->vendor);
	pci_function_put16(function, PCI_DEVICE_ID, identity->device);
	function->config[PCI_REVISION] = identity->revision;
	put_bytes(&function->config[PCI_CLASS], identity->class_code, 3);
	pci_function_put16(function, PCI_SUBSYSTEM_VENDOR, identity->subsystem_vendor);
	pci_function_put16(function, PCI_SUBSYSTEM_ID, identity->subsystem);
	put_bytes(&function->writable[PCI_COMMAND], PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER, 2);
}

void pci_function_add_bar(struct pci_function *function, unsigned int index, uint64_t size,
			  unsigned int flags, uint64_t address)
{
	const bool is_64bit = flags & PCI_BAR_64BIT;
	/* What a guest finds by writing all-ones: the address bits above the size. */
	const uint64_t mask = ~(size - 1);
	uint32_t type = 0;

	assert(index < PCI_NR_BARS && function->bars[index].size == 0);
	assert(size >= BAR_MIN_SIZE && (size & (size - 1)) == 0 && (address & ~mask) == 0);
	if (is_64bit)
		type |= BAR_TYPE_64BIT;
	if (flags & PCI_BAR_PREFETCHABLE)
		type |= BAR_PREFETCHABLE;
	pci_function_put32(function, PCI_BAR(index), (uint32_t)address | type);
	put_bytes(&function->writable[PCI_BAR(index)], (uint32_t)mask, 4);
	if (is_64bit) {
		assert(index + 1 < PCI_NR_BARS && function->bars[index + 1].size == 0);
		pci_function_put32(function, PCI_BAR(index + 1), (uint32_t)(address >> 32));
		put_bytes(&function->writable[PCI_BAR(index + 1)], (uint32_t)(mask >> 32), 4);
	} else {
		assert(size <= BAR_MAX_SIZE_32 && address <= UINT32_MAX);
	}
	function->bars[index] = (struct pci_bar){ .size = size,
						  .is_64bit = is_64bit,
						  .is_ram = flags & PCI_BAR_RAM };
}

unsigned int pci_function_add_capability(struct pci_function *function, const void *bytes,
					 size_t len)
{
	const unsigned int offset = function->next_capability;
	const unsigned int link =
		function->last_capability ? function->last_capability + 1 : PCI_CAPABILITIES;
	const uint16_t status = pci_function_get16(function, PCI_STATUS);

	assert(len >= CAPABILITY_HEADER && inside_config(offset, len));
	memcpy(&function->config[offset], bytes, len);
	function->config[offset + 1] = 0;
	function->config[link] = (uint8_t)offset;
	pci_function_put16(function, PCI_STATUS, status | PCI_STATUS_CAPABILITIES);
	function->last_capability = offset;
	/* The two low bits of a link are reserved (PCI 3.0, 6.7). */
	function->next_capability = (offset + (unsigned int)len + 3) & ~3u;
	return offset;
}

static bool inside_dword(unsigned int offset, unsigned int size)
{
	return inside_config(offset, size) && offset % 4 + size <= 4;
}

uint32_t pci_function_config_read(struct pci_function *function, unsigned int offset,
				  unsigned int size)
{
	assert(inside_dword(offset, size));
	if (function->ops->config_read)
		function->ops->config_read(function->opaque, offset, size);
	return get_bytes(&function->config[offset], size);
}

void pci_function_config_write(struct pci_function *function, unsigned int offset,
			       unsigned int size, uint32_t value)
{
	assert(inside_dword(offset, size));
	for (unsigned int i = 0; i < size; i++) {
		const uint8_t mask = function->writable[offset + i];
		const uint8_t byte = (uint8_t)(value >> (8 * i));
		uint8_t *config = &function->config[offset + i];

		*config = (uint8_t)((*config & ~mask) | (byte & mask));
	}
	if (function->ops->config_written)
		function->ops->config_written(function->opaque, offset, size);
}

uint64_t pci_function_bar_address(const struct pci_function *function, unsigned int index)
{
	const struct pci_bar *bar = &function->bars[index];
	uint64_t address;

	if (bar->size == 0)
		return 0;
	address = pci_function_get32(function, PCI_BAR(index)) & BAR_ADDRESS_MASK;
	if (bar->is_64bit)
		address |= (uint64_t)pci_function_get32(function, PCI_BAR(index + 1)) << 32;
	return address;
}

bool pci_function_decodes_memory(const struct pci_function *function)
{
	return pci_function_get16(function, PCI_COMMAND) & PCI_COMMAND_MEMORY;
}

bool pci_function_is_bus_master(const struct pci_function *function)
{
	return pci_function_get16(function, PCI_COMMAND) & PCI_COMMAND_BUS_MASTER;
}
