/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A virtio-pci function behind the PCI host: what a guest does to its BARs while it uses it. */
#include "tests/unit/virtio_pci_bench.h"
#include "vmm/pci/host.h"

#define SLOT	  5
#define ECAM	  0xd0000000ull
#define LOW	  0xe0000000ull
#define LOW_SIZE  0x1000000ull
#define HIGH	  0x4000000000ull
#define HIGH_SIZE 0x1000000000ull
#define MEMORY	  0x600000ull /* bytes, in a BAR of 8 MiB */

static struct pci_bench b;
static struct pci_host host;
static struct bus mmio;

static void set_up(void)
{
	static const struct machine_pci places = {
		.present = true,
		.ecam = { ECAM, 0x100000 },
		.low = { LOW, LOW_SIZE },
		.high = { HIGH, HIGH_SIZE },
	};
	static const struct virtio_pci_pool pool = {
		.mechanism = MECHANISM_CAP,
		.place = POOL_IN_BAR,
		.range = { HIGH, MEMORY },
	};

	cr_redirect_stderr();
	pci_bench_init_pool(&b, &pool);
	cr_assert_eq(pci_host_init(&host, &places, &mmio), 0);
	pci_host_add(&host, SLOT, &b.pci.function);
}

static void tear_down(void)
{
	pci_host_unmap_all(&host);
	cr_expect_not(b.registers_mapped);
	cr_expect_not(b.memory_mapped);
	pci_host_destroy(&host);
	pci_bench_destroy(&b);
}

TestSuite(virtio_pci_bars, .init = set_up, .fini = tear_down);

static uint64_t load(uint64_t gpa, unsigned int size)
{
	uint64_t value = 0;

	bus_access(&mmio, gpa, size, false, &value);
	return value;
}

static void store(uint64_t gpa, unsigned int size, uint64_t value)
{
	bus_access(&mmio, gpa, size, true, &value);
}

static void store_config(unsigned int offset, unsigned int size, uint64_t value)
{
	store(ECAM + (SLOT << 15) + offset, size, value);
}

static void decode(bool on)
{
	store_config(PCI_COMMAND, 2, PCI_COMMAND_BUS_MASTER | (on ? PCI_COMMAND_MEMORY : 0));
}

static void expect_registers(uint64_t gpa)
{
	cr_expect_eq(load(gpa + C_NUM_QUEUES, 2), BENCH_QUEUES);
	cr_expect(b.registers_mapped);
	cr_expect_eq(b.registers_at, gpa, "the doorbells are there too");
}

Test(virtio_pci_bars, registers_answer_while_memory_is_decoded)
{
	cr_expect_eq(load(LOW + C_NUM_QUEUES, 2), 0xffff);
	cr_expect_not(b.registers_mapped);
	decode(true);
	expect_registers(LOW);
	cr_expect(b.memory_mapped);
	cr_expect_eq(b.memory_at, HIGH);
	decode(false);
	cr_expect_eq(load(LOW + C_NUM_QUEUES, 2), 0xffff);
	cr_expect_not(b.registers_mapped);
	cr_expect_not(b.memory_mapped);
}

Test(virtio_pci_bars, every_part_of_the_registers)
{
	decode(true);
	store(LOW + C_DEVICE_STATUS, 1, ACK);
	cr_expect_eq(load(LOW + C_DEVICE_STATUS, 1), ACK);
	cr_expect_eq(load(LOW + B_ISR, 1), 1);
	cr_expect_eq(load(LOW + B_CONFIG, 8), 0x8786858483828180);
	store(LOW + B_NOTIFY + 4, 2, 1);
	cr_expect_eq(b.notified[1], 1);
	store(LOW + B_TABLE, 8, 0xfee01000);
	cr_expect_eq(load(LOW + B_TABLE, 8), 0xfee01000);
	cr_expect_eq(load(LOW + B_PENDING, 8), 0);
	cr_expect_eq(load(LOW + VIRTIO_PCI_REGISTERS_SIZE, 1), 0xff, "behind it is nobody");
}

Test(virtio_pci_bars, registers_move_with_their_doorbells)
{
	const uint64_t to = LOW + 0x400000;

	decode(true);
	store_config(PCI_BAR(0), 4, to);
	expect_registers(to);
	cr_expect_eq(load(LOW + C_NUM_QUEUES, 2), 0xffff);
	cr_expect_eq(b.memory_at, HIGH, "the other one stays");
}

/* A device that runs keeps running, wherever its registers are. */
Test(virtio_pci_bars, registers_move_while_queues_run)
{
	decode(true);
	bench_reach(&b.virtio, RUNNING);
	store_config(PCI_BAR(0), 4, LOW + 0x8000);
	decode(false);
	decode(true);
	expect_registers(LOW + 0x8000);
	cr_expect_eq(load(LOW + 0x8000 + C_DEVICE_STATUS, 1), RUNNING);
	cr_expect_eq(b.virtio.stops, 0);
}

/* Over RAM, an interrupt controller or ECAM, at 0 or at the top: it just does not answer. */
Test(virtio_pci_bars, nothing_answers_outside_of_the_windows)
{
	static const uint64_t places[] = {
		0,
		0x100000,
		BENCH_WINDOW,
		ECAM,
		LOW - VIRTIO_PCI_REGISTERS_SIZE,
		LOW + LOW_SIZE,
		0xfec00000,
		0xfee00000,
		0xffff8000,
	};
	static const uint64_t high_places[] = {
		0, BENCH_WINDOW, 0x100000000, HIGH - 0x800000, HIGH + HIGH_SIZE, 0xffffffffff800000,
	};

	decode(true);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		store_config(PCI_BAR(0), 4, places[i]);
		cr_expect_not(b.registers_mapped, "%#lx", (unsigned long)places[i]);
		if (places[i] != ECAM)
			cr_expect_eq(load(places[i] + C_NUM_QUEUES, 2), 0xffff);
		store_config(PCI_BAR(0), 4, LOW);
		expect_registers(LOW);
	}
	for (size_t i = 0; i < sizeof(high_places) / sizeof(high_places[0]); i++) {
		store_config(PCI_BAR(2), 4, high_places[i]);
		store_config(PCI_BAR(3), 4, high_places[i] >> 32);
		cr_expect_not(b.memory_mapped, "%#lx", (unsigned long)high_places[i]);
		store_config(PCI_BAR(2), 4, HIGH);
		store_config(PCI_BAR(3), 4, HIGH >> 32);
		cr_expect(b.memory_mapped);
		cr_expect_eq(b.memory_at, HIGH);
	}
}

Test(virtio_pci_bars, memory_moves_by_halves)
{
	const uint64_t to = HIGH + 0x500800000;

	decode(true);
	store_config(PCI_BAR(2), 4, UINT32_MAX);
	store_config(PCI_BAR(3), 4, UINT32_MAX);
	cr_expect_not(b.memory_mapped, "while it is sized");
	store_config(PCI_BAR(2), 4, (uint32_t)to);
	cr_expect_not(b.memory_mapped);
	store_config(PCI_BAR(3), 4, to >> 32);
	cr_expect(b.memory_mapped);
	cr_expect_eq(b.memory_at, to);
	cr_expect_eq(load(to, 4), UINT32_MAX, "memory is KVM's, never ours to read");
}

/* The way to the registers that needs no BAR. */
Test(virtio_pci_bars, the_access_capability_works_without_decoding)
{
	const unsigned int at = find_virtio_cap(&b, 5);

	store_config(at + 4, 1, 0);
	store_config(at + 8, 4, C_DEVICE_STATUS);
	store_config(at + 12, 4, 1);
	store_config(at + 16, 1, ACK);
	cr_expect_eq(b.virtio.device.status, ACK);
	cr_expect_eq(load(ECAM + (SLOT << 15) + at + 16, 1), ACK);
}
