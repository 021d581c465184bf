/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* virtio-mmio: a register window, ioeventfds in it, and one interrupt line. */
#include "vmm/transport.h"

static int connect_fds(const struct transport *transport)
{
	const struct machine_virtio *place = transport->place;
	const struct vm *vm = transport->context->vm;
	/*
	 * To acknowledge a used buffer changes nothing (vmm/virtio/mmio.c has no state for it): it
	 * need not leave the kernel either.
	 */
	const struct vm_doorbell ack = {
		.gpa = place->window.base + VIRTIO_MMIO_INTERRUPT_ACK,
		.datamatch = VIRTIO_MMIO_INTERRUPT_USED_BUFFER,
		.fd = transport->context->ack_fd,
	};
	int ret = vm_add_doorbell(vm, &ack);

	for (unsigned int i = 0; i < transport->device->nr_queues && ret >= 0; i++) {
		const struct vm_doorbell kick = {
			.gpa = place->window.base + VIRTIO_MMIO_QUEUE_NOTIFY,
			.datamatch = i,
			.fd = transport->fds.kick[i],
		};

		ret = vm_add_doorbell(vm, &kick);
		if (ret >= 0)
			ret = vm_add_irqfd(vm, place->irq, transport->fds.call[i]);
	}
	if (ret >= 0)
		ret = vm_add_irqfd(vm, place->irq, transport->fds.config);
	return ret < 0 ? ret : 0;
}

/* The pool is announced by the device tree, if at all. */
static int attach(struct transport *transport, const struct virtio_pci_pool *pool)
{
	const struct bus_region region = {
		.base = transport->place->window.base,
		.size = transport->place->window.size,
		.name = transport->device->name,
		.handler = virtio_mmio_access,
		.opaque = &transport->mmio,
	};
	int ret = bus_add(transport->context->mmio, &region);

	(void)pool;
	transport->mmio.device = transport->device;
	return ret < 0 ? ret : connect_fds(transport);
}

const struct transport_ops transport_mmio = {
	.name = "mmio",
	.attach = attach,
};
