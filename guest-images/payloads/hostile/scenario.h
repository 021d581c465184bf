/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Scenarios: each has a name, begins with a device that runs with empty queues of RING_SIZE entries,
 * and tells what must have become of the device at its end. What follows is the same for all:
 *
 *  - the canaries and the sum of all other memory are as before;
 *  - where the device needs a reset, it says so by its configuration interrupt, and gets it;
 *  - a good request is served within ANSWER_NS.
 *
 * Then "ok NAME", with the time that it took, or "FAIL NAME: WHY" is on the console.
 */
#ifndef PAYLOAD_SCENARIO_H
#define PAYLOAD_SCENARIO_H

#include "guest-images/payloads/hostile/queue.h"

#define NR_QUEUES 2u

enum end {
	GOES_ON,   /* the next request needs no reset */
	STOPPED,   /* DEVICE_NEEDS_RESET */
	EITHER,	   /* one of both */
	ANY_STATE, /* whatever the scenario left behind: it is reset */
};

struct attack {
	struct target *target;
	struct queue *queues; /* NR_QUEUES */
	uint64_t neighbour;   /* the first byte of another device's pool */
	uint64_t scale;	      /* how often what has to be done often is done */
};

struct scenario {
	const char *name;
	void (*run)(struct attack *attack);
	enum end end;
};

/* Tables of them; the last has no name. */
extern const struct scenario self_check_scenarios[];
extern const struct scenario ring_scenarios[];
extern const struct scenario index_scenarios[];
extern const struct scenario race_scenarios[];
extern const struct scenario storm_scenarios[];
extern const struct scenario register_scenarios[];
extern const struct scenario mmio_scenarios[];
extern const struct scenario pci_scenarios[];
extern const struct scenario exit_scenarios[];

/* Chains of descriptors, by a table of their own. */
void run_chains(struct attack *attack);

/* The other ends: words of the command line, after which there is nothing more. */
void end_badly(const uint8_t *boot_params);

/* Runs one of them, or all in a table. */
void scenario_run(struct attack *attack, const struct scenario *scenario);
void scenarios_run(struct attack *attack, const struct scenario *scenarios);

/* How many failed. */
unsigned int scenarios_failed(void);

/* The attack had this violation recorded: tells the host, which compares with what minivmm says. */
void note_violation(const char *purpose, uint64_t address, uint64_t length, unsigned int queue,
		    uint32_t descriptor);

#endif
