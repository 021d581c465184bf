/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Which BARs answer, wherever a guest puts them. pci_bench.h checks each single call. */
#include "tests/unit/pci_bench.h"

#define ROUNDS 100000

static void move_low(struct pci_bench *b, unsigned int i, uint64_t address)
{
	config_write(b, i, PCI_BAR(REGISTERS), (uint32_t)address);
}

static void move_high(struct pci_bench *b, unsigned int i, unsigned int bar, uint64_t address)
{
	config_write(b, i, PCI_BAR(bar), (uint32_t)address);
	config_write(b, i, PCI_BAR(bar + 1), (uint32_t)(address >> 32));
}

static unsigned int calls(const struct pci_bench *b)
{
	unsigned int sum = 0;

	for (unsigned int i = 0; i < NR_PROBES; i++) {
		for (unsigned int bar = 0; bar < PCI_NR_BARS; bar++)
			sum += b->probes[i].maps[bar] + b->probes[i].unmaps[bar];
	}
	return sum;
}

static bool answers_at(struct pci_bench *b, unsigned int i, unsigned int bar, uint64_t address)
{
	struct pci_probe *probe = &b->probes[i];
	const unsigned int before = probe->accesses;

	probe->reply = 0x5a5a;
	cr_expect_eq(probe->is_mapped[bar], probe->function.bars[bar].mapped);
	return mmio_read(b, address, 4) == 0x5a5a && probe->accesses == before + 1 &&
	       probe->bar == bar && probe->access.offset == 0 && probe->is_mapped[bar] &&
	       probe->address[bar] == address;
}

Test(pci_bars, answer_while_memory_is_decoded)
{
	struct pci_bench b;

	pci_bench_init(&b);
	cr_expect_not(answers_at(&b, 0, REGISTERS, probe_registers(0)));
	decode(&b, 0, true);
	cr_expect(answers_at(&b, 0, REGISTERS, probe_registers(0)));
	cr_expect(answers_at(&b, 0, REGISTERS2, probe_registers2(0)));
	cr_expect(b.probes[0].is_mapped[MEMORY]);
	cr_expect_eq(b.probes[0].address[MEMORY], probe_memory(0));
	cr_expect_not(answers_at(&b, 1, REGISTERS, probe_registers(1)));
	cr_expect_eq(calls(&b), 3);
	decode(&b, 0, false);
	cr_expect_not(answers_at(&b, 0, REGISTERS, probe_registers(0)));
	cr_expect_not(answers_at(&b, 0, REGISTERS2, probe_registers2(0)));
	cr_expect_not(b.probes[0].is_mapped[MEMORY]);
	cr_expect_eq(calls(&b), 6);
}

Test(pci_bars, nothing_is_called_when_nothing_changes)
{
	struct pci_bench b;

	pci_bench_init(&b);
	decode(&b, 0, true);
	for (unsigned int at = 0; at < PCI_CONFIG_SIZE; at += 4)
		config_write(&b, 0, at, config_read(&b, 0, at));
	config_write(&b, 0, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER);
	config_write(&b, 1, PCI_COMMAND, PCI_COMMAND_BUS_MASTER);
	config_write(&b, 1, PCI_BAR(REGISTERS), UINT32_MAX);
	mmio_write(&b, ecam(0, 0, 0, PCI_COMMAND), 2, PCI_COMMAND_MEMORY);
	cr_expect_eq(calls(&b), 3);
}

/* A driver of PCI 2.0 days sizes BARs without switching decoding off. */
Test(pci_bars, sized_while_decoded)
{
	struct pci_bench b;

	pci_bench_init(&b);
	decode(&b, 0, true);
	move_low(&b, 0, UINT32_MAX);
	cr_expect_eq(config_read(&b, 0, PCI_BAR(REGISTERS)), 0xfffff000);
	cr_expect_not(b.probes[0].is_mapped[REGISTERS]);
	move_low(&b, 0, probe_registers(0));
	cr_expect(answers_at(&b, 0, REGISTERS, probe_registers(0)));
	move_high(&b, 0, REGISTERS2, UINT64_MAX);
	cr_expect_eq(config_read(&b, 0, PCI_BAR(REGISTERS2)), 0xffffc004);
	cr_expect_eq(config_read(&b, 0, PCI_BAR(REGISTERS2 + 1)), 0xffffffff);
	cr_expect_not(b.probes[0].is_mapped[REGISTERS2]);
	move_high(&b, 0, REGISTERS2, probe_registers2(0));
	cr_expect(answers_at(&b, 0, REGISTERS2, probe_registers2(0)));
}

/* Each half of an address is an address of its own until the other follows. */
Test(pci_bars, half_written_64bit_bar)
{
	const uint64_t to = HIGH_BASE + 0xf00010000;
	const uint64_t half = (probe_registers2(0) >> 32 << 32) | (uint32_t)to;
	struct pci_bench b;

	pci_bench_init(&b);
	decode(&b, 0, true);
	config_write(&b, 0, PCI_BAR(REGISTERS2), (uint32_t)to);
	cr_expect(answers_at(&b, 0, REGISTERS2, half));
	config_write(&b, 0, PCI_BAR(REGISTERS2 + 1), to >> 32);
	cr_expect(answers_at(&b, 0, REGISTERS2, to));
	cr_expect_eq(b.probes[0].maps[REGISTERS2], 3);
	config_write(&b, 0, PCI_BAR(REGISTERS2 + 1), 0);
	cr_expect_not(b.probes[0].is_mapped[REGISTERS2]);
	config_write(&b, 0, PCI_BAR(REGISTERS2), (uint32_t)LOW_BASE + 0x10000);
	cr_expect(answers_at(&b, 0, REGISTERS2, LOW_BASE + 0x10000), "below 4 GiB in its window");
}

Test(pci_bars, outside_of_the_windows)
{
	static const struct {
		uint64_t address;
		bool answers;
	} cases[] = {
		{ 0, false },
		{ 0x100000, false },	/* RAM */
		{ ECAM_BASE, false },	/* ECAM */
		{ 0xfec00000, false },	/* the I/O APIC */
		{ 0xfee00000, false },	/* the local APICs */
		{ 0x100000000, false }, /* RAM above 4 GiB */
		{ LOW_BASE - REGISTERS2_SZ, false },
		{ LOW_BASE + LOW_SIZE - REGISTERS2_SZ, true },
		{ LOW_BASE + LOW_SIZE, false },
		{ HIGH_BASE - REGISTERS2_SZ, false },
		{ HIGH_BASE + HIGH_SIZE - REGISTERS2_SZ, true },
		{ HIGH_BASE + HIGH_SIZE, false },
		{ UINT64_MAX - REGISTERS2_SZ + 1, false },
		{ 1ull << 63, false },
	};
	struct pci_bench b;

	pci_bench_init(&b);
	decode(&b, 0, true);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint64_t address = cases[i].address;

		move_high(&b, 0, REGISTERS2, address);
		cr_expect_eq(b.probes[0].is_mapped[REGISTERS2], cases[i].answers, "case %zu", i);
		if (cases[i].answers)
			cr_expect(answers_at(&b, 0, REGISTERS2, address), "case %zu", i);
		move_high(&b, 0, REGISTERS2, probe_registers2(0));
		cr_expect(answers_at(&b, 0, REGISTERS2, probe_registers2(0)), "case %zu", i);
	}
}

/* A BAR that is larger than a window, or sticks out of one. */
Test(pci_bars, partly_in_a_window)
{
	static const struct machine_pci places = {
		.ecam = { ECAM_BASE, 0x100000 },
		.low = { LOW_BASE + 0x800, 0x1000 }, /* of no BAR's alignment */
		.high = { HIGH_BASE, MEMORY_SZ - 1 },
	};
	struct pci_bench b;

	pci_bench_init(&b);
	b.host.places = places;
	decode(&b, 0, true);
	move_low(&b, 0, LOW_BASE);
	move_low(&b, 0, LOW_BASE + 0x1000);
	move_high(&b, 0, REGISTERS2, HIGH_BASE + (MEMORY_SZ - REGISTERS2_SZ));
	cr_expect_eq(calls(&b), 0);
}

/* Neither the end of the last BAR nor that of its window is a number. */
Test(pci_bars, top_of_the_address_space)
{
	static const uint64_t top = UINT64_MAX - HIGH_SIZE + 1;
	static const struct machine_pci places = {
		.ecam = { ECAM_BASE, 0x100000 },
		.low = { LOW_BASE, LOW_SIZE },
		.high = { UINT64_MAX - HIGH_SIZE + 1, HIGH_SIZE },
	};
	const uint64_t last = UINT64_MAX - REGISTERS2_SZ + 1;
	struct pci_bench b;

	pci_bench_init(&b);
	memset(&b.mmio, 0, sizeof(b.mmio));
	cr_assert_eq(pci_host_init(&b.host, &places, &b.mmio), 0);
	pci_probe_init(&b, 0);
	pci_probe_init(&b, 1);
	decode(&b, 0, true);
	decode(&b, 1, true);
	move_high(&b, 0, REGISTERS2, UINT64_MAX);
	cr_expect(answers_at(&b, 0, REGISTERS2, last));
	b.probes[0].reply = 0x77;
	cr_expect_eq(mmio_read(&b, UINT64_MAX, 1), 0x77);
	cr_expect_eq(b.probes[0].access.offset, REGISTERS2_SZ - 1);
	move_high(&b, 1, REGISTERS2, UINT64_MAX);
	cr_expect_not(b.probes[1].is_mapped[REGISTERS2], "the place is taken");
	move_high(&b, 1, REGISTERS2, last - REGISTERS2_SZ);
	cr_expect(answers_at(&b, 1, REGISTERS2, last - REGISTERS2_SZ));
	move_high(&b, 1, REGISTERS2, top);
	cr_expect(answers_at(&b, 1, REGISTERS2, top));
}

Test(pci_bars, earlier_function_wins)
{
	struct pci_bench b;

	pci_bench_init(&b);
	for (unsigned int i = 0; i < NR_PROBES; i++)
		decode(&b, i, true);
	/* The later one moves over the earlier: it is silent, and back again. */
	move_low(&b, 1, probe_registers(0));
	cr_expect(answers_at(&b, 0, REGISTERS, probe_registers(0)));
	cr_expect_not(b.probes[1].is_mapped[REGISTERS]);
	move_low(&b, 1, probe_registers(1));
	cr_expect(answers_at(&b, 1, REGISTERS, probe_registers(1)));
	cr_expect_eq(b.probes[0].unmaps[REGISTERS], 0);
	/* The earlier one moves over the later: that one is unmapped first, which the probe checks. */
	move_low(&b, 0, probe_registers(1));
	cr_expect(answers_at(&b, 0, REGISTERS, probe_registers(1)));
	cr_expect_not(b.probes[1].is_mapped[REGISTERS]);
	/* When it leaves, the later one answers again. */
	move_low(&b, 0, probe_registers(0));
	cr_expect(answers_at(&b, 1, REGISTERS, probe_registers(1)));
	/* All three in one place, and the winner stops decoding. */
	move_low(&b, 1, probe_registers(0));
	move_low(&b, 2, probe_registers(0));
	decode(&b, 0, false);
	cr_expect(answers_at(&b, 1, REGISTERS, probe_registers(0)));
	cr_expect_not(b.probes[2].is_mapped[REGISTERS]);
	decode(&b, 1, false);
	cr_expect(answers_at(&b, 2, REGISTERS, probe_registers(0)));
}

/* In the middle of a larger one, which answers on both sides of it. */
Test(pci_bars, later_one_inside_an_earlier)
{
	const uint64_t around = LOW_BASE + 0x2000000;
	struct pci_bench b;

	pci_bench_init(&b);
	move_high(&b, 0, REGISTERS2, around);
	move_low(&b, 1, around + REGISTERS_SZ);
	decode(&b, 0, true);
	decode(&b, 1, true);
	cr_expect(answers_at(&b, 0, REGISTERS2, around));
	cr_expect_not(b.probes[1].is_mapped[REGISTERS]);
	move_low(&b, 1, around + REGISTERS2_SZ);
	cr_expect(answers_at(&b, 1, REGISTERS, around + REGISTERS2_SZ));
}

Test(pci_bars, lower_index_wins)
{
	const uint64_t inside = LOW_BASE + 0x2003000;
	const uint64_t around = inside & ~(REGISTERS2_SZ - 1);
	struct pci_bench b;

	pci_bench_init(&b);
	move_low(&b, 0, inside);
	move_high(&b, 0, REGISTERS2, around);
	decode(&b, 0, true);
	cr_expect(answers_at(&b, 0, REGISTERS, inside));
	cr_expect_not(b.probes[0].is_mapped[REGISTERS2]);
	cr_expect_eq(mmio_read(&b, around, 4), UINT32_MAX);
	move_low(&b, 0, around + REGISTERS2_SZ);
	cr_expect(answers_at(&b, 0, REGISTERS2, around));
	cr_expect(answers_at(&b, 0, REGISTERS, around + REGISTERS2_SZ));
}

/* One that itself does not answer takes no place. */
Test(pci_bars, a_silent_bar_hides_nobody)
{
	struct pci_bench b;

	pci_bench_init(&b);
	for (unsigned int i = 0; i < NR_PROBES; i++)
		decode(&b, i, true);
	/* probe 0 over probe 1's BAR 0 is larger; probe 2 is over its free rest. */
	move_high(&b, 1, REGISTERS2, probe_registers(0));
	cr_expect_not(b.probes[1].is_mapped[REGISTERS2]);
	move_low(&b, 2, probe_registers(0) + REGISTERS_SZ);
	cr_expect(answers_at(&b, 2, REGISTERS, probe_registers(0) + REGISTERS_SZ));
}

Test(pci_bars, accesses)
{
	const uint64_t last = probe_registers(0) + REGISTERS_SZ - 4;
	struct pci_bench b;
	struct pci_probe *probe = &b.probes[0];
	uint64_t value = 0x1122334455667788;

	pci_bench_init(&b);
	decode(&b, 0, true);
	cr_expect_eq(bus_access(&b.mmio, last, 4, true, &value), BUS_HANDLED);
	cr_expect_eq(probe->bar, REGISTERS);
	cr_expect_eq(probe->access.offset, REGISTERS_SZ - 4);
	cr_expect_eq(probe->access.size, 4);
	cr_expect(probe->access.is_write);
	cr_expect_eq(probe->access.value, 0x55667788);
	probe->reply = 0x1234567890;
	cr_expect_eq(mmio_read(&b, last - 4, 8), 0x1234567890);
	cr_expect_eq(mmio_read(&b, last + 3, 1), 0x90);
	cr_expect_eq(probe->accesses, 3);
	/* Across its end, just behind and just before it. */
	cr_expect_eq(mmio_read(&b, last, 8), UINT64_MAX);
	cr_expect_eq(mmio_read(&b, last + 2, 4), UINT32_MAX);
	cr_expect_eq(mmio_read(&b, last + 4, 4), UINT32_MAX);
	cr_expect_eq(mmio_read(&b, probe_registers2(0) - 1, 1), 0xff);
	mmio_write(&b, last + 2, 4, 0);
	cr_expect_eq(probe->accesses, 3);
	probe->result = BUS_UNHANDLED;
	cr_expect_eq(mmio_read(&b, last, 4), UINT32_MAX);
	probe->result = BUS_ERROR;
	cr_expect_eq(bus_access(&b.mmio, last, 4, false, &value), BUS_ERROR);
}

/* Two BARs side by side: an access that starts in one and ends in the other is neither's. */
Test(pci_bars, access_across_two_bars)
{
	struct pci_bench b;

	pci_bench_init(&b);
	move_low(&b, 1, probe_registers(0) + REGISTERS_SZ);
	decode(&b, 0, true);
	decode(&b, 1, true);
	cr_expect_eq(mmio_read(&b, probe_registers(0) + REGISTERS_SZ - 2, 4), UINT32_MAX);
	cr_expect_eq(b.probes[0].accesses + b.probes[1].accesses, 0);
}

/* Behind it stands a memslot; what still comes here races with mapping it. */
Test(pci_bars, memory_is_never_accessed)
{
	struct pci_bench b;

	pci_bench_init(&b);
	decode(&b, 0, true);
	cr_expect(b.probes[0].is_mapped[MEMORY]);
	cr_expect_eq(mmio_read(&b, probe_memory(0), 8), UINT64_MAX);
	mmio_write(&b, probe_memory(0) + 0x1000, 4, 1);
	cr_expect_eq(b.probes[0].accesses, 0);
}

/* What a device does when it answers is at the host again: moving itself, and reading others. */
static void reenter(struct pci_probe *probe)
{
	struct pci_bench *b = probe->bench;

	probe->meanwhile = NULL;
	cr_expect_eq(config_read(b, 1, PCI_VENDOR_ID), 0x10421af4);
	decode(b, 0, false);
	cr_expect_eq(mmio_read(b, probe_registers(0), 4), UINT32_MAX);
}

Test(pci_bars, accessed_without_the_lock, .timeout = 10)
{
	struct pci_bench b;

	pci_bench_init(&b);
	decode(&b, 0, true);
	b.probes[0].meanwhile = reenter;
	b.probes[0].reply = 0x99;
	cr_expect_eq(mmio_read(&b, probe_registers(0), 4), 0x99);
	cr_expect_not(b.probes[0].is_mapped[REGISTERS]);
}

/* As a function-level reset would. */
static void stop_decoding(struct pci_probe *probe, unsigned int offset, unsigned int size)
{
	if (offset <= 0x50 && 0x50 < offset + size)
		pci_function_put16(&probe->function, PCI_COMMAND, 0);
}

Test(pci_bars, follow_what_the_device_changes)
{
	struct pci_bench b;

	pci_bench_init(&b);
	b.probes[0].written = stop_decoding;
	decode(&b, 0, true);
	cr_expect(b.probes[0].is_mapped[REGISTERS]);
	config_write(&b, 0, 0x50, 1);
	cr_expect_not(b.probes[0].is_mapped[REGISTERS]);
	cr_expect_eq(calls(&b), 6);
}

Test(pci_bars, decode_toggled_many_times)
{
	static const unsigned int bars[] = { REGISTERS, MEMORY, REGISTERS2 };
	struct pci_bench b;

	pci_bench_init(&b);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		decode(&b, 1, true);
		decode(&b, 1, false);
	}
	for (unsigned int i = 0; i < 3; i++) {
		cr_expect_eq(b.probes[1].maps[bars[i]], ROUNDS);
		cr_expect_eq(b.probes[1].unmaps[bars[i]], ROUNDS);
	}
	cr_expect_eq(calls(&b), 6 * ROUNDS);
}

Test(pci_bars, all_unmapped_at_the_end)
{
	struct pci_bench b;

	pci_bench_init(&b);
	decode(&b, 0, true);
	decode(&b, 2, true);
	pci_host_unmap_all(&b.host);
	cr_expect_eq(calls(&b), 12);
	for (unsigned int i = 0; i < NR_PROBES; i++) {
		for (unsigned int bar = 0; bar < PCI_NR_BARS; bar++)
			cr_expect_not(b.probes[i].is_mapped[bar]);
	}
	pci_host_unmap_all(&b.host);
	cr_expect_eq(calls(&b), 12);
	pci_host_destroy(&b.host);
}
