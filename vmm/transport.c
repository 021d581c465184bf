/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/transport.h"

static const struct transport_ops *const transports[] = {
	[MACHINE_TRANSPORT_MMIO] = &transport_mmio,
	[MACHINE_TRANSPORT_PCI] = &transport_pci,
};

const char *transport_name(enum machine_transport kind)
{
	return transports[kind]->name;
}

int transport_attach(struct transport *transport, const struct transport_context *context,
		     const struct machine_virtio *place, struct virtio_device *device,
		     const struct transport_fds *fds, const struct virtio_pci_pool *pool)
{
	*transport = (struct transport){
		.ops = transports[place->transport],
		.context = context,
		.place = place,
		.device = device,
		.fds = *fds,
	};
	return transport->ops->attach(transport, pool);
}

void transport_detach(struct transport *transport)
{
	if (transport->ops && transport->ops->detach)
		transport->ops->detach(transport);
	transport->ops = NULL;
}
