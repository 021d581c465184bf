/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Rings in places where they must not be (virtio 1.3, 2.7): refused when the device starts. */
#include "guest-images/payloads/hostile/scenario.h"
#include "guest-images/payloads/payload.h"

#define DESC_SIZE  (16ull * RING_SIZE)
#define AVAIL_SIZE (6 + 2ull * RING_SIZE)
#define USED_SIZE  (6 + 8ull * RING_SIZE)

struct layout {
	uint64_t addr[3]; /* by enum ring_part */
};

/* Starts the device with queue 0 there, which it must refuse. */
static void expect_refused(struct attack *attack, const struct layout *layout)
{
	const struct target *target = attack->target;
	const struct transport *transport = target->transport;

	expect(target_negotiate(target, target_wanted(target)), "FEATURES_OK stands");
	queue_init(&attack->queues[0], target, 0, RING_SIZE);
	transport->select(target, 0);
	transport->set_size(target, RING_SIZE);
	for (unsigned int part = 0; part < 3; part++)
		transport->set_address(target, part, layout->addr[part]);
	transport->enable(target, 1);
	transport->write_status(target, RUNNING);
	expect_equal(transport->status(target), RUNNING | NEEDS_RESET, "status with such rings");
	transport->notify(target, 0);
	expect(transport->take_config_interrupt(target), "which is told by an interrupt");
}

static struct layout good_layout(const struct attack *attack)
{
	const uint64_t area = attack->target->pool + QUEUE_AREA(0);

	return (struct layout){ { area, area + AREA_AVAIL, area + AREA_USED } };
}

/* Each part at each of these places, the other two where they belong. */
static void expect_refused_at(struct attack *attack, const uint64_t (*places)[3],
			      unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		for (unsigned int part = 0; part < 3; part++) {
			struct layout layout = good_layout(attack);

			layout.addr[part] = places[i][part];
			expect_refused(attack, &layout);
		}
}

static void outside(struct attack *attack)
{
	const uint64_t pool = attack->target->pool;
	const uint64_t end = pool + attack->target->pool_size;
	const uint64_t next = attack->neighbour;
	const uint64_t places[][3] = {
		/* One byte, or as little as alignment allows, before and behind. */
		{ pool - 16, pool - 2, pool - 4 },
		{ end - DESC_SIZE + 16, end - AVAIL_SIZE + 2, end - USED_SIZE + 2 },
		{ end, end, end },
		{ next, next, next },
		{ 0x200000, 0x200000, 0x200000 },
		{ 0, 0, 0 },
		{ 0xfe000000, 0xfe000000, 0xfe000000 },
		/* Around 2^64. */
		{ 0 - 16ull, 0 - 2ull, 0 - 4ull },
		{ 0 - 16ull * RING_SIZE, 0 - 0x100ull, 0 - 0x100ull },
	};

	expect_refused_at(attack, places, sizeof(places) / sizeof(places[0]));
}

static void misaligned(struct attack *attack)
{
	const struct layout good = good_layout(attack);
	const uint64_t *at = good.addr;
	const uint64_t places[][3] = {
		{ at[0] + 1, at[1] + 1, at[2] + 1 },
		{ at[0] + 8, at[1] + 0x101, at[2] + 2 },
		{ at[0] + 15, at[1] + 0x7ff, at[2] + 3 },
	};

	expect_refused_at(attack, places, sizeof(places) / sizeof(places[0]));
}

static void overlapping(struct attack *attack)
{
	const uint64_t area = good_layout(attack).addr[0];
	const struct layout layouts[] = {
		{ { area, area, area } },
		{ { area, area + AREA_AVAIL, area } },
		{ { area, area + AREA_AVAIL, area + DESC_SIZE - 4 } },
		{ { area, area + AREA_AVAIL, area + AREA_AVAIL } },
		{ { area, area + AREA_AVAIL, area + AREA_AVAIL + AVAIL_SIZE - 2 } },
		{ { area + 0x100, area + AREA_AVAIL, area + 0x100 - USED_SIZE + 2 } },
		{ { area, area + DESC_SIZE - 2, area + AREA_USED } },
	};

	for (unsigned int i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		expect_refused(attack, &layouts[i]);
}

/* One behind the other without a gap, up to the last byte of the pool: served. */
static void touching(struct attack *attack)
{
	const struct target *target = attack->target;
	const struct transport *transport = target->transport;
	struct queue *queue = &attack->queues[0];
	const uint64_t used = (target->pool + target->pool_size - USED_SIZE) & ~3ull;
	const uint64_t avail = used - AVAIL_SIZE - 2;
	const uint64_t desc = (avail - DESC_SIZE) & ~15ull;

	expect(target_negotiate(target, target_wanted(target)), "FEATURES_OK stands");
	queue_init(queue, target, 0, RING_SIZE);
	for (uint64_t at = desc; at < target->pool + target->pool_size; at += 8)
		*(volatile uint64_t *)at = 0;
	queue->desc = (volatile struct descriptor *)desc;
	queue->avail = (volatile struct avail_ring *)avail;
	queue->used = (volatile struct used_ring *)used;
	transport->select(target, 0);
	transport->set_size(target, RING_SIZE);
	transport->set_address(target, PART_DESC, desc);
	transport->set_address(target, PART_AVAIL, avail);
	transport->set_address(target, PART_USED, used);
	transport->enable(target, 1);
	transport->write_status(target, RUNNING);
	for (unsigned int i = 0; i < 2 * RING_SIZE; i++)
		queue_serve(queue, i);
}

const struct scenario ring_scenarios[] = {
	{ "rings-outside", outside, ANY_STATE },
	{ "rings-misaligned", misaligned, ANY_STATE },
	{ "rings-overlapping", overlapping, ANY_STATE },
	{ "rings-touching", touching, ANY_STATE },
	{ NULL, NULL, GOES_ON },
};
