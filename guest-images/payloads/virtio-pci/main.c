/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A block driver that does to a virtio-pci device and its host bridge what no kernel does. The
 * command line has one of these words; the exit code is 0, or the number of the scenario when
 * something was not as expected, which the serial console tells.
 *
 *	plain		reads, writes, flushes; the rest of the disk stays as it is
 *	access		the same, every register through the PCI configuration access capability
 *	bus-master	takes the permission to do DMA away from a device at work
 *	reset		resets the device with requests in flight, RESETS times
 *	move-bars	puts BARs all over the place
 *	toggle-decode	switches memory decoding off and on
 *	msix		masks and unmasks interrupts with requests in flight
 *	widths		registers with accesses of wrong widths and at wrong offsets
 *	ways		nonsense at ports 0xcf8 and 0xcfc, and in and around ECAM
 *	any-layout	accepts VIRTIO_F_SWIOTLB and uses ordinary memory
 *	refused		does not promise to use the pool and expects FEATURES_OK to be refused
 *	unpromised	the same, but may go on, and uses ordinary memory
 *	edges		addresses just outside the pool
 *	moved-pool	addresses where the pool was until its BAR was moved
 *
 * and besides, if wanted,
 *
 *	pool=ADDR	where the pool is, when only the device tree tells (hexadecimal, 2 MiB)
 *	ports		configuration space by ports, not by ECAM
 *	wait		waits for a character on the serial port before and after the scenario
 */
#include "guest-images/payloads/payload.h"
#include "guest-images/payloads/virtio-pci/interrupt.h"
#include "guest-images/payloads/virtio-pci/pci.h"
#include "guest-images/payloads/virtio-pci/scenario.h"

#define POOL_SIZE 0x200000ull /* of one that is given by its address */

/* Page tables (Intel SDM 3A, 4.5): the identity map goes on where the one that we began with ends. */
#define TABLE_ENTRIES	512u
#define FIRST_DIRECTORY 4u /* of 1 GiB each */
#define NR_DIRECTORIES	4u
#define LARGE_PAGE	0x200000ull
#define PAGE_FLAGS	0x03ull /* present, writable */
#define PAGE_LARGE	0x80ull
#define PAGE_ADDRESS	0x000ffffffffff000ull

static const struct {
	const char *word;
	void (*run)(struct device *device);
} scenarios[] = {
	{ "plain", scenario_plain },
	{ "access", scenario_access },
	{ "bus-master", scenario_bus_master },
	{ "reset", scenario_reset },
	{ "move-bars", scenario_move_bars },
	{ "toggle-decode", scenario_toggle_decode },
	{ "msix", scenario_msix },
	{ "widths", scenario_widths },
	{ "ways", scenario_ways },
	{ "any-layout", scenario_any_layout },
	{ "refused", scenario_refused },
	{ "unpromised", scenario_unpromised },
	{ "edges", scenario_edges },
	{ "moved-pool", scenario_moved_pool },
};

static _Alignas(4096) volatile uint64_t directories[NR_DIRECTORIES][TABLE_ENTRIES];

/* BARs may be above 4 GiB. */
static void extend_page_tables(void)
{
	volatile uint64_t *table;
	uint64_t cr3;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	table = (volatile uint64_t *)(cr3 & PAGE_ADDRESS);
	table = (volatile uint64_t *)(table[0] & PAGE_ADDRESS);
	for (unsigned int i = 0; i < NR_DIRECTORIES; i++) {
		const uint64_t first = (uint64_t)(FIRST_DIRECTORY + i) * TABLE_ENTRIES;

		for (unsigned int k = 0; k < TABLE_ENTRIES; k++)
			directories[i][k] = (first + k) * LARGE_PAGE | PAGE_FLAGS | PAGE_LARGE;
		table[FIRST_DIRECTORY + i] = (uint64_t)directories[i] | PAGE_FLAGS;
	}
}

void fill_pattern(uint64_t addr, uint64_t size, uint64_t seed)
{
	for (uint64_t i = 0; i < size; i += 8)
		mmio_write(addr + i, 8, seed + i * 0x9e3779b97f4a7c15);
}

void expect_pattern(uint64_t addr, uint64_t size, uint64_t seed, const char *what)
{
	for (uint64_t i = 0; i < size; i += 8)
		expect_equal(mmio_read(addr + i, 8), seed + i * 0x9e3779b97f4a7c15, what);
}

void wait_a_moment(void)
{
	for (unsigned int i = 0; i < 20000; i++)
		__asm__ volatile("pause");
}

static void run(unsigned int number, const uint8_t *boot_params)
{
	const bool wait = payload_has_word(boot_params, "wait");
	struct device device;

	payload_failure = (uint8_t)(number + 1);
	expect(device_find(&device, 0), "there is a disk on PCI");
	device_find_pool(&device, payload_option(boot_params, "pool"), POOL_SIZE);
	if (wait)
		wait_for_character("payload: ready\n");
	scenarios[number].run(&device);
	if (wait)
		wait_for_character("payload: done\n");
	print("payload: all true\n");
	end(0);
}

void payload_main(const uint8_t *boot_params)
{
	exceptions_init();
	extend_page_tables();
	pci_by_ports = payload_has_word(boot_params, "ports");
	pci_compare_ways();
	for (unsigned int i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		if (payload_has_word(boot_params, scenarios[i].word))
			run(i, boot_params);
	expect(false, "the command line names a scenario");
}
