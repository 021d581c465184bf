/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/virtio/pci.h"

#include <string.h>

#include "vmm/virtio/pci_caps.h"

/* Identity (virtio 1.3, 4.1.2): a modern device's id is 0x1040 and its type. */
#define VENDOR		0x1af4u
#define DEVICE_BASE	0x1040u
#define SUBSYSTEM	0x0040u
#define REVISION_MODERN 1u
#define CLASS_OTHER	0xff0000u /* no class of PCI's: fits any type, and no driver guesses */

/* Fields of the common configuration (virtio 1.3, 4.1.4.3). */
enum {
	DEVICE_FEATURE_SELECT = 0,
	DEVICE_FEATURE = 4,
	DRIVER_FEATURE_SELECT = 8,
	DRIVER_FEATURE = 12,
	CONFIG_MSIX_VECTOR = 16,
	NUM_QUEUES = 18,
	DEVICE_STATUS = 20,
	CONFIG_GENERATION = 21,
	QUEUE_SELECT = 22,
	QUEUE_SIZE = 24,
	QUEUE_MSIX_VECTOR = 26,
	QUEUE_ENABLE = 28,
	QUEUE_NOTIFY_OFF = 30,
	QUEUE_DESC = 32,
	QUEUE_DRIVER = 40,
	QUEUE_DEVICE = 48,
	QUEUE_AREAS_END = 56,
};

#define ISR_QUEUE  0x1u
#define ISR_CONFIG 0x2u

/* Width of the field that begins at @offset; 0: none does. Only whole fields are accessed, and a
 * 64-bit one by its halves (virtio 1.3, 4.1.3.1). */
static unsigned int field_width(uint64_t offset)
{
	static const uint8_t widths[QUEUE_DESC] = {
		[DEVICE_FEATURE_SELECT] = 4, [DEVICE_FEATURE] = 4,
		[DRIVER_FEATURE_SELECT] = 4, [DRIVER_FEATURE] = 4,
		[CONFIG_MSIX_VECTOR] = 2,    [NUM_QUEUES] = 2,
		[DEVICE_STATUS] = 1,	     [CONFIG_GENERATION] = 1,
		[QUEUE_SELECT] = 2,	     [QUEUE_SIZE] = 2,
		[QUEUE_MSIX_VECTOR] = 2,     [QUEUE_ENABLE] = 2,
		[QUEUE_NOTIFY_OFF] = 2,
	};

	if (offset < QUEUE_DESC)
		return widths[offset];
	return offset < QUEUE_AREAS_END && offset % 4 == 0 ? 4 : 0;
}

static bool is_high_half(uint64_t offset)
{
	return offset % 8 != 0;
}

static enum virtio_ring_part ring_part(uint64_t offset)
{
	return (enum virtio_ring_part)((offset - QUEUE_DESC) / 8);
}

static bool queue_exists(const struct virtio_pci *pci, uint32_t queue)
{
	return queue < pci->device->nr_queues;
}

static uint64_t read_common(struct virtio_pci *pci, uint64_t offset)
{
	struct virtio_device *device = pci->device;
	uint32_t queue = pci->queue_select;

	switch (offset) {
	case DEVICE_FEATURE_SELECT:
		return pci->device_feature_select;
	case DEVICE_FEATURE:
		return virtio_device_features(device, pci->device_feature_select);
	case DRIVER_FEATURE_SELECT:
		return pci->driver_feature_select;
	case DRIVER_FEATURE:
		return virtio_device_accepted_features(device, pci->driver_feature_select);
	case CONFIG_MSIX_VECTOR:
		return msix_vector(&pci->msix, VIRTIO_PCI_CONFIG_SOURCE);
	case NUM_QUEUES:
		return device->nr_queues;
	case DEVICE_STATUS:
		return virtio_device_status(device);
	case CONFIG_GENERATION:
		return virtio_device_config_generation(device) & UINT8_MAX;
	case QUEUE_SELECT:
		return queue;
	case QUEUE_SIZE:
		return virtio_device_queue_size(device, queue);
	case QUEUE_MSIX_VECTOR:
		return queue_exists(pci, queue)
			       ? msix_vector(&pci->msix, VIRTIO_PCI_QUEUE_SOURCE(queue))
			       : MSIX_NO_VECTOR;
	case QUEUE_ENABLE:
		return virtio_device_queue_enabled(device, queue);
	case QUEUE_NOTIFY_OFF:
		return queue_exists(pci, queue) ? queue : 0;
	default:
		return virtio_device_queue_addr(device, queue, ring_part(offset),
						is_high_half(offset));
	}
}

/* A reset also takes the vectors back (virtio 1.3, 4.1.5.1.2.1). */
static void write_status(struct virtio_pci *pci, uint8_t status)
{
	virtio_device_write_status(pci->device, status);
	if (status != 0)
		return;
	for (unsigned int i = 0; i < pci->msix.nr_sources; i++)
		msix_set_vector(&pci->msix, i, MSIX_NO_VECTOR);
}

/* The size register holds the maximum until the driver chooses (virtio 1.3, 4.1.4.3). */
static void enable_queue(struct virtio_pci *pci, uint32_t queue)
{
	virtio_device_set_queue_size(pci->device, queue,
				     virtio_device_queue_size(pci->device, queue));
	virtio_device_enable_queue(pci->device, queue);
}

static void write_common(struct virtio_pci *pci, uint64_t offset, uint32_t value)
{
	struct virtio_device *device = pci->device;
	uint32_t queue = pci->queue_select;

	switch (offset) {
	case DEVICE_FEATURE_SELECT:
		pci->device_feature_select = value;
		break;
	case DRIVER_FEATURE_SELECT:
		pci->driver_feature_select = value;
		break;
	case DRIVER_FEATURE:
		virtio_device_accept_features(device, pci->driver_feature_select, value);
		break;
	case CONFIG_MSIX_VECTOR:
		msix_set_vector(&pci->msix, VIRTIO_PCI_CONFIG_SOURCE, (uint16_t)value);
		break;
	case DEVICE_STATUS:
		write_status(pci, (uint8_t)value);
		break;
	case QUEUE_SELECT:
		pci->queue_select = (uint16_t)value;
		break;
	case QUEUE_SIZE:
		virtio_device_set_queue_size(device, queue, value);
		break;
	case QUEUE_MSIX_VECTOR:
		if (queue_exists(pci, queue))
			msix_set_vector(&pci->msix, VIRTIO_PCI_QUEUE_SOURCE(queue),
					(uint16_t)value);
		break;
	case QUEUE_ENABLE:
		if (value == 1)
			enable_queue(pci, queue);
		break;
	case DEVICE_FEATURE:
	case NUM_QUEUES:
	case CONFIG_GENERATION:
	case QUEUE_NOTIFY_OFF:
		break; /* read-only */
	default:
		virtio_device_set_queue_addr(device, queue, ring_part(offset), is_high_half(offset),
					     value);
	}
}

/* What a proposal adds behind the standard's fields: all of it read-only. */
static uint64_t read_proposed(const struct virtio_pci *pci, uint64_t offset, unsigned int size)
{
	const struct virtio_pci_pool *pool = &pci->pool;
	uint64_t fields[2] = { pool->range.base, pool->range.size };
	uint64_t at, value = 0;

	switch (pool->mechanism) {
	case MECHANISM_CONFIG:
		at = offset - pool->proposal->value[PROPOSAL_SWIOTLB_CONFIG];
		if (size == 4 && at % 4 == 0 && at < sizeof(fields))
			value = fields[at / 8] >> (is_high_half(at) ? 32 : 0) & UINT32_MAX;
		break;
	case MECHANISM_DMB:
		if (size == 1 && offset == pool->proposal->value[PROPOSAL_DMB_CONFIG])
			value = pool->proposal->value[PROPOSAL_DMB_SHM_ID];
		break;
	default:
		break;
	}
	return value;
}

static void access_common(struct virtio_pci *pci, struct bus_access *access)
{
	if (field_width(access->offset) != access->size) {
		if (!access->is_write)
			access->value = read_proposed(pci, access->offset, access->size);
	} else if (access->is_write) {
		write_common(pci, access->offset, (uint32_t)access->value);
	} else {
		access->value = read_common(pci, access->offset);
	}
}

/*
 * Used buffers are announced past us, so we cannot know of them: the bit is always set (see
 * vmm/virtio/mmio.c). Reading acknowledges (virtio 1.3, 4.1.4.5).
 */
static void access_isr(struct virtio_pci *pci, struct bus_access *access)
{
	if (access->is_write || access->offset != 0 || access->size != 1)
		return;
	access->value = ISR_QUEUE;
	if (virtio_device_config_changed(pci->device)) {
		access->value |= ISR_CONFIG;
		virtio_device_ack_config(pci->device);
	}
}

/* Writes that ioeventfds did not take: through the PCI access capability, or at a wrong place. */
static void access_notify(struct virtio_pci *pci, const struct bus_access *access)
{
	uint64_t queue = access->offset / (VIRTIO_PCI_NOTIFY(1) - VIRTIO_PCI_NOTIFY(0));

	if (access->is_write && access->offset % 4 == 0 && queue_exists(pci, (uint32_t)queue))
		pci->ops->notify(pci->opaque, (uint32_t)queue);
}

enum bus_result virtio_pci_access(void *opaque, unsigned int bar, struct bus_access *access)
{
	struct virtio_pci *pci = opaque;
	uint64_t part = access->offset - access->offset % VIRTIO_PCI_PART_SIZE;

	if (bar != VIRTIO_PCI_REGISTERS_BAR)
		return BUS_UNHANDLED;
	access->offset -= part;
	if (!access->is_write)
		access->value = 0;
	switch (part) {
	case VIRTIO_PCI_COMMON:
		access_common(pci, access);
		break;
	case VIRTIO_PCI_ISR:
		access_isr(pci, access);
		break;
	case VIRTIO_PCI_CONFIG:
		/* Read-only: no offered feature lets the driver write it. */
		if (!access->is_write)
			access->value = virtio_device_read_config(pci->device, access->offset,
								  access->size);
		break;
	case VIRTIO_PCI_NOTIFY(0):
		access_notify(pci, access);
		break;
	case VIRTIO_PCI_MSIX_TABLE:
		msix_table_access(&pci->msix, access);
		break;
	case VIRTIO_PCI_MSIX_PENDING:
		msix_pending_access(&pci->msix, access);
		break;
	default:
		break;
	}
	return BUS_HANDLED;
}

static void bar_mapped(void *opaque, unsigned int bar, uint64_t gpa)
{
	struct virtio_pci *pci = opaque;

	if (bar == VIRTIO_PCI_REGISTERS_BAR)
		pci->ops->place_registers(pci->opaque, gpa, true);
	else
		pci->ops->place_memory(pci->opaque, gpa, true);
}

static void bar_unmapped(void *opaque, unsigned int bar, uint64_t gpa)
{
	struct virtio_pci *pci = opaque;

	if (bar == VIRTIO_PCI_REGISTERS_BAR)
		pci->ops->place_registers(pci->opaque, gpa, false);
	else
		pci->ops->place_memory(pci->opaque, gpa, false);
}

static bool overlaps(unsigned int offset, unsigned int size, unsigned int at, unsigned int len)
{
	return offset < at + len && at < offset + size;
}

/*
 * The access that the PCI access capability describes (virtio 1.3, 4.1.4.9); false if it describes
 * none that could be made.
 */
static bool window_access(const struct virtio_pci *pci, struct bus_access *access)
{
	const struct pci_function *function = &pci->function;
	uint32_t offset = pci_function_get32(function, pci->access_cap + VIRTIO_PCI_ACCESS_OFFSET);
	uint32_t len = pci_function_get32(function, pci->access_cap + VIRTIO_PCI_ACCESS_LENGTH);
	uint8_t bar = function->config[pci->access_cap + VIRTIO_PCI_ACCESS_BAR];

	if (bar != VIRTIO_PCI_REGISTERS_BAR || (len != 1 && len != 2 && len != 4) ||
	    offset % len != 0 || offset >= VIRTIO_PCI_REGISTERS_SIZE)
		return false;
	access->offset = offset;
	access->size = len;
	return true;
}

static bool touches_window(const struct virtio_pci *pci, unsigned int offset, unsigned int size)
{
	return overlaps(offset, size, pci->access_cap + VIRTIO_PCI_ACCESS_DATA, 4);
}

static void config_read(void *opaque, unsigned int offset, unsigned int size)
{
	struct virtio_pci *pci = opaque;
	struct bus_access access = { 0 };

	if (!touches_window(pci, offset, size) || !window_access(pci, &access))
		return;
	virtio_pci_access(pci, VIRTIO_PCI_REGISTERS_BAR, &access);
	pci_function_put32(&pci->function, pci->access_cap + VIRTIO_PCI_ACCESS_DATA,
			   (uint32_t)access.value);
}

static void write_window(struct virtio_pci *pci)
{
	struct bus_access access = { .is_write = true };

	if (!window_access(pci, &access))
		return;
	access.value = pci_function_get32(&pci->function, pci->access_cap + VIRTIO_PCI_ACCESS_DATA);
	if (access.size < 4)
		access.value &= (1u << (8 * access.size)) - 1;
	virtio_pci_access(pci, VIRTIO_PCI_REGISTERS_BAR, &access);
}

static void config_written(void *opaque, unsigned int offset, unsigned int size)
{
	struct virtio_pci *pci = opaque;
	uint16_t control;

	if (touches_window(pci, offset, size))
		write_window(pci);
	if (overlaps(offset, size, PCI_COMMAND, 2))
		virtio_device_allow_dma(pci->device, pci_function_is_bus_master(&pci->function));
	if (overlaps(offset, size, pci->msix_cap + MSIX_CONTROL, 2)) {
		control = pci_function_get16(&pci->function, pci->msix_cap + MSIX_CONTROL);
		msix_set_control(&pci->msix, control & MSIX_CONTROL_ENABLE,
				 control & MSIX_CONTROL_MASK);
	}
}

static const struct pci_function_ops function_ops = {
	.bar_access = virtio_pci_access,
	.bar_mapped = bar_mapped,
	.bar_unmapped = bar_unmapped,
	.config_read = config_read,
	.config_written = config_written,
};

void virtio_pci_init(struct virtio_pci *pci, struct virtio_device *device,
		     const struct virtio_pci_pool *pool, uint64_t registers_gpa,
		     const struct virtio_pci_ops *ops, void *opaque)
{
	const struct pci_identity identity = {
		.vendor = VENDOR,
		.device = (uint16_t)(DEVICE_BASE + device->id),
		.subsystem_vendor = VENDOR,
		.subsystem = SUBSYSTEM,
		.class_code = CLASS_OTHER,
		.revision = REVISION_MODERN,
	};

	*pci = (struct virtio_pci){
		.device = device,
		.pool = *pool,
		.ops = ops,
		.opaque = opaque,
	};
	msix_init(&pci->msix, VIRTIO_PCI_QUEUE_SOURCE(device->nr_queues), &ops->msix, opaque);
	pci_function_init(&pci->function, &identity, &function_ops, pci);
	pci_function_add_bar(&pci->function, VIRTIO_PCI_REGISTERS_BAR, VIRTIO_PCI_REGISTERS_SIZE, 0,
			     registers_gpa);
	if (pool->place == POOL_IN_BAR && pool->range.size > 0)
		pci_function_add_bar(
			&pci->function, VIRTIO_PCI_MEMORY_BAR, machine_bar_size(pool->range.size),
			PCI_BAR_64BIT | PCI_BAR_PREFETCHABLE | PCI_BAR_RAM, pool->range.base);
	virtio_pci_add_capabilities(pci);
	virtio_device_allow_dma(device, false);
}

void virtio_pci_destroy(struct virtio_pci *pci)
{
	msix_destroy(&pci->msix);
}
