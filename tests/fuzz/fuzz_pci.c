/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The PCI host: configuration space by ports and ECAM, BARs that move anywhere, decoding that comes
 * and goes. The probes of pci_bench.h see to it that no two BARs answer at one address.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/pci_bench.h"

static struct pci_bench bench;

static void check(void)
{
	const struct machine_pci *places = &bench.host.places;

	for (unsigned int i = 0; i < NR_PROBES; i++) {
		const struct pci_probe *probe = &bench.probes[i];

		for (unsigned int bar = 0; bar < PCI_NR_BARS; bar++) {
			const uint64_t size = probe_bar_size(probe, bar);

			fuzz_check(probe->is_mapped[bar] == probe->function.bars[bar].mapped);
			if (!probe->is_mapped[bar])
				continue;
			fuzz_check(pci_function_decodes_memory(&probe->function));
			fuzz_check(
				machine_range_contains(&places->low, probe->address[bar], size) ||
					machine_range_contains(&places->high, probe->address[bar],
							       size),
				"BAR %u at %#llx", bar, (unsigned long long)probe->address[bar]);
		}
	}
}

/* Bytes that a guest may not change are as they were. */
static void check_read_only(const struct pci_bench *before)
{
	for (unsigned int i = 0; i < NR_PROBES; i++) {
		const struct pci_function *now = &bench.probes[i].function;
		const struct pci_function *then = &before->probes[i].function;

		for (unsigned int at = 0; at < PCI_CONFIG_SIZE; at++)
			fuzz_check(!((now->config[at] ^ then->config[at]) & ~now->writable[at]),
				   "byte %#x", at);
	}
}

/* Near the windows, RAM, the interrupt controllers and the ends of the address space. */
static uint64_t place(struct fuzz_input *in)
{
	static const uint64_t places[] = { 0,	       LOW_BASE,  LOW_BASE + LOW_SIZE,
					   ECAM_BASE,  HIGH_BASE, HIGH_BASE + HIGH_SIZE,
					   0xfee00000, UINT64_MAX };
	const uint8_t how = fuzz_u8(in);

	if (how & 0x80)
		return fuzz_number(in);
	return places[how & 7] + (how >> 3) * MEMORY_SZ / 4 +
	       (uint64_t)(int8_t)fuzz_u8(in) * 0x1000;
}

static void move_bar(uint8_t op, struct fuzz_input *in)
{
	const unsigned int bar = (op >> 4 & 3) % 3 * 2, probe = (op >> 2 & 3) % NR_PROBES;
	const uint64_t address = place(in);

	config_write(&bench, probe, PCI_BAR(bar), (uint32_t)address);
	if (op & 0x40)
		config_write(&bench, probe, PCI_BAR(bar + 1), (uint32_t)(address >> 32));
}

static void access_any(const struct bus *bus, uint64_t address, uint8_t op, struct fuzz_input *in)
{
	uint64_t value = fuzz_number(in);
	unsigned int accesses = 0;

	for (unsigned int i = 0; i < NR_PROBES; i++)
		accesses += bench.probes[i].accesses;
	bus_access(bus, address, 1u << (op >> 4 & 3), op & 0x40, &value);
	for (unsigned int i = 0; i < NR_PROBES; i++) {
		const struct pci_probe *probe = &bench.probes[i];

		accesses -= probe->accesses;
		if (probe->accesses)
			fuzz_check(probe->access.offset + probe->access.size <=
					   probe_bar_size(probe, probe->bar),
				   "an access beyond its BAR");
	}
	fuzz_check(accesses == 0 || accesses == UINT32_MAX, "answered twice");
}

static void step(struct fuzz_input *in)
{
	const uint8_t op = fuzz_u8(in);

	switch (op & 3) {
	case 0:
		if (op & 0x80)
			access_any(&bench.mmio, ecam(op >> 2 & 1, fuzz_u8(in), 0, fuzz_u8(in)), op,
				   in);
		else
			decode(&bench, (op >> 2 & 3) % NR_PROBES, op & 0x10);
		break;
	case 1:
		move_bar(op, in);
		break;
	case 2:
		if (op & 0x80)
			port_write(&bench, 0xcf8, 4, 0x80000000u | fuzz_u16(in));
		access_any(&bench.ports, 0xcf8 + (op >> 2 & 3) + (op & 8), op, in);
		break;
	default:
		access_any(&bench.mmio, place(in), op, in);
	}
	check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pci_bench before;
	struct fuzz_input in = { data, size };

	pci_bench_init(&bench);
	if (!before.host.places.present)
		before = bench;
	while (in.left)
		step(&in);
	check_read_only(&before);
	pci_host_unmap_all(&bench.host);
	for (unsigned int i = 0; i < NR_PROBES; i++)
		for (unsigned int bar = 0; bar < PCI_NR_BARS; bar++)
			fuzz_check(!bench.probes[i].is_mapped[bar], "still mapped");
	pci_host_destroy(&bench.host);
	return 0;
}
