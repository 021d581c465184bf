/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a driver writes into the available and used rings beside the chains themselves. */
#include "guest-images/payloads/hostile/cpu.h"
#include "guest-images/payloads/hostile/scenario.h"
#include "guest-images/payloads/payload.h"

#define LARGE_RING 1024u
#define WRAP	   0x10000u

static struct queue *first(struct attack *attack)
{
	return &attack->queues[0];
}

/* The device finds avail.idx there. */
static void show_index(struct queue *queue, uint16_t index)
{
	__atomic_store_n(&queue->avail->idx, index, __ATOMIC_RELEASE);
	queue_notify(queue);
}

static void expect_stopped(struct attack *attack, uint16_t index)
{
	struct queue *queue = first(attack);

	show_index(queue, index);
	expect_equal(queue_await(queue, 1), ANSWER_STOPPED, "answer to such an index");
}

static void index_ahead(struct attack *attack)
{
	request_chain(first(attack), 0, 0, 0);
	expect_stopped(attack, RING_SIZE + 1);
}

static void index_far_ahead(struct attack *attack)
{
	request_chain(first(attack), 0, 0, 0);
	expect_stopped(attack, 0x7fff);
}

static void serve_two(struct attack *attack)
{
	queue_serve(first(attack), 0);
	queue_serve(first(attack), 1);
}

static void index_back_by_1(struct attack *attack)
{
	serve_two(attack);
	expect_stopped(attack, 1);
}

static void index_back_by_32768(struct attack *attack)
{
	serve_two(attack);
	expect_stopped(attack, (uint16_t)(2 - 32768u));
}

static void head_is_the_size(struct attack *attack)
{
	queue_publish(first(attack), RING_SIZE);
	expect_stopped(attack, 1);
}

static void head_is_0xffff(struct attack *attack)
{
	queue_publish(first(attack), 0xffff);
	expect_stopped(attack, 1);
}

/* The same request as often as there are entries in the ring, in one go. */
static void same_head(struct attack *attack)
{
	struct queue *queue = first(attack);

	request_chain(queue, 0, 4, 2);
	for (unsigned int i = 0; i < RING_SIZE; i++)
		queue_publish(queue, 4);
	queue_notify(queue);
	expect_equal(queue_await(queue, RING_SIZE), ANSWER_USED, "answer");
	for (unsigned int i = 0; i < RING_SIZE; i++)
		expect_equal(queue_take(queue, 4), SECTOR_SIZE + 1, "length");
	request_check(queue, 0, 2);
}

/* A head that comes back before the device has answered; it answers each, in order. */
static void head_in_flight(struct attack *attack)
{
	struct queue *queue = first(attack);

	request_chain(queue, 0, 0, 2);
	request_chain(queue, 1, 3, 5);
	for (unsigned int i = 0; i < RING_SIZE; i++) {
		queue_publish(queue, i % 3 == 0 ? 3 : 0);
		queue_notify(queue);
	}
	expect_equal(queue_await(queue, RING_SIZE), ANSWER_USED, "answer");
	for (unsigned int i = 0; i < RING_SIZE; i++)
		queue_take(queue, i % 3 == 0 ? 3 : 0);
	request_check(queue, 0, 2);
	request_check(queue, 1, 5);
}

/* A request that is one status byte fails without any work: many of them, past 65535 and on. */
static void wrap(struct attack *attack, uint16_t size)
{
	struct queue *queue = first(attack);

	queues_start(attack->target, attack->queues, NR_QUEUES, size);
	for (uint16_t i = 0; i < size; i++)
		queue->desc[i] = (struct descriptor){ request_status(queue, 0), 1, WRITE, 0 };
	for (uint32_t done = 0; done < WRAP + 2u * size; done += size) {
		for (uint16_t i = 0; i < size; i++)
			queue_publish(queue, i);
		queue_notify(queue);
		expect_equal(queue_await(queue, size), ANSWER_USED, "answer");
		for (uint16_t i = 0; i < size; i++)
			expect_equal(queue_take(queue, i), 1, "length");
	}
	queue_serve(queue, 7);
}

static void wrap_256(struct attack *attack)
{
	wrap(attack, 256);
}

static void wrap_largest(struct attack *attack)
{
	wrap(attack, LARGE_RING);
}

/* A chain of exactly as many descriptors as the queue has, all data in single bytes. */
static void longest_chain(struct attack *attack)
{
	struct queue *queue = first(attack);
	const uint16_t last = LARGE_RING - 1;

	queues_start(attack->target, attack->queues, NR_QUEUES, LARGE_RING);
	request_fill(queue, 0, BLOCK_IN, 4);
	for (uint16_t i = 0; i < last; i++) {
		const bool header = i < HEADER_SIZE;
		const bool data = !header && i < HEADER_SIZE + SECTOR_SIZE;

		queue->desc[i] = (struct descriptor){
			header ? request_header(queue, 0) + i
			       : request_data(queue, 0) + (data ? i - HEADER_SIZE : 0u),
			header || data ? 1 : 0, header ? NEXT : NEXT | WRITE, i + 1
		};
	}
	queue->desc[last] = (struct descriptor){ request_status(queue, 0), 1, WRITE, 0 };
	queue_publish(queue, 0);
	queue_notify(queue);
	expect_equal(queue_await(queue, 1), ANSWER_USED, "answer");
	expect_equal(queue_take(queue, 0), SECTOR_SIZE + 1, "length");
	request_check(queue, 0, 4);
}

/* One more than that, by an indirect table that continues it. */
static void one_too_many(struct attack *attack)
{
	struct queue *queue = first(attack);
	volatile struct descriptor *table =
		(volatile struct descriptor *)(queue->area + AREA_TABLE);

	request_fill(queue, 0, BLOCK_IN, 4);
	for (uint16_t i = 0; i < RING_SIZE; i++) {
		queue->desc[i] = (struct descriptor){ request_header(queue, 0), 1, NEXT, i + 1 };
		table[i] = (struct descriptor){ request_status(queue, 0), 1, NEXT | WRITE, i + 1 };
	}
	table[1].flags = WRITE;
	queue->desc[RING_SIZE - 1] =
		(struct descriptor){ queue->area + AREA_TABLE, 32, INDIRECT, 0 };
	queue_publish(queue, 0);
	queue_notify(queue);
	expect_equal(queue_await(queue, 1), ANSWER_USED, "answer");
	expect_equal(queue_take(queue, 0), 0, "length of a chain that is too long");
	expect_equal(request_result(queue, 0), STATUS_NONE, "its status");
}

static void indirect_not_negotiated(struct attack *attack)
{
	struct queue *queue = first(attack);
	const struct target *target = attack->target;

	expect(target_negotiate(target, target_wanted(target) & ~F_INDIRECT_DESC), "FEATURES_OK");
	queue_init(queue, target, 0, RING_SIZE);
	queue_tell(queue);
	target->transport->write_status(target, RUNNING);
	request_chain(queue, 0, 1, 4);
	queue->desc[0] = (struct descriptor){ queue->area + 16, 48, INDIRECT, 0 };
	queue_publish(queue, 0);
	queue_notify(queue);
	expect_equal(queue_await(queue, 1), ANSWER_USED, "answer");
	expect_equal(queue_take(queue, 0), 0, "length of a chain that was not agreed on");
	queue_serve(queue, 1);
}

static void await_index(const struct queue *queue, uint16_t index)
{
	const uint64_t start = clock_ns();

	while (__atomic_load_n(&queue->used->idx, __ATOMIC_ACQUIRE) != index)
		expect(clock_ns() - start < ANSWER_NS, "the used index is the device's own");
}

/* The device does not read its own ring back. */
static void scribble_used(struct attack *attack)
{
	struct queue *queue = first(attack);

	for (unsigned int i = 1; i <= 3 * RING_SIZE; i++) {
		queue->used->flags = 0xffff;
		for (unsigned int k = 0; k < RING_SIZE; k++) {
			queue->used->ring[k].id = 0xffffffff;
			queue->used->ring[k].len = 0xffffffff;
		}
		__atomic_store_n(&queue->used->idx, (uint16_t)(queue->taken - i * 77),
				 __ATOMIC_RELEASE);
		request_chain(queue, 0, 0, i);
		queue_publish(queue, 0);
		queue_notify(queue);
		await_index(queue, (uint16_t)(queue->taken + 1));
		queue_take(queue, 0);
		request_check(queue, 0, i);
	}
}

/* The event fields lie behind the rings. */
static void event_garbage(struct attack *attack)
{
	static const uint16_t garbage[] = { 0xffff, 0x8000, 0x7fff, 1, RING_SIZE, 0xaaaa };
	struct queue *queue = first(attack);
	volatile uint16_t *avail_event = (volatile uint16_t *)&queue->used->ring[RING_SIZE];

	for (unsigned int i = 0; i < 8 * RING_SIZE; i++) {
		queue->avail->ring[RING_SIZE] = garbage[i % 6];
		*avail_event = garbage[(i + 1) % 6];
		queue_serve(queue, i);
	}
}

static void event_garbage_without(struct attack *attack)
{
	const struct target *target = attack->target;

	expect(target_negotiate(target, target_wanted(target) & ~F_EVENT_IDX), "FEATURES_OK");
	for (unsigned int i = 0; i < NR_QUEUES; i++) {
		queue_init(&attack->queues[i], target, i, RING_SIZE);
		queue_tell(&attack->queues[i]);
	}
	target->transport->write_status(target, RUNNING);
	event_garbage(attack);
}

static void flag_garbage(struct attack *attack)
{
	struct queue *queue = first(attack);

	event_garbage_without(attack);
	for (unsigned int i = 0; i < 8 * RING_SIZE; i++) {
		queue->avail->flags = (uint16_t)(i % 2 == 0 ? 0xffff - i : i);
		queue_serve(queue, i);
	}
}

/* All entries are taken, again and again, and what the device answers is not looked at. */
static void never_look_at_used(struct attack *attack)
{
	struct queue *queue = first(attack);

	for (uint16_t i = 0; i < RING_SIZE / 4; i++)
		request_chain(queue, i, i * 3, i);
	for (unsigned int round = 0; round < 64; round++) {
		for (uint16_t i = 0; i < RING_SIZE; i++)
			queue_publish(queue, i % (RING_SIZE / 4) * 3);
		queue_notify(queue);
		expect_equal(queue_await(queue, RING_SIZE), ANSWER_USED, "answer");
		queue->taken = queue->published;
	}
}

const struct scenario index_scenarios[] = {
	{ "index-ahead-by-more-than-the-size", index_ahead, STOPPED },
	{ "index-far-ahead", index_far_ahead, STOPPED },
	{ "index-back-by-1", index_back_by_1, STOPPED },
	{ "index-back-by-32768", index_back_by_32768, STOPPED },
	{ "head-is-the-size", head_is_the_size, STOPPED },
	{ "head-is-0xffff", head_is_0xffff, STOPPED },
	{ "same-head-in-one-batch", same_head, GOES_ON },
	{ "head-comes-back-in-flight", head_in_flight, GOES_ON },
	{ "index-wraps-256", wrap_256, GOES_ON },
	{ "index-wraps-1024", wrap_largest, GOES_ON },
	{ "longest-chain-of-single-bytes", longest_chain, GOES_ON },
	{ "chain-of-one-too-many", one_too_many, GOES_ON },
	{ "indirect-not-negotiated", indirect_not_negotiated, ANY_STATE },
	{ "scribbled-used-ring", scribble_used, GOES_ON },
	{ "garbage-in-event-fields", event_garbage, GOES_ON },
	{ "garbage-in-event-fields-not-negotiated", event_garbage_without, GOES_ON },
	{ "garbage-in-flags", flag_garbage, GOES_ON },
	{ "used-ring-not-looked-at", never_look_at_used, GOES_ON },
	{ NULL, NULL, GOES_ON },
};
