/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What puts a device before the guest: registers, notifications, interrupts. One file for each
 * transport, and one line in transport.c.
 */
#ifndef VMM_TRANSPORT_H
#define VMM_TRANSPORT_H

#include "boot/machine.h"
#include "vmm/bus.h"
#include "vmm/memory.h"
#include "vmm/pci/host.h"
#include "vmm/virtio/device.h"
#include "vmm/virtio/mmio.h"
#include "vmm/virtio/pci.h"
#include "vmm/vm.h"

/* What the transports work with; the same for all devices. */
struct transport_context {
	const struct machine *machine;
	const struct guest_memory *memory;
	struct vm *vm;
	struct bus *mmio;
	struct pci_host *pci;
	int ack_fd; /* signalled by acknowledged interrupts, never read */
	/* The device memory @index was moved to guest physical @gpa. */
	void (*memory_moved)(void *opaque, int index, uint64_t gpa);
	void *opaque;
};

/* The eventfds of a device that a transport connects; all the device's. */
struct transport_fds {
	int kick[DEVICE_MAX_QUEUES]; /* written for the guest: a queue has buffers */
	int call[DEVICE_MAX_QUEUES]; /* written by the back-end: buffers were used */
	int config;		     /* written by us: the configuration has changed */
};

struct transport {
	const struct transport_ops *ops; /* NULL: not attached */
	const struct transport_context *context;
	const struct machine_virtio *place;
	struct virtio_device *device;
	struct transport_fds fds;
	union {
		struct virtio_mmio mmio;
		struct {
			struct virtio_pci pci;
			unsigned int first_msi; /* of as many as there are vectors */
		};
	};
};

struct transport_ops {
	const char *name;
	/* 0 or -errno, told on stderr; then transport_detach() is called all the same. */
	int (*attach)(struct transport *transport, const struct virtio_pci_pool *pool);
	/* After the last vCPU has stopped. NULL: nothing to undo. */
	void (*detach)(struct transport *transport);
};

extern const struct transport_ops transport_mmio;
extern const struct transport_ops transport_pci;

const char *transport_name(enum machine_transport kind);

/*
 * Puts @device at @place. @pool is what a transport that announces pools by itself tells the driver.
 * 0 or -errno, told on stderr. Everything given stays the caller's and outlives @transport.
 */
int transport_attach(struct transport *transport, const struct transport_context *context,
		     const struct machine_virtio *place, struct virtio_device *device,
		     const struct transport_fds *fds, const struct virtio_pci_pool *pool);

/* Harmless on one that was never attached (zeroed). */
void transport_detach(struct transport *transport);

#endif
