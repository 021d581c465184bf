/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Accesses to places where nobody is, and the ways for a CPU to end that are no good ones. */
#include "guest-images/payloads/hostile/cpu.h"
#include "guest-images/payloads/hostile/scenario.h"
#include "guest-images/payloads/payload.h"

#define UNMAPPED   0xd8000000ull
#define NO_PORT	   0x1234
#define MIN_SERVED 20u

static uint64_t exits;

static void exit_often(void *arg)
{
	uint64_t count = 0;

	(void)arg;
	while (!second_must_stop()) {
		mmio_write32(UNMAPPED + count % 0x1000 * 4, 0);
		mmio_read32(UNMAPPED);
		outl(NO_PORT, 0);
		inb(NO_PORT);
		count += 4;
		__atomic_store_n(&exits, count, __ATOMIC_RELAXED);
	}
}

/* CPU 1 does nothing else, and the disk is served. */
static void storm(struct attack *attack)
{
	unsigned int served = 0;

	__atomic_store_n(&exits, 0, __ATOMIC_RELAXED);
	second_start(exit_often, NULL);
	while (__atomic_load_n(&exits, __ATOMIC_RELAXED) < attack->scale || served < MIN_SERVED)
		queue_serve(&attack->queues[0], served++ % 64);
	second_stop();
}

const struct scenario exit_scenarios[] = {
	{ "exits-to-nowhere", storm, GOES_ON },
	{ NULL, NULL, GOES_ON },
};

static void halt(void *arg)
{
	(void)arg;
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* Both CPUs wait for interrupts that cannot come. */
static void end_halted(void)
{
	second_start(halt, NULL);
	halt(NULL);
}

/* No interrupt table: the first exception cannot be told of, nor that one. */
static void end_triple_fault(void)
{
	const struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} none = { 0, 0 };

	__asm__ volatile("lidt %0; ud2" : : "m"(none));
}

/* There is no code where registers are: KVM cannot emulate what it finds. */
static void end_code_in_registers(void)
{
	((void (*)(void))0xfe000000ull)();
}

static const struct {
	const char *word;
	void (*run)(void);
} ends[] = {
	{ "end-halted", end_halted },
	{ "end-triple-fault", end_triple_fault },
	{ "end-code-in-registers", end_code_in_registers },
};

void end_badly(const uint8_t *boot_params)
{
	for (unsigned int i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (payload_has_word(boot_params, ends[i].word))
			ends[i].run();
}
