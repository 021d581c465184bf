/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A PCI host with three functions that note what it asks of them. They check each call: nothing is
 * mapped or unmapped twice, and no two BARs answer at one address.
 */
#ifndef TESTS_UNIT_PCI_BENCH_H
#define TESTS_UNIT_PCI_BENCH_H

#include <criterion/criterion.h>
#include <string.h>

#include "vmm/pci/host.h"

#define NR_PROBES  3
#define PROBE_SLOT 3 /* of the first */

/* BARs of each: registers of 32 and of 64 bits, and memory between them. */
#define REGISTERS  0
#define MEMORY	   2
#define REGISTERS2 4

#define REGISTERS_SZ  0x1000ull
#define MEMORY_SZ     0x40000000ull
#define REGISTERS2_SZ 0x4000ull

#define ECAM_BASE 0xe0000000ull
#define LOW_BASE  0xe8000000ull
#define LOW_SIZE  0x8000000ull
#define HIGH_BASE 0x4000000000ull
#define HIGH_SIZE 0x1000000000ull

struct pci_bench;

struct pci_probe {
	struct pci_bench *bench;
	struct pci_function function;
	bool is_mapped[PCI_NR_BARS];
	uint64_t address[PCI_NR_BARS]; /* where it was mapped last */
	unsigned int maps[PCI_NR_BARS], unmaps[PCI_NR_BARS];
	_Atomic unsigned int accesses;
	unsigned int bar; /* of the last access */
	struct bus_access access;
	uint64_t reply; /* to the next */
	enum bus_result result;
	void (*meanwhile)(struct pci_probe *probe); /* before it is answered; or NULL */
	/* After a write to configuration space; or NULL. */
	void (*written)(struct pci_probe *probe, unsigned int offset, unsigned int size);
};

struct pci_bench {
	struct bus mmio, ports;
	struct pci_host host;
	struct pci_probe probes[NR_PROBES];
};

static inline uint64_t probe_bar_size(const struct pci_probe *probe, unsigned int bar)
{
	return probe->function.bars[bar].size;
}

/* By the last bytes: the address after them may not exist. */
static inline bool probe_overlaps(const struct pci_probe *a, unsigned int i,
				  const struct pci_probe *b, unsigned int j)
{
	return a->is_mapped[i] && b->is_mapped[j] &&
	       a->address[i] <= b->address[j] + (probe_bar_size(b, j) - 1) &&
	       b->address[j] <= a->address[i] + (probe_bar_size(a, i) - 1);
}

static inline void probe_mapped(void *opaque, unsigned int bar, uint64_t address)
{
	struct pci_probe *probe = opaque;

	cr_assert_not(probe->is_mapped[bar], "mapped twice");
	probe->is_mapped[bar] = true;
	probe->address[bar] = address;
	probe->maps[bar]++;
	for (unsigned int i = 0; i < NR_PROBES; i++) {
		const struct pci_probe *other = &probe->bench->probes[i];

		for (unsigned int j = 0; j < PCI_NR_BARS; j++)
			cr_assert((other == probe && j == bar) ||
					  !probe_overlaps(probe, bar, other, j),
				  "two answer at 0x%llx", (unsigned long long)address);
	}
}

static inline void probe_unmapped(void *opaque, unsigned int bar, uint64_t address)
{
	struct pci_probe *probe = opaque;

	cr_assert(probe->is_mapped[bar], "unmapped twice");
	cr_assert_eq(probe->address[bar], address);
	probe->is_mapped[bar] = false;
	probe->unmaps[bar]++;
}

static inline enum bus_result probe_access(void *opaque, unsigned int bar,
					   struct bus_access *access)
{
	struct pci_probe *probe = opaque;

	probe->accesses++;
	if (probe->meanwhile)
		probe->meanwhile(probe);
	probe->bar = bar;
	probe->access = *access;
	if (!access->is_write)
		access->value = probe->reply;
	return probe->result;
}

static inline void probe_config_written(void *opaque, unsigned int offset, unsigned int size)
{
	struct pci_probe *probe = opaque;

	if (probe->written)
		probe->written(probe, offset, size);
}

static const struct pci_function_ops probe_ops = {
	.bar_access = probe_access,
	.bar_mapped = probe_mapped,
	.bar_unmapped = probe_unmapped,
	.config_written = probe_config_written,
};

/* Where the BARs of probe @i are at first. */
static inline uint64_t probe_registers(unsigned int i)
{
	return LOW_BASE + i * 0x100000ull;
}

static inline uint64_t probe_memory(unsigned int i)
{
	return HIGH_BASE + i * MEMORY_SZ;
}

static inline uint64_t probe_registers2(unsigned int i)
{
	return HIGH_BASE + HIGH_SIZE / 2 + i * REGISTERS2_SZ;
}

static inline void pci_probe_init(struct pci_bench *b, unsigned int i)
{
	static const struct pci_identity identity = {
		.vendor = 0x1af4,
		.device = 0x1042,
		.subsystem_vendor = 0x4d56,
		.subsystem = 2,
		.class_code = 0x018000,
		.revision = 1,
	};
	struct pci_probe *probe = &b->probes[i];
	struct pci_function *function = &probe->function;

	*probe = (struct pci_probe){ .bench = b, .result = BUS_HANDLED };
	pci_function_init(function, &identity, &probe_ops, probe);
	pci_function_add_bar(function, REGISTERS, REGISTERS_SZ, 0, probe_registers(i));
	pci_function_add_bar(function, MEMORY, MEMORY_SZ,
			     PCI_BAR_64BIT | PCI_BAR_PREFETCHABLE | PCI_BAR_RAM, probe_memory(i));
	pci_function_add_bar(function, REGISTERS2, REGISTERS2_SZ, PCI_BAR_64BIT,
			     probe_registers2(i));
	pci_host_add(&b->host, PROBE_SLOT + i, function);
}

static inline void pci_bench_init(struct pci_bench *b)
{
	static const struct machine_pci places = {
		.present = true,
		.ecam = { ECAM_BASE, 0x100000 },
		.low = { LOW_BASE, LOW_SIZE },
		.high = { HIGH_BASE, HIGH_SIZE },
	};
	const struct bus_region ports = {
		.base = 0xcf8,
		.size = 8,
		.name = "pci",
		.handler = pci_host_ports_access,
		.opaque = &b->host,
	};

	memset(b, 0, sizeof(*b));
	cr_assert_eq(pci_host_init(&b->host, &places, &b->mmio), 0);
	cr_assert_eq(bus_add(&b->ports, &ports), 0);
	for (unsigned int i = 0; i < NR_PROBES; i++)
		pci_probe_init(b, i);
}

static inline uint64_t mmio_read(struct pci_bench *b, uint64_t address, unsigned int size)
{
	uint64_t value = 0;

	bus_access(&b->mmio, address, size, false, &value);
	return value;
}

static inline void mmio_write(struct pci_bench *b, uint64_t address, unsigned int size,
			      uint64_t value)
{
	bus_access(&b->mmio, address, size, true, &value);
}

static inline uint64_t port_read(struct pci_bench *b, uint64_t port, unsigned int size)
{
	uint64_t value = 0;

	bus_access(&b->ports, port, size, false, &value);
	return value;
}

static inline void port_write(struct pci_bench *b, uint64_t port, unsigned int size, uint64_t value)
{
	bus_access(&b->ports, port, size, true, &value);
}

/* Address of a configuration register. */
static inline uint64_t ecam(unsigned int bus, unsigned int slot, unsigned int function,
			    unsigned int offset)
{
	return ECAM_BASE + (bus << 20 | slot << 15 | function << 12 | offset);
}

/* Registers of probe @i, 4 bytes. */
static inline uint32_t config_read(struct pci_bench *b, unsigned int i, unsigned int offset)
{
	return (uint32_t)mmio_read(b, ecam(0, PROBE_SLOT + i, 0, offset), 4);
}

static inline void config_write(struct pci_bench *b, unsigned int i, unsigned int offset,
				uint32_t value)
{
	mmio_write(b, ecam(0, PROBE_SLOT + i, 0, offset), 4, value);
}

static inline void decode(struct pci_bench *b, unsigned int i, bool on)
{
	config_write(b, i, PCI_COMMAND, on ? PCI_COMMAND_MEMORY : 0);
}

#endif
