/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A split ring that another vCPU changes while the device looks at it: here it is a thread that runs in
 * parallel with the walker, instruction by instruction, which an emulated guest cannot promise.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "tests/unit/fenced_ring.h"

TestSuite(virtqueue_race, .init = fenced_ring_set_up, .fini = fenced_ring_tear_down);

#define FLIPS	1000000u
#define NEAR	(BASE + 0x4000)
#define TIMEOUT 120 /* s: as long as it takes to see both values, and to flip so often */

#define BUF(flags, next)              \
	{                             \
		NEAR, 16, flags, next \
	}
#define IND(len, flags)                           \
	{                                         \
		TABLE, len, INDIRECT | (flags), 1 \
	}

/* Another vCPU: changes every field that the device looks at, as fast as it can. */
static void *flip_fields(void *stop)
{
	struct virtq_desc good[2] = { BUF(NEXT, 1), BUF(WRITE, 0) };
	struct virtq_desc bad[2] = { IND(16, 0), { OUTSIDE, 0xffffffff, NEXT, 0xffff } };
	volatile struct virtq_desc *table = mock_desc_table(&driver);
	volatile struct virtq_desc *inner = mock_ptr(&driver, TABLE);

	while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED)) {
		for (int i = 0; i < 2; i++) {
			table[i] = good[i];
			inner[i] = good[i];
			table[i] = bad[i];
			inner[i] = bad[1];
			table[i].len = 16;
			table[i].next = 1;
		}
	}
	return NULL;
}

static bool inside(const struct dma_buffers *buffers)
{
	for (unsigned int i = 0; i < buffers->count; i++) {
		const uint8_t *at = buffers->iov[i].iov_base;

		if (at < memory || at >= memory + MEMORY ||
		    buffers->iov[i].iov_len > (size_t)(memory + MEMORY - at))
			return false;
	}
	return true;
}

static bool seen_outside(void)
{
	return report.addresses_outside[DMA_BUFFER] > 0;
}

/* Starts the queue anew where it is broken. */
static void mend(void)
{
	struct virtqueue_layout layout = mock_layout(&driver);

	if (vq.broken) {
		layout.base = driver.avail_idx;
		cr_assert_eq(virtqueue_start(&vq, &layout), 0);
	}
	virtqueue_begin(&vq);
}

/* As many rounds as it takes to see both kinds of chains: on one CPU, the other thread may start late. */
Test(virtqueue_race, what_changes_under_our_eyes_stays_inside, .timeout = TIMEOUT)
{
	struct virtqueue_chain chain;
	unsigned int good = 0;
	bool stop = false;
	pthread_t other;

	cr_assert_eq(pthread_create(&other, NULL, flip_fields, &stop), 0);
	for (unsigned int round = 0; round < 300000 || !good || !seen_outside(); round++) {
		mend();
		mock_submit(&driver, 0);
		if (virtqueue_pop(&vq, &chain) <= 0)
			continue;
		cr_assert(inside(&chain.readable));
		cr_assert(inside(&chain.writable));
		cr_assert_leq(chain.readable.count + chain.writable.count, SIZE);
		virtqueue_push(&vq, &chain, 0);
		good++;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(other, NULL);
}

/* One field of a good chain: a table entry and its offset, and what it may be. */
struct field {
	const char *what;
	bool indirect;	   /* the chain is in an indirect table, and so is the field */
	unsigned int desc; /* of that table; of the queue's, if it is the descriptor of the table */
	bool outer;
	size_t offset, size;
	uint64_t good, bad;
};

static const struct field fields[] = {
	{ "address", false, 1, false, 0, 8, NEAR, OUTSIDE },
	{ "address one byte too high", false, 1, false, 0, 8, END - 32, END - 31 },
	{ "length", false, 1, false, 8, 4, 32, 0xffffffff },
	{ "length one byte too long", false, 1, false, 8, 4, 32, MEMORY },
	{ "flags of the first one", false, 0, false, 12, 2, NEXT, NEXT | INDIRECT },
	{ "flags of the last one", false, 1, false, 12, 2, WRITE, NEXT | INDIRECT },
	{ "next", false, 0, false, 14, 2, 1, 0xffff },
	{ "address in a table", true, 1, false, 0, 8, NEAR, OUTSIDE },
	{ "length in a table", true, 1, false, 8, 4, 32, 0xffffffff },
	{ "flags in a table", true, 1, false, 12, 2, WRITE, INDIRECT },
	{ "next in a table", true, 0, false, 14, 2, 1, 2 },
	{ "address of a table", true, 0, true, 0, 8, TABLE, OUTSIDE },
	{ "length of a table", true, 0, true, 8, 4, 32, 24 },
	{ "length of a table that is too long", true, 0, true, 8, 4, 32, 16 * (SIZE + 1) },
	{ "flags of a table", true, 0, true, 12, 2, INDIRECT, INDIRECT | NEXT },
};

struct flipper {
	void *at;
	size_t size;
	uint64_t good, bad;
	unsigned int flips; /* so far */
	bool stop;
};

static void store(void *at, size_t size, uint64_t value)
{
	switch (size) {
	case 2:
		__atomic_store_n((uint16_t *)at, (uint16_t)value, __ATOMIC_RELAXED);
		break;
	case 4:
		__atomic_store_n((uint32_t *)at, (uint32_t)value, __ATOMIC_RELAXED);
		break;
	default:
		__atomic_store_n((uint64_t *)at, value, __ATOMIC_RELAXED);
	}
}

/* At random: on one CPU, what is left standing when it is another thread's turn must vary. */
static void *flip(void *opaque)
{
	struct flipper *flipper = opaque;
	uint64_t random = 1;

	while (!__atomic_load_n(&flipper->stop, __ATOMIC_RELAXED)) {
		random = random * 6364136223846793005ull + 1442695040888963407ull;
		store(flipper->at, flipper->size, random >> 63 ? flipper->bad : flipper->good);
		__atomic_fetch_add(&flipper->flips, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void start_flipping(struct flipper *flipper, pthread_t *thread)
{
	flipper->flips = 0;
	flipper->stop = false;
	cr_assert_eq(pthread_create(thread, NULL, flip, flipper), 0);
}

static void stop_flipping(struct flipper *flipper, pthread_t thread)
{
	__atomic_store_n(&flipper->stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

static bool flipped_enough(const struct flipper *flipper)
{
	return __atomic_load_n(&flipper->flips, __ATOMIC_RELAXED) >= FLIPS;
}

/* 16 bytes to read, 32 to write. */
static void make_chain(const struct field *field)
{
	const struct virtq_desc chain[2] = { { NEAR, 16, NEXT, 1 }, { NEAR, 32, WRITE, 0 } };
	struct virtq_desc *table =
		field->indirect ? mock_ptr(&driver, TABLE) : mock_desc_table(&driver);

	memcpy(table, chain, sizeof(chain));
	if (field->indirect)
		mock_set_desc(mock_desc_table(&driver), 0, (struct virtq_desc)IND(32, 0));
}

static struct flipper flipper_of(const struct field *field)
{
	const bool inner = field->indirect && !field->outer;
	struct virtq_desc *table = inner ? mock_ptr(&driver, TABLE) : mock_desc_table(&driver);

	return (struct flipper){ .at = (uint8_t *)&table[field->desc] + field->offset,
				 .size = field->size,
				 .good = field->good,
				 .bad = field->bad };
}

/* A chain is the good one, or there is none: nothing is half of this and half of that. */
static void race(const struct field *field)
{
	unsigned int good = 0, bad = 0;
	struct virtqueue_chain chain;
	struct flipper flipper;
	pthread_t thread;

	make_chain(field);
	flipper = flipper_of(field);
	start_flipping(&flipper, &thread);
	while (!flipped_enough(&flipper) || !good || !bad) {
		mend();
		mock_submit(&driver, 0);
		if (virtqueue_pop(&vq, &chain) <= 0) {
			bad++;
			continue;
		}
		good++;
		cr_assert(inside(&chain.readable) && inside(&chain.writable), "%s", field->what);
		cr_assert_eq(chain.readable_len, 16, "%s: %zu to read", field->what,
			     (size_t)chain.readable_len);
		cr_assert_eq(chain.writable_len, 32, "%s: %zu to write", field->what,
			     (size_t)chain.writable_len);
		virtqueue_push(&vq, &chain, 0);
	}
	stop_flipping(&flipper, thread);
}

Test(virtqueue_race, every_field_of_a_descriptor, .timeout = TIMEOUT)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		race(&fields[i]);
}

Test(virtqueue_race, heads_in_the_available_ring, .timeout = TIMEOUT)
{
	struct flipper flipper = { &mock_avail(&driver)->ring[0], 2, 0, 0xffff, 0, false };
	unsigned int good = 0, bad = 0;
	struct virtqueue_chain chain;
	pthread_t thread;

	mock_set_desc(mock_desc_table(&driver), 0, (struct virtq_desc){ NEAR, 16, 0, 0 });
	start_flipping(&flipper, &thread);
	while (!flipped_enough(&flipper) || !good || !bad) {
		struct virtqueue_layout layout = mock_layout(&driver);

		/* Always by the entry that changes. */
		layout.base = 0;
		cr_assert_eq(virtqueue_start(&vq, &layout), 0);
		virtqueue_begin(&vq);
		mock_avail(&driver)->idx = 1;
		if (virtqueue_pop(&vq, &chain) <= 0) {
			cr_assert(vq.broken);
			bad++;
			continue;
		}
		cr_assert_eq(chain.head, 0);
		good++;
	}
	stop_flipping(&flipper, thread);
}

Test(virtqueue_race, the_available_index, .timeout = TIMEOUT)
{
	struct flipper flipper = { &mock_avail(&driver)->idx, 2, 2, SIZE + 3, 0, false };
	unsigned int good = 0, bad = 0;
	struct virtqueue_chain chain;
	pthread_t thread;

	mock_set_desc(mock_desc_table(&driver), 0, (struct virtq_desc){ NEAR, 16, 0, 0 });
	start_flipping(&flipper, &thread);
	while (!flipped_enough(&flipper) || !good || !bad) {
		struct virtqueue_layout layout = mock_layout(&driver);
		unsigned int taken = 0;

		layout.base = 0;
		cr_assert_eq(virtqueue_start(&vq, &layout), 0);
		virtqueue_begin(&vq);
		while (virtqueue_pop(&vq, &chain) > 0) {
			virtqueue_push(&vq, &chain, 0);
			taken++;
		}
		/* Two, and not more, whatever the index becomes behind them; none if it was bad. */
		cr_assert(taken == 0 || taken == 2, "%u", taken);
		good += taken == 2;
		bad += vq.broken;
	}
	stop_flipping(&flipper, thread);
}
