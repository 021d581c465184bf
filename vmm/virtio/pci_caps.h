/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The capabilities of a virtio-pci function (virtio 1.3, 4.1.4), with those that announce a pool.
 */
#ifndef VMM_VIRTIO_PCI_CAPS_H
#define VMM_VIRTIO_PCI_CAPS_H

#include <stdint.h>

#include "vmm/virtio/pci.h"

/* Parts of the register BAR. */
#define VIRTIO_PCI_COMMON	0x0000u
#define VIRTIO_PCI_ISR		0x1000u
#define VIRTIO_PCI_CONFIG	0x2000u
#define VIRTIO_PCI_MSIX_TABLE	0x4000u
#define VIRTIO_PCI_MSIX_PENDING 0x5000u
#define VIRTIO_PCI_PART_SIZE	0x1000u

/* Fields of the PCI configuration access capability (virtio 1.3, 4.1.4.9), from its start. */
#define VIRTIO_PCI_ACCESS_BAR	 4
#define VIRTIO_PCI_ACCESS_OFFSET 8
#define VIRTIO_PCI_ACCESS_LENGTH 12
#define VIRTIO_PCI_ACCESS_DATA	 16

/* Message Control, from the start of the MSI-X capability (PCI 3.0, 6.8.2.3). */
#define MSIX_CONTROL	    2
#define MSIX_CONTROL_ENABLE 0x8000u
#define MSIX_CONTROL_MASK   0x4000u

/* "bar" of a capability that names system memory: old drivers skip what is above 5. */
#define VIRTIO_PCI_BAR_NONE 0xffu

/* Adds all of them, and fills in pci->access_cap, msix_cap and common_size. */
void virtio_pci_add_capabilities(struct virtio_pci *pci);

#endif
