/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Notifications and resets, many of them, and at the wrong time. */
#include "guest-images/payloads/hostile/cpu.h"
#include "guest-images/payloads/hostile/scenario.h"
#include "guest-images/payloads/payload.h"

#define LARGE_RING  1024u
#define IN_FLIGHT   128u
#define WAIT_NS	    (20 * NS_PER_MS)
#define MIN_SERVED  20u
#define RACE_RESETS 20u

static uint64_t kicks;

static void kick(void *arg)
{
	const struct queue *queue = arg;
	uint64_t count = 0;

	while (!second_must_stop()) {
		queue_notify(queue);
		__atomic_store_n(&kicks, ++count, __ATOMIC_RELAXED);
	}
}

static uint64_t nr_kicks(void)
{
	return __atomic_load_n(&kicks, __ATOMIC_RELAXED);
}

static void start_kicking(struct queue *queue)
{
	__atomic_store_n(&kicks, 0, __ATOMIC_RELAXED);
	second_start(kick, queue);
}

static void wait(uint64_t ns)
{
	const uint64_t start = clock_ns();

	while (clock_ns() - start < ns)
		cpu_relax();
}

/* CPU 1 kicks an empty queue; the other queue is served all the while, each request in time. */
static void kick_storm(struct attack *attack)
{
	unsigned int served = 0;

	start_kicking(&attack->queues[0]);
	while (nr_kicks() < attack->scale || served < MIN_SERVED)
		queue_serve(&attack->queues[1], served++ % 64);
	second_stop();
}

static void kick_storm_same_queue(struct attack *attack)
{
	unsigned int served = 0;

	start_kicking(&attack->queues[0]);
	while (nr_kicks() < attack->scale || served < MIN_SERVED)
		queue_serve(&attack->queues[0], served++ % 64);
	second_stop();
}

static void kick_all(const struct attack *attack)
{
	static const uint32_t indices[] = { 0, 1, 2, 7, 255, 65535, 0x10000, UINT32_MAX };

	for (unsigned int i = 0; i < sizeof(indices) / sizeof(indices[0]); i++)
		attack->target->transport->notify(attack->target, indices[i]);
}

/* A request waits in the ring, and the queue is kicked where nobody may look. */
static void kick_early(struct attack *attack)
{
	const struct target *target = attack->target;
	const struct transport *transport = target->transport;
	struct queue *queue = &attack->queues[0];

	transport->write_status(target, 0);
	kick_all(attack);
	expect(target_negotiate(target, target_wanted(target)), "FEATURES_OK stands");
	kick_all(attack);
	queue_init(queue, target, 0, RING_SIZE);
	queue_tell(queue);
	request_chain(queue, 0, 0, 3);
	queue_publish(queue, 0);
	kick_all(attack);
	wait(WAIT_NS);
	expect_equal(queue->used->idx, 0, "requests used before DRIVER_OK");
	/* Queue 1 is not enabled. */
	transport->write_status(target, RUNNING);
	kick_all(attack);
	expect_equal(queue_await(queue, 1), ANSWER_USED, "answer after DRIVER_OK");
	queue_take(queue, 0);
	request_check(queue, 0, 3);
	queue_serve(queue, 4);
}

static void kick_others(struct attack *attack)
{
	kick_all(attack);
	wait(WAIT_NS);
	for (unsigned int i = 0; i < NR_QUEUES; i++)
		expect_equal(attack->queues[i].used->idx, 0, "requests used of an empty queue");
}

static void submit_many(struct queue *queue, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++) {
		/* They share header and data; the status byte is each one's own. */
		request_chain(queue, i % 16, 3 * i, i % 16);
		queue_publish(queue, 3 * i);
	}
}

/* All that is the queue's is as it was left when the reset was over. */
static void reset_in_flight(struct attack *attack)
{
	const struct target *target = attack->target;
	struct queue *queue = &attack->queues[0];

	for (unsigned int round = 0; round < 16; round++) {
		uint64_t sum = 0;

		queues_start(target, attack->queues, NR_QUEUES, LARGE_RING);
		submit_many(queue, IN_FLIGHT);
		queue_notify(queue);
		wait(round * 50000ull);
		target->transport->write_status(target, 0);
		while (target->transport->status(target) != 0)
			cpu_relax();
		for (uint64_t at = queue->area; at < queue->area + AREA_SIZE; at += 8) {
			*(volatile uint64_t *)at = at * 0x9e3779b97f4a7c15;
			sum += at * 0x9e3779b97f4a7c15;
		}
		wait(WAIT_NS / 4);
		for (uint64_t at = queue->area; at < queue->area + AREA_SIZE; at += 8)
			sum -= *(volatile uint64_t *)at;
		expect_equal(sum, 0, "what has changed after a reset");
	}
}

static void reset_often(struct attack *attack)
{
	const struct target *target = attack->target;

	for (uint64_t i = 0; i < attack->scale / 10 + 1; i++) {
		queues_start(target, attack->queues, NR_QUEUES, RING_SIZE);
		if (i % 64 == 0)
			queue_serve(&attack->queues[i / 64 % NR_QUEUES], i % 64);
	}
}

/* CPU 1 kicks and we do, too, and reset in between, with a queue that is now large, now small. */
static void reset_while_kicked(struct attack *attack)
{
	static const uint16_t sizes[] = { LARGE_RING, 4, 256, RING_SIZE };
	struct queue *queue = &attack->queues[0];
	unsigned int resets = 0;

	start_kicking(queue);
	while (nr_kicks() < attack->scale || resets < RACE_RESETS) {
		queues_start(attack->target, attack->queues, NR_QUEUES, sizes[resets % 4]);
		queue_notify(queue);
		if (resets % 2 == 0)
			queue_serve(queue, resets % 64);
		else
			request_chain(queue, 0, 0, 1);
		resets++;
	}
	second_stop();
}

static void reset_device(void *arg)
{
	const struct target *target = arg;

	while (!second_must_stop()) {
		target->transport->write_status(target, 0);
		wait(200000);
	}
}

/* CPU 1 resets it under our hands: any step may come to nothing, none does harm. */
static void reset_by_another(struct attack *attack)
{
	const struct target *target = attack->target;
	const struct transport *transport = target->transport;
	struct queue *queue = &attack->queues[0];

	second_start(reset_device, attack->target);
	for (unsigned int i = 0; i < 4 * RACE_RESETS; i++) {
		for (unsigned int k = 0; k < NR_QUEUES; k++) {
			queue_init(&attack->queues[k], target, k, RING_SIZE);
			queue_tell(&attack->queues[k]);
		}
		transport->write_status(target, ACKNOWLEDGE);
		transport->write_status(target, ACKNOWLEDGE | DRIVER);
		transport->accept(target, target_wanted(target));
		transport->write_status(target, ACKNOWLEDGE | DRIVER | FEATURES_OK);
		transport->write_status(target, RUNNING);
		request_chain(queue, 0, 0, 1);
		queue_publish(queue, 0);
		queue_notify(queue);
	}
	second_stop();
}

static void write_data(void *arg)
{
	const struct queue *queue = arg;
	uint64_t value = 0;

	while (!second_must_stop())
		for (unsigned int i = 0; i < SECTOR_SIZE; i += 8)
			mmio_write(request_data(queue, 0) + i, 8, value++);
}

/* What is written to the disk is undefined then, and nothing else; the last sector is for that. */
static void data_changes_in_flight(struct attack *attack)
{
	struct queue *queue = &attack->queues[0];
	const uint64_t sector = attack->target->transport->config(attack->target, 0) - 1;

	second_start(write_data, queue);
	for (unsigned int i = 0; i < 50; i++) {
		request_chain(queue, 0, 0, sector);
		request_fill(queue, 0, BLOCK_OUT, sector);
		queue->desc[1].flags = NEXT;
		queue_publish(queue, 0);
		queue_notify(queue);
		expect_equal(queue_await(queue, 1), ANSWER_USED, "answer");
		expect_equal(queue_take(queue, 0), 1, "length");
		expect_equal(request_result(queue, 0), 0, "status");
	}
	second_stop();
}

const struct scenario storm_scenarios[] = {
	{ "kicks-of-an-empty-queue", kick_storm, GOES_ON },
	{ "kicks-of-a-queue-at-work", kick_storm_same_queue, GOES_ON },
	{ "kicks-before-driver-ok", kick_early, ANY_STATE },
	{ "kicks-of-other-queues", kick_others, GOES_ON },
	{ "data-changes-in-flight", data_changes_in_flight, GOES_ON },
	{ "reset-in-flight", reset_in_flight, ANY_STATE },
	{ "reset-often", reset_often, GOES_ON },
	{ "reset-while-kicked", reset_while_kicked, ANY_STATE },
	{ "reset-by-another-cpu", reset_by_another, ANY_STATE },
	{ NULL, NULL, GOES_ON },
};
