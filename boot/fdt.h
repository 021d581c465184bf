/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Device trees. boot_dtb_build() is each architecture's; the rest is what they share.
 */
#ifndef BOOT_FDT_H
#define BOOT_FDT_H

#include <stddef.h>
#include <stdint.h>

#include "boot/machine.h"

/* Phandles: the architecture has 1 to 15, then come the pools by index. */
#define FDT_PHANDLE_POOL(index) (16u + (uint32_t)(index))

/* A tree being written, front to back. The first error sticks and later calls do nothing. */
struct fdt_writer {
	void *fdt;
	int error; /* -FDT_ERR_* */
};

/*
 * Builds the device tree of @machine. Returns 0 with @dtb the caller's to free(), -ENOMEM, or
 * -EINVAL when libfdt refused something.
 */
int boot_dtb_build(const struct machine *machine, void **dtb, size_t *len);

/* Runs @write with a buffer that is enlarged until the tree fits. Errors as above. */
int fdt_build(void (*write)(struct fdt_writer *writer, const struct machine *machine),
	      const struct machine *machine, void **dtb, size_t *len);

/* The node's name is formatted. */
void fdt_writer_begin(struct fdt_writer *writer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void fdt_writer_end(struct fdt_writer *writer);

/* Properties of the open node. */
void fdt_writer_flag(struct fdt_writer *writer, const char *name);
void fdt_writer_string(struct fdt_writer *writer, const char *name, const char *value);
void fdt_writer_cells(struct fdt_writer *writer, const char *name, const uint32_t *cells, size_t n);
void fdt_writer_u32(struct fdt_writer *writer, const char *name, uint32_t value);
/* "reg" with two address and two size cells. */
void fdt_writer_reg(struct fdt_writer *writer, struct machine_range range);
/* "#address-cells" and "#size-cells". */
void fdt_writer_bus_cells(struct fdt_writer *writer, uint32_t address_cells, uint32_t size_cells);

/*
 * /reserved-memory with a restricted-dma-pool for each of the machine's pools, if the device tree
 * is what names them; nothing without any.
 */
void fdt_writer_pools(struct fdt_writer *writer, const struct machine *machine);

/* A virtio,mmio node; @interrupts are the @n cells of its interrupt specifier. */
void fdt_writer_virtio_mmio(struct fdt_writer *writer, const struct machine *machine,
			    const struct machine_virtio *virtio, const uint32_t *interrupts,
			    size_t n);

/*
 * The PCI host, if there is one (Linux, devicetree/bindings/pci/host-generic-pci.yaml), and below it
 * the functions whose pools the device tree names. @msi_phandle: where their MSIs go.
 */
void fdt_writer_pci_host(struct fdt_writer *writer, const struct machine *machine,
			 uint32_t msi_phandle);

#endif
