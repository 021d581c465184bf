/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The guest's machine as the boot images have to describe it: plain data, filled in by vmm/, read
 * by boot/ when it writes the device tree and the memory map. Nothing here knows KVM.
 */
#ifndef BOOT_MACHINE_H
#define BOOT_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MACHINE_MAX_RAM_RANGES 3
#define MACHINE_MAX_DEVICES    16
#define MACHINE_MAX_POOLS      MACHINE_MAX_DEVICES
#define MACHINE_MAX_CPUS       64

#define MACHINE_NO_POOL (-1)

/* What a guest writes to the system controller, as "syscon-poweroff" of the device tree tells it.
 */
#define MACHINE_SYSCON_POWEROFF 0x5555u

/* SLP_TYP of the state "off", as \_S5 of the ACPI tables tells it: any number of 3 bits. */
#define MACHINE_SLEEP_TYPE_OFF 5u

struct machine_range {
	uint64_t base; /* guest physical address */
	uint64_t size; /* bytes */
};

/* Whether all of [base, base + len) lies inside @range; never when that wraps, also for len 0. */
static inline bool machine_range_contains(const struct machine_range *range, uint64_t base,
					  uint64_t len)
{
	return base >= range->base && base - range->base <= range->size &&
	       len <= range->size - (base - range->base);
}

/*
 * How the guest learns what the machine is made of: never from two sources, since a kernel that
 * knows both would find its interrupt controllers and its PCI bus twice.
 */
enum machine_tables {
	MACHINE_TABLES_DEVICE_TREE,
	MACHINE_TABLES_ACPI,
};

enum machine_transport {
	MACHINE_TRANSPORT_MMIO,
	MACHINE_TRANSPORT_PCI,
};

struct machine_virtio {
	enum machine_transport transport;
	struct machine_range window; /* virtio-mmio: its registers */
	unsigned int irq;	     /* virtio-mmio: interrupt controller input; edge, rising */
	unsigned int slot;	     /* virtio-pci: device number on bus 0 */
	int pool;		     /* index into machine.pools, or MACHINE_NO_POOL */
	int device_memory;	     /* index into machine.device_memory, or MACHINE_NO_POOL */
};

/* A BAR is a power of two in size; for memory at least as much as a large page maps. */
#define MACHINE_MIN_MEMORY_BAR 0x200000ull

/* Size of the BAR that @size bytes of device memory, at most 2^63, are in. */
static inline uint64_t machine_bar_size(uint64_t size)
{
	uint64_t bar = MACHINE_MIN_MEMORY_BAR;

	while (bar < size)
		bar *= 2;
	return bar;
}

/* The PCI host: one bus. BARs are decoded inside the two windows and nowhere else. */
struct machine_pci {
	bool present;
	struct machine_range ecam; /* 4 KiB of configuration space for each function of bus 0 */
	struct machine_range low;  /* below 4 GiB: registers */
	struct machine_range high; /* 64-bit, prefetchable: memory of devices */
};

struct machine {
	unsigned int nr_cpus;
	enum machine_tables tables;
	struct machine_range ram[MACHINE_MAX_RAM_RANGES]; /* ascending; without the pools */
	size_t nr_ram;
	struct machine_range pools[MACHINE_MAX_POOLS]; /* ascending; ordinary memory to the guest */
	size_t nr_pools;
	bool pools_in_device_tree; /* as restricted-dma-pool nodes; else something else names them */
	/* Pools in BARs: initial bus address, size of the pool. No RAM, in no memory map. */
	struct machine_range device_memory[MACHINE_MAX_DEVICES];
	size_t nr_device_memory;
	struct machine_pci pci;
	struct machine_virtio virtio[MACHINE_MAX_DEVICES];
	size_t nr_virtio;
};

#endif
