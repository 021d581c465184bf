/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Where things are in the guest's physical address space; boot/x86_64/layout.h has the picture. */
#include <errno.h>

#include "boot/x86_64/layout.h"
#include "vmm/arch/arch.h"

/*
 * Interrupt lines for virtio-mmio devices: first those that a kernel without a device tree reaches
 * through its 8259s, then the IO-APIC's own. Left out: timer, cascade, UARTs, floppy, RTC, FPU.
 */
static const unsigned int virtio_irqs[MACHINE_MAX_DEVICES] = {
	5, 7, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
};

/* Bytes of low memory that pools may take; the rest is for the kernel. */
#define POOLS_MAX (LAYOUT_LOW_RAM_END / 2)

static uint64_t align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & ~(align - 1);
}

static void add_ram(struct machine *machine, uint64_t base, uint64_t size)
{
	if (size > 0)
		machine->ram[machine->nr_ram++] = (struct machine_range){ base, size };
}

/* RAM and pools. Sets @end to where the last of them ends, at least 4 GiB. */
static int place_memory(struct machine *machine, const struct arch_needs *needs, uint64_t *end)
{
	uint64_t tail = needs->nr_pools > 0 ? LAYOUT_RAM_TAIL : 0;
	uint64_t stride, pools, low, low_max, pool_base;

	if (needs->memory <= tail)
		return -ENOSPC;
	/* At most MACHINE_MAX_POOLS * POOLS_MAX: no overflow. */
	stride = align_up(needs->pool_size, LAYOUT_POOL_ALIGN);
	pools = stride * needs->nr_pools;
	if (pools > POOLS_MAX)
		return -ENOSPC;
	low = needs->memory - tail;
	low_max = LAYOUT_LOW_RAM_END - pools - tail;
	if (low > low_max)
		low = low_max;
	if (__builtin_add_overflow(LAYOUT_HIGH_RAM, needs->memory - low - tail, end))
		return -ENOSPC;
	pool_base = align_up(low, LAYOUT_POOL_ALIGN);

	add_ram(machine, 0, low);
	add_ram(machine, pool_base + pools, tail);
	add_ram(machine, LAYOUT_HIGH_RAM, needs->memory - low - tail);
	for (size_t i = 0; i < needs->nr_pools; i++)
		machine->pools[machine->nr_pools++] = (struct machine_range){
			pool_base + i * stride,
			needs->pool_size,
		};
	return 0;
}

/* Windows and lines in order of the virtio-mmio devices, slots in order of the others. */
static void place_virtio(struct machine *machine, const struct arch_needs *needs)
{
	unsigned int nr_mmio = 0;
	unsigned int nr_pci = 0;

	for (size_t i = 0; i < needs->nr_virtio; i++) {
		struct machine_virtio *virtio = &machine->virtio[machine->nr_virtio++];

		*virtio = (struct machine_virtio){
			.transport = needs->virtio[i].transport,
			.pool = needs->virtio[i].pool,
			.device_memory = needs->virtio[i].device_memory,
		};
		if (virtio->transport == MACHINE_TRANSPORT_PCI) {
			virtio->slot = ++nr_pci; /* the host bridge is in slot 0 */
			continue;
		}
		virtio->window.base = LAYOUT_VIRTIO_MMIO + nr_mmio * LAYOUT_VIRTIO_STRIDE;
		virtio->window.size = LAYOUT_VIRTIO_SIZE;
		virtio->irq = virtio_irqs[nr_mmio++];
	}
	machine->pci.present = nr_pci > 0;
}

/*
 * The windows, and the device memories at the start of the high one, which has room for all of
 * them a second time: so a guest can move any of them without taking another one away first.
 */
static int place_pci(struct machine *machine, const struct arch_needs *needs, uint64_t ram_end)
{
	const uint64_t bar = machine_bar_size(needs->pool_size);
	/* At most 2 * MACHINE_MAX_DEVICES BARs of less than 2 * POOLS_MAX: no overflow. */
	uint64_t size = 2 * bar * needs->nr_device_memory;
	uint64_t align = bar > LAYOUT_PCI_HIGH_MIN ? bar : LAYOUT_PCI_HIGH_MIN;
	uint64_t base = align_up(ram_end, align);
	uint64_t end;

	if (size < LAYOUT_PCI_HIGH_MIN)
		size = LAYOUT_PCI_HIGH_MIN;
	if (base < ram_end || __builtin_add_overflow(base, size, &end))
		return -ENOSPC;
	machine->pci.ecam = (struct machine_range){ LAYOUT_PCI_ECAM, LAYOUT_PCI_ECAM_SIZE };
	machine->pci.low = (struct machine_range){ LAYOUT_PCI_LOW, LAYOUT_PCI_LOW_SIZE };
	machine->pci.high = (struct machine_range){ base, size };
	for (size_t i = 0; i < needs->nr_device_memory; i++)
		machine->device_memory[machine->nr_device_memory++] = (struct machine_range){
			base + i * bar,
			needs->pool_size,
		};
	return 0;
}

int arch_plan_machine(struct machine *machine, const struct arch_needs *needs)
{
	uint64_t end;
	int ret;

	if (needs->nr_virtio > MACHINE_MAX_DEVICES || needs->nr_pools > MACHINE_MAX_POOLS ||
	    needs->nr_device_memory > MACHINE_MAX_DEVICES || needs->pool_size > POOLS_MAX)
		return -ENOSPC;
	*machine = (struct machine){
		.nr_cpus = needs->nr_cpus,
		.tables = needs->tables,
		.pools_in_device_tree = needs->pools_in_device_tree,
	};
	ret = place_memory(machine, needs, &end);
	if (ret)
		return ret;
	place_virtio(machine, needs);
	return machine->pci.present ? place_pci(machine, needs, end) : 0;
}

unsigned int arch_uart_irq(void)
{
	return LAYOUT_UART_IRQ;
}

const char *arch_cmdline_head(const struct machine *machine)
{
	/*
	 * panic=-1: a kernel without pvpanic still ends at once. reboot=k: the keyboard controller's
	 * reset is the one that this machine has, and the one that its ACPI tables name.
	 *
	 * pci=off: Linux is not to probe for PCI by ports and find what is not there, or find a
	 * second time, without its pools, what the device tree describes. The driver of that bridge
	 * does not care. With ACPI there is one description, which includes the ports.
	 *
	 * acpi=off: with a device tree there are no tables, which is no error to report.
	 */
	if (machine->tables == MACHINE_TABLES_DEVICE_TREE)
		return "panic=-1 reboot=k pci=off acpi=off";
	return machine->pci.present ? "panic=-1 reboot=k" : "panic=-1 reboot=k pci=off";
}

const char *arch_cmdline_serial_tail(void)
{
	/*
	 * The boot console shows what happens before the UART's driver is there. It also keeps Linux
	 * from printing its log twice: the driver registers the UART as a PC's first, as that of the
	 * device tree later, and a console that follows a boot console repeats nothing. Behind the
	 * user's parameters, because a "quiet" must be known before it starts to print.
	 */
	return " earlycon=uart8250,io,0x3f8";
}
