/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Configuration space of one PCI function: what a guest reads, and what it can change. */
#include <criterion/criterion.h>
#include <string.h>

#include "vmm/pci/function.h"

struct config_probe {
	struct pci_function function;
	unsigned int reads, writes;
	unsigned int offset, size; /* of the last */
	uint32_t seen;		   /* the dword there when it was written */
};

static void note_read(void *opaque, unsigned int offset, unsigned int size)
{
	struct config_probe *p = opaque;

	p->reads++;
	p->offset = offset;
	p->size = size;
	if (offset == PCI_FIRST_CAPABILITY)
		p->function.config[PCI_FIRST_CAPABILITY] = (uint8_t)p->reads;
}

static void note_write(void *opaque, unsigned int offset, unsigned int size)
{
	struct config_probe *p = opaque;

	p->writes++;
	p->offset = offset;
	p->size = size;
	p->seen = pci_function_get32(&p->function, offset & ~3u);
}

static const struct pci_function_ops noting = {
	.config_read = note_read,
	.config_written = note_write,
};

static const struct pci_function_ops silent = { 0 };

static const struct pci_identity identity = {
	.vendor = 0x1af4,
	.device = 0x1042,
	.subsystem_vendor = 0x4d56,
	.subsystem = 0x0002,
	.class_code = 0x018000,
	.revision = 7,
};

static uint32_t size_up(struct pci_function *function, unsigned int offset)
{
	pci_function_config_write(function, offset, 4, UINT32_MAX);
	return pci_function_config_read(function, offset, 4);
}

Test(pci_function, header)
{
	static const uint32_t expected[PCI_FIRST_CAPABILITY / 4] = {
		[0] = 0x10421af4,
		[2] = 0x01800007,
		[PCI_SUBSYSTEM_VENDOR / 4] = 0x00024d56,
	};
	struct pci_function function;

	memset(&function, 0xff, sizeof(function));
	pci_function_init(&function, &identity, &silent, NULL);
	for (unsigned int i = 0; i < PCI_CONFIG_SIZE; i += 4)
		cr_expect_eq(pci_function_config_read(&function, i, 4),
			     i < PCI_FIRST_CAPABILITY ? expected[i / 4] : 0, "0x%x", i);
	cr_expect_not(pci_function_decodes_memory(&function));
	cr_expect_not(pci_function_is_bus_master(&function));
	for (unsigned int i = 0; i < PCI_NR_BARS; i++)
		cr_expect_eq(pci_function_bar_address(&function, i), 0);
}

Test(pci_function, fields_are_little_endian)
{
	struct pci_function function;

	pci_function_init(&function, &identity, &silent, NULL);
	pci_function_put32(&function, 0x40, 0x11223344);
	pci_function_put16(&function, 0x45, 0x5566);
	cr_expect_eq(function.config[0x40], 0x44);
	cr_expect_eq(function.config[0x43], 0x11);
	cr_expect_eq(function.config[0x45], 0x66);
	cr_expect_eq(function.config[0x46], 0x55);
	cr_expect_eq(pci_function_get32(&function, 0x40), 0x11223344);
	cr_expect_eq(pci_function_get16(&function, 0x45), 0x5566);
	cr_expect_eq(pci_function_get32(&function, 0xfc), 0);
}

/* All values of @width in every place: no bit changes that is not marked. */
Test(pci_function, only_writable_bits_change)
{
	static const unsigned int widths[] = { 1, 2, 4 };
	struct config_probe p = { 0 };
	uint8_t before[PCI_CONFIG_SIZE];

	pci_function_init(&p.function, &identity, &silent, &p);
	pci_function_add_bar(&p.function, 0, 0x1000, 0, 0xe8000000);
	pci_function_add_bar(&p.function, 2, 1ull << 33, PCI_BAR_64BIT | PCI_BAR_PREFETCHABLE,
			     1ull << 40);
	pci_function_add_capability(&p.function, (uint8_t[]){ PCI_CAP_VENDOR, 0xff, 16, 1 }, 4);
	memcpy(before, p.function.config, sizeof(before));
	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		for (unsigned int at = 0; at < PCI_CONFIG_SIZE; at += widths[i]) {
			pci_function_config_write(&p.function, at, widths[i], 0);
			pci_function_config_write(&p.function, at, widths[i], UINT32_MAX);
			for (unsigned int byte = at; byte < at + widths[i]; byte++)
				cr_expect_eq(p.function.config[byte],
					     before[byte] | p.function.writable[byte], "0x%x",
					     byte);
			pci_function_config_write(&p.function, at, widths[i], 0);
			for (unsigned int byte = at; byte < at + widths[i]; byte++)
				cr_expect_eq(p.function.config[byte],
					     before[byte] & ~p.function.writable[byte], "0x%x",
					     byte);
		}
	}
}

/* Identity, status, capability pointer, interrupt pin: nothing but these can be written. */
Test(pci_function, writable_registers)
{
	static const uint32_t expected[PCI_CONFIG_SIZE / 4] = {
		[PCI_COMMAND / 4] = PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER,
		[PCI_BAR(0) / 4] = 0xfffff000,
		[PCI_BAR(2) / 4] = 0,
		[PCI_BAR(3) / 4] = 0xfffffffe,
	};
	struct pci_function function;

	pci_function_init(&function, &identity, &silent, NULL);
	pci_function_add_bar(&function, 0, 0x1000, 0, 0);
	pci_function_add_bar(&function, 2, 1ull << 33, PCI_BAR_64BIT, 0);
	pci_function_add_capability(&function, (uint8_t[]){ PCI_CAP_MSIX, 0, 0xff, 0xff }, 4);
	for (unsigned int i = 0; i < PCI_CONFIG_SIZE; i += 4) {
		const uint32_t before = pci_function_config_read(&function, i, 4);

		cr_expect_eq(size_up(&function, i) ^ before, expected[i / 4], "0x%x", i);
	}
}

Test(pci_function, command_bits)
{
	struct pci_function function;

	pci_function_init(&function, &identity, &silent, NULL);
	pci_function_config_write(&function, PCI_COMMAND, 1, PCI_COMMAND_MEMORY);
	cr_expect(pci_function_decodes_memory(&function));
	cr_expect_not(pci_function_is_bus_master(&function));
	pci_function_config_write(&function, PCI_COMMAND, 2, PCI_COMMAND_BUS_MASTER);
	cr_expect_not(pci_function_decodes_memory(&function));
	cr_expect(pci_function_is_bus_master(&function));
	pci_function_config_write(&function, PCI_COMMAND + 1, 1, 0xff);
	cr_expect_eq(pci_function_get16(&function, PCI_COMMAND), PCI_COMMAND_BUS_MASTER);
}

Test(pci_function, size_of_bars)
{
	static const struct {
		uint64_t size;
		unsigned int flags;
		uint64_t address;
		uint32_t low, high; /* after all-ones */
	} cases[] = {
		{ 16, 0, 0xfffffff0, 0xfffffff0, 0 },
		{ 0x1000, 0, 0xe8001000, 0xfffff000, 0 },
		{ 1ull << 31, PCI_BAR_PREFETCHABLE, 0x80000000, 0x80000008, 0 },
		{ 0x1000, PCI_BAR_64BIT, 0x4000001000, 0xfffff004, 0xffffffff },
		{ 1ull << 28, PCI_BAR_64BIT | PCI_BAR_RAM, 0, 0xf0000004, 0xffffffff },
		{ 1ull << 32, PCI_BAR_64BIT, 1ull << 32, 0x4, 0xffffffff },
		{ 1ull << 40, PCI_BAR_64BIT | PCI_BAR_PREFETCHABLE, 0, 0xc, 0xffffff00 },
		{ 1ull << 63, PCI_BAR_64BIT, 1ull << 63, 0x4, 0x80000000 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint64_t ones = ~(cases[i].size - 1);
		const bool is_64bit = cases[i].flags & PCI_BAR_64BIT;
		struct pci_function function;

		pci_function_init(&function, &identity, &silent, NULL);
		pci_function_add_bar(&function, 1, cases[i].size, cases[i].flags, cases[i].address);
		cr_expect_eq(function.bars[1].is_ram, !!(cases[i].flags & PCI_BAR_RAM));
		cr_expect_eq(pci_function_bar_address(&function, 1), cases[i].address, "%zu", i);
		cr_expect_eq(size_up(&function, PCI_BAR(1)), cases[i].low, "case %zu", i);
		cr_expect_eq(size_up(&function, PCI_BAR(2)), cases[i].high, "case %zu", i);
		cr_expect_eq(pci_function_bar_address(&function, 1),
			     is_64bit ? ones : (uint32_t)ones, "case %zu", i);
		cr_expect_eq(pci_function_bar_address(&function, 2), 0, "case %zu", i);
		cr_expect_eq(pci_function_get32(&function, PCI_BAR(0)), 0);
		cr_expect_eq(pci_function_get32(&function, PCI_BAR(3)), 0);
	}
}

Test(pci_function, half_written_64bit_bar)
{
	struct pci_function function;

	pci_function_init(&function, &identity, &silent, NULL);
	pci_function_add_bar(&function, 4, 0x4000, PCI_BAR_64BIT, 0x4000008000);
	cr_expect_eq(size_up(&function, PCI_BAR(4)), 0xffffc004);
	cr_expect_eq(pci_function_bar_address(&function, 4), 0x40ffffc000);
	pci_function_config_write(&function, PCI_BAR(4), 4, 0xc000);
	pci_function_config_write(&function, PCI_BAR(5), 4, UINT32_MAX);
	cr_expect_eq(pci_function_bar_address(&function, 4), 0xffffffff0000c000);
	pci_function_config_write(&function, PCI_BAR(5) + 1, 2, 0);
	cr_expect_eq(pci_function_bar_address(&function, 4), 0xff0000ff0000c000);
}

/* The chain as a driver walks it, ending at 0. */
Test(pci_function, chain_of_capabilities)
{
	static const struct {
		uint8_t bytes[24];
		size_t len;
		unsigned int offset;
	} caps[] = {
		{ { PCI_CAP_MSIX, 0x55, 1, 2, 3 }, 12, 0x40 },
		{ { PCI_CAP_VENDOR, 0x55, 16, 1, 4 }, 17, 0x4c }, /* the next starts at a dword */
		{ { PCI_CAP_VENDOR, 0x55 }, 2, 0x60 },
		{ { PCI_CAP_VENDOR, 0x55, 24, 8, 5 }, 24, 0x64 },
	};
	const size_t nr_caps = sizeof(caps) / sizeof(caps[0]);
	struct pci_function function;
	unsigned int at;

	pci_function_init(&function, &identity, &silent, NULL);
	cr_expect_eq(pci_function_get16(&function, PCI_STATUS), 0);
	for (size_t i = 0; i < nr_caps; i++)
		cr_expect_eq(pci_function_add_capability(&function, caps[i].bytes, caps[i].len),
			     caps[i].offset);
	cr_expect_eq(pci_function_get16(&function, PCI_STATUS), PCI_STATUS_CAPABILITIES);
	at = pci_function_config_read(&function, PCI_CAPABILITIES, 1);
	for (size_t i = 0; i < nr_caps; i++) {
		cr_assert_eq(at, caps[i].offset);
		cr_expect_eq(function.config[at], caps[i].bytes[0]);
		cr_expect_arr_eq(&function.config[at + 2], &caps[i].bytes[2], caps[i].len - 2);
		at = pci_function_config_read(&function, at + 1, 1);
	}
	cr_expect_eq(at, 0);
}

/* Up to the last byte. */
Test(pci_function, capabilities_fill_the_space)
{
	const uint8_t bytes[16] = { PCI_CAP_VENDOR };
	struct pci_function function;

	pci_function_init(&function, &identity, &silent, NULL);
	for (unsigned int at = PCI_FIRST_CAPABILITY; at < PCI_CONFIG_SIZE; at += sizeof(bytes))
		cr_expect_eq(pci_function_add_capability(&function, bytes, sizeof(bytes)), at);
	cr_expect_eq(function.config[0xf1], 0);
	cr_expect_eq(function.config[0xe1], 0xf0);
}

Test(pci_function, hooks_see_the_access)
{
	struct config_probe p = { 0 };

	pci_function_init(&p.function, &identity, &noting, &p);
	/* What the hook puts there is what is read. */
	cr_expect_eq(pci_function_config_read(&p.function, PCI_FIRST_CAPABILITY, 2), 1);
	cr_expect_eq(p.offset, PCI_FIRST_CAPABILITY);
	cr_expect_eq(p.size, 2);
	cr_expect_eq(p.writes, 0);
	/* It sees what has become of a write. */
	p.function.writable[0x46] = 0x0f;
	pci_function_config_write(&p.function, 0x46, 1, 0xff);
	cr_expect_eq(p.offset, 0x46);
	cr_expect_eq(p.size, 1);
	cr_expect_eq(p.seen, 0x000f0000);
	cr_expect_eq(p.writes, 1);
	cr_expect_eq(p.reads, 1);
}
