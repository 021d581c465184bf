/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The device tree of an x86-64 guest. Linux knows its interrupt controllers as those of the CE4100,
 * the only x86 SoC that came with a device tree. x86 ignores /chosen, /memory and /memreserve.
 */
#include "boot/fdt.h"

#include "boot/x86_64/layout.h"

#define PHANDLE_IOAPIC 1u
#define PHANDLE_SYSCON 2u
#define PHANDLE_LAPIC  3u

#define APIC_WINDOW_SIZE 0x1000u
#define IO_PORTS	 0x10000u

/* Second interrupt cell of "intel,ce4100-ioapic" (Linux, arch/x86/kernel/devicetree.c). */
#define IRQ_EDGE_RISING 3u

static void put_cpus(struct fdt_writer *writer, unsigned int nr_cpus)
{
	fdt_writer_begin(writer, "cpus");
	fdt_writer_bus_cells(writer, 1, 0);
	for (unsigned int i = 0; i < nr_cpus; i++) {
		fdt_writer_begin(writer, "cpu@%x", i);
		fdt_writer_string(writer, "device_type", "cpu");
		fdt_writer_string(writer, "compatible", "intel,x86");
		fdt_writer_u32(writer, "reg", i); /* the APIC ID */
		fdt_writer_end(writer);
	}
	fdt_writer_end(writer);
}

static void put_interrupt_controllers(struct fdt_writer *writer)
{
	fdt_writer_begin(writer, "interrupt-controller@%llx", LAYOUT_LAPIC);
	fdt_writer_string(writer, "compatible", "intel,ce4100-lapic");
	fdt_writer_reg(writer, (struct machine_range){ LAYOUT_LAPIC, APIC_WINDOW_SIZE });
	fdt_writer_flag(writer, "intel,virtual-wire-mode");
	fdt_writer_u32(writer, "phandle", PHANDLE_LAPIC);
	fdt_writer_end(writer);

	fdt_writer_begin(writer, "interrupt-controller@%llx", LAYOUT_IOAPIC);
	fdt_writer_string(writer, "compatible", "intel,ce4100-ioapic");
	fdt_writer_reg(writer, (struct machine_range){ LAYOUT_IOAPIC, APIC_WINDOW_SIZE });
	fdt_writer_flag(writer, "interrupt-controller");
	fdt_writer_u32(writer, "#address-cells", 0);
	fdt_writer_u32(writer, "#interrupt-cells", 2);
	fdt_writer_u32(writer, "phandle", PHANDLE_IOAPIC);
	fdt_writer_end(writer);
}

/* Linux: devicetree/bindings/mfd/syscon.yaml, power/reset/syscon-poweroff.yaml. */
static void put_syscon(struct fdt_writer *writer)
{
	fdt_writer_begin(writer, "syscon@%llx", LAYOUT_SYSCON);
	fdt_writer_string(writer, "compatible", "syscon");
	fdt_writer_reg(writer, (struct machine_range){ LAYOUT_SYSCON, LAYOUT_SYSCON_SIZE });
	fdt_writer_u32(writer, "phandle", PHANDLE_SYSCON);
	fdt_writer_end(writer);
}

static void put_poweroff(struct fdt_writer *writer)
{
	fdt_writer_begin(writer, "poweroff");
	fdt_writer_string(writer, "compatible", "syscon-poweroff");
	fdt_writer_u32(writer, "regmap", PHANDLE_SYSCON);
	fdt_writer_u32(writer, "offset", 0);
	fdt_writer_u32(writer, "value", MACHINE_SYSCON_POWEROFF);
	fdt_writer_u32(writer, "mask", UINT32_MAX);
	fdt_writer_end(writer);
}

static void put_pvpanic(struct fdt_writer *writer)
{
	fdt_writer_begin(writer, "pvpanic@%llx", LAYOUT_PVPANIC);
	fdt_writer_string(writer, "compatible", "qemu,pvpanic-mmio");
	fdt_writer_reg(writer, (struct machine_range){ LAYOUT_PVPANIC, LAYOUT_PVPANIC_SIZE });
	fdt_writer_end(writer);
}

static void put_soc(struct fdt_writer *writer, const struct machine *machine)
{
	fdt_writer_begin(writer, "soc");
	fdt_writer_string(writer, "compatible", "simple-bus");
	fdt_writer_bus_cells(writer, 2, 2);
	fdt_writer_flag(writer, "ranges");
	for (size_t i = 0; i < machine->nr_virtio; i++) {
		const struct machine_virtio *virtio = &machine->virtio[i];
		const uint32_t interrupt[] = { virtio->irq, IRQ_EDGE_RISING };

		if (virtio->transport == MACHINE_TRANSPORT_MMIO)
			fdt_writer_virtio_mmio(writer, machine, virtio, interrupt, 2);
	}
	put_syscon(writer);
	put_pvpanic(writer);
	fdt_writer_end(writer);
}

/* An I/O port's address is 1, port (IEEE 1275 ISA binding); in the parent it is at 0. */
static void put_isa(struct fdt_writer *writer)
{
	static const uint32_t ranges[] = { 1, 0, 0, 0, IO_PORTS };
	static const uint32_t reg[] = { 1, LAYOUT_UART_PORT, LAYOUT_UART_PORTS };
	static const uint32_t interrupt[] = { LAYOUT_UART_IRQ, IRQ_EDGE_RISING };

	fdt_writer_begin(writer, "isa@0");
	fdt_writer_string(writer, "compatible", "isa");
	fdt_writer_bus_cells(writer, 2, 1);
	fdt_writer_cells(writer, "ranges", ranges, 5);
	fdt_writer_begin(writer, "serial@i%x", LAYOUT_UART_PORT);
	fdt_writer_string(writer, "compatible", "ns16550a");
	fdt_writer_cells(writer, "reg", reg, 3);
	fdt_writer_u32(writer, "clock-frequency", LAYOUT_UART_CLOCK);
	fdt_writer_cells(writer, "interrupts", interrupt, 2);
	fdt_writer_end(writer);
	fdt_writer_end(writer);
}

static void write_tree(struct fdt_writer *writer, const struct machine *machine)
{
	fdt_writer_begin(writer, "%s", "");
	fdt_writer_bus_cells(writer, 2, 2);
	fdt_writer_string(writer, "compatible", "minivmm,x86");
	fdt_writer_string(writer, "model", "minivmm");
	fdt_writer_u32(writer, "interrupt-parent", PHANDLE_IOAPIC);
	put_cpus(writer, machine->nr_cpus);
	fdt_writer_pools(writer, machine);
	put_interrupt_controllers(writer);
	put_soc(writer, machine);
	fdt_writer_pci_host(writer, machine, PHANDLE_LAPIC);
	put_poweroff(writer);
	put_isa(writer);
	fdt_writer_end(writer);
}

int boot_dtb_build(const struct machine *machine, void **dtb, size_t *len)
{
	return fdt_build(write_tree, machine, dtb, len);
}
