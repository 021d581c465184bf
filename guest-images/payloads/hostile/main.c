/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A guest that attacks its disk: rings, registers and exits, each as a scenario with a name (see
 * scenario.h). On the command line:
 *
 *	mmio, pci	the transport of the disk
 *	pool=ADDR	where its pool is, and size=N, if only the device tree tells; hexadecimal like all
 *	neighbour=ADDR	where the pool of another device is
 *	scale=N		how often what is to be done often is done
 *	wait		waits for a character on the serial port before and after the scenarios
 *	GROUP...	which scenarios: chains, and those below
 *	end-HOW		how it ends if that is not with an exit code, see exits.c
 *
 * The exit code is 0, or 1 if one has failed.
 */
#include "guest-images/payloads/hostile/cpu.h"
#include "guest-images/payloads/hostile/memory.h"
#include "guest-images/payloads/hostile/scenario.h"
#include "guest-images/payloads/payload.h"

static const struct {
	const char *word;
	const struct scenario *scenarios;
} groups[] = {
	{ "self-check", self_check_scenarios },
	{ "rings", ring_scenarios },
	{ "indices", index_scenarios },
	{ "storms", storm_scenarios },
	{ "races", race_scenarios },
	{ "registers", register_scenarios },
	{ "mmio-registers", mmio_scenarios },
	{ "pci-races", pci_scenarios },
	{ "exits", exit_scenarios },
};

static struct target target;
static struct queue queues[NR_QUEUES];

static void find_target(const uint8_t *boot_params)
{
	const uint64_t pool = payload_option(boot_params, "pool");
	const uint64_t size = payload_option(boot_params, "size");

	if (payload_has_word(boot_params, "pci"))
		target_find_pci(&target, 0, pool, size);
	else
		target_find_mmio(&target, 0, pool, size);
	memory_init(boot_params, target.pool, target.pool_size);
}

void payload_main(const uint8_t *boot_params)
{
	struct attack attack = {
		.target = &target,
		.queues = queues,
		.neighbour = payload_option(boot_params, "neighbour"),
		.scale = payload_option(boot_params, "scale"),
	};

	cpu_init();
	second_init();
	find_target(boot_params);
	/* Once started, a device holds what it will hold from then on. */
	queues_start(&target, queues, NR_QUEUES, RING_SIZE);
	if (payload_has_word(boot_params, "wait"))
		wait_for_character("payload: ready\n");
	if (payload_has_word(boot_params, "chains"))
		run_chains(&attack);
	for (unsigned int i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (payload_has_word(boot_params, groups[i].word))
			scenarios_run(&attack, groups[i].scenarios);
	if (payload_has_word(boot_params, "wait"))
		wait_for_character("payload: done\n");
	end_badly(boot_params);
	print(scenarios_failed() == 0 ? "payload: all true\n" : "payload: some have failed\n");
	end(scenarios_failed() == 0 ? 0 : 1);
}
