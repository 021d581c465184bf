/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What two CPUs, or very many accesses, do to a PCI function. What a single one can do is in the
 * scenarios of the payload virtio-pci.
 */
#include "guest-images/payloads/hostile/cpu.h"
#include "guest-images/payloads/hostile/scenario.h"
#include "guest-images/payloads/payload.h"
#include "guest-images/payloads/virtio-pci/interrupt.h"
#include "guest-images/payloads/virtio-pci/pci.h"

#define REGISTERS_ELSEWHERE (PCI_LOW + 0x2000000)
#define BLOCK_ID	    0x10421af4u
#define MIN_SERVED	    20u
#define COMMAND_ON	    (PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER)

/* Of a table entry and of Message Control. */
#define ENTRY_DATA    8u
#define ENTRY_CONTROL 12u
#define MSIX_CONTROL  3u
#define MSIX_ENABLE   0x80u

static uint64_t rounds;

static void count_round(void)
{
	__atomic_store_n(&rounds, rounds + 1, __ATOMIC_RELAXED);
}

static uint64_t nr_rounds(void)
{
	return __atomic_load_n(&rounds, __ATOMIC_RELAXED);
}

static void start_second(void (*work)(void *arg), struct attack *attack)
{
	__atomic_store_n(&rounds, 0, __ATOMIC_RELAXED);
	second_start(work, &attack->target->pci);
}

/* While CPU 1 does its work, each request is answered in time. */
static void serve_meanwhile(struct attack *attack, uint64_t count)
{
	unsigned int served = 0;

	while (nr_rounds() < count || served < MIN_SERVED)
		queue_serve(&attack->queues[0], served++ % 64);
	second_stop();
}

static void write_address_port(void *arg)
{
	uint32_t address = 0;

	(void)arg;
	while (!second_must_stop()) {
		outl(PCI_ADDRESS_PORT, address);
		address = address * 1664525 + 1013904223;
		count_round();
	}
}

/* What CPU 0 reads is of one function or another, and of none if nobody is there. */
static void address_port_race(struct attack *attack)
{
	const struct device *device = &attack->target->pci;

	start_second(write_address_port, attack);
	while (nr_rounds() < attack->scale)
		pci_port_read(device->slot, 0, 4);
	second_stop();
	expect_equal(pci_port_read(device->slot, 0, 4), BLOCK_ID, "identity by the ports");
	expect_equal(mmio_read32(pci_ecam(device->slot, 0)), BLOCK_ID, "identity by ECAM");
}

static void toggle_decoding(const struct attack *attack)
{
	const struct device *device = &attack->target->pci;

	for (uint64_t i = 0; i < attack->scale / 10 + 1; i++) {
		pci_write(device->slot, PCI_COMMAND, 2, PCI_COMMAND_BUS_MASTER);
		pci_write(device->slot, PCI_COMMAND, 2, COMMAND_ON);
	}
}

static void decoding_often(struct attack *attack)
{
	toggle_decoding(attack);
	queue_serve(&attack->queues[0], 9);
	toggle_decoding(attack);
}

/* CPU 1 takes the registers away and gives them back. */
static void move_registers(void *arg)
{
	const struct device *device = arg;

	while (!second_must_stop()) {
		pci_bar_write(device->slot, REGISTERS_BAR, REGISTERS_ELSEWHERE);
		pci_bar_write(device->slot, REGISTERS_BAR, 0);
		pci_bar_write(device->slot, REGISTERS_BAR, UINT32_MAX);
		pci_bar_write(device->slot, REGISTERS_BAR, device->registers);
		count_round();
	}
	pci_bar_write(device->slot, REGISTERS_BAR, device->registers);
}

/* Kicks and reads may go nowhere meanwhile; a request that is told of again is served. */
static void moving_registers(struct attack *attack)
{
	struct queue *queue = &attack->queues[0];

	start_second(move_registers, attack);
	while (nr_rounds() < attack->scale / 10 + 1) {
		queue_notify(queue);
		device_read(&attack->target->pci, &attack->target->pci.common, DEVICE_STATUS, 1);
		device_write(&attack->target->pci, &attack->target->pci.common, QUEUE_SELECT, 2, 1);
	}
	second_stop();
	queue_serve(queue, 8);
}

static void toggle_bus_master(void *arg)
{
	const struct device *device = arg;

	while (!second_must_stop()) {
		pci_write(device->slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
		pci_write(device->slot, PCI_COMMAND, 2, COMMAND_ON);
		count_round();
	}
	pci_write(device->slot, PCI_COMMAND, 2, COMMAND_ON);
}

/* Each time it is off the device stops for good. */
static void bus_master_race(struct attack *attack)
{
	const struct target *target = attack->target;
	struct queue *queue = &attack->queues[0];

	for (unsigned int i = 0; i < MIN_SERVED; i++) {
		queues_try_start(target, attack->queues, NR_QUEUES, RING_SIZE);
		start_second(toggle_bus_master, attack);
		request_chain(queue, 0, 0, 1);
		queue_publish(queue, 0);
		queue_notify(queue);
		while (nr_rounds() < 4)
			cpu_relax();
		second_stop();
		expect(target->transport->status(target) & NEEDS_RESET, "the device has stopped");
	}
}

static uint64_t entry(const struct device *device, unsigned int vector)
{
	return device->registers + device->msix_table + vector * 16ull;
}

static void set_up_msix(const struct attack *attack)
{
	const struct device *device = &attack->target->pci;

	for (unsigned int i = 0; i < device->nr_vectors; i++) {
		mmio_write32(entry(device, i), INTERRUPT_ADDRESS);
		mmio_write32(entry(device, i) + 4, 0);
		mmio_write32(entry(device, i) + ENTRY_DATA, INTERRUPT_FIRST);
		mmio_write32(entry(device, i) + ENTRY_CONTROL, 0);
	}
	pci_write(device->slot, device->msix_cap + MSIX_CONTROL, 1, MSIX_ENABLE);
	device_write(device, &device->common, QUEUE_SELECT, 2, 0);
	device_write(device, &device->common, QUEUE_MSIX_VECTOR, 2, 1);
	expect_equal(device_read(device, &device->common, QUEUE_MSIX_VECTOR, 2), 1, "vector");
}

static void churn_vectors(void *arg)
{
	const struct device *device = arg;

	while (!second_must_stop()) {
		mmio_write32(entry(device, 1) + ENTRY_CONTROL, 1);
		mmio_write32(entry(device, 1), 0x00200000); /* no local APIC: ordinary memory */
		mmio_write32(entry(device, 1) + ENTRY_DATA, 0xffffffff);
		mmio_write32(entry(device, 1) + ENTRY_CONTROL, 0);
		mmio_write32(entry(device, 1) + ENTRY_CONTROL, 1);
		mmio_write32(entry(device, 1) + ENTRY_DATA, INTERRUPT_FIRST);
		mmio_write32(entry(device, 1), INTERRUPT_ADDRESS);
		mmio_write32(entry(device, 1) + ENTRY_CONTROL, 0);
		pci_write(device->slot, device->msix_cap + MSIX_CONTROL, 1, 0);
		pci_write(device->slot, device->msix_cap + MSIX_CONTROL, 1, MSIX_ENABLE);
		count_round();
	}
}

/* Routes come and go under requests; in the end an interrupt arrives. */
static void vector_storm(struct attack *attack)
{
	struct queue *queue = &attack->queues[0];
	uint32_t before;

	set_up_msix(attack);
	start_second(churn_vectors, attack);
	serve_meanwhile(attack, attack->scale / 10 + 1);
	before = interrupt_count(0);
	queue->avail->ring[RING_SIZE] = queue->published; /* used_event */
	queue_serve(queue, 2);
	for (uint64_t start = clock_ns(); interrupt_count(0) == before;)
		expect(clock_ns() - start < ANSWER_NS, "the interrupt comes");
	pci_write(attack->target->pci.slot, attack->target->pci.msix_cap + MSIX_CONTROL, 1, 0);
}

static void read_isr(void *arg)
{
	const struct device *device = arg;

	while (!second_must_stop()) {
		device_read(device, &device->isr, 0, 1);
		count_round();
	}
}

static void isr_storm(struct attack *attack)
{
	start_second(read_isr, attack);
	while (nr_rounds() < attack->scale)
		attack->target->transport->take_config_interrupt(attack->target);
	second_stop();
}

/* One that only reads has no power management, no PCI Express and no I/O BAR: no FLR, no D3. */
static void nothing_more(struct attack *attack)
{
	const struct device *device = &attack->target->pci;
	unsigned int cap = 0;

	while ((cap = pci_next_capability(device->slot, cap)) != 0) {
		const uint32_t id = pci_read(device->slot, cap, 1);

		expect(id == PCI_CAP_VENDOR || id == PCI_CAP_MSIX, "no other capability");
	}
	for (unsigned int bar = 0; bar < 6; bar++)
		expect((pci_read(device->slot, PCI_BAR(bar), 4) & 1) == 0, "no I/O BAR");
	for (uint16_t port = 0xc000; port < 0xc020; port++) {
		outb(port, 0xff);
		expect_equal(inb(port), 0xff, "no legacy registers");
	}
}

/* Where a device with the features would have queue_notify_config_data and queue_reset. */
static void optional_fields(struct attack *attack)
{
	const struct device *device = &attack->target->pci;

	for (uint32_t offset = 56; offset < 64; offset += 2) {
		device_write(device, &device->common, offset, 2, 1);
		expect_equal(device_read(device, &device->common, offset, 2), 0, "no such field");
	}
	for (uint32_t select = 2; select != 0; select *= 2) {
		device_write(device, &device->common, DEVICE_FEATURE_SELECT, 4, select);
		expect_equal(device_read(device, &device->common, DEVICE_FEATURE, 4), 0,
			     "no such features");
		device_write(device, &device->common, DRIVER_FEATURE_SELECT, 4, select);
		device_write(device, &device->common, DRIVER_FEATURE, 4, UINT32_MAX);
	}
}

const struct scenario pci_scenarios[] = {
	{ "pci-address-port-race", address_port_race, GOES_ON },
	{ "pci-decoding-often", decoding_often, GOES_ON },
	{ "pci-registers-move-meanwhile", moving_registers, GOES_ON },
	{ "pci-bus-master-race", bus_master_race, STOPPED },
	{ "pci-vector-storm", vector_storm, GOES_ON },
	{ "pci-isr-storm", isr_storm, GOES_ON },
	{ "pci-nothing-more", nothing_more, GOES_ON },
	{ "pci-optional-fields", optional_fields, GOES_ON },
	{ NULL, NULL, GOES_ON },
};
