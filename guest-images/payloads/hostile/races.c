/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Fields that CPU 1 changes, as fast as it can, while the device looks at them. Whatever it sees, good
 * or bad, it sees once: it answers, or it stops, and nothing outside of the pool changes.
 */
#include "guest-images/payloads/hostile/cpu.h"
#include "guest-images/payloads/hostile/scenario.h"
#include "guest-images/payloads/payload.h"

#define MIN_ROUNDS 50u	     /* of requests, whatever the scale */
#define OUTSIDE	   0x200000u /* ordinary memory */
#define SECTOR	   6u
#define CHAINS	   4u /* in one batch, of three descriptors each */
#define STRIDE	   3u

/* A field of @size bytes that is @good or @bad. */
struct flip {
	uint64_t at;
	unsigned int size;
	uint64_t good, bad;
	uint64_t count; /* so far */
};

static struct flip flip;

static void flip_field(void *arg)
{
	struct flip *field = arg;
	uint64_t count = 0, random = 0x9e3779b97f4a7c15;

	while (!second_must_stop()) {
		/* At random, so that it may be either whenever this CPU is interrupted. */
		for (unsigned int i = 0; i < 64; i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			mmio_write(field->at, field->size,
				   random & 0x100 ? field->bad : field->good);
		}
		mmio_write(field->at, field->size, field->good);
		count += 64;
		__atomic_store_n(&field->count, count, __ATOMIC_RELAXED);
	}
}

static uint64_t flips(void)
{
	return __atomic_load_n(&flip.count, __ATOMIC_RELAXED);
}

/*
 * Chains of a read each; with @indirect the first one is a table. We have written the field ourselves, so
 * CPU 1 must have its turn before the device looks: where the host has one CPU only, it would not.
 */
static void submit(struct queue *queue, bool indirect)
{
	const uint64_t table = queue->area + AREA_TABLE;
	uint64_t before;

	for (uint16_t i = 0; i < CHAINS; i++)
		request_chain(queue, i, i * STRIDE, SECTOR);
	if (indirect) {
		volatile struct descriptor *inner = (volatile struct descriptor *)table;

		for (unsigned int i = 0; i < STRIDE; i++)
			inner[i] = queue->desc[i];
		queue->desc[0] = (struct descriptor){ table, 16 * STRIDE, INDIRECT, 0 };
	}
	for (uint16_t i = 0; i < CHAINS; i++)
		queue_publish(queue, i * STRIDE);
	before = flips();
	while (flips() == before)
		cpu_relax();
	queue_notify(queue);
}

enum race_kind {
	DIRECT,
	THROUGH_TABLE, /* the first chain is in an indirect table */
	ONE_BATCH,     /* the driver begins anew after each batch, not only after a stop */
};

/* CPU 1 goes on while the driver begins anew. */
static void race(struct attack *attack, enum race_kind kind)
{
	struct queue *queue = &attack->queues[0];
	unsigned int rounds = 0, stops = 0;

	second_start(flip_field, &flip);
	while (flips() < attack->scale || rounds < MIN_ROUNDS) {
		enum answer answer;

		submit(queue, kind == THROUGH_TABLE);
		answer = queue_await(queue, CHAINS);
		expect(answer != ANSWER_NONE, "the device answers");
		queue->taken = queue->published;
		rounds++;
		if (answer == ANSWER_STOPPED)
			stops++;
		if (answer == ANSWER_STOPPED || kind == ONE_BATCH)
			queues_try_start(attack->target, attack->queues, NR_QUEUES, RING_SIZE);
	}
	second_stop();
	/* The last start may have been from a ring that was not left alone. */
	if (kind == ONE_BATCH)
		queues_try_start(attack->target, attack->queues, NR_QUEUES, RING_SIZE);
	print("flips ");
	print_decimal(flips());
	print(" rounds ");
	print_decimal(rounds);
	print(" stops ");
	print_decimal(stops);
	print("\n");
}

static void set_flip(uint64_t at, unsigned int size, uint64_t good, uint64_t bad)
{
	flip = (struct flip){ .at = at, .size = size, .good = good, .bad = bad };
}

/* Field of descriptor 1, the data, of the queue's table, or of the indirect one. */
static uint64_t descriptor_field(const struct attack *attack, bool indirect, unsigned int field)
{
	const struct queue *queue = &attack->queues[0];

	return queue->area + (indirect ? AREA_TABLE : 0) + 16 + field;
}

#define FIELD_LEN   8u
#define FIELD_FLAGS 12u
#define FIELD_NEXT  14u

static void race_len(struct attack *attack)
{
	set_flip(descriptor_field(attack, false, FIELD_LEN), 4, SECTOR_SIZE, UINT32_MAX);
	race(attack, DIRECT);
}

static void race_addr(struct attack *attack)
{
	set_flip(descriptor_field(attack, false, 0), 8, request_data(&attack->queues[0], 0),
		 OUTSIDE);
	race(attack, DIRECT);
}

/* Across the end of the pool: good and bad differ by one byte. */
static void race_addr_at_the_end(struct attack *attack)
{
	const uint64_t last = attack->target->pool + attack->target->pool_size - SECTOR_SIZE;

	set_flip(descriptor_field(attack, false, 0), 8, last, last + 1);
	race(attack, DIRECT);
}

static void race_write_flag(struct attack *attack)
{
	set_flip(descriptor_field(attack, false, FIELD_FLAGS), 2, NEXT | WRITE, NEXT);
	race(attack, DIRECT);
}

static void race_indirect_flag(struct attack *attack)
{
	set_flip(descriptor_field(attack, false, FIELD_FLAGS), 2, NEXT | WRITE, INDIRECT);
	race(attack, DIRECT);
}

static void race_next(struct attack *attack)
{
	set_flip(descriptor_field(attack, false, FIELD_NEXT), 2, 2, 0xffff);
	race(attack, DIRECT);
}

static void race_loop(struct attack *attack)
{
	set_flip(descriptor_field(attack, false, FIELD_NEXT), 2, 2, 0);
	race(attack, DIRECT);
}

static void race_table_addr(struct attack *attack)
{
	set_flip(descriptor_field(attack, true, 0), 8, request_data(&attack->queues[0], 0),
		 OUTSIDE);
	race(attack, THROUGH_TABLE);
}

static void race_table_len(struct attack *attack)
{
	set_flip(descriptor_field(attack, true, FIELD_LEN), 4, SECTOR_SIZE, UINT32_MAX);
	race(attack, THROUGH_TABLE);
}

static void race_table_next(struct attack *attack)
{
	set_flip(descriptor_field(attack, true, FIELD_NEXT), 2, 2, 0xffff);
	race(attack, THROUGH_TABLE);
}

static void race_table_itself(struct attack *attack)
{
	set_flip(attack->queues[0].area, 8, attack->queues[0].area + AREA_TABLE, OUTSIDE);
	race(attack, THROUGH_TABLE);
}

static void race_head(struct attack *attack)
{
	const struct queue *queue = &attack->queues[0];

	set_flip((uint64_t)&queue->avail->ring[5], 2, STRIDE, 0xffff);
	race(attack, DIRECT);
}

/* The index of the one batch, or one that is far ahead and far behind. */
static void race_index(struct attack *attack)
{
	const struct queue *queue = &attack->queues[0];

	set_flip((uint64_t)&queue->avail->idx, 2, CHAINS, 0x8001);
	race(attack, ONE_BATCH);
}

static void race_type(struct attack *attack)
{
	set_flip(request_header(&attack->queues[0], 0), 4, BLOCK_IN, 0xffffffff);
	race(attack, DIRECT);
}

static void race_sector(struct attack *attack)
{
	set_flip(request_header(&attack->queues[0], 0) + 8, 8, SECTOR, 0x7fffffffffffffff);
	race(attack, DIRECT);
}

const struct scenario race_scenarios[] = {
	{ "race-descriptor-length", race_len, EITHER },
	{ "race-descriptor-address", race_addr, EITHER },
	{ "race-descriptor-address-at-the-end", race_addr_at_the_end, EITHER },
	{ "race-descriptor-write-flag", race_write_flag, EITHER },
	{ "race-descriptor-indirect-flag", race_indirect_flag, EITHER },
	{ "race-descriptor-next", race_next, EITHER },
	{ "race-descriptor-loop", race_loop, EITHER },
	{ "race-table-address", race_table_addr, EITHER },
	{ "race-table-length", race_table_len, EITHER },
	{ "race-table-next", race_table_next, EITHER },
	{ "race-indirect-address", race_table_itself, EITHER },
	{ "race-available-head", race_head, EITHER },
	{ "race-available-index", race_index, EITHER },
	{ "race-header-type", race_type, EITHER },
	{ "race-header-sector", race_sector, EITHER },
	{ NULL, NULL, GOES_ON },
};
