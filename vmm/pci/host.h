/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The PCI host: bus 0 with a host bridge at 00.0, configuration mechanism #1 (PCI 3.0, 3.2.2.3.2)
 * and ECAM (PCI Express 4.0, 7.2.2), and the decoding of BARs.
 *
 * A BAR answers when its function decodes memory, it lies wholly inside one of the host's windows,
 * and no BAR of an earlier function or with a lower index that answers overlaps it. So a guest can
 * put a BAR anywhere, and what it lays over RAM, ECAM or an interrupt controller just does not
 * answer. After each write to configuration space the host brings what is mapped in line with that,
 * first taking away, then adding: bar_unmapped() and bar_mapped() are called in pairs.
 */
#ifndef VMM_PCI_HOST_H
#define VMM_PCI_HOST_H

#include <pthread.h>
#include <stdint.h>

#include "boot/machine.h"
#include "vmm/bus.h"
#include "vmm/pci/function.h"

#define PCI_NR_SLOTS 32

struct pci_host {
	pthread_mutex_t lock; /* configuration space of all functions, and what is mapped */
	_Atomic uint32_t config_address; /* port 0xcf8 */
	struct machine_pci places;
	struct pci_function bridge;
	struct pci_function *functions[PCI_NR_SLOTS]; /* function 0 of each device; NULL: none */
};

/*
 * Makes the host with its bridge and adds ECAM and those windows that are not empty to @mmio, which
 * refers to @host from then on. Returns 0, or -errno of bus_add() with nothing to destroy.
 */
int pci_host_init(struct pci_host *host, const struct machine_pci *places, struct bus *mmio);
void pci_host_destroy(struct pci_host *host);

/* Puts @function, which stays the caller's, into @slot; before the first vCPU runs. */
void pci_host_add(struct pci_host *host, unsigned int slot, struct pci_function *function);

/* Calls bar_unmapped() for all that is mapped; after the last vCPU has stopped. */
void pci_host_unmap_all(struct pci_host *host);

/*
 * bus_handlers; opaque is the struct pci_host. The ports are 0xcf8 to 0xcff. Where nobody answers
 * they return BUS_UNHANDLED, which reads as all-ones.
 */
enum bus_result pci_host_ports_access(void *opaque, struct bus_access *access);
enum bus_result pci_host_ecam_access(void *opaque, struct bus_access *access);
enum bus_result pci_host_low_access(void *opaque, struct bus_access *access);
enum bus_result pci_host_high_access(void *opaque, struct bus_access *access);

#endif
