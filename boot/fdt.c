/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "boot/fdt.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FDT_FIRST_SIZE 4096
#define FDT_LAST_SIZE  (1 << 20)
#define NODE_NAME_MAX  64
#define CELLS_MAX      16

/* First of the three cells of a PCI address (IEEE 1275 PCI binding, 2.2.1.1). */
#define PCI_MEMORY_32	   0x02000000u
#define PCI_MEMORY_64	   0x03000000u
#define PCI_PREFETCHABLE   0x40000000u
#define PCI_FUNCTION(slot) ((uint32_t)(slot) << 11)

/* msi-map: requester ids are 16 bits. */
#define PCI_NR_REQUESTERS 0x10000u

#define HIGH(value) ((uint32_t)((value) >> 32))
#define LOW(value)  ((uint32_t)(value))

/* One attempt with a buffer of @size bytes. Returns 0 or -FDT_ERR_*. */
static int try_build(void (*write)(struct fdt_writer *writer, const struct machine *machine),
		     const struct machine *machine, void *buf, int size)
{
	struct fdt_writer writer = { .fdt = buf };

	writer.error = fdt_create(buf, size);
	if (!writer.error)
		writer.error = fdt_finish_reservemap(buf);
	if (!writer.error)
		write(&writer, machine);
	if (!writer.error)
		writer.error = fdt_finish(buf);
	return writer.error;
}

int fdt_build(void (*write)(struct fdt_writer *writer, const struct machine *machine),
	      const struct machine *machine, void **dtb, size_t *len)
{
	for (int size = FDT_FIRST_SIZE; size <= FDT_LAST_SIZE; size *= 2) {
		void *buf = calloc(1, (size_t)size);
		int err;

		if (!buf)
			return -ENOMEM;
		err = try_build(write, machine, buf, size);
		if (!err) {
			*dtb = buf;
			*len = fdt_totalsize(buf);
			return 0;
		}
		free(buf);
		if (err != -FDT_ERR_NOSPACE)
			break;
	}
	return -EINVAL;
}

void fdt_writer_begin(struct fdt_writer *writer, const char *format, ...)
{
	char name[NODE_NAME_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	if (!writer->error)
		writer->error = fdt_begin_node(writer->fdt, name);
}

void fdt_writer_end(struct fdt_writer *writer)
{
	if (!writer->error)
		writer->error = fdt_end_node(writer->fdt);
}

static void put_property(struct fdt_writer *writer, const char *name, const void *value, size_t len)
{
	if (!writer->error)
		writer->error = fdt_property(writer->fdt, name, value, (int)len);
}

void fdt_writer_flag(struct fdt_writer *writer, const char *name)
{
	put_property(writer, name, NULL, 0);
}

void fdt_writer_string(struct fdt_writer *writer, const char *name, const char *value)
{
	put_property(writer, name, value, strlen(value) + 1);
}

void fdt_writer_cells(struct fdt_writer *writer, const char *name, const uint32_t *cells, size_t n)
{
	fdt32_t big_endian[CELLS_MAX];

	assert(n <= CELLS_MAX);
	for (size_t i = 0; i < n; i++)
		big_endian[i] = cpu_to_fdt32(cells[i]);
	put_property(writer, name, big_endian, n * sizeof(big_endian[0]));
}

void fdt_writer_u32(struct fdt_writer *writer, const char *name, uint32_t value)
{
	fdt_writer_cells(writer, name, &value, 1);
}

void fdt_writer_reg(struct fdt_writer *writer, struct machine_range range)
{
	const uint32_t cells[] = { HIGH(range.base), LOW(range.base), HIGH(range.size),
				   LOW(range.size) };

	fdt_writer_cells(writer, "reg", cells, 4);
}

void fdt_writer_bus_cells(struct fdt_writer *writer, uint32_t address_cells, uint32_t size_cells)
{
	fdt_writer_u32(writer, "#address-cells", address_cells);
	fdt_writer_u32(writer, "#size-cells", size_cells);
}

/*
 * dt-schema, reserved-memory/shared-dma-pool.yaml. Linux ignores the parent unless its cells are
 * the root's and it has "ranges". With "no-map" Linux would warn and then do DMA anywhere.
 */
void fdt_writer_pools(struct fdt_writer *writer, const struct machine *machine)
{
	if (!machine->pools_in_device_tree || !machine->nr_pools)
		return;
	fdt_writer_begin(writer, "reserved-memory");
	fdt_writer_bus_cells(writer, 2, 2);
	fdt_writer_flag(writer, "ranges");
	for (size_t i = 0; i < machine->nr_pools; i++) {
		fdt_writer_begin(writer, "dma-pool@%" PRIx64, machine->pools[i].base);
		fdt_writer_string(writer, "compatible", "restricted-dma-pool");
		fdt_writer_reg(writer, machine->pools[i]);
		fdt_writer_u32(writer, "phandle", FDT_PHANDLE_POOL(i));
		fdt_writer_end(writer);
	}
	fdt_writer_end(writer);
}

static bool has_pool_node(const struct machine *machine, const struct machine_virtio *virtio)
{
	return machine->pools_in_device_tree && virtio->pool != MACHINE_NO_POOL;
}

void fdt_writer_virtio_mmio(struct fdt_writer *writer, const struct machine *machine,
			    const struct machine_virtio *virtio, const uint32_t *interrupts,
			    size_t n)
{
	fdt_writer_begin(writer, "virtio@%" PRIx64, virtio->window.base);
	fdt_writer_string(writer, "compatible", "virtio,mmio");
	fdt_writer_reg(writer, virtio->window);
	fdt_writer_cells(writer, "interrupts", interrupts, n);
	if (has_pool_node(machine, virtio))
		fdt_writer_u32(writer, "memory-region", FDT_PHANDLE_POOL(virtio->pool));
	fdt_writer_end(writer);
}

/* A function of bus 0 needs a node only for what its configuration space does not tell. */
static void put_pci_function(struct fdt_writer *writer, const struct machine_virtio *virtio)
{
	const uint32_t reg[] = { PCI_FUNCTION(virtio->slot), 0, 0, 0, 0 };

	fdt_writer_begin(writer, "virtio@%x,0", virtio->slot);
	fdt_writer_cells(writer, "reg", reg, 5);
	fdt_writer_u32(writer, "memory-region", FDT_PHANDLE_POOL(virtio->pool));
	fdt_writer_end(writer);
}

void fdt_writer_pci_host(struct fdt_writer *writer, const struct machine *machine,
			 uint32_t msi_phandle)
{
	static const uint32_t bus_range[] = { 0, 0 };
	const uint32_t msi_map[] = { 0, msi_phandle, 0, PCI_NR_REQUESTERS };
	const struct machine_pci *pci = &machine->pci;
	const uint32_t ranges[] = {
		/* in PCI */
		PCI_MEMORY_32, HIGH(pci->low.base), LOW(pci->low.base),
		/* in the parent, size */
		HIGH(pci->low.base), LOW(pci->low.base), HIGH(pci->low.size), LOW(pci->low.size),
		/* in PCI */
		PCI_MEMORY_64 | PCI_PREFETCHABLE, HIGH(pci->high.base), LOW(pci->high.base),
		/* in the parent, size */
		HIGH(pci->high.base), LOW(pci->high.base), HIGH(pci->high.size), LOW(pci->high.size)
	};

	if (!pci->present)
		return;
	fdt_writer_begin(writer, "pcie@%" PRIx64, pci->ecam.base);
	fdt_writer_string(writer, "compatible", "pci-host-ecam-generic");
	fdt_writer_string(writer, "device_type", "pci");
	fdt_writer_reg(writer, pci->ecam);
	fdt_writer_bus_cells(writer, 3, 2);
	fdt_writer_cells(writer, "bus-range", bus_range, 2);
	fdt_writer_cells(writer, "ranges", ranges, sizeof(ranges) / sizeof(ranges[0]));
	fdt_writer_cells(writer, "msi-map", msi_map, 4);
	for (size_t i = 0; i < machine->nr_virtio; i++)
		if (machine->virtio[i].transport == MACHINE_TRANSPORT_PCI &&
		    has_pool_node(machine, &machine->virtio[i]))
			put_pci_function(writer, &machine->virtio[i]);
	fdt_writer_end(writer);
}
