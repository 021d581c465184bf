/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Where things are in the guest's physical address space; boot/x86_64/layout.h has the picture. */
#include <errno.h>

#include "boot/x86_64/layout.h"
#include "vmm/arch/arch.h"

/*
 * Interrupt lines for virtio devices: first those that a kernel without a device tree reaches
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

int arch_plan_machine(struct machine *machine, const struct arch_needs *needs)
{
	uint64_t tail = needs->nr_pools > 0 ? LAYOUT_RAM_TAIL : 0;
	uint64_t stride, pools, low, low_max, pool_base, high_end;

	if (needs->nr_virtio > MACHINE_MAX_DEVICES || needs->nr_pools > MACHINE_MAX_POOLS ||
	    needs->pool_size > POOLS_MAX || needs->memory <= tail)
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
	if (__builtin_add_overflow(LAYOUT_HIGH_RAM, needs->memory - low - tail, &high_end))
		return -ENOSPC;
	pool_base = align_up(low, LAYOUT_POOL_ALIGN);

	*machine = (struct machine){ .nr_cpus = needs->nr_cpus };
	add_ram(machine, 0, low);
	add_ram(machine, pool_base + pools, tail);
	add_ram(machine, LAYOUT_HIGH_RAM, needs->memory - low - tail);
	for (size_t i = 0; i < needs->nr_pools; i++)
		machine->pools[machine->nr_pools++] = (struct machine_range){
			pool_base + i * stride,
			needs->pool_size,
		};
	for (size_t i = 0; i < needs->nr_virtio; i++)
		machine->virtio[machine->nr_virtio++] = (struct machine_virtio){
			.window = { LAYOUT_VIRTIO_MMIO + i * LAYOUT_VIRTIO_STRIDE,
				    LAYOUT_VIRTIO_SIZE },
			.irq = virtio_irqs[i],
			.pool = needs->virtio_pool[i],
		};
	return 0;
}

unsigned int arch_uart_irq(void)
{
	return LAYOUT_UART_IRQ;
}

const char *arch_cmdline_head(void)
{
	/*
	 * panic=-1: a kernel without pvpanic still ends at once. reboot=k: the keyboard
	 * controller's reset is the one that this machine has. pci=off: there is none to probe for.
	 */
	return "panic=-1 reboot=k pci=off";
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
