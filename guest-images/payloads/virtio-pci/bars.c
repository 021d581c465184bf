/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* BARs in all sorts of places, and memory decoding switched off and on, with requests in flight. */
#include "guest-images/payloads/payload.h"
#include "guest-images/payloads/virtio-pci/pci.h"
#include "guest-images/payloads/virtio-pci/scenario.h"

/*
 * KVM has room for 1000 ioeventfds. Each round places the registers more often than ten times, and
 * each toggle does once.
 */
#define ROUNDS	100u
#define TOGGLES 1500u

#define IOAPIC	      0xfec00000u
#define LAPIC	      0xfee00000u
#define LAPIC_VERSION 0x30u
#define TOP_OF_32_BIT (0x100000000ull - REGISTERS_SIZE)
#define HIGH_END      0x140000000ull	    /* of the high window, of a guest of 512 MiB */
#define POOL_LOW      0xd8000000ull	    /* a place for the pool in the low window */
#define PLACES	      (PCI_LOW + 0x1000000) /* for the registers, one behind the other */
#define NR_PLACES     256ull
#define MARK	      0x100000ull /* where in the pool a pattern is */
#define MARK_SIZE     0x4000ull
#define NONE	      UINT64_MAX

/* What must stay as it is wherever a BAR is put. */
struct world {
	uint64_t low_memory; /* a sum of the first 32 KiB: GDT, boot_params */
	uint32_t bridge, lapic, ioapic;
};

static struct world look_around(void)
{
	struct world world = { .bridge = mmio_read32(pci_ecam(0, 0)),
			       .lapic = mmio_read32(LAPIC + LAPIC_VERSION),
			       .ioapic = mmio_read32(IOAPIC) };

	for (uint64_t addr = 0; addr < REGISTERS_SIZE; addr += 8)
		world.low_memory = world.low_memory * 31 + mmio_read(addr, 8);
	return world;
}

static void expect_world(const struct world *before)
{
	const struct world now = look_around();

	expect_equal(now.low_memory, before->low_memory, "memory at 0");
	expect_equal(now.bridge, before->bridge, "the host bridge in ECAM");
	expect_equal(now.lapic, before->lapic, "the local APIC");
	expect_equal(now.ioapic, before->ioapic, "the IO-APIC");
	expect_pattern(RAM, REGISTERS_SIZE, 1, "memory below a BAR");
}

/* Nobody reads or writes registers at @address: neither a reset nor a notification arrives. */
static void expect_silent(const struct device *device, uint64_t address)
{
	const uint64_t status = address + device->common.offset + DEVICE_STATUS;

	expect_equal(mmio_read(status, 1), 0xff, "status where the registers are not");
	mmio_write(status, 1, 0);
	mmio_write(address + device->notify.offset + device->notify_offset, 2, 0);
}

static void expect_running(const struct device *device)
{
	expect_equal(device_status(device), RUNNING, "status where the registers are");
}

/*
 * A request that the device has not been told of. It may look unasked, and does once behind each
 * start, as soon as its process runs: that is not often, a notification that arrives is always.
 */
static void submit_quietly(struct device *device, uint64_t sector)
{
	wait_a_moment();
	block_submit(device, 0, BLOCK_IN, sector, SECTOR_SIZE);
}

/* The request has not been used in the meantime; now it is. */
static void expect_quiet(struct device *device)
{
	static unsigned int unasked;

	wait_a_moment();
	if (block_used(device) != device->submitted)
		block_notify(device);
	else
		expect(unasked++ < ROUNDS / 16, "requests are not used before they are told of");
	block_await(device);
}

static uint64_t choose_place(unsigned int round)
{
	if (round % 16 == 7)
		return PCI_LOW;
	if (round % 16 == 15)
		return PCI_LOW_END - REGISTERS_SIZE;
	return PLACES + (round % NR_PLACES) * REGISTERS_SIZE;
}

/* A request is notified before, or not until, the registers are somewhere else. */
static void move_in_flight(struct device *device, unsigned int round)
{
	const uint64_t from = device->registers;
	const bool notify_before = round % 2 == 0;

	submit_quietly(device, round);
	if (notify_before)
		block_notify(device);
	device_move_registers(device, choose_place(round));
	expect_silent(device, from);
	expect_running(device);
	if (!notify_before)
		expect_quiet(device);
	block_await(device);
	block_check_lines(device, 0, round, 1);
	block_read(device, round + 1);
}

/* The registers are nowhere while their BAR is at @address, and as they were when it is back. */
static void misplace_registers(struct device *device, const struct world *world, uint64_t address)
{
	submit_quietly(device, 5);
	pci_bar_write(device->slot, REGISTERS_BAR, address);
	expect_equal(pci_bar_address(device->slot, REGISTERS_BAR), address, "BAR 0");
	expect_silent(device, device->registers);
	if (address == RAM) {
		/* What would be a reset and a notification are words in memory. */
		fill_pattern(RAM, REGISTERS_SIZE, 2);
		expect_pattern(RAM, REGISTERS_SIZE, 2, "memory below BAR 0");
		fill_pattern(RAM, REGISTERS_SIZE, 1);
	} else if (address == TOP_OF_32_BIT || address == PCI_LOW - REGISTERS_SIZE) {
		expect_silent(device, address);
	}
	expect_world(world);
	pci_bar_write(device->slot, REGISTERS_BAR, device->registers);
	expect_running(device);
	expect_quiet(device);
}

static void misplace_registers_everywhere(struct device *device, const struct world *world)
{
	static const uint64_t places[] = {
		RAM, 0, PCI_ECAM, IOAPIC, LAPIC, TOP_OF_32_BIT, PCI_LOW - REGISTERS_SIZE,
	};

	for (unsigned int i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		misplace_registers(device, world, places[i]);
	misplace_registers(device, world, device->kind == POOL_IN_MEMORY ? device->pool.cpu : RAM);
	expect_equal(pci_bar_size(device->slot, REGISTERS_BAR), REGISTERS_SIZE, "size of BAR 0");
	expect_running(device);
}

/* The pool is at a new place for us; the device hears of that when it is set up the next time. */
static void follow_pool(struct device *device, uint64_t address)
{
	device_move_pool(device, address);
	device->rings.cpu = address + RINGS_OFFSET;
	device->buffers.cpu = address;
}

static void expect_no_memory(uint64_t address, const char *what)
{
	mmio_write(address + MARK, 8, 0);
	expect_equal(mmio_read(address + MARK, 8), UINT64_MAX, what);
}

static void expect_mark(const struct device *device)
{
	expect_pattern(device->pool.cpu + MARK, MARK_SIZE, 3, "the pool");
}

/* With the words in which the BAR is written by itself: it is nowhere in between. */
static void move_pool_by_halves(struct device *device, uint64_t address)
{
	const uint64_t from = device->pool.cpu;
	const uint64_t half = (from & ~0xffffffffull) | (uint32_t)address;

	pci_write(device->slot, PCI_BAR(MEMORY_BAR), 4, (uint32_t)address);
	if (half != address) {
		expect_no_memory(from, "memory where the BAR was, half written");
		expect_no_memory(address, "memory where the BAR will be, half written");
		expect_equal(pci_bar_address(device->slot, MEMORY_BAR), half,
			     "BAR 2, half written");
	}
	pci_write(device->slot, PCI_BAR(MEMORY_BAR + 1), 4, (uint32_t)(address >> 32));
	follow_pool(device, address);
	expect_no_memory(from, "memory where the BAR was");
	expect_mark(device);
}

/* Requests before, while and after the pool moves; then the device learns of it. */
static void move_pool_in_flight(struct device *device, uint64_t address)
{
	block_submit(device, 0, BLOCK_IN, 7, SECTOR_SIZE);
	block_notify(device);
	move_pool_by_halves(device, address);
	block_await(device);
	block_check_lines(device, 0, 7, 1);
	block_read(device, 8);
	device_set_up(device);
	block_read(device, 9);
	expect_mark(device);
}

/* The pool is nowhere while its BAR is at @address, and nothing that is there suffers. */
static void misplace_pool(struct device *device, const struct world *world, uint64_t address)
{
	block_submit(device, 0, BLOCK_IN, 11, SECTOR_SIZE);
	block_notify(device);
	pci_bar_write(device->slot, MEMORY_BAR, address);
	expect_no_memory(device->pool.cpu, "memory where the BAR was");
	if (address == RAM) {
		fill_pattern(RAM + MARK, MARK_SIZE, 4);
		expect_pattern(RAM + MARK, MARK_SIZE, 4, "memory below BAR 2");
	}
	expect_world(world);
	expect_running(device);
	pci_bar_write(device->slot, MEMORY_BAR, device->pool.cpu);
	expect_mark(device);
	block_await(device);
	block_check_lines(device, 0, 11, 1);
}

static void misplace_pool_everywhere(struct device *device, const struct world *world)
{
	static const uint64_t places[] = {
		RAM, 0, PCI_ECAM, LAPIC & 0xfe000000, HIGH_END, 0xffffffff00000000, NONE,
	};
	const uint64_t align = ~(pci_bar_size(device->slot, MEMORY_BAR) - 1);

	for (unsigned int i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		misplace_pool(device, world, places[i] & align);
}

/* Where the two BARs of a function overlap the registers answer, and the pool not at all. */
static void overlay_pool(struct device *device)
{
	const uint64_t home = device->registers;

	expect_mark(device);
	device_move_registers(device, POOL_LOW + REGISTERS_SIZE);
	expect_running(device);
	expect_no_memory(device->pool.cpu, "memory of a BAR that another one lies over");
	device_move_registers(device, home);
	expect_running(device);
	expect_mark(device);
}

static void move_pool(struct device *device, const struct world *world)
{
	const uint64_t home = device->pool.cpu;
	const uint64_t size = pci_bar_size(device->slot, MEMORY_BAR);

	fill_pattern(home + MARK, MARK_SIZE, 3);
	move_pool_in_flight(device, home + 2 * size);
	move_pool_in_flight(device, POOL_LOW);
	overlay_pool(device);
	misplace_pool_everywhere(device, world);
	move_pool_in_flight(device, home);
}

/* Of two functions at one place the first one answers. */
static void overlay_other(const struct device *device)
{
	struct device other;

	if (!device_find(&other, 1))
		return;
	pci_bar_write(other.slot, REGISTERS_BAR, device->registers);
	expect_running(device);
	expect_silent(device, other.registers);
	pci_bar_write(other.slot, REGISTERS_BAR, other.registers);
	expect_equal(device_status(&other), 0, "status of the other device");
	expect_running(device);
}

void scenario_move_bars(struct device *device)
{
	struct world world;

	fill_pattern(RAM, REGISTERS_SIZE, 1);
	world = look_around();
	device_set_up(device);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		pci_by_ports = round % 4 == 3;
		move_in_flight(device, round);
		misplace_registers_everywhere(device, &world);
		overlay_other(device);
		if (device->kind != POOL_IN_MEMORY && round % 8 == 0)
			move_pool(device, &world);
	}
}

static void set_decoding(const struct device *device, bool on)
{
	pci_write(device->slot, PCI_COMMAND, 2,
		  PCI_COMMAND_BUS_MASTER | (on ? PCI_COMMAND_MEMORY : 0));
}

void scenario_toggle_decode(struct device *device)
{
	device_set_up(device);
	for (unsigned int i = 0; i < TOGGLES; i++) {
		const bool request = i % 16 == 0;
		const bool notify_before = i % 32 == 0;

		if (request)
			block_submit(device, 0, BLOCK_IN, i % 2048, SECTOR_SIZE);
		if (request && notify_before)
			block_notify(device);
		set_decoding(device, false);
		expect_silent(device, device->registers);
		set_decoding(device, true);
		expect_running(device);
		if (request && !notify_before)
			block_notify(device);
		if (request) {
			block_await(device);
			block_check_lines(device, 0, i % 2048, 1);
		}
	}
}
