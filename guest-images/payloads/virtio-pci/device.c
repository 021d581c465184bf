/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The function, its registers and its queue. */
#include "guest-images/payloads/virtio-pci/device.h"

#include "guest-images/payloads/payload.h"
#include "guest-images/payloads/virtio-pci/pci.h"

#define VIRTIO_VENDOR 0x1af4u
#define BLOCK_DEVICE  0x1042u

/* Of a capability (virtio 1.3, 4.1.4). */
#define CAP_LEN	     2u
#define CAP_CFG_TYPE 3u
#define CAP_BAR	     4u
#define CAP_OFFSET   8u
#define CAP_LENGTH   12u
#define CAP_TAIL     16u /* notify_off_multiplier, or the data of an access */

#define MSIX_CONTROL 2u
#define MSIX_TABLE   4u
#define MSIX_PENDING 8u
#define MSIX_BAR     7u

enum cfg_type {
	CFG_COMMON = 1,
	CFG_NOTIFY = 2,
	CFG_ISR = 3,
	CFG_DEVICE = 4,
	CFG_PCI_ACCESS = 5,
};

#define F_FLUSH		  (1ull << 9)
#define F_VERSION_1	  (1ull << 32)
#define F_ACCESS_PLATFORM (1ull << 33)

static struct part read_part(const struct device *device, unsigned int cap)
{
	expect_equal(pci_read(device->slot, cap + CAP_BAR, 1), REGISTERS_BAR,
		     "BAR of a capability for registers");
	return (struct part){ pci_read(device->slot, cap + CAP_OFFSET, 4),
			      pci_read(device->slot, cap + CAP_LENGTH, 4) };
}

static void read_vendor_cap(struct device *device, unsigned int cap)
{
	switch (pci_read(device->slot, cap + CAP_CFG_TYPE, 1)) {
	case CFG_COMMON:
		device->common = read_part(device, cap);
		break;
	case CFG_NOTIFY:
		device->notify = read_part(device, cap);
		device->notify_multiplier = pci_read(device->slot, cap + CAP_TAIL, 4);
		break;
	case CFG_ISR:
		device->isr = read_part(device, cap);
		break;
	case CFG_DEVICE:
		device->config = read_part(device, cap);
		break;
	case CFG_PCI_ACCESS:
		device->access_cap = cap;
		break;
	default:
		device->pool_cap = cap;
	}
}

static void read_msix_cap(struct device *device, unsigned int cap)
{
	const uint32_t table = pci_read(device->slot, cap + MSIX_TABLE, 4);
	const uint32_t pending = pci_read(device->slot, cap + MSIX_PENDING, 4);

	expect((table & MSIX_BAR) == REGISTERS_BAR && (pending & MSIX_BAR) == REGISTERS_BAR,
	       "the MSI-X table is in BAR 0");
	device->msix_cap = cap;
	device->msix_table = table & ~MSIX_BAR;
	device->msix_pending = pending & ~MSIX_BAR;
	device->nr_vectors = (pci_read(device->slot, cap + MSIX_CONTROL, 2) & 0x7ff) + 1;
}

static void read_capabilities(struct device *device)
{
	unsigned int cap = 0;

	while ((cap = pci_next_capability(device->slot, cap)) != 0) {
		if (pci_read(device->slot, cap, 1) == PCI_CAP_VENDOR)
			read_vendor_cap(device, cap);
		else if (pci_read(device->slot, cap, 1) == PCI_CAP_MSIX)
			read_msix_cap(device, cap);
	}
	expect(device->common.length > 0 && device->notify.length > 0 && device->isr.length > 0 &&
		       device->config.length > 0 && device->access_cap > 0 && device->msix_cap > 0,
	       "all capabilities are there");
}

bool device_find(struct device *device, unsigned int index)
{
	unsigned int slot = 0;

	for (; slot < PCI_NR_SLOTS; slot++) {
		if (pci_read(slot, PCI_VENDOR_ID, 4) != (BLOCK_DEVICE << 16 | VIRTIO_VENDOR))
			continue;
		if (index == 0)
			break;
		index--;
	}
	if (slot == PCI_NR_SLOTS)
		return false;
	*device = (struct device){ .slot = slot,
				   .queue_vector = NO_VECTOR,
				   .config_vector = NO_VECTOR };
	read_capabilities(device);
	expect_equal(pci_bar_size(slot, REGISTERS_BAR), REGISTERS_SIZE, "size of BAR 0");
	device->registers = pci_bar_address(slot, REGISTERS_BAR);
	pci_write(slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER);
	return true;
}

void device_move_registers(struct device *device, uint64_t address)
{
	pci_bar_write(device->slot, REGISTERS_BAR, address);
	device->registers = address;
}

void device_move_pool(struct device *device, uint64_t address)
{
	pci_bar_write(device->slot, MEMORY_BAR, address);
	device->pool.cpu = address;
	if (device->kind == POOL_IN_BAR)
		device->pool.dma = address;
}

/* Says what to access by the access capability; returns where its data is. */
static unsigned int describe_access(const struct device *device, uint64_t offset, unsigned int size)
{
	const unsigned int cap = device->access_cap;

	pci_write(device->slot, cap + CAP_BAR, 1, REGISTERS_BAR);
	pci_write(device->slot, cap + CAP_OFFSET, 4, (uint32_t)offset);
	pci_write(device->slot, cap + CAP_LENGTH, 4, size);
	return cap + CAP_TAIL;
}

uint64_t device_read(const struct device *device, const struct part *part, uint32_t offset,
		     unsigned int size)
{
	const uint64_t at = (uint64_t)part->offset + offset;

	if (!device->by_capability)
		return mmio_read(device->registers + at, size);
	return pci_read(device->slot, describe_access(device, at, size), size);
}

void device_write(const struct device *device, const struct part *part, uint32_t offset,
		  unsigned int size, uint64_t value)
{
	const uint64_t at = (uint64_t)part->offset + offset;

	if (!device->by_capability)
		mmio_write(device->registers + at, size, value);
	else
		pci_write(device->slot, describe_access(device, at, size), size, (uint32_t)value);
}

uint8_t device_status(const struct device *device)
{
	return (uint8_t)device_read(device, &device->common, DEVICE_STATUS, 1);
}

static void write_status(const struct device *device, uint8_t status)
{
	device_write(device, &device->common, DEVICE_STATUS, 1, status);
}

uint64_t device_features(const struct device *device)
{
	uint64_t features = 0;

	for (unsigned int half = 0; half < 2; half++) {
		device_write(device, &device->common, DEVICE_FEATURE_SELECT, 4, half);
		features |= device_read(device, &device->common, DEVICE_FEATURE, 4) << (32 * half);
	}
	return features;
}

uint64_t device_wanted(const struct device *device)
{
	return F_VERSION_1 | F_ACCESS_PLATFORM | F_FLUSH | device->promise;
}

bool device_negotiate(struct device *device, uint64_t features)
{
	write_status(device, 0);
	expect_equal(device_status(device), 0, "status after a reset");
	write_status(device, ACKNOWLEDGE);
	write_status(device, ACKNOWLEDGE | DRIVER);
	expect_equal(features & ~device_features(device), 0, "features that are not offered");
	for (unsigned int half = 0; half < 2; half++) {
		device_write(device, &device->common, DRIVER_FEATURE_SELECT, 4, half);
		device_write(device, &device->common, DRIVER_FEATURE, 4, features >> (32 * half));
	}
	write_status(device, ACKNOWLEDGE | DRIVER | FEATURES_OK);
	return device_status(device) & FEATURES_OK;
}

/* 64-bit fields are accessed by their halves (virtio 1.3, 4.1.3.1). */
static void write_address(const struct device *device, uint32_t offset, uint64_t value)
{
	device_write(device, &device->common, offset, 4, (uint32_t)value);
	device_write(device, &device->common, offset + 4, 4, value >> 32);
}

static void give_vector(const struct device *device, uint32_t field, uint16_t vector)
{
	device_write(device, &device->common, field, 2, vector);
	expect_equal(device_read(device, &device->common, field, 2), vector, "vector");
}

void device_start(struct device *device, struct place rings, struct place buffers)
{
	volatile struct rings *memory = (volatile struct rings *)rings.cpu;

	memory->avail_flags = 0;
	memory->avail_idx = 0;
	memory->used_flags = 0;
	memory->used_idx = 0;
	device->rings = rings;
	device->buffers = buffers;
	device->submitted = 0;
	device->awaited = 0;

	give_vector(device, CONFIG_MSIX_VECTOR, device->config_vector);
	device_write(device, &device->common, QUEUE_SELECT, 2, 0);
	give_vector(device, QUEUE_MSIX_VECTOR, device->queue_vector);
	device->notify_offset = device->notify_multiplier *
				(uint32_t)device_read(device, &device->common, QUEUE_NOTIFY_OFF, 2);
	device_write(device, &device->common, QUEUE_SIZE_FIELD, 2, QUEUE_SIZE);
	write_address(device, QUEUE_DESC, rings.dma + offsetof(struct rings, desc));
	write_address(device, QUEUE_DRIVER, rings.dma + offsetof(struct rings, avail_flags));
	write_address(device, QUEUE_DEVICE, rings.dma + offsetof(struct rings, used_flags));
	device_write(device, &device->common, QUEUE_ENABLE, 2, 1);
	write_status(device, RUNNING);
}

void device_set_up(struct device *device)
{
	const struct place rings = { device->pool.cpu + RINGS_OFFSET,
				     device->pool.dma + RINGS_OFFSET };

	expect(device_negotiate(device, device_wanted(device)), "FEATURES_OK stands");
	device_start(device, rings, device->pool);
	expect_equal(device_status(device), RUNNING, "status of a device that runs");
}

void device_await_stop(const struct device *device)
{
	const uint16_t used = block_used(device);
	uint64_t turns = 0;

	while (!(device_status(device) & NEEDS_RESET))
		expect(turns++ < PATIENCE / 1000, "the device stops");
	expect_equal(block_used(device), used, "requests used by a device that stops");
	expect(device_read(device, &device->isr, 0, 1) & ISR_CONFIG,
	       "a configuration change is told");
	expect(!(device_read(device, &device->isr, 0, 1) & ISR_CONFIG),
	       "and acknowledged by reading that");
}
