/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Another vCPU, which changes a field in the pool over and over. */
#ifndef TESTS_UNIT_FLIPPER_H
#define TESTS_UNIT_FLIPPER_H

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define FLIPS 1000000u
#define TRIES 20000u /* of the device: what it fetches twice within nanoseconds seldom differs */

struct flipper {
	void *field; /* aligned */
	size_t size; /* of it: 1, 4 or 8 */
	uint64_t good, bad;
	unsigned int flips, tries;
	bool stop;
	pthread_t thread;
};

static inline void flipper_store(const struct flipper *flipper, uint64_t value)
{
	switch (flipper->size) {
	case 1:
		__atomic_store_n((uint8_t *)flipper->field, (uint8_t)value, __ATOMIC_RELAXED);
		break;
	case 4:
		__atomic_store_n((uint32_t *)flipper->field, (uint32_t)value, __ATOMIC_RELAXED);
		break;
	default:
		__atomic_store_n((uint64_t *)flipper->field, value, __ATOMIC_RELAXED);
	}
}

static inline void *flipper_run(void *opaque)
{
	struct flipper *flipper = opaque;
	uint64_t random = 1;

	while (!__atomic_load_n(&flipper->stop, __ATOMIC_RELAXED)) {
		random = random * 6364136223846793005ull + 1442695040888963407ull;
		flipper_store(flipper, random >> 63 ? flipper->bad : flipper->good);
		__atomic_fetch_add(&flipper->flips, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Begins to change @field, of @size bytes. */
static inline void flipper_start(struct flipper *flipper, void *field, size_t size)
{
	flipper->field = field;
	flipper->size = size;
	cr_assert_eq(pthread_create(&flipper->thread, NULL, flipper_run, flipper), 0);
}

/* Has the field been changed often enough, and the device tried? To be asked once in each try. */
static inline bool flipper_done(struct flipper *flipper)
{
	return flipper->tries++ >= TRIES &&
	       __atomic_load_n(&flipper->flips, __ATOMIC_RELAXED) >= FLIPS;
}

static inline void flipper_stop(struct flipper *flipper)
{
	__atomic_store_n(&flipper->stop, true, __ATOMIC_RELAXED);
	pthread_join(flipper->thread, NULL);
}

#endif
