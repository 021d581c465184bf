/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Several vCPUs at the PCI host at once: what they see is old or new, and nothing is lost. */
#include <pthread.h>

#include "tests/unit/pci_bench.h"

#define ROUNDS 20000

static struct pci_bench bench;

static enum bus_result quiet_access(void *opaque, unsigned int bar, struct bus_access *access)
{
	struct pci_probe *probe = opaque;

	(void)bar;
	probe->accesses++;
	if (!access->is_write)
		access->value = 0x5a5a;
	return BUS_HANDLED;
}

static const struct pci_function_ops quiet_ops = {
	.bar_access = quiet_access,
	.bar_mapped = probe_mapped,
	.bar_unmapped = probe_unmapped,
};

static void *toggle_decoding(void *opaque)
{
	(void)opaque;
	for (unsigned int i = 0; i < ROUNDS; i++)
		decode(&bench, 0, i % 2);
	return NULL;
}

/* From its place over probe 0 and out of the windows. */
static void *move_about(void *opaque)
{
	const uint64_t places[] = { probe_registers(1), probe_registers(0), 0x1000 };

	(void)opaque;
	decode(&bench, 1, true);
	for (unsigned int i = 0; i < ROUNDS; i++)
		config_write(&bench, 1, PCI_BAR(REGISTERS), (uint32_t)places[i % 3]);
	return NULL;
}

static void *access_registers(void *opaque)
{
	unsigned int *others = opaque;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		const uint64_t value = mmio_read(&bench, probe_registers(i % 2), 4);

		if (value != 0x5a5a && value != UINT32_MAX)
			++*others;
	}
	return NULL;
}

/* The other thread may change the address in between: then it is another register. */
static void *access_ports(void *opaque)
{
	unsigned int *others = opaque;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t value;

		port_write(&bench, 0xcf8, 4, 0x80000000 | (i % 2 ? PROBE_SLOT + 2 : 0) << 11);
		value = port_read(&bench, 0xcfc, 4);
		if (value != 0x00081b36 && value != 0x10421af4)
			++*others;
	}
	return NULL;
}

Test(pci_race, vcpus_do_as_they_like, .timeout = 60)
{
	static void *(*const jobs[])(void *) = { toggle_decoding, move_about, access_registers,
						 access_ports, access_ports };
	pthread_t threads[5];
	unsigned int others[5] = { 0 };

	pci_bench_init(&bench);
	for (unsigned int i = 0; i < NR_PROBES; i++)
		bench.probes[i].function.ops = &quiet_ops;
	for (unsigned int i = 0; i < 5; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, jobs[i], &others[i]), 0);
	for (unsigned int i = 0; i < 5; i++) {
		pthread_join(threads[i], NULL);
		cr_expect_eq(others[i], 0, "thread %u", i);
	}
	pci_host_unmap_all(&bench.host);
	for (unsigned int i = 0; i < NR_PROBES; i++) {
		for (unsigned int bar = 0; bar < PCI_NR_BARS; bar++)
			cr_expect_eq(bench.probes[i].maps[bar], bench.probes[i].unmaps[bar]);
	}
	cr_expect_eq(bench.probes[0].maps[MEMORY], ROUNDS / 2);
	pci_host_destroy(&bench.host);
}
