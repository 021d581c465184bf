/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Configuration space through ports and through ECAM. */
#include <errno.h>

#include "tests/unit/pci_bench.h"

#define ADDRESS_PORT 0xcf8
#define DATA_PORT    0xcfc
#define ENABLE	     0x80000000u

static uint32_t conf1_address(unsigned int bus, unsigned int slot, unsigned int function,
			      unsigned int offset)
{
	return ENABLE | bus << 16 | slot << 11 | function << 8 | (offset & ~3u);
}

static uint64_t conf1_read(struct pci_bench *b, uint32_t address, unsigned int lane,
			   unsigned int size)
{
	port_write(b, ADDRESS_PORT, 4, address);
	return port_read(b, DATA_PORT + lane, size);
}

static void conf1_write(struct pci_bench *b, uint32_t address, unsigned int lane, unsigned int size,
			uint32_t value)
{
	port_write(b, ADDRESS_PORT, 4, address);
	port_write(b, DATA_PORT + lane, size, value);
}

static uint64_t ones(unsigned int size)
{
	return UINT64_MAX >> (64 - 8 * size);
}

Test(pci_host, bridge)
{
	struct pci_bench b;

	pci_bench_init(&b);
	cr_expect_eq(mmio_read(&b, ecam(0, 0, 0, PCI_VENDOR_ID), 4), 0x00081b36);
	cr_expect_eq(mmio_read(&b, ecam(0, 0, 0, PCI_REVISION), 4) >> 8, 0x060000);
	cr_expect_eq(mmio_read(&b, ecam(0, 0, 0, 0x0e), 1), 0, "type 0, one function");
	for (unsigned int i = 0; i < PCI_NR_BARS; i++) {
		mmio_write(&b, ecam(0, 0, 0, PCI_BAR(i)), 4, UINT32_MAX);
		cr_expect_eq(mmio_read(&b, ecam(0, 0, 0, PCI_BAR(i)), 4), 0);
	}
	cr_expect_eq(conf1_read(&b, conf1_address(0, 0, 0, 0), 0, 4), 0x00081b36);
}

/* Only function 0 of the bridge and of the probes exists: all else is all-ones. */
Test(pci_host, nobody_elsewhere)
{
	struct pci_bench b;

	pci_bench_init(&b);
	for (unsigned int bdf = 0; bdf < 0x200; bdf++) {
		const unsigned int bus = bdf >> 8, slot = bdf >> 3 & 31, function = bdf & 7;
		const bool exists =
			bus == 0 && function == 0 &&
			(slot == 0 || (slot >= PROBE_SLOT && slot < PROBE_SLOT + NR_PROBES));
		const uint64_t at = ecam(bus, slot, function, 0);
		const uint32_t address = conf1_address(bus, slot, function, 0);

		cr_expect_eq(mmio_read(&b, at, 4) != UINT32_MAX, exists, "0x%x", bdf);
		cr_expect_eq(mmio_read(&b, at + 0x100, 4), exists ? 0 : UINT32_MAX, "0x%x", bdf);
		cr_expect_eq(conf1_read(&b, address, 0, 4) != UINT32_MAX, exists, "0x%x", bdf);
		if (exists)
			continue;
		mmio_write(&b, at + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
		conf1_write(&b, address | PCI_COMMAND, 0, 2, PCI_COMMAND_MEMORY);
		cr_expect_eq(conf1_read(&b, address | PCI_COMMAND, 0, 2), 0xffff, "0x%x", bdf);
	}
	for (unsigned int i = 0; i < NR_PROBES; i++)
		cr_expect_not(pci_function_decodes_memory(&b.probes[i].function));
}

Test(pci_host, last_bus_of_conf1_is_empty)
{
	struct pci_bench b;

	pci_bench_init(&b);
	for (unsigned int bus = 1; bus < 256; bus++)
		cr_expect_eq(conf1_read(&b, conf1_address(bus, PROBE_SLOT, 0, 0), 0, 4),
			     UINT32_MAX);
}

Test(pci_host, address_port_is_one_dword)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8 };
	const uint32_t address = conf1_address(0, PROBE_SLOT, 0, 0);
	struct pci_bench b;

	pci_bench_init(&b);
	port_write(&b, ADDRESS_PORT, 4, address);
	for (unsigned int at = 0; at < 4; at++) {
		for (unsigned int i = 0; i < 4; i++) {
			uint64_t value = 0;

			if (at == 0 && sizes[i] == 4)
				continue;
			cr_expect_eq(
				bus_access(&b.ports, ADDRESS_PORT + at, sizes[i], true, &value),
				BUS_UNHANDLED);
			cr_expect_eq(
				bus_access(&b.ports, ADDRESS_PORT + at, sizes[i], false, &value),
				BUS_UNHANDLED);
			cr_expect_eq(value, ones(sizes[i]));
			cr_expect_eq(port_read(&b, ADDRESS_PORT, 4), address, "%u", at);
		}
	}
}

/* As Linux looks for mechanism #1: what it wrote is what it reads. */
Test(pci_host, address_port_keeps_its_value)
{
	struct pci_bench b;

	pci_bench_init(&b);
	cr_expect_eq(port_read(&b, ADDRESS_PORT, 4), 0);
	port_write(&b, ADDRESS_PORT, 4, 0x80000000);
	cr_expect_eq(port_read(&b, ADDRESS_PORT, 4), 0x80000000);
	port_write(&b, ADDRESS_PORT, 4, 0xffffffff);
	cr_expect_eq(port_read(&b, ADDRESS_PORT, 4), 0xfffffffc);
}

Test(pci_host, address_that_selects_nothing)
{
	const uint32_t good = conf1_address(0, PROBE_SLOT, 0, PCI_COMMAND);
	struct pci_bench b;

	pci_bench_init(&b);
	cr_expect_neq(conf1_read(&b, good, 0, 4), UINT32_MAX);
	cr_expect_eq(conf1_read(&b, good | 3, 0, 4), conf1_read(&b, good, 0, 4));
	for (unsigned int bit = 24; bit < 32; bit++) {
		cr_expect_eq(conf1_read(&b, good ^ 1u << bit, 0, 4), UINT32_MAX, "bit %u", bit);
		conf1_write(&b, good ^ 1u << bit, 0, 4, PCI_COMMAND_MEMORY);
	}
	cr_expect_not(pci_function_decodes_memory(&b.probes[0].function));
}

/* Both ways, every offset and width: the bytes of the function, or all-ones across dwords. */
Test(pci_host, ports_and_ecam_see_the_same_bytes)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8 };
	struct pci_bench b;
	uint8_t *config = b.probes[1].function.config;

	pci_bench_init(&b);
	for (unsigned int i = PCI_FIRST_CAPABILITY; i < PCI_CONFIG_SIZE; i++)
		config[i] = (uint8_t)(i * 7);
	for (unsigned int at = 0; at < PCI_CONFIG_SIZE; at++) {
		const uint32_t address = conf1_address(0, PROBE_SLOT + 1, 0, at);

		for (unsigned int i = 0; i < 4; i++) {
			uint64_t expected = ones(sizes[i]);

			if (at % 4 + sizes[i] <= 4) {
				expected = 0;
				memcpy(&expected, &config[at], sizes[i]);
			}
			cr_expect_eq(mmio_read(&b, ecam(0, PROBE_SLOT + 1, 0, at), sizes[i]),
				     expected, "0x%x, %u bytes", at, sizes[i]);
			cr_expect_eq(conf1_read(&b, address, at % 4, sizes[i]), expected,
				     "0x%x, %u bytes", at, sizes[i]);
		}
	}
}

Test(pci_host, writes_both_ways)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8 };
	struct pci_bench b;
	struct pci_function *function = &b.probes[0].function;

	pci_bench_init(&b);
	memset(&function->writable[0x40], 0xff, 8);
	for (unsigned int at = 0x40; at < 0x44; at++) {
		const uint32_t address = conf1_address(0, PROBE_SLOT, 0, at);

		for (unsigned int i = 0; i < 8; i++) {
			const unsigned int size = sizes[i / 2];
			uint8_t expected[8] = { 0 };

			memset(&function->config[0x40], 0, 8);
			if (i % 2)
				port_write(&b, ADDRESS_PORT, 4, address);
			if (i % 2)
				port_write(&b, DATA_PORT + at % 4, size, 0x1122334455667788);
			else
				mmio_write(&b, ecam(0, PROBE_SLOT, 0, at), size,
					   0x1122334455667788);
			if (at % 4 + size <= 4)
				memcpy(&expected[at - 0x40], "\x88\x77\x66\x55", size);
			cr_expect_arr_eq(&function->config[0x40], expected, 8, "0x%x, %u bytes", at,
					 size);
		}
	}
}

/* A driver finds no extended capability, and nothing wraps around to the first 256 bytes. */
Test(pci_host, extended_space_is_empty)
{
	struct pci_bench b;

	pci_bench_init(&b);
	for (unsigned int at = PCI_CONFIG_SIZE; at < 4096; at += 4) {
		config_write(&b, 0, at, UINT32_MAX);
		cr_expect_eq(config_read(&b, 0, at), 0, "0x%x", at);
	}
	cr_expect_not(pci_function_decodes_memory(&b.probes[0].function));
	cr_expect_eq(mmio_read(&b, ecam(0, PROBE_SLOT, 0, 4092), 8), UINT64_MAX);
	cr_expect_eq(mmio_read(&b, ecam(0, PROBE_SLOT, 0, 4094), 4), UINT32_MAX);
	cr_expect_eq(mmio_read(&b, ecam(0, PROBE_SLOT, 0, 4095), 2), 0xffff);
}

static void note_size(struct pci_probe *probe, unsigned int offset, unsigned int size)
{
	probe->access.offset = offset;
	probe->access.size = size;
}

Test(pci_host, hook_sees_the_guests_write)
{
	struct pci_bench b;

	pci_bench_init(&b);
	b.probes[0].written = note_size;
	conf1_write(&b, conf1_address(0, PROBE_SLOT, 0, 0x84), 3, 1, 0);
	cr_expect_eq(b.probes[0].access.offset, 0x87);
	cr_expect_eq(b.probes[0].access.size, 1);
	mmio_write(&b, ecam(0, PROBE_SLOT, 0, 0x9a), 2, 0);
	cr_expect_eq(b.probes[0].access.offset, 0x9a);
	cr_expect_eq(b.probes[0].access.size, 2);
}

Test(pci_host, regions_that_do_not_fit)
{
	const struct machine_pci places[] = {
		{ .ecam = { 0x1000, 0x100000 }, .low = { 0x2000, 0x1000 } },
		{ .low = { 0x1000, 0x2000 }, .high = { 0x2000, 0x1000 } },
		{ .ecam = { UINT64_MAX, 2 } },
		{ .ecam = { 0x1000, 0x1000 } }, /* no windows: none is added */
	};
	static const int expected[] = { -EEXIST, -EEXIST, -EINVAL, 0 };
	struct pci_host host;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct bus mmio = { 0 };

		cr_expect_eq(pci_host_init(&host, &places[i], &mmio), expected[i], "%zu", i);
		cr_expect_eq(mmio.nr_regions, expected[i] != -EINVAL, "%zu", i);
	}
	pci_host_destroy(&host);
}
