/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Chains of descriptors that no driver makes (virtio 1.3, 2.7.5), one at a time. */
#include "guest-images/payloads/hostile/scenario.h"
#include "guest-images/payloads/payload.h"

#define MAX_PIECES 4u
#define SECTOR	   1u

/* What an address is counted from. */
enum anchor {
	HEADER, /* parts of a good request */
	DATA,
	STATUS,
	TABLE, /* the indirect table */
	AREA,  /* the queue's own rings */
	POOL,
	POOL_END,
	NEIGHBOUR, /* the pool of another device */
	ABSOLUTE,
};

struct piece {
	enum anchor anchor;
	int64_t offset;
	uint32_t len;
	uint16_t flags, next;
};

enum outcome {
	SERVED,	 /* with a status of 0 */
	FAILED,	 /* with another status */
	DROPPED, /* used with a length of 0, the status byte was not written */
	OUTSIDE, /* the device stops, and names the address */
	HARMED,	 /* what the driver did to its own rings is its affair */
};

struct chain {
	const char *name;
	enum outcome outcome;
	unsigned int bad; /* of OUTSIDE: which piece names the address, of the inner ones if any */
	struct piece pieces[MAX_PIECES];
	struct piece inner[MAX_PIECES]; /* of the table */
};

#define P_HEADER(next)                      \
	{                                   \
		HEADER, 0, 16, NEXT, (next) \
	}
#define P_DATA(next)                                       \
	{                                                  \
		DATA, 0, SECTOR_SIZE, NEXT | WRITE, (next) \
	}
#define P_STATUS                       \
	{                              \
		STATUS, 0, 1, WRITE, 0 \
	}
#define P_TABLE(len)                         \
	{                                    \
		TABLE, 0, (len), INDIRECT, 0 \
	}
#define GOOD_CHAIN P_HEADER(1), P_DATA(2), P_STATUS

#define PIECES(...) .pieces = { __VA_ARGS__ }
#define INNER(...)  .inner = { __VA_ARGS__ }
/* A good request, but for where its data is to go. */
#define DATA_AT(place, offset, len) \
	PIECES(P_HEADER(1), { place, offset, len, NEXT | WRITE, 2 }, P_STATUS)

/* As many as minivmm keeps of a device: the host compares all of them. */
static const struct chain outside_chains[] = {
	{ "wraps-2^64", OUTSIDE, 1, DATA_AT(ABSOLUTE, -256, 512) },
	{ "one-byte-past-the-end", OUTSIDE, 1, DATA_AT(POOL_END, -512, 513) },
	{ "one-byte-below", OUTSIDE, 1, DATA_AT(POOL, -1, 512) },
	{ "below", OUTSIDE, 1, DATA_AT(POOL, -512, 512) },
	{ "foreign-pool", OUTSIDE, 1, DATA_AT(NEIGHBOUR, 0, 512) },
	{ "foreign-rings", OUTSIDE, 1, DATA_AT(NEIGHBOUR, 0x10000, 512) },
	{ "ordinary-memory", OUTSIDE, 1, DATA_AT(ABSOLUTE, 0x200000, 512) },
	{ "across-two-memory-slots", OUTSIDE, 1, DATA_AT(POOL_END, -256, 512) },
	{ "mmio-registers", OUTSIDE, 1, DATA_AT(ABSOLUTE, 0xfe000000, 512) },
	{ "pci-window", OUTSIDE, 1, DATA_AT(ABSOLUTE, 0xd0000000, 512) },
	{ "local-apic", OUTSIDE, 1, DATA_AT(ABSOLUTE, 0xfee00300, 512) },
	{ "bios", OUTSIDE, 1, DATA_AT(ABSOLUTE, 0xf0000, 512) },
	{ "length-0xffffffff", OUTSIDE, 1, DATA_AT(DATA, 0, 0xffffffff) },
	{ "table-outside", OUTSIDE, 0, PIECES({ ABSOLUTE, 0x200000, 48, INDIRECT, 0 }) },
	{ "table-across-the-end", OUTSIDE, 0, PIECES({ POOL_END, -16, 48, INDIRECT, 0 }) },
	{ "buffer-of-a-table", OUTSIDE, 1, PIECES(P_TABLE(48)),
	  INNER(P_HEADER(1), { ABSOLUTE, 0x300000, 512, NEXT | WRITE, 2 }, P_STATUS) },
};

static const struct chain inside_chains[] = {
	{ "last-byte-of-the-pool", SERVED, 0, DATA_AT(POOL_END, -512, 512) },
	{ "next-to-itself", DROPPED, 0, PIECES(P_HEADER(0)) },
	{ "2-cycle", DROPPED, 0, PIECES(P_HEADER(1), P_HEADER(0)) },
	{ "3-cycle", DROPPED, 0, PIECES(P_HEADER(1), P_HEADER(2), P_HEADER(0)) },
	{ "cycle-of-empty-ones", DROPPED, 0,
	  PIECES({ DATA, 0, 0, NEXT, 1 }, { DATA, 0, 0, NEXT, 0 }) },
	{ "next-is-the-size", DROPPED, 0, PIECES(P_HEADER(RING_SIZE)) },
	{ "next-is-0xffff", DROPPED, 0, PIECES(P_HEADER(0xffff)) },
	{ "empty-alone", DROPPED, 0, PIECES({ DATA, 0, 0, 0, 0 }) },
	{ "empty-first", SERVED, 0,
	  PIECES({ DATA, 0, 0, NEXT, 1 }, P_HEADER(2), P_DATA(3), P_STATUS) },
	{ "empty-middle", SERVED, 0,
	  PIECES(P_HEADER(1), { DATA, 0, 0, NEXT, 2 }, P_DATA(3), P_STATUS) },
	{ "empty-last", SERVED, 0,
	  PIECES(P_HEADER(1), P_DATA(2), { STATUS, 0, 1, NEXT | WRITE, 3 },
		 { DATA, 0, 0, WRITE, 0 }) },
	{ "empty-outside", SERVED, 0,
	  PIECES(P_HEADER(1), P_DATA(2), { ABSOLUTE, 0x200000, 0, NEXT | WRITE, 3 }, P_STATUS) },
	{ "header-in-two", SERVED, 0,
	  PIECES({ HEADER, 0, 7, NEXT, 1 }, { HEADER, 7, 9, NEXT, 2 }, P_DATA(3), P_STATUS) },
	{ "readable-after-writable", DROPPED, 0, PIECES(P_DATA(1), P_HEADER(2), P_STATUS) },
	{ "undefined-flags", SERVED, 0,
	  PIECES({ HEADER, 0, 16, NEXT | 0xfff8, 1 }, P_DATA(2),
		 { STATUS, 0, 1, WRITE | 0xfff8, 0 }) },
	{ "all-flags", DROPPED, 0, PIECES({ HEADER, 0, 16, 0xffff, 0xffff }) },
	{ "nothing-to-write", DROPPED, 0, PIECES({ HEADER, 0, 16, 0, 0 }) },
	{ "nothing-to-read", FAILED, 0, PIECES(P_STATUS) },
	{ "table", SERVED, 0, PIECES(P_TABLE(48)), INNER(GOOD_CHAIN) },
	{ "table-that-is-writable", SERVED, 0, PIECES({ TABLE, 0, 48, INDIRECT | WRITE, 0 }),
	  INNER(GOOD_CHAIN) },
	{ "table-behind-a-buffer", SERVED, 0, PIECES(P_HEADER(1), P_TABLE(32)),
	  INNER(P_DATA(1), P_STATUS) },
	{ "table-of-nothing", DROPPED, 0, PIECES(P_TABLE(0)), INNER(GOOD_CHAIN) },
	{ "table-of-half-an-entry", DROPPED, 0, PIECES(P_TABLE(8)), INNER(GOOD_CHAIN) },
	{ "table-of-2.5-entries", DROPPED, 0, PIECES(P_TABLE(40)), INNER(GOOD_CHAIN) },
	{ "table-longer-than-the-queue", DROPPED, 0, PIECES(P_TABLE(16 * RING_SIZE + 16)),
	  INNER(GOOD_CHAIN) },
	{ "table-of-65536-entries", DROPPED, 0, PIECES(P_TABLE(16 * 65536)), INNER(GOOD_CHAIN) },
	{ "table-of-0xfffffff0-bytes", DROPPED, 0, PIECES(P_TABLE(0xfffffff0)), INNER(GOOD_CHAIN) },
	{ "table-in-a-table", DROPPED, 0, PIECES(P_TABLE(32)), INNER(P_HEADER(1), P_TABLE(48)) },
	{ "table-with-next", DROPPED, 0, PIECES({ TABLE, 0, 48, INDIRECT | NEXT, 1 }, P_STATUS),
	  INNER(GOOD_CHAIN) },
	{ "two-tables", DROPPED, 0, PIECES({ TABLE, 0, 48, INDIRECT | NEXT, 1 }, P_TABLE(48)),
	  INNER(GOOD_CHAIN) },
	{ "loop-in-a-table", DROPPED, 0, PIECES(P_TABLE(32)), INNER(P_HEADER(1), P_HEADER(0)) },
	{ "next-beyond-the-table", DROPPED, 0, PIECES(P_TABLE(32)),
	  INNER(P_HEADER(2), P_DATA(2), P_STATUS) },
	{ "next-is-0xffff-in-a-table", DROPPED, 0, PIECES(P_TABLE(48)),
	  INNER(P_HEADER(0xffff), P_DATA(2), P_STATUS) },
	{ "into-its-own-descriptors", HARMED, 0, DATA_AT(AREA, 0, 512) },
	{ "into-its-own-available-ring", HARMED, 0, DATA_AT(AREA, AREA_AVAIL, 512) },
	{ "into-its-own-used-ring", HARMED, 0, DATA_AT(AREA, AREA_USED, 512) },
	{ "into-the-rings-of-another-queue", HARMED, 0, DATA_AT(AREA, AREA_SIZE, 512) },
};

#define NR(list) (sizeof(list) / sizeof((list)[0]))

static const struct chain *chain;

static uint64_t address_of(const struct attack *attack, const struct piece *piece)
{
	const struct queue *queue = &attack->queues[0];
	const struct target *target = attack->target;
	const uint64_t bases[] = {
		[HEADER] = request_header(queue, 0),
		[DATA] = request_data(queue, 0),
		[STATUS] = request_status(queue, 0),
		[TABLE] = queue->area + AREA_TABLE,
		[AREA] = queue->area,
		[POOL] = target->pool,
		[POOL_END] = target->pool + target->pool_size,
		[NEIGHBOUR] = attack->neighbour,
		[ABSOLUTE] = 0,
	};

	return bases[piece->anchor] + (uint64_t)piece->offset;
}

static void write_pieces(const struct attack *attack, const struct piece *pieces,
			 volatile struct descriptor *table)
{
	for (unsigned int i = 0; i < MAX_PIECES; i++)
		table[i] = (struct descriptor){ address_of(attack, &pieces[i]), pieces[i].len,
						pieces[i].flags, pieces[i].next };
}

static void tell_violation(const struct attack *attack)
{
	const bool inner = chain->pieces[0].anchor == TABLE;
	const struct piece *piece = inner ? &chain->inner[chain->bad] : &chain->pieces[chain->bad];

	note_violation(piece->flags & INDIRECT ? "indirect_table" : "buffer",
		       address_of(attack, piece), piece->len, 0, chain->bad);
}

static void check_used(struct queue *queue, enum outcome outcome)
{
	const uint32_t len = queue_take(queue, 0);

	if (outcome == DROPPED) {
		expect_equal(len, 0, "length of a dropped chain");
		expect_equal(request_result(queue, 0), STATUS_NONE, "status of a dropped chain");
	} else if (outcome == FAILED) {
		expect_equal(len, 1, "length of a request that failed");
		expect_equal(request_result(queue, 0), 1, "status of a request that failed");
	} else {
		expect_equal(len, SECTOR_SIZE + 1, "length of a served request");
		expect_equal(request_result(queue, 0), 0, "status of a served request");
	}
}

static void run_chain(struct attack *attack)
{
	struct queue *queue = &attack->queues[0];
	enum answer answer;

	request_fill(queue, 0, BLOCK_IN, SECTOR);
	write_pieces(attack, chain->pieces, queue->desc);
	write_pieces(attack, chain->inner,
		     (volatile struct descriptor *)(queue->area + AREA_TABLE));
	queue_publish(queue, 0);
	queue_notify(queue);
	answer = queue_await(queue, 1);
	if (chain->outcome == HARMED) {
		expect(answer != ANSWER_NONE, "the device answers");
	} else if (chain->outcome == OUTSIDE) {
		expect_equal(answer, ANSWER_STOPPED, "answer to an address outside");
		expect_equal(queue->used->idx, 0, "requests used by a device that stops");
		tell_violation(attack);
	} else {
		expect_equal(answer, ANSWER_USED, "answer");
		check_used(queue, chain->outcome);
	}
}

static void run_list(struct attack *attack, const struct chain *chains, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		struct scenario scenario = { chains[i].name, run_chain, GOES_ON };

		chain = &chains[i];
		if (chain->outcome == OUTSIDE)
			scenario.end = STOPPED;
		if (chain->outcome == HARMED)
			scenario.end = ANY_STATE;
		scenario_run(attack, &scenario);
	}
}

void run_chains(struct attack *attack)
{
	run_list(attack, outside_chains, NR(outside_chains));
	run_list(attack, inside_chains, NR(inside_chains));
}
