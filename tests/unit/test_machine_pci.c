/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Where arch_plan_machine() places the PCI host and device memory, and what the kernel is told. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "boot/x86_64/layout.h"
#include "tests/unit/machine_expect.h"
#include "vmm/arch/arch.h"

static uint64_t end_of(struct machine_range range)
{
	return range.base + range.size;
}

/* @nr_pci devices, the first with pools in memory, the last with device memory. */
static struct arch_needs pci_needs(uint64_t memory, size_t nr_pci, size_t nr_pools,
				   size_t nr_device_memory, uint64_t pool_size)
{
	struct arch_needs needs = {
		.nr_cpus = 1,
		.memory = memory,
		.nr_pools = nr_pools,
		.nr_device_memory = nr_device_memory,
		.pool_size = pool_size,
		.nr_virtio = nr_pci,
	};

	for (size_t i = 0; i < nr_pci; i++)
		needs.virtio[i] = (struct machine_virtio){
			.transport = MACHINE_TRANSPORT_PCI,
			.pool = i < nr_pools ? (int)i : MACHINE_NO_POOL,
			.device_memory = i + nr_device_memory >= nr_pci
						 ? (int)(i + nr_device_memory - nr_pci)
						 : MACHINE_NO_POOL,
		};
	return needs;
}

/* In the hole below 4 GiB, beside each other, clear of what else is there. */
Test(machine_pci, low_window_and_ecam_are_in_the_hole)
{
	static const struct machine_range others[] = {
		{ 0, LAYOUT_LOW_RAM_END },
		{ LAYOUT_VIRTIO_MMIO, MACHINE_MAX_DEVICES * LAYOUT_VIRTIO_STRIDE },
		{ LAYOUT_SYSCON, LAYOUT_SYSCON_SIZE },
		{ LAYOUT_PVPANIC, LAYOUT_PVPANIC_SIZE },
		{ LAYOUT_SLEEP, LAYOUT_SLEEP_SIZE },
		{ LAYOUT_IOAPIC, 0x1000 },
		{ LAYOUT_LAPIC, 0x100000 }, /* and where MSIs are written to */
		{ 0xfffbc000, 0x4000 },	    /* KVM's own pages */
		{ LAYOUT_HIGH_RAM, GIB(64) },
	};
	const struct arch_needs needs = pci_needs(MIB(512), 1, 0, 0, 0);
	struct machine machine;

	cr_assert_eq(arch_plan_machine(&machine, &needs), 0);
	cr_assert(machine.pci.present);
	cr_expect_eq(machine.pci.ecam.base, 0xe0000000);
	cr_expect_eq(machine.pci.ecam.size, MIB(1), "one bus");
	cr_expect_not(machine_ranges_overlap(machine.pci.low, machine.pci.ecam));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		cr_expect_not(machine_ranges_overlap(machine.pci.low, others[i]), "low window, %zu",
			      i);
		cr_expect_not(machine_ranges_overlap(machine.pci.ecam, others[i]), "ECAM, %zu", i);
	}
}

/* BARs as KVM and the guest want them, inside the window, with as much room again. */
static void expect_device_memory(const struct machine *machine, uint64_t pool_size)
{
	const uint64_t bar = machine_bar_size(pool_size);
	uint64_t end = machine->pci.high.base;

	for (size_t i = 0; i < machine->nr_device_memory; i++) {
		const struct machine_range *memory = &machine->device_memory[i];

		cr_expect_eq(memory->size, pool_size);
		cr_expect_eq(memory->base % bar, 0, "0x%lx is not aligned", memory->base);
		cr_expect_geq(memory->base, end, "%zu overlaps the one before", i);
		end = memory->base + bar;
	}
	cr_expect_leq(end - machine->pci.high.base, machine->pci.high.size / 2);
}

Test(machine_pci, high_window_is_above_all_ram)
{
	static const uint64_t memories[] = { MIB(32), GIB(3) - 4096,   GIB(3),	      GIB(3) + 4096,
					     GIB(4),  GIB(5) - MIB(1), GIB(64) + 4096 };
	static const uint64_t pool_sizes[] = { MIB(2), MIB(2) + (256 << 10), MIB(16), MIB(256),
					       MIB(1536) };
	static const struct {
		size_t pools, device_memories;
	} counts[] = { { 0, 0 }, { 1, 0 }, { 0, 1 }, { 1, 1 }, { 0, 16 }, { 1, 15 } };

	for (size_t i = 0; i < sizeof(memories) / sizeof(memories[0]); i++)
		for (size_t j = 0; j < sizeof(pool_sizes) / sizeof(pool_sizes[0]); j++)
			for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
				const struct arch_needs needs =
					pci_needs(memories[i], MACHINE_MAX_DEVICES, counts[k].pools,
						  counts[k].device_memories, pool_sizes[j]);
				struct machine machine;
				uint64_t ram_end;

				cr_assert_eq(arch_plan_machine(&machine, &needs), 0);
				ram_end = end_of(machine.ram[machine.nr_ram - 1]);
				cr_expect_geq(machine.pci.high.base, ram_end);
				cr_expect_geq(machine.pci.high.base, GIB(4));
				cr_expect_geq(machine.pci.high.size, GIB(1));
				cr_assert_eq(machine.nr_device_memory, counts[k].device_memories);
				expect_device_memory(&machine, pool_sizes[j]);
				machine_expect_no_overlap(&machine);
			}
}

Test(machine_pci, bar_sizes)
{
	cr_expect_eq(machine_bar_size(0), MIB(2));
	cr_expect_eq(machine_bar_size(MIB(2)), MIB(2));
	cr_expect_eq(machine_bar_size(MIB(2) + 1), MIB(4));
	cr_expect_eq(machine_bar_size(MIB(17)), MIB(32));
	cr_expect_eq(machine_bar_size(1ull << 63), 1ull << 63);
}

/* Slot 0 is the bridge; MMIO devices do not use one up, nor PCI ones windows or lines. */
Test(machine_pci, transports_are_counted_apart)
{
	struct arch_needs needs = { .memory = MIB(512), .nr_virtio = MACHINE_MAX_DEVICES };
	unsigned int nr_mmio = 0, nr_pci = 0;
	struct machine machine;

	for (size_t i = 0; i < needs.nr_virtio; i++)
		needs.virtio[i] = (struct machine_virtio){
			.transport = i % 3 ? MACHINE_TRANSPORT_PCI : MACHINE_TRANSPORT_MMIO,
			.pool = (int)i,
			.device_memory = (int)i + 1,
		};
	cr_assert_eq(arch_plan_machine(&machine, &needs), 0);
	cr_assert_eq(machine.nr_virtio, MACHINE_MAX_DEVICES);
	for (size_t i = 0; i < machine.nr_virtio; i++) {
		const struct machine_virtio *virtio = &machine.virtio[i];

		cr_expect_eq(virtio->transport, needs.virtio[i].transport);
		cr_expect_eq(virtio->pool, (int)i);
		cr_expect_eq(virtio->device_memory, (int)i + 1);
		if (virtio->transport == MACHINE_TRANSPORT_PCI) {
			cr_expect_eq(virtio->slot, ++nr_pci);
			cr_expect_eq(virtio->window.size, 0);
			cr_expect_eq(virtio->irq, 0);
			continue;
		}
		cr_expect_eq(virtio->window.base,
			     LAYOUT_VIRTIO_MMIO + nr_mmio++ * LAYOUT_VIRTIO_STRIDE);
		cr_expect_eq(virtio->slot, 0);
	}
	machine_expect_no_overlap(&machine);
	cr_expect_eq(nr_mmio, 6);
	cr_expect_eq(machine.virtio[3].irq, 7, "the second line, for the second MMIO device");
}

Test(machine_pci, no_pci_device_no_host)
{
	const struct arch_needs needs = { .memory = MIB(512), .nr_virtio = 2 };
	struct machine machine;

	cr_assert_eq(arch_plan_machine(&machine, &needs), 0);
	cr_expect_not(machine.pci.present);
	cr_expect_eq(machine.pci.low.size, 0);
	cr_expect_eq(machine.pci.high.size, 0);
	cr_expect_eq(machine.pci.ecam.size, 0);
}

Test(machine_pci, what_does_not_fit_is_refused)
{
	const struct arch_needs cases[] = {
		pci_needs(MIB(512), 1, 0, MACHINE_MAX_DEVICES + 1, MIB(2)),
		pci_needs(MIB(512), 1, 0, 1, GIB(3) / 2 + 1),
		pci_needs(MIB(512), 1, 0, 1, UINT64_MAX),
		pci_needs(UINT64_MAX - GIB(2) + 1, 1, 0, 0, 0), /* RAM fits, no window above it */
		pci_needs(UINT64_MAX - GIB(3) + 1, 1, 0, 1, GIB(1)),
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct machine machine;

		cr_expect_eq(arch_plan_machine(&machine, &cases[i]), -ENOSPC, "case %zu", i);
	}
}

Test(machine_pci, the_guest_is_told_as_asked)
{
	const struct arch_needs needs = {
		.memory = MIB(512),
		.tables = MACHINE_TABLES_ACPI,
		.pools_in_device_tree = true,
	};
	struct machine machine;

	cr_assert_eq(arch_plan_machine(&machine, &needs), 0);
	cr_expect_eq(machine.tables, MACHINE_TABLES_ACPI);
	cr_expect(machine.pools_in_device_tree);
}

/* Linux may look for PCI by ports when there is some and the device tree does not describe it. */
Test(machine_pci, kernel_parameters)
{
	for (int present = 0; present < 2; present++)
		for (int acpi = 0; acpi < 2; acpi++) {
			const struct machine machine = {
				.tables = acpi ? MACHINE_TABLES_ACPI : MACHINE_TABLES_DEVICE_TREE,
				.pci = { .present = present },
			};
			const char *head = arch_cmdline_head(&machine);

			cr_expect_not_null(strstr(head, "panic=-1"));
			cr_expect_not_null(strstr(head, "reboot=k"));
			cr_expect_eq(!strstr(head, "pci=off"), present && acpi, "%d %d", present,
				     acpi);
			cr_expect_eq(!strstr(head, "acpi=off"), acpi, "%d %d", present, acpi);
		}
}
