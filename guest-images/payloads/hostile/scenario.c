/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest-images/payloads/hostile/scenario.h"

#include "guest-images/payloads/hostile/cpu.h"
#include "guest-images/payloads/hostile/memory.h"
#include "guest-images/payloads/payload.h"

#define JUMP_BUFFER_WORDS 5
#define GOOD_SECTOR	  3u

static void *jump_buffer[JUMP_BUFFER_WORDS];
static unsigned int nr_failed;
static const char *running;

/* A check has failed and was told: back to scenario_run(). */
static void give_up(void)
{
	__builtin_longjmp(jump_buffer, 1);
}

static void start(struct attack *attack)
{
	queues_start(attack->target, attack->queues, NR_QUEUES, RING_SIZE);
}

static void check_end(struct attack *attack, enum end end)
{
	const struct target *target = attack->target;
	const uint8_t status = target->transport->status(target);

	if (end == GOES_ON)
		expect_equal(status, RUNNING, "status at the end");
	if (end == STOPPED)
		expect_equal(status, RUNNING | NEEDS_RESET, "status at the end");
	if (end == EITHER)
		expect_equal(status & ~NEEDS_RESET, RUNNING, "status at the end");
	if (end != ANY_STATE && status & NEEDS_RESET)
		expect(target->transport->take_config_interrupt(target),
		       "the need for a reset is told by an interrupt");
	if (end == ANY_STATE || status & NEEDS_RESET)
		start(attack);
	for (unsigned int i = 0; i < NR_QUEUES; i++)
		queue_serve(&attack->queues[i], GOOD_SECTOR + i);
}

static void check_memory(void)
{
	const struct memory_change change = memory_check();

	if (!change.what)
		return;
	expect_equal(change.address, 0, change.what);
	expect(false, change.what);
}

static __attribute__((noinline)) void run(struct attack *attack, const struct scenario *scenario)
{
	start(attack);
	scenario->run(attack);
	second_stop();
	check_end(attack, scenario->end);
	check_memory();
}

static void print_name(const char *word)
{
	print(word);
	print(" ");
	print(running);
}

__attribute__((noinline)) void scenario_run(struct attack *attack, const struct scenario *scenario)
{
	const uint64_t begin = clock_ns();

	running = scenario->name;
	payload_give_up = give_up;
	if (__builtin_setjmp(jump_buffer) == 0) {
		run(attack, scenario);
		print_name("ok");
		print(" ");
		print_decimal((clock_ns() - begin) / NS_PER_MS);
		print(" ms\n");
	} else {
		second_stop();
		nr_failed++;
		print_name("FAIL");
		print("\n");
	}
	payload_give_up = NULL;
}

void scenarios_run(struct attack *attack, const struct scenario *scenarios)
{
	for (; scenarios->name; scenarios++)
		scenario_run(attack, scenarios);
}

unsigned int scenarios_failed(void)
{
	return nr_failed;
}

void note_violation(const char *purpose, uint64_t address, uint64_t length, unsigned int queue,
		    uint32_t descriptor)
{
	print("violation ");
	print(purpose);
	print(" ");
	print_hex(address);
	print(" ");
	print_hex(length);
	print(" ");
	print_decimal(queue);
	print(" ");
	if (descriptor == UINT32_MAX)
		print("null");
	else
		print_decimal(descriptor);
	print("\n");
}
