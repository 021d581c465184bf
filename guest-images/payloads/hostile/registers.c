/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Registers that both transports have, in an order or with values that no driver uses. */
#include "guest-images/payloads/hostile/scenario.h"
#include "guest-images/payloads/payload.h"

#define F_NOT_OFFERED (1ull << 45)

static const uint32_t no_queues[] = { NR_QUEUES, NR_QUEUES + 1, 0x7fff, 0x8000, 0xffff };

static void write_status(const struct attack *attack, uint8_t status, uint8_t expected)
{
	attack->target->transport->write_status(attack->target, status);
	expect_equal(attack->target->transport->status(attack->target), expected, "status");
}

static void up_to_features_ok(const struct attack *attack)
{
	expect(target_negotiate(attack->target, target_wanted(attack->target)),
	       "FEATURES_OK stands");
}

/* A queue that does not exist reads as nothing, and writes to it go nowhere. */
static void queue_that_is_not_there(struct attack *attack)
{
	const struct target *target = attack->target;
	const struct transport *transport = target->transport;

	for (unsigned int i = 0; i < sizeof(no_queues) / sizeof(no_queues[0]); i++) {
		transport->select(target, no_queues[i]);
		expect_equal(transport->max_size(target), 0, "size of no queue");
		expect_equal(transport->enabled(target), 0, "no queue is enabled");
		transport->set_size(target, 0);
		transport->set_size(target, RING_SIZE);
		for (unsigned int part = 0; part < 3; part++)
			transport->set_address(target, part, UINT64_MAX);
		transport->enable(target, 1);
		expect_equal(transport->enabled(target), 0, "nor can it be");
		transport->notify(target, no_queues[i]);
	}
}

static void queue_that_is_not_there_early(struct attack *attack)
{
	up_to_features_ok(attack);
	queue_that_is_not_there(attack);
}

/* Only a power of two up to the maximum is a size: the others leave it as it was. */
static void sizes(struct attack *attack)
{
	static const uint32_t wrong[] = { 0, 3, 6, 2048, 32768, 65535 };
	const struct target *target = attack->target;
	const struct transport *transport = target->transport;
	struct queue *queue = &attack->queues[0];

	up_to_features_ok(attack);
	queue_init(queue, target, 0, RING_SIZE);
	transport->select(target, 0);
	transport->set_size(target, RING_SIZE);
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		transport->set_size(target, wrong[i]);
	transport->set_address(target, PART_DESC, queue->area);
	transport->set_address(target, PART_AVAIL, queue->area + AREA_AVAIL);
	transport->set_address(target, PART_USED, queue->area + AREA_USED);
	transport->enable(target, 1);
	write_status(attack, RUNNING, RUNNING);
	for (unsigned int i = 0; i < 2 * RING_SIZE; i++)
		queue_serve(queue, i);
}

/* 1 enables it, and once. */
static void enable(struct attack *attack)
{
	static const uint32_t wrong[] = { 2, 3, 0x8000, 0xfffe, 0xffff };
	const struct target *target = attack->target;
	const struct transport *transport = target->transport;
	struct queue *queue = &attack->queues[0];

	up_to_features_ok(attack);
	queue_init(queue, target, 0, RING_SIZE);
	queue_tell(queue);
	transport->select(target, 1);
	transport->set_size(target, RING_SIZE);
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		transport->enable(target, wrong[i]);
		expect_equal(transport->enabled(target), 0, "enabled by a wrong value");
	}
	transport->select(target, 0);
	transport->enable(target, 1);
	transport->enable(target, 2);
	expect_equal(transport->enabled(target), 1, "enabled twice");
	write_status(attack, RUNNING, RUNNING);
	queue_serve(queue, 2);
}

static void enabled_without_addresses(struct attack *attack)
{
	const struct target *target = attack->target;
	const struct transport *transport = target->transport;

	up_to_features_ok(attack);
	transport->select(target, 0);
	transport->set_size(target, RING_SIZE);
	transport->enable(target, 1);
	write_status(attack, RUNNING, RUNNING | NEEDS_RESET);
}

static void change_everything(const struct target *target)
{
	const struct transport *transport = target->transport;

	transport->select(target, 0);
	transport->set_size(target, 4);
	transport->set_size(target, 0);
	transport->set_size(target, 32768);
	for (unsigned int part = 0; part < 3; part++)
		transport->set_address(target, part, 0x200000);
	transport->enable(target, 2);
	transport->accept(target, 0);
}

/* Once it is enabled a queue is as it is, and once the device runs so is everything. */
static void frozen(struct attack *attack)
{
	const struct target *target = attack->target;
	struct queue *queue = &attack->queues[0];

	up_to_features_ok(attack);
	queue_init(queue, target, 0, RING_SIZE);
	queue_tell(queue);
	change_everything(target);
	write_status(attack, RUNNING, RUNNING);
	for (unsigned int i = 0; i < 2 * RING_SIZE; i++) {
		change_everything(target);
		queue_serve(queue, i);
	}
	target->transport->enable(target, 0);
	expect_equal(target->transport->enabled(target), 1, "a queue in use stays enabled");
	queue_serve(queue, 1);
}

static void foreign_feature(struct attack *attack)
{
	const uint64_t wanted = target_wanted(attack->target);

	expect(!target_negotiate(attack->target, wanted | F_NOT_OFFERED), "FEATURES_OK is refused");
	expect(!target_negotiate(attack->target, UINT64_MAX), "FEATURES_OK is refused");
	expect(!target_negotiate(attack->target, wanted & ~F_VERSION_1), "FEATURES_OK is refused");
	expect(!target_negotiate(attack->target, 0), "FEATURES_OK is refused");
}

/* The refusals are counted: the host knows how many there are. */
static void features_too_late(struct attack *attack)
{
	const struct target *target = attack->target;

	up_to_features_ok(attack);
	target->transport->accept(target, 0);
	target->transport->accept(target, UINT64_MAX);
	for (unsigned int i = 0; i < NR_QUEUES; i++) {
		queue_init(&attack->queues[i], target, i, RING_SIZE);
		queue_tell(&attack->queues[i]);
	}
	write_status(attack, RUNNING, RUNNING);
}

static void status_out_of_order(struct attack *attack)
{
	write_status(attack, 0, 0);
	write_status(attack, DRIVER, 0);
	write_status(attack, DRIVER_OK, 0);
	write_status(attack, FEATURES_OK, 0);
	write_status(attack, RUNNING, 0);
	write_status(attack, NEEDS_RESET, 0);
	write_status(attack, 0x30, 0);
	write_status(attack, ACKNOWLEDGE, ACKNOWLEDGE);
	write_status(attack, RUNNING, ACKNOWLEDGE);
	write_status(attack, ACKNOWLEDGE | DRIVER, ACKNOWLEDGE | DRIVER);
	write_status(attack, ACKNOWLEDGE | DRIVER | DRIVER_OK, ACKNOWLEDGE | DRIVER);
	write_status(attack, 0, 0);
	write_status(attack, ACKNOWLEDGE | DRIVER, ACKNOWLEDGE | DRIVER);
}

static void status_bits_taken_back(struct attack *attack)
{
	for (unsigned int bit = 0; bit < 8; bit++) {
		/* FAILED is not among them: it may always be set. */
		if (bit == 7)
			continue;
		write_status(attack, (uint8_t)(RUNNING ^ 1u << bit), RUNNING);
	}
	write_status(attack, RUNNING, RUNNING);
}

static void status_failed(struct attack *attack)
{
	write_status(attack, 0x80 | RUNNING, 0x80 | RUNNING);
	write_status(attack, RUNNING, 0x80 | RUNNING);
	attack->target->transport->notify(attack->target, 0);
}

const struct scenario register_scenarios[] = {
	{ "queue-that-is-not-there", queue_that_is_not_there, GOES_ON },
	{ "queue-that-is-not-there-early", queue_that_is_not_there_early, ANY_STATE },
	{ "queue-sizes", sizes, ANY_STATE },
	{ "queue-enable-values", enable, ANY_STATE },
	{ "queue-enabled-without-addresses", enabled_without_addresses, ANY_STATE },
	{ "queue-registers-frozen", frozen, ANY_STATE },
	{ "features-not-offered", foreign_feature, ANY_STATE },
	{ "features-after-features-ok", features_too_late, GOES_ON },
	{ "status-out-of-order", status_out_of_order, ANY_STATE },
	{ "status-bits-taken-back", status_bits_taken_back, GOES_ON },
	{ "status-failed", status_failed, ANY_STATE },
	{ NULL, NULL, GOES_ON },
};
