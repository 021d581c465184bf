/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* How a guest says that it is over, and that the first word counts. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "boot/machine.h"
#include "boot/x86_64/layout.h"
#include "tests/unit/fd_count.h"
#include "vmm/arch/arch.h"
#include "vmm/ending.h"
#include "vmm/exit_status.h"
#include "vmm/platform.h"

struct power_bench {
	struct platform platform;
	struct ending ending;
};

static void bench_init(struct power_bench *b)
{
	*b = (struct power_bench){ .platform = { .ending = &b->ending } };
	cr_assert_eq(ending_init(&b->ending), 0);
	cr_assert_eq(arch_platform_setup(&b->platform), 0);
}

static bool readable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

enum where { PORT, MEMORY };

static const struct bus *bus_of(const struct power_bench *b, enum where where)
{
	return where == PORT ? &b->platform.pio : &b->platform.mmio;
}

#define GOES_ON (-1)

/* ACPI 6.5, 4.8.3.7: SLP_EN, and SLP_TYP as \\_S5 has it. */
#define SLEEP_OFF (1 << 5 | MACHINE_SLEEP_TYPE_OFF << 2)

Test(power, what_a_guest_writes)
{
	static const struct {
		enum where where;
		uint64_t addr;
		unsigned int size;
		uint64_t value;
		int status;
	} cases[] = {
		/* syscon-poweroff: 32 bits, one value */
		{ MEMORY, LAYOUT_SYSCON, 4, MACHINE_SYSCON_POWEROFF, EXIT_STATUS_OK },
		{ MEMORY, LAYOUT_SYSCON, 4, 0, GOES_ON },
		{ MEMORY, LAYOUT_SYSCON, 4, 0x15555, GOES_ON },
		{ MEMORY, LAYOUT_SYSCON, 2, MACHINE_SYSCON_POWEROFF, GOES_ON },
		{ MEMORY, LAYOUT_SYSCON, 8, MACHINE_SYSCON_POWEROFF, GOES_ON },
		{ MEMORY, LAYOUT_SYSCON + 4, 4, MACHINE_SYSCON_POWEROFF, GOES_ON },
		{ MEMORY, LAYOUT_SYSCON + 1, 4, MACHINE_SYSCON_POWEROFF, GOES_ON },
		/* ACPI sleep control: 8 bits, SLP_EN and the type of S5; then sleep status */
		{ MEMORY, LAYOUT_SLEEP, 1, SLEEP_OFF, EXIT_STATUS_OK },
		{ MEMORY, LAYOUT_SLEEP, 1, SLEEP_OFF | 0xc3, EXIT_STATUS_OK }, /* other bits */
		{ MEMORY, LAYOUT_SLEEP, 1, SLEEP_OFF & ~0x20, GOES_ON },
		{ MEMORY, LAYOUT_SLEEP, 1, 0x20 | 4 << 2, GOES_ON },
		{ MEMORY, LAYOUT_SLEEP, 1, 0x20, GOES_ON },
		{ MEMORY, LAYOUT_SLEEP, 2, SLEEP_OFF, GOES_ON },
		{ MEMORY, LAYOUT_SLEEP + 1, 1, SLEEP_OFF, GOES_ON },
		{ MEMORY, LAYOUT_SLEEP + 1, 1, 0x80, GOES_ON },
		{ MEMORY, LAYOUT_SLEEP + 2, 1, SLEEP_OFF, GOES_ON },
		/* pvpanic: 8 bits, bit 0 panicked, bit 1 a crash kernel follows */
		{ MEMORY, LAYOUT_PVPANIC, 1, 1, EXIT_STATUS_PANIC },
		{ MEMORY, LAYOUT_PVPANIC, 1, 3, EXIT_STATUS_PANIC },
		{ MEMORY, LAYOUT_PVPANIC, 1, 0, GOES_ON },
		{ MEMORY, LAYOUT_PVPANIC, 1, 2, GOES_ON },
		{ MEMORY, LAYOUT_PVPANIC, 1, 0xfe, GOES_ON },
		{ MEMORY, LAYOUT_PVPANIC, 2, 1, GOES_ON },
		{ MEMORY, LAYOUT_PVPANIC + 1, 1, 1, GOES_ON },
		/* a test guest's own code */
		{ PORT, 0xf4, 1, 0, EXIT_STATUS_OK },
		{ PORT, 0xf4, 1, 7, 7 },
		{ PORT, 0xf4, 1, 98, 98 },
		{ PORT, 0xf4, 1, 99, 99 },
		{ PORT, 0xf4, 1, 100, 99 },
		{ PORT, 0xf4, 1, 255, 99 },
		{ PORT, 0xf4, 2, 0x100, 99 },
		{ PORT, 0xf4, 4, 0xffffffff, 99 },
		{ PORT, 0xf4, 4, 5, 5 },
		{ PORT, 0xf5, 1, 5, 5 },
		{ PORT, 0xf8, 1, 5, GOES_ON },
		{ PORT, 0xf5, 4, 5, GOES_ON },
		/* keyboard controller: pulse the reset line */
		{ PORT, 0x64, 1, 0xfe, EXIT_STATUS_REBOOT },
		{ PORT, 0x64, 1, 0xff, GOES_ON },
		{ PORT, 0x64, 1, 0xd1, GOES_ON },
		{ PORT, 0x60, 1, 0xfe, GOES_ON },
		{ PORT, 0x64, 2, 0xfe, GOES_ON },
		{ PORT, 0x61, 1, 0xfe, GOES_ON },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const bool over = cases[i].status != GOES_ON;
		uint64_t value = cases[i].value;
		struct power_bench b;

		bench_init(&b);
		cr_expect_neq(bus_access(bus_of(&b, cases[i].where), cases[i].addr, cases[i].size,
					 true, &value),
			      BUS_ERROR);
		cr_expect_eq(b.ending.over, over, "case %zu", i);
		cr_expect_eq(readable(b.ending.event_fd), over, "case %zu", i);
		if (over)
			cr_expect_eq(b.ending.status, cases[i].status, "case %zu: %d", i,
				     b.ending.status);
		cr_expect_eq(b.ending.reason[0] != '\0', over, "case %zu", i);
		ending_destroy(&b.ending);
	}
}

Test(power, what_a_guest_reads)
{
	static const struct {
		enum where where;
		uint64_t addr;
		unsigned int size;
		uint64_t value;
	} cases[] = {
		{ MEMORY, LAYOUT_SYSCON, 4, 0 },
		{ MEMORY, LAYOUT_SYSCON, 1, 0xff },
		{ MEMORY, LAYOUT_SLEEP, 1, 0 },
		{ MEMORY, LAYOUT_SLEEP + 1, 1, 0 }, /* nobody woke it up */
		{ MEMORY, LAYOUT_SLEEP, 2, 0xffff },
		{ MEMORY, LAYOUT_PVPANIC, 1, 3 }, /* the events that are understood */
		{ MEMORY, LAYOUT_PVPANIC, 2, 0xffff },
		{ PORT, 0xf4, 4, 0xffffffff },
		{ PORT, 0x60, 1, 0 },
		{ PORT, 0x64, 2, 0xffff },
	};
	struct power_bench b;

	bench_init(&b);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 0x5a5a;

		bus_access(bus_of(&b, cases[i].where), cases[i].addr, cases[i].size, false, &value);
		cr_expect_eq(value, cases[i].value, "case %zu: 0x%llx", i,
			     (unsigned long long)value);
	}
	cr_expect_not(b.ending.over, "a read ends nothing");
	ending_destroy(&b.ending);
}

/* Linux gives up on a controller that never stops sending, and reboots when its input is empty. */
Test(power, keyboard_controller_never_looks_usable)
{
	struct power_bench b;

	bench_init(&b);
	for (int i = 0; i < 100; i++) {
		uint64_t status = 0, data = 0;

		bus_access(&b.platform.pio, 0x64, 1, false, &status);
		bus_access(&b.platform.pio, 0x60, 1, false, &data);
		cr_assert_eq(status & 1, 1, "output buffer full");
		cr_assert_eq(status & 2, 0, "input buffer empty");
	}
	ending_destroy(&b.ending);
}

Test(power, platform_cannot_be_set_up_twice)
{
	struct power_bench b;

	bench_init(&b);
	cr_expect_eq(arch_platform_setup(&b.platform), -EEXIST);
	ending_destroy(&b.ending);
}

Test(ending, the_first_word_counts)
{
	const unsigned int fds = fd_count();
	struct ending ending;

	cr_assert_eq(ending_init(&ending), 0);
	cr_expect_not(ending.over);
	cr_expect_not(readable(ending.event_fd));
	ending_set(&ending, EXIT_STATUS_PANIC, "reason %d", 1);
	ending_set(&ending, EXIT_STATUS_OK, "reason %d", 2);
	cr_expect(ending.over);
	cr_expect(readable(ending.event_fd));
	cr_expect_eq(ending.status, EXIT_STATUS_PANIC);
	cr_expect_str_eq(ending.reason, "reason 1");
	ending_destroy(&ending);
	cr_expect_eq(fd_count(), fds);
}

Test(ending, a_long_reason_is_cut)
{
	char longer[2 * ENDING_REASON_MAX];
	struct ending ending;

	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	cr_assert_eq(ending_init(&ending), 0);
	ending_set(&ending, EXIT_STATUS_OK, "%s", longer);
	cr_expect_eq(strlen(ending.reason), ENDING_REASON_MAX - 1);
	ending_destroy(&ending);
}

#define VOICES 8

struct voice {
	struct ending *ending;
	pthread_barrier_t *together;
	int status;
};

static void *speak(void *opaque)
{
	const struct voice *voice = opaque;

	pthread_barrier_wait(voice->together);
	ending_set(voice->ending, voice->status, "voice %d", voice->status);
	return NULL;
}

/* Status and reason come from the same one of them. */
Test(ending, many_threads_at_once)
{
	pthread_barrier_t together;
	pthread_t threads[VOICES];
	struct voice voices[VOICES];
	struct ending ending;
	char expected[32];

	cr_assert_eq(ending_init(&ending), 0);
	pthread_barrier_init(&together, NULL, VOICES);
	for (int i = 0; i < VOICES; i++) {
		voices[i] = (struct voice){ &ending, &together, i };
		pthread_create(&threads[i], NULL, speak, &voices[i]);
	}
	for (int i = 0; i < VOICES; i++)
		pthread_join(threads[i], NULL);
	snprintf(expected, sizeof(expected), "voice %d", ending.status);
	cr_expect_str_eq(ending.reason, expected);
	pthread_barrier_destroy(&together);
	ending_destroy(&ending);
}
