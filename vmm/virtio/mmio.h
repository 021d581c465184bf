/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * virtio over MMIO, version 2 (virtio 1.3, 4.2): register decoding only.
 */
#ifndef VMM_VIRTIO_MMIO_H
#define VMM_VIRTIO_MMIO_H

#include <stdint.h>

#include "vmm/bus.h"
#include "vmm/virtio/device.h"

/* Registers whose writes end in ioeventfds. */
#define VIRTIO_MMIO_QUEUE_NOTIFY  0x050
#define VIRTIO_MMIO_INTERRUPT_ACK 0x064

/* Interrupt causes (virtio 1.3, 4.2.2). */
#define VIRTIO_MMIO_INTERRUPT_USED_BUFFER   0x1u
#define VIRTIO_MMIO_INTERRUPT_CONFIG_CHANGE 0x2u

struct virtio_mmio {
	struct virtio_device *device;
	/* Plain registers: any vCPU may write them at any time, each access stands for itself. */
	_Atomic uint32_t device_features_sel;
	_Atomic uint32_t driver_features_sel;
	_Atomic uint32_t queue_sel;
};

/* bus_handler; opaque is the struct virtio_mmio. */
enum bus_result virtio_mmio_access(void *opaque, struct bus_access *access);

#endif
