/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* MSI-X (PCI 3.0, 6.8.2): no interrupt is lost, and none comes that should not. */
#include "guest-images/payloads/payload.h"
#include "guest-images/payloads/virtio-pci/interrupt.h"
#include "guest-images/payloads/virtio-pci/pci.h"
#include "guest-images/payloads/virtio-pci/scenario.h"

#define REQUESTS 2000u

#define MSIX_CONTROL  3u /* the upper byte of Message Control */
#define MSIX_ENABLE   0x80u
#define MSIX_MASK_ALL 0x40u

/* Fields of a table entry. */
#define ENTRY_ADDRESS 0u
#define ENTRY_HIGH    4u
#define ENTRY_DATA    8u
#define ENTRY_CONTROL 12u
#define ENTRY_SIZE    16ull

#define CONFIG_VECTOR 0u
#define QUEUE_VECTOR  1u
#define OTHER	      2u /* an interrupt of ours that no vector raises at first */

/* How often the queue's interrupt was taken so far, if none is lost. */
static uint32_t queue_interrupts;

static void write_entry(const struct device *device, unsigned int vector, unsigned int field,
			uint32_t value)
{
	const uint64_t entry = device->registers + device->msix_table + vector * ENTRY_SIZE;

	mmio_write32(entry + field, value);
	expect_equal(mmio_read32(entry + field), value, "field of the MSI-X table");
}

static void mask_vector(const struct device *device, unsigned int vector, bool masked)
{
	write_entry(device, vector, ENTRY_CONTROL, masked);
}

static void set_control(const struct device *device, uint8_t control)
{
	pci_write(device->slot, device->msix_cap + MSIX_CONTROL, 1, control);
}

static uint32_t pending(const struct device *device)
{
	return mmio_read32(device->registers + device->msix_pending);
}

/* The event was there, and waits: nothing was taken. */
static void expect_pending(const struct device *device)
{
	uint64_t turns = 0;

	while (pending(device) != 1u << QUEUE_VECTOR)
		expect(turns++ < PATIENCE / 1000, "the interrupt is pending");
	expect_equal(interrupt_count(QUEUE_VECTOR), queue_interrupts, "interrupts while masked");
}

static void expect_interrupt(const struct device *device)
{
	interrupt_await(QUEUE_VECTOR, ++queue_interrupts);
	expect_equal(pending(device), 0, "pending bits after the interrupt");
}

static void submit(struct device *device)
{
	block_submit(device, 0, BLOCK_IN, 0, SECTOR_SIZE);
	block_notify(device);
}

static void mask_entry_meanwhile(struct device *device)
{
	mask_vector(device, QUEUE_VECTOR, true);
	submit(device);
	block_await(device);
	expect_pending(device);
	mask_vector(device, QUEUE_VECTOR, false);
}

static void mask_function_meanwhile(struct device *device)
{
	set_control(device, MSIX_ENABLE | MSIX_MASK_ALL);
	submit(device);
	block_await(device);
	expect_pending(device);
	set_control(device, MSIX_ENABLE);
}

static void mask_both_meanwhile(struct device *device)
{
	set_control(device, MSIX_ENABLE | MSIX_MASK_ALL);
	mask_vector(device, QUEUE_VECTOR, true);
	submit(device);
	block_await(device);
	mask_vector(device, QUEUE_VECTOR, false);
	expect_pending(device);
	set_control(device, MSIX_ENABLE);
}

/* The event comes at any moment. */
static void mask_in_flight(struct device *device)
{
	submit(device);
	mask_vector(device, QUEUE_VECTOR, true);
	mask_vector(device, QUEUE_VECTOR, false);
	block_await(device);
}

static void check_masks(struct device *device)
{
	static void (*const ways[])(struct device * device) = {
		mask_entry_meanwhile,
		mask_in_flight,
		mask_function_meanwhile,
		mask_both_meanwhile,
	};

	for (unsigned int i = 0; i < REQUESTS; i++) {
		ways[i % 4](device);
		expect_interrupt(device);
	}
}

/* Switched off altogether, there is no other interrupt instead. */
static void check_disabled(struct device *device)
{
	set_control(device, 0);
	submit(device);
	block_await(device);
	wait_a_moment();
	expect_equal(interrupt_count(QUEUE_VECTOR), queue_interrupts, "interrupts while disabled");
	set_control(device, MSIX_ENABLE);
	expect_interrupt(device);
}

/* A message that is no interrupt is no write to memory either. */
static void check_foreign_address(struct device *device, uint32_t address, uint32_t high)
{
	fill_pattern(RAM, SECTOR_SIZE, 5);
	mask_vector(device, QUEUE_VECTOR, true);
	write_entry(device, QUEUE_VECTOR, ENTRY_ADDRESS, address);
	write_entry(device, QUEUE_VECTOR, ENTRY_HIGH, high);
	mask_vector(device, QUEUE_VECTOR, false);
	submit(device);
	block_await(device);
	expect_pending(device);
	expect_pattern(RAM, SECTOR_SIZE, 5, "memory that a message names");
	write_entry(device, QUEUE_VECTOR, ENTRY_HIGH, 0);
	write_entry(device, QUEUE_VECTOR, ENTRY_ADDRESS, INTERRUPT_ADDRESS);
	expect_interrupt(device);
}

/* What waits goes where the entry says when it is let out. */
static void check_redirected(struct device *device)
{
	mask_vector(device, QUEUE_VECTOR, true);
	submit(device);
	block_await(device);
	expect_pending(device);
	write_entry(device, QUEUE_VECTOR, ENTRY_DATA, INTERRUPT_FIRST + OTHER);
	mask_vector(device, QUEUE_VECTOR, false);
	interrupt_await(OTHER, 1);
	write_entry(device, QUEUE_VECTOR, ENTRY_DATA, INTERRUPT_FIRST + QUEUE_VECTOR);
	submit(device);
	block_await(device);
	expect_interrupt(device);
}

static void expect_vector(const struct device *device, uint32_t field, uint16_t vector,
			  uint16_t wanted)
{
	device_write(device, &device->common, field, 2, vector);
	expect_equal(device_read(device, &device->common, field, 2), wanted, "vector");
}

static void check_vectors(const struct device *device)
{
	static const uint32_t fields[] = { CONFIG_MSIX_VECTOR, QUEUE_MSIX_VECTOR };
	static const uint16_t own[] = { CONFIG_VECTOR, QUEUE_VECTOR };

	for (unsigned int i = 0; i < 2; i++) {
		expect_vector(device, fields[i], (uint16_t)device->nr_vectors, NO_VECTOR);
		expect_vector(device, fields[i], 0x7fff, NO_VECTOR);
		expect_vector(device, fields[i], NO_VECTOR - 1, NO_VECTOR);
		expect_vector(device, fields[i], NO_VECTOR, NO_VECTOR);
		expect_vector(device, fields[i], own[i], own[i]);
	}
}

/* DEVICE_NEEDS_RESET is told by the vector of the configuration. */
static void check_configuration(struct device *device)
{
	pci_write(device->slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	expect(device_status(device) & NEEDS_RESET, "the device needs a reset");
	interrupt_await(CONFIG_VECTOR, 1);
	pci_write(device->slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER);
	device_set_up(device);
}

/* A queue without a vector raises nothing, nor does it later what it has not raised. */
static void check_without(struct device *device)
{
	device->queue_vector = NO_VECTOR;
	device_set_up(device);
	block_read(device, 0);
	wait_a_moment();
	expect_equal(pending(device), 0, "pending bits of a queue without a vector");
	device->queue_vector = QUEUE_VECTOR;
	device_set_up(device);
	wait_a_moment();
	expect_equal(interrupt_count(QUEUE_VECTOR), queue_interrupts,
		     "interrupts of a queue without a vector");
	submit(device);
	block_await(device);
	expect_interrupt(device);
}

void scenario_msix(struct device *device)
{
	interrupt_init();
	expect(device->nr_vectors > QUEUE_VECTOR, "there are vectors for both");
	for (unsigned int i = 0; i <= QUEUE_VECTOR; i++) {
		write_entry(device, i, ENTRY_ADDRESS, INTERRUPT_ADDRESS);
		write_entry(device, i, ENTRY_HIGH, 0);
		write_entry(device, i, ENTRY_DATA, INTERRUPT_FIRST + i);
		mask_vector(device, i, false);
	}
	set_control(device, MSIX_ENABLE);
	device->config_vector = CONFIG_VECTOR;
	device->queue_vector = QUEUE_VECTOR;
	device_set_up(device);
	submit(device);
	block_await(device);
	expect_interrupt(device);

	check_masks(device);
	check_disabled(device);
	check_foreign_address(device, RAM, 0);
	check_foreign_address(device, INTERRUPT_ADDRESS, 1);
	check_redirected(device);
	check_vectors(device);
	check_configuration(device);
	check_without(device);
	expect_equal(interrupt_count(CONFIG_VECTOR), 1, "interrupts of the configuration");
	expect_equal(interrupt_count(OTHER), 1, "interrupts at the other place");
}
