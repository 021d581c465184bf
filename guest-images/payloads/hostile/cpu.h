/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The processors: page tables of our own, a clock, and a second CPU that does one thing at a time. */
#ifndef PAYLOAD_CPU_H
#define PAYLOAD_CPU_H

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

/*
 * Page tables in our own image, which map 8 GiB: those that we began with are in memory that must
 * stay as it is, and the CPU writes into them. Then the clock, and the exceptions.
 */
void cpu_init(void);

/* Nanoseconds, by the TSC and what KVM says of its frequency. */
uint64_t clock_ns(void);

/* Starts CPU 1, which then waits for something to do. */
void second_init(void);
/* Lets it run @work(@arg), which looks at second_must_stop() all the time. */
void second_start(void (*work)(void *arg), void *arg);
bool second_must_stop(void);
/* Until it has done with what it does, if anything. */
void second_stop(void);

static inline void cpu_relax(void)
{
	__asm__ volatile("pause");
}

#endif
