/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What is where in a planned machine, and that nothing is where something else is. */
#ifndef TESTS_UNIT_MACHINE_EXPECT_H
#define TESTS_UNIT_MACHINE_EXPECT_H

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdint.h>

#include "boot/machine.h"
#include "boot/x86_64/layout.h"

#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

static inline bool machine_ranges_overlap(struct machine_range a, struct machine_range b)
{
	return a.base < b.base + b.size && b.base < a.base + a.size;
}

#define MACHINE_FIXED_RANGES 5
#define MACHINE_MAX_RANGES                                                      \
	(MACHINE_MAX_RAM_RANGES + MACHINE_MAX_POOLS + MACHINE_MAX_DEVICES + 3 + \
	 MACHINE_FIXED_RANGES)

/* Everything in the machine that has an address; device memory is inside the high window. */
static inline size_t machine_all_ranges(const struct machine *machine, struct machine_range *ranges)
{
	size_t n = 0;

	for (size_t i = 0; i < machine->nr_ram; i++)
		ranges[n++] = machine->ram[i];
	for (size_t i = 0; i < machine->nr_pools; i++)
		ranges[n++] = machine->pools[i];
	for (size_t i = 0; i < machine->nr_virtio; i++)
		if (machine->virtio[i].transport == MACHINE_TRANSPORT_MMIO)
			ranges[n++] = machine->virtio[i].window;
	if (machine->pci.present) {
		ranges[n++] = machine->pci.ecam;
		ranges[n++] = machine->pci.low;
		ranges[n++] = machine->pci.high;
	}
	ranges[n++] = (struct machine_range){ LAYOUT_SLEEP, LAYOUT_SLEEP_SIZE };
	ranges[n++] = (struct machine_range){ LAYOUT_SYSCON, LAYOUT_SYSCON_SIZE };
	ranges[n++] = (struct machine_range){ LAYOUT_PVPANIC, LAYOUT_PVPANIC_SIZE };
	ranges[n++] = (struct machine_range){ LAYOUT_IOAPIC, 0x1000 };
	ranges[n++] = (struct machine_range){ LAYOUT_LAPIC, 0x1000 };
	return n;
}

static inline void machine_expect_no_overlap(const struct machine *machine)
{
	struct machine_range ranges[MACHINE_MAX_RANGES];
	const size_t n = machine_all_ranges(machine, ranges);

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			cr_expect_not(machine_ranges_overlap(ranges[i], ranges[j]),
				      "0x%llx and 0x%llx", (unsigned long long)ranges[i].base,
				      (unsigned long long)ranges[j].base);
}

#endif
