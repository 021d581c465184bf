/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The tricks: a function for each, and a table. docs/evil-device.md describes them to users.
 *
 * Whether one can be played depends on the chain, not on the time, so that a seed always leads to the
 * same sequence. A second stall during the first is one that nobody sees.
 */
#include <endian.h>
#include <string.h>

#include "devices/core/evil_state.h"

#define DELAY_MIN_MS 10
#define DELAY_MAX_MS 200
#define STALL_MIN_MS 100
#define STALL_MAX_MS 2000
#define LATE_MIN_MS  1
#define LATE_MAX_MS  20
#define LONGER_MAX   4096 /* bytes that a used length exceeds the chain by */
#define FRONT	     32	  /* bytes: headers are there, and headers are what drivers believe */
#define REORDER_MAX  4	  /* completions that overtake one */
#define SPURIOUS_MAX 8	  /* interrupts */
#define CHANGES_MAX  3	  /* places of a buffer or a chain that are changed */

static uint64_t between(struct evil_random *random, uint64_t min, uint64_t max)
{
	return min + evil_random_below(random, max - min + 1);
}

/* Changes some of @len bytes: a bit, a byte, or a number of 2, 4 or 8 bytes. */
static void forge_bytes(struct evil_random *random, uint8_t *bytes, uint32_t len)
{
	static const uint8_t fills[] = { 0x00, 0xff, 0x7f, 0x80 };
	uint32_t size = 1u << evil_random_below(random, 4);
	uint8_t fill = fills[evil_random_below(random, sizeof(fills))];

	if (evil_random_below(random, 2) == 0) {
		bytes[evil_random_below(random, len)] ^= 1u << evil_random_below(random, 8);
		return;
	}
	if (size > len)
		size = 1;
	bytes += evil_random_below(random, len / size) * size;
	/* At least one bit is another one afterwards. */
	if (bytes[0] == fill)
		fill = ~fill;
	memset(bytes, fill, size);
}

void evil_forge_field(struct evil_random *random, uint8_t *config, uint32_t len)
{
	forge_bytes(random, config, len);
}

/* Changes bytes among the first @len of what the chain names, often near its front. */
static bool forge_chain(struct evil_completion *c, bool writable, uint64_t len)
{
	uint64_t changes = between(&c->random, 1, CHANGES_MAX);

	for (uint64_t i = 0; i < changes && len; i++) {
		uint64_t reach = len > FRONT && evil_random_below(&c->random, 2) ? FRONT : len;
		uint64_t offset = evil_random_below(&c->random, reach);
		uint32_t at;
		const struct evil_piece *piece = evil_chain_at(&c->chain, writable, offset, &at);
		uint64_t rest = len - offset;

		if (!piece)
			return i > 0;
		if (rest > piece->len - at)
			rest = piece->len - at;
		forge_bytes(&c->random, piece->at + at, rest < 8 ? (uint32_t)rest : 8);
	}
	return len > 0;
}

/* As much as was written, and is there. */
static uint64_t written(const struct evil_completion *c)
{
	return c->len < c->chain.writable ? c->len : c->chain.writable;
}

static bool length_zero(struct evil_queue *queue, struct evil_completion *c)
{
	(void)queue;
	if (!c->len)
		return false;
	c->len = 0;
	return true;
}

static bool length_long(struct evil_queue *queue, struct evil_completion *c)
{
	(void)queue;
	c->len = (uint32_t)c->chain.writable + (uint32_t)between(&c->random, 1, LONGER_MAX);
	return true;
}

static bool length_huge(struct evil_queue *queue, struct evil_completion *c)
{
	static const uint32_t lengths[] = { UINT32_MAX, INT32_MAX, 1u << 31, UINT32_MAX - 4095 };

	(void)queue;
	c->len = lengths[evil_random_below(&c->random, sizeof(lengths) / sizeof(lengths[0]))];
	return true;
}

static bool add_element(struct evil_completion *c, uint32_t id)
{
	c->twice = true;
	c->second_id = id;
	c->second_len = c->len;
	return true;
}

static bool id_replay(struct evil_queue *queue, struct evil_completion *c)
{
	(void)queue;
	return add_element(c, c->id);
}

static bool id_foreign(struct evil_queue *queue, struct evil_completion *c)
{
	uint16_t size = queue->vq->size;

	if (size == 1)
		return false;
	return add_element(c, (c->id + (uint32_t)between(&c->random, 1, size - 1u)) % size);
}

static bool id_outside(struct evil_queue *queue, struct evil_completion *c)
{
	uint32_t size = queue->vq->size;

	switch (evil_random_below(&c->random, 4)) {
	case 0:
		return add_element(c, size);
	case 1:
		return add_element(c, UINT32_MAX);
	case 2:
		/* Right in 16 bits, where the driver cuts it. */
		return add_element(c, 0x10000u | c->id);
	default:
		return add_element(c, (uint32_t)between(&c->random, size, UINT32_MAX));
	}
}

/* By a few elements, or by more than the ring has. It stays so. */
static bool index_ahead(struct evil_queue *queue, struct evil_completion *c)
{
	struct virtqueue *vq = queue->vq;

	vq->used_idx += between(&c->random, 1, evil_random_below(&c->random, 4) ? vq->size : 32767);
	return true;
}

static bool index_back(struct evil_queue *queue, struct evil_completion *c)
{
	queue->back = (uint16_t)between(&c->random, 1, queue->vq->size);
	return true;
}

static bool used_flags(struct evil_queue *queue, struct evil_completion *c)
{
	queue->forge_flags = true;
	queue->end = c->random;
	return true;
}

static bool data(struct evil_queue *queue, struct evil_completion *c)
{
	(void)queue;
	return forge_chain(c, true, written(c));
}

static bool data_late(struct evil_queue *queue, struct evil_completion *c)
{
	uint64_t len = written(c);
	const struct evil_piece *piece;
	uint32_t at;

	if (!len)
		return false;
	piece = evil_chain_at(&c->chain, true, evil_random_below(&c->random, len), &at);
	if (!piece)
		return false;
	if (queue->nr_late == EVIL_LATE_MAX)
		queue->nr_late--;
	queue->late[queue->nr_late++] = (struct evil_late){
		.dma_addr = piece->dma_addr + at,
		.due = evil_now_ms() + between(&c->random, LATE_MIN_MS, LATE_MAX_MS),
		.mask = (uint8_t)(1u << evil_random_below(&c->random, 8)),
	};
	return true;
}

/* The last byte that the device may write: a disk's status, the answer of a control queue. */
static bool status(struct evil_queue *queue, struct evil_completion *c)
{
	const struct evil_piece *piece;
	uint32_t at;

	(void)queue;
	if (!c->chain.writable)
		return false;
	piece = evil_chain_at(&c->chain, true, c->chain.writable - 1, &at);
	if (!piece)
		return false;
	piece->at[at] += between(&c->random, 1, 255);
	return true;
}

static bool request(struct evil_queue *queue, struct evil_completion *c)
{
	(void)queue;
	return forge_chain(c, false, c->chain.readable);
}

static bool descriptor(struct evil_queue *queue, struct evil_completion *c)
{
	uint64_t changes = between(&c->random, 1, CHANGES_MAX);

	(void)queue;
	if (!c->chain.nr_descriptors)
		return false;
	for (uint64_t i = 0; i < changes; i++) {
		uint64_t n = evil_random_below(&c->random, c->chain.nr_descriptors);

		forge_bytes(&c->random, c->chain.descriptors[n], sizeof(struct virtq_desc));
	}
	return true;
}

static bool avail(struct evil_queue *queue, struct evil_completion *c)
{
	queue->forge_avail = true;
	queue->end = c->random;
	return true;
}

static bool delay(struct evil_queue *queue, struct evil_completion *c)
{
	(void)queue;
	c->delay = between(&c->random, DELAY_MIN_MS, DELAY_MAX_MS);
	return true;
}

static bool reorder(struct evil_queue *queue, struct evil_completion *c)
{
	(void)queue;
	c->after = between(&c->random, 1, REORDER_MAX);
	return true;
}

static bool stall(struct evil_queue *queue, struct evil_completion *c)
{
	if (!queue->stalled_until)
		queue->stalled_until =
			evil_now_ms() + between(&c->random, STALL_MIN_MS, STALL_MAX_MS);
	return true;
}

static bool interrupt_late(struct evil_queue *queue, struct evil_completion *c)
{
	queue->postpone = true;
	queue->end = c->random;
	return true;
}

static bool interrupt_spurious(struct evil_queue *queue, struct evil_completion *c)
{
	queue->spurious = (unsigned int)between(&c->random, 1, SPURIOUS_MAX);
	queue->end = c->random;
	return true;
}

/* The front-end reads it again, and tells the driver if it is another one. */
static bool config(struct evil_queue *queue, struct evil_completion *c)
{
	struct evil *evil = queue->evil;
	struct device *device = evil->device;

	(void)c;
	if (device->backend_channel < 0 || !evil->config_reads)
		return false;
	evil->lying = true;
	/* A front-end that has not read it since the last time will read it. */
	if (evil->config_announced < evil->config_reads)
		device_config_changed(device);
	evil->config_announced = evil->config_reads;
	return true;
}

static bool lost(struct evil_queue *queue, struct evil_completion *c)
{
	(void)queue;
	c->lost = true;
	return true;
}

static bool hang(struct evil_queue *queue, struct evil_completion *c)
{
	(void)c;
	queue->stalled_until = EVIL_NEVER;
	return true;
}

static bool interrupt_lost(struct evil_queue *queue, struct evil_completion *c)
{
	(void)c;
	queue->mute = true;
	return true;
}

static bool needs_reset(struct evil_queue *queue, struct evil_completion *c)
{
	(void)c;
	queue->fail = queue->stalled_until != EVIL_NEVER;
	return true;
}

static bool (*const plays[EVIL_NR_TRICKS])(struct evil_queue *queue, struct evil_completion *c) = {
	[EVIL_LENGTH_ZERO] = length_zero,
	[EVIL_LENGTH_LONG] = length_long,
	[EVIL_LENGTH_HUGE] = length_huge,
	[EVIL_ID_REPLAY] = id_replay,
	[EVIL_ID_FOREIGN] = id_foreign,
	[EVIL_ID_OUTSIDE] = id_outside,
	[EVIL_INDEX_AHEAD] = index_ahead,
	[EVIL_INDEX_BACK] = index_back,
	[EVIL_USED_FLAGS] = used_flags,
	[EVIL_DATA] = data,
	[EVIL_DATA_LATE] = data_late,
	[EVIL_STATUS] = status,
	[EVIL_REQUEST] = request,
	[EVIL_DESCRIPTOR] = descriptor,
	[EVIL_AVAIL] = avail,
	[EVIL_DELAY] = delay,
	[EVIL_REORDER] = reorder,
	[EVIL_STALL] = stall,
	[EVIL_INTERRUPT_LATE] = interrupt_late,
	[EVIL_INTERRUPT_SPURIOUS] = interrupt_spurious,
	[EVIL_CONFIG] = config,
	[EVIL_LOST] = lost,
	[EVIL_HANG] = hang,
	[EVIL_INTERRUPT_LOST] = interrupt_lost,
	[EVIL_NEEDS_RESET] = needs_reset,
};

bool evil_play_trick(enum evil_trick trick, struct evil_queue *queue,
		     struct evil_completion *completion)
{
	return plays[trick](queue, completion);
}
