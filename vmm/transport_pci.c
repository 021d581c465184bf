/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * virtio-pci: a function on bus 0. Its ioeventfds follow the register BAR, a memslot follows the
 * memory BAR, and each MSI-X vector is one interrupt of KVM's.
 */
#include "vmm/transport.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "vmm/log.h"

static void notify(void *opaque, uint32_t queue)
{
	struct transport *transport = opaque;

	(void)eventfd_write(transport->fds.kick[queue], 1);
}

/* A failure is told by vm_ioctl(); the queue then notifies by way of notify(). */
static void place_registers(void *opaque, uint64_t gpa, bool mapped)
{
	struct transport *transport = opaque;
	const struct vm *vm = transport->context->vm;

	for (unsigned int i = 0; i < transport->device->nr_queues; i++) {
		const struct vm_doorbell kick = {
			.gpa = gpa + VIRTIO_PCI_NOTIFY(i),
			.any = true,
			.fd = transport->fds.kick[i],
		};

		if (mapped)
			vm_add_doorbell(vm, &kick);
		else
			vm_remove_doorbell(vm, &kick);
	}
}

static void place_memory(void *opaque, uint64_t gpa, bool mapped)
{
	struct transport *transport = opaque;
	const struct transport_context *context = transport->context;
	int index = transport->place->device_memory;

	if (!mapped) {
		vm_unmap_device_memory(context->vm, context->memory, (size_t)index);
		return;
	}
	vm_map_device_memory(context->vm, context->memory, (size_t)index, gpa);
	context->memory_moved(context->opaque, index, gpa);
}

static int set_route(void *opaque, unsigned int vector, uint64_t address, uint32_t data)
{
	struct transport *transport = opaque;

	return vm_route_msi(transport->context->vm, transport->first_msi + vector, address, data);
}

static int connect_vector(void *opaque, unsigned int vector, int fd)
{
	struct transport *transport = opaque;

	return vm_add_irqfd(transport->context->vm, transport->first_msi + vector, fd);
}

static int disconnect_vector(void *opaque, unsigned int vector, int fd)
{
	struct transport *transport = opaque;

	return vm_remove_irqfd(transport->context->vm, transport->first_msi + vector, fd);
}

static const struct virtio_pci_ops pci_ops = {
	.notify = notify,
	.place_registers = place_registers,
	.place_memory = place_memory,
	.msix = {
		.set_route = set_route,
		.connect = connect_vector,
		.disconnect = disconnect_vector,
	},
};

static int reserve_msi(struct transport *transport)
{
	int msi;

	for (unsigned int i = 0; i < transport->pci.msix.nr_vectors; i++) {
		msi = vm_add_msi(transport->context->vm);
		if (msi < 0) {
			log_error("%s: MSI-X vectors: %s", transport->device->name, strerror(-msi));
			return msi;
		}
		if (i == 0)
			transport->first_msi = (unsigned int)msi;
	}
	return 0;
}

static int attach(struct transport *transport, const struct virtio_pci_pool *pool)
{
	const struct transport_context *context = transport->context;
	unsigned int slot = transport->place->slot;
	uint64_t registers =
		context->machine->pci.low.base + (uint64_t)slot * VIRTIO_PCI_REGISTERS_SIZE;

	virtio_pci_init(&transport->pci, transport->device, pool, registers, &pci_ops, transport);
	/* In the order of VIRTIO_PCI_CONFIG_SOURCE and VIRTIO_PCI_QUEUE_SOURCE(). */
	msix_add_source(&transport->pci.msix, transport->fds.config);
	for (unsigned int i = 0; i < transport->device->nr_queues; i++)
		msix_add_source(&transport->pci.msix, transport->fds.call[i]);
	pci_host_add(context->pci, slot, &transport->pci.function);
	return reserve_msi(transport);
}

static void detach(struct transport *transport)
{
	virtio_pci_destroy(&transport->pci);
}

const struct transport_ops transport_pci = {
	.name = "pci",
	.attach = attach,
	.detach = detach,
};
