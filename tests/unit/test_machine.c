/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Where arch_plan_machine() places RAM, pools and devices of an x86-64 guest. */
#include <criterion/criterion.h>
#include <errno.h>

#include "boot/x86_64/layout.h"
#include "tests/unit/machine_expect.h"
#include "vmm/arch/arch.h"

#define KIB(n) ((uint64_t)(n) << 10)

/*
 * Pools come directly above low RAM, aligned, ascending; above them the tail of low RAM, all below
 * the MMIO hole.
 */
static void expect_pools_in_low_ram(const struct machine *machine, uint64_t pool_size)
{
	uint64_t end = machine->ram[0].size;

	for (size_t i = 0; i < machine->nr_pools; i++) {
		const struct machine_range *pool = &machine->pools[i];

		cr_expect_eq(pool->size, pool_size);
		cr_expect_eq(pool->base % LAYOUT_POOL_ALIGN, 0);
		cr_expect_geq(pool->base, end);
		cr_expect_lt(pool->base - end, LAYOUT_POOL_ALIGN, "pool %zu leaves a gap", i);
		end = pool->base + pool->size;
	}
	if (machine->nr_pools > 0) {
		cr_expect_eq(machine->ram[1].size, LAYOUT_RAM_TAIL);
		cr_expect_geq(machine->ram[1].base, end);
		cr_expect_lt(machine->ram[1].base - end, LAYOUT_POOL_ALIGN);
		end = machine->ram[1].base + machine->ram[1].size;
	}
	cr_expect_leq(end, LAYOUT_LOW_RAM_END);
}

#define LOW LAYOUT_LOW_RAM_END

/* @low: RAM below 4 GiB that is expected, with the tail; the rest is above. */
static const struct {
	uint64_t memory;
	size_t nr_pools;
	uint64_t pool_size;
	uint64_t low;
} plans[] = {
	{ MIB(32), 0, 0, MIB(32) },
	{ MIB(512), 1, MIB(16), MIB(512) },
	{ MIB(512), 16, MIB(64), MIB(512) },
	{ MIB(512) + KIB(4), 2, MIB(2), MIB(512) + KIB(4) }, /* RAM that ends unaligned */
	{ MIB(512), 3, MIB(2) + KIB(256), MIB(512) },	     /* pools that end unaligned */
	{ LOW - KIB(4), 0, 0, LOW - KIB(4) },
	{ LOW, 0, 0, LOW },
	{ LOW + KIB(4), 0, 0, LOW },
	{ LOW - MIB(16), 1, MIB(16), LOW - MIB(16) },
	{ LOW - MIB(16) - KIB(4), 1, MIB(16), LOW - MIB(16) - KIB(4) },
	{ LOW - MIB(16) + KIB(4), 1, MIB(16), LOW - MIB(16) },
	{ LOW, 1, MIB(16), LOW - MIB(16) },
	{ GIB(4), 2, MIB(2) + 1, LOW - MIB(8) },
	{ GIB(64), 16, MIB(64), LOW - GIB(1) },
	{ GIB(3), 2, MIB(512), LOW - GIB(1) }, /* all that pools may take */
};

Test(machine, memory_and_pools)
{
	for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
		const struct arch_needs needs = {
			.nr_cpus = 2,
			.memory = plans[i].memory,
			.nr_pools = plans[i].nr_pools,
			.pool_size = plans[i].pool_size,
			.nr_virtio = MACHINE_MAX_DEVICES,
		};
		const size_t nr_low = plans[i].nr_pools > 0 ? 2 : 1;
		const uint64_t high = plans[i].memory - plans[i].low;
		struct machine machine;
		uint64_t low = 0;

		cr_assert_eq(arch_plan_machine(&machine, &needs), 0, "plan %zu", i);
		cr_expect_eq(machine.nr_cpus, 2);
		cr_assert_eq(machine.nr_ram, nr_low + (high > 0), "plan %zu", i);
		for (size_t j = 0; j < nr_low; j++)
			low += machine.ram[j].size;
		cr_expect_eq(machine.ram[0].base, 0);
		cr_expect_eq(low, plans[i].low, "plan %zu: 0x%llx", i, (unsigned long long)low);
		if (high) {
			cr_expect_eq(machine.ram[nr_low].base, LAYOUT_HIGH_RAM);
			cr_expect_eq(machine.ram[nr_low].size, high, "plan %zu", i);
		}
		cr_expect_eq(machine.nr_pools, plans[i].nr_pools);
		expect_pools_in_low_ram(&machine, plans[i].pool_size);
		machine_expect_no_overlap(&machine);
	}
}

Test(machine, what_does_not_fit_is_refused)
{
	static const struct arch_needs cases[] = {
		{ .memory = MIB(512), .nr_pools = 1, .pool_size = LOW / 2 + 1 },
		{ .memory = MIB(512), .nr_pools = 3, .pool_size = MIB(512) + 1 },
		{ .memory = MIB(512), .nr_pools = 16, .pool_size = MIB(98) },
		{ .memory = MIB(512), .nr_pools = 1, .pool_size = GIB(3) },
		{ .memory = MIB(512), .nr_pools = 1, .pool_size = UINT64_MAX },
		{ .memory = MIB(512), .nr_pools = 1, .pool_size = UINT64_MAX - MIB(2) + 2 },
		{ .memory = MIB(512), .nr_pools = 16, .pool_size = 1ull << 60 },
		{ .memory = MIB(512), .nr_pools = 16, .pool_size = (1ull << 60) + MIB(2) },
		{ .memory = MIB(512), .nr_pools = MACHINE_MAX_POOLS + 1, .pool_size = MIB(2) },
		{ .memory = MIB(512), .nr_pools = SIZE_MAX, .pool_size = MIB(2) },
		{ .memory = MIB(512), .nr_virtio = MACHINE_MAX_DEVICES + 1 },
		{ .memory = MIB(512), .nr_virtio = SIZE_MAX },
		{ .memory = UINT64_MAX },
		{ .memory = UINT64_MAX, .nr_pools = 1, .pool_size = MIB(16) },
		{ .memory = LAYOUT_RAM_TAIL, .nr_pools = 1, .pool_size = MIB(16) },
		{ .memory = UINT64_MAX - (LAYOUT_HIGH_RAM - LOW) +
			    1 }, /* high RAM would end at 2^64 */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct machine machine;

		cr_expect_eq(arch_plan_machine(&machine, &cases[i]), -ENOSPC, "case %zu", i);
	}
}

Test(machine, a_window_and_an_interrupt_for_each_device)
{
	struct arch_needs needs = { .memory = MIB(512), .nr_virtio = MACHINE_MAX_DEVICES };
	struct machine machine;

	for (int i = 0; i < MACHINE_MAX_DEVICES; i++)
		needs.virtio[i].pool = i % 3 == 0 ? MACHINE_NO_POOL : i;
	cr_assert_eq(arch_plan_machine(&machine, &needs), 0);
	cr_assert_eq(machine.nr_virtio, MACHINE_MAX_DEVICES);
	for (size_t i = 0; i < machine.nr_virtio; i++) {
		const struct machine_virtio *virtio = &machine.virtio[i];

		cr_expect_eq(virtio->window.base, LAYOUT_VIRTIO_MMIO + i * LAYOUT_VIRTIO_STRIDE);
		cr_expect_eq(virtio->window.size, LAYOUT_VIRTIO_SIZE);
		cr_expect_eq(virtio->pool, needs.virtio[i].pool);
		cr_expect_lt(virtio->irq, 24, "an input of the IO-APIC");
		cr_expect_neq(virtio->irq, arch_uart_irq());
		for (size_t j = 0; j < i; j++)
			cr_expect_neq(virtio->irq, machine.virtio[j].irq);
	}
}

/* Timer, keyboard, cascade, COM2, COM1, floppy, RTC and FPU keep theirs. */
Test(machine, interrupts_of_the_platform_are_left_alone)
{
	static const unsigned int taken[] = { 0, 1, 2, 3, 4, 6, 8, 13 };
	const struct arch_needs needs = { .memory = MIB(512), .nr_virtio = MACHINE_MAX_DEVICES };
	struct machine machine;

	cr_assert_eq(arch_plan_machine(&machine, &needs), 0);
	for (size_t i = 0; i < machine.nr_virtio; i++)
		for (size_t j = 0; j < sizeof(taken) / sizeof(taken[0]); j++)
			cr_expect_neq(machine.virtio[i].irq, taken[j]);
}
