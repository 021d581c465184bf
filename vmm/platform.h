/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The machine's fixed part: its two register buses and the devices that every guest finds.
 */
#ifndef VMM_PLATFORM_H
#define VMM_PLATFORM_H

#include "vmm/bus.h"
#include "vmm/ending.h"
#include "vmm/pci/host.h"
#include "vmm/uart.h"

struct vm;

struct platform {
	struct bus mmio;
	struct bus pio; /* port I/O; empty where the architecture has none */
	struct uart uart;
	struct pci_host pci; /* if the machine has one */
	const struct vm *vm;
	struct ending *ending;
};

#endif
