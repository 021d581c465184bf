/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * virtio over PCI, modern only (virtio 1.3, 4.1): one PCI function, its capabilities, and the
 * decoding of its registers. Interrupts are MSI-X alone; there is no INTx pin.
 *
 *	BAR 0, 32 KiB, registers             BAR 2, 64-bit, prefetchable; only if the pool is there
 *	  0x0000  common configuration         the pool
 *	  0x1000  ISR status
 *	  0x2000  device configuration
 *	  0x3000  notification, 4 bytes for each queue
 *	  0x4000  MSI-X table
 *	  0x5000  MSI-X pending bits
 */
#ifndef VMM_VIRTIO_PCI_H
#define VMM_VIRTIO_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "boot/machine.h"
#include "vmm/pci/function.h"
#include "vmm/pci/msix.h"
#include "vmm/virtio/device.h"
#include "vmm/virtio/mechanism.h"

#define VIRTIO_PCI_REGISTERS_BAR  0
#define VIRTIO_PCI_REGISTERS_SIZE 0x8000u
#define VIRTIO_PCI_MEMORY_BAR	  2

/* Where a write notifies queue @queue, in the register BAR. */
#define VIRTIO_PCI_NOTIFY(queue) (0x3000u + 4u * (queue))

#define VIRTIO_PCI_UUID_SIZE 16

/* Vector of the common configuration's config_msix_vector, and of queue @queue, as sources. */
#define VIRTIO_PCI_CONFIG_SOURCE       0u
#define VIRTIO_PCI_QUEUE_SOURCE(queue) (1u + (queue))

struct virtio_pci_ops {
	/* The driver notified @queue in a way that the kernel does not catch. */
	void (*notify)(void *opaque, uint32_t queue);
	/* The registers, or the pool in its BAR, answer at @gpa from now on, or no longer. */
	void (*place_registers)(void *opaque, uint64_t gpa, bool mapped);
	void (*place_memory)(void *opaque, uint64_t gpa, bool mapped);
	struct msix_ops msix;
};

/* How the function announces its pool; all zero (MECHANISM_NONE) for none. */
struct virtio_pci_pool {
	enum mechanism mechanism;
	const struct proposal *proposal;
	enum pool_place place;
	/* In memory: where. In a BAR: where the BAR is at first. Size 0: another device has it. */
	struct machine_range range;
	const uint8_t *group; /* UUID, or NULL */
};

struct virtio_pci {
	struct pci_function function;
	struct msix msix;
	struct virtio_device *device;
	struct virtio_pci_pool pool;
	const struct virtio_pci_ops *ops;
	void *opaque;
	unsigned int access_cap; /* offsets of capabilities */
	unsigned int msix_cap;
	uint32_t common_size; /* bytes of the common configuration */
	/* Plain registers: any vCPU may write them at any time, each access stands for itself. */
	_Atomic uint32_t device_feature_select;
	_Atomic uint32_t driver_feature_select;
	_Atomic uint16_t queue_select;
};

/*
 * Builds the function for @device, whose id, queues and offered features are set. @registers_gpa is
 * where BAR 0 is at first. @pool is copied; what it points to stays the caller's.
 */
void virtio_pci_init(struct virtio_pci *pci, struct virtio_device *device,
		     const struct virtio_pci_pool *pool, uint64_t registers_gpa,
		     const struct virtio_pci_ops *ops, void *opaque);
void virtio_pci_destroy(struct virtio_pci *pci);

/* pci_function_ops.bar_access; opaque is the struct virtio_pci. */
enum bus_result virtio_pci_access(void *opaque, unsigned int bar, struct bus_access *access);

#endif
