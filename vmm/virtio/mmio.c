/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/virtio/mmio.h"

/* Register offsets (virtio 1.3, 4.2.2). */
enum {
	MAGIC_VALUE = 0x000,
	VERSION = 0x004,
	DEVICE_ID = 0x008,
	VENDOR_ID = 0x00c,
	DEVICE_FEATURES = 0x010,
	DEVICE_FEATURES_SEL = 0x014,
	DRIVER_FEATURES = 0x020,
	DRIVER_FEATURES_SEL = 0x024,
	QUEUE_SEL = 0x030,
	QUEUE_NUM_MAX = 0x034,
	QUEUE_NUM = 0x038,
	QUEUE_READY = 0x044,
	INTERRUPT_STATUS = 0x060,
	STATUS = 0x070,
	QUEUE_DESC_LOW = 0x080,
	QUEUE_DESC_HIGH = 0x084,
	QUEUE_DRIVER_LOW = 0x090,
	QUEUE_DRIVER_HIGH = 0x094,
	QUEUE_DEVICE_LOW = 0x0a0,
	QUEUE_DEVICE_HIGH = 0x0a4,
	SHM_LEN_LOW = 0x0b0,
	SHM_LEN_HIGH = 0x0b4,
	SHM_BASE_LOW = 0x0b8,
	SHM_BASE_HIGH = 0x0bc,
	CONFIG_GENERATION = 0x0fc,
	CONFIG = 0x100,
};

#define MAGIC	       0x74726976u /* "virt" */
#define VERSION_MODERN 2u
#define VENDOR	       0x4d56494du /* "MIVM" */

/*
 * Used buffers are announced by the device process through an irqfd, past us: we cannot know
 * whether one is pending, so the bit is always set. A driver that looks in vain finds an empty used
 * ring.
 */
static uint32_t interrupt_status(struct virtio_device *device)
{
	uint32_t status = VIRTIO_MMIO_INTERRUPT_USED_BUFFER;

	if (virtio_device_config_changed(device))
		status |= VIRTIO_MMIO_INTERRUPT_CONFIG_CHANGE;
	return status;
}

static uint32_t read_register(struct virtio_mmio *mmio, uint64_t offset)
{
	struct virtio_device *device = mmio->device;

	switch (offset) {
	case MAGIC_VALUE:
		return MAGIC;
	case VERSION:
		return VERSION_MODERN;
	case DEVICE_ID:
		return device->id;
	case VENDOR_ID:
		return VENDOR;
	case DEVICE_FEATURES:
		return virtio_device_features(device, mmio->device_features_sel);
	case QUEUE_NUM_MAX:
		return virtio_device_queue_max(device, mmio->queue_sel);
	case QUEUE_READY:
		return virtio_device_queue_enabled(device, mmio->queue_sel);
	case INTERRUPT_STATUS:
		return interrupt_status(device);
	case STATUS:
		return virtio_device_status(device);
	case CONFIG_GENERATION:
		return virtio_device_config_generation(device);
	/* No shared memory region has a length of all-ones and any base (virtio 1.3, 4.2.2). */
	case SHM_LEN_LOW:
	case SHM_LEN_HIGH:
	case SHM_BASE_LOW:
	case SHM_BASE_HIGH:
		return UINT32_MAX;
	default:
		return 0;
	}
}

static void write_register(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
	struct virtio_device *device = mmio->device;
	uint32_t queue = mmio->queue_sel;

	switch (offset) {
	case DEVICE_FEATURES_SEL:
		mmio->device_features_sel = value;
		break;
	case DRIVER_FEATURES:
		virtio_device_accept_features(device, mmio->driver_features_sel, value);
		break;
	case DRIVER_FEATURES_SEL:
		mmio->driver_features_sel = value;
		break;
	case QUEUE_SEL:
		mmio->queue_sel = value;
		break;
	case QUEUE_NUM:
		virtio_device_set_queue_size(device, queue, value);
		break;
	case QUEUE_READY:
		/* 0: a driver that gives up while it sets up (virtio 1.3, 4.2.2.2). */
		if (value == 1)
			virtio_device_enable_queue(device, queue);
		else if (value == 0)
			virtio_device_disable_queue(device, queue);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		if (value & VIRTIO_MMIO_INTERRUPT_CONFIG_CHANGE)
			virtio_device_ack_config(device);
		break;
	case STATUS:
		if (value <= UINT8_MAX)
			virtio_device_write_status(device, (uint8_t)value);
		break;
	case QUEUE_DESC_LOW:
	case QUEUE_DESC_HIGH:
		virtio_device_set_queue_addr(device, queue, VIRTIO_RING_DESC,
					     offset == QUEUE_DESC_HIGH, value);
		break;
	case QUEUE_DRIVER_LOW:
	case QUEUE_DRIVER_HIGH:
		virtio_device_set_queue_addr(device, queue, VIRTIO_RING_AVAIL,
					     offset == QUEUE_DRIVER_HIGH, value);
		break;
	case QUEUE_DEVICE_LOW:
	case QUEUE_DEVICE_HIGH:
		virtio_device_set_queue_addr(device, queue, VIRTIO_RING_USED,
					     offset == QUEUE_DEVICE_HIGH, value);
		break;
	/* QueueNotify of a queue that exists ends in its ioeventfd and never comes here. */
	default:
		break;
	}
}

enum bus_result virtio_mmio_access(void *opaque, struct bus_access *access)
{
	struct virtio_mmio *mmio = opaque;

	if (access->offset >= CONFIG) {
		/* Configuration space is read-only: no offered feature lets the driver write it. */
		if (!access->is_write)
			access->value = virtio_device_read_config(
				mmio->device, access->offset - CONFIG, access->size);
		return BUS_HANDLED;
	}
	/* Registers are 32 bits wide and accessed whole (virtio 1.3, 4.2.2.2). */
	if (access->size != 4 || access->offset % 4 != 0) {
		access->value = 0;
		return BUS_HANDLED;
	}
	if (access->is_write)
		write_register(mmio, access->offset, (uint32_t)access->value);
	else
		access->value = read_register(mmio, access->offset);
	return BUS_HANDLED;
}
