/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The window of virtio-mmio, by accesses that no driver makes (virtio 1.3, 4.2.2). */
#include "guest-images/payloads/mmio.h"
#include "guest-images/payloads/hostile/scenario.h"
#include "guest-images/payloads/payload.h"

#define CONFIG_LEN 64u /* more than a disk's */
#define REP_COUNT  2000u

/* What can be read and must not change. */
struct snapshot {
	uint32_t registers[MMIO_CONFIG / 4];
	uint32_t config[CONFIG_LEN / 4];
};

static void take_snapshot(const struct target *target, struct snapshot *snapshot)
{
	for (uint32_t offset = 0; offset < MMIO_CONFIG; offset += 4)
		snapshot->registers[offset / 4] = mmio_read32(target->mmio + offset);
	for (uint32_t offset = 0; offset < CONFIG_LEN; offset += 4)
		snapshot->config[offset / 4] = mmio_read32(target->mmio + MMIO_CONFIG + offset);
}

static void expect_unchanged(const struct target *target, const struct snapshot *before)
{
	struct snapshot now;

	take_snapshot(target, &now);
	for (uint32_t i = 0; i < MMIO_CONFIG / 4; i++)
		expect_equal(now.registers[i], before->registers[i], "a register");
	for (uint32_t i = 0; i < CONFIG_LEN / 4; i++)
		expect_equal(now.config[i], before->config[i], "configuration space");
}

static void poke(uint64_t addr, unsigned int size)
{
	mmio_write(addr, size, 0);
	mmio_write(addr, size, 1);
	mmio_write(addr, size, UINT64_MAX);
	mmio_read(addr, size);
}

/* Registers are 4 bytes, at multiples of 4: everything else reads 0 and writes nothing. */
static void widths(struct attack *attack)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8 };
	const struct target *target = attack->target;
	struct snapshot before;

	take_snapshot(target, &before);
	for (uint32_t offset = 0; offset < MMIO_CONFIG; offset++)
		for (unsigned int i = 0; i < 4; i++)
			if (sizes[i] != 4 || offset % 4 != 0)
				poke(target->mmio + offset, sizes[i]);
	expect_equal(mmio_read(target->mmio + MMIO_MAGIC, 1), 0, "a byte of a register");
	expect_equal(mmio_read(target->mmio + MMIO_STATUS, 2), 0, "half of a register");
	expect_equal(mmio_read(target->mmio + MMIO_MAGIC, 8), 0, "two registers");
	expect_equal(mmio_read(target->mmio + MMIO_MAGIC + 2, 4), 0, "between two registers");
	expect_unchanged(target, &before);
}

static bool is_defined(uint32_t offset)
{
	static const uint32_t defined[] = {
		MMIO_DEVICE_FEATURES_SEL, MMIO_DRIVER_FEATURES, MMIO_DRIVER_FEATURES_SEL,
		MMIO_QUEUE_SEL,		  MMIO_QUEUE_NUM,	MMIO_QUEUE_READY,
		MMIO_QUEUE_NOTIFY,	  MMIO_INTERRUPT_ACK,	MMIO_STATUS,
		MMIO_QUEUE_DESC,	  MMIO_QUEUE_DESC + 4,	MMIO_QUEUE_DRIVER,
		MMIO_QUEUE_DRIVER + 4,	  MMIO_QUEUE_DEVICE,	MMIO_QUEUE_DEVICE + 4,
	};

	for (unsigned int i = 0; i < sizeof(defined) / sizeof(defined[0]); i++)
		if (defined[i] == offset)
			return true;
	return false;
}

/* What is not to be written is not written, and what is not to be read reads 0. */
static void undefined_and_read_only(struct attack *attack)
{
	static const uint32_t write_only[] = {
		MMIO_DEVICE_FEATURES_SEL,
		MMIO_DRIVER_FEATURES,
		MMIO_QUEUE_SEL,
		MMIO_QUEUE_NUM,
		MMIO_QUEUE_NOTIFY,
		MMIO_INTERRUPT_ACK,
		MMIO_QUEUE_DESC,
		MMIO_QUEUE_DEVICE,
		0x018,
		0x0d0,
		0x0f8,
	};
	const struct target *target = attack->target;
	struct snapshot before;

	take_snapshot(target, &before);
	for (uint32_t offset = 0; offset < MMIO_CONFIG; offset += 4)
		if (!is_defined(offset))
			poke(target->mmio + offset, 4);
	for (unsigned int i = 0; i < sizeof(write_only) / sizeof(write_only[0]); i++)
		expect_equal(mmio_read32(target->mmio + write_only[i]), 0, "not to be read");
	expect_unchanged(target, &before);
}

/* Behind the window nobody answers, nor where an access is only half in it. */
static void window_end(struct attack *attack)
{
	const uint64_t end = attack->target->mmio + MMIO_WINDOW_SIZE;
	struct snapshot before;

	take_snapshot(attack->target, &before);
	for (unsigned int size = 1; size <= 8; size *= 2) {
		poke(end, size);
		poke(end + 0xe00 - size, size);
	}
	poke(end - 1, 2);
	poke(end - 2, 4);
	poke(end - 4, 8);
	expect_equal(mmio_read32(end), UINT32_MAX, "behind the window");
	expect_unchanged(attack->target, &before);
}

/* One instruction, many accesses: to the window, and to a port. */
static void repeated(struct attack *attack)
{
	const uint64_t window = attack->target->mmio;
	static uint32_t buffer[REP_COUNT];
	struct snapshot before;
	void *to = (void *)(window + MMIO_CONFIG);
	const void *from = buffer;
	uint64_t count = REP_COUNT;

	take_snapshot(attack->target, &before);
	/* From and to the window, its end and far behind. */
	__asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
	from = (const void *)(window + MMIO_CONFIG);
	to = buffer;
	count = REP_COUNT;
	__asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
	expect_equal(buffer[REP_COUNT - 1], UINT32_MAX, "far behind the window");
	from = buffer;
	count = REP_COUNT;
	__asm__ volatile("rep outsl" : "+S"(from), "+c"(count) : "d"((uint16_t)0x1234) : "memory");
	to = buffer;
	count = REP_COUNT;
	__asm__ volatile("rep insl" : "+D"(to), "+c"(count) : "d"((uint16_t)0x1234) : "memory");
	expect_equal(buffer[REP_COUNT - 1], UINT32_MAX, "a port that nobody has");
	expect_unchanged(attack->target, &before);
}

static void feature_selectors(struct attack *attack)
{
	static const uint32_t wrong[] = { 2, 3, 0x80000000, UINT32_MAX };
	const uint64_t window = attack->target->mmio;

	for (unsigned int i = 0; i < 4; i++) {
		mmio_write32(window + MMIO_DEVICE_FEATURES_SEL, wrong[i]);
		expect_equal(mmio_read32(window + MMIO_DEVICE_FEATURES), 0, "no such features");
		mmio_write32(window + MMIO_DRIVER_FEATURES_SEL, wrong[i]);
		mmio_write32(window + MMIO_DRIVER_FEATURES, UINT32_MAX);
	}
}

static void wide_values(struct attack *attack)
{
	const uint64_t window = attack->target->mmio;

	mmio_write32(window + MMIO_STATUS, 0x100);
	mmio_write32(window + MMIO_STATUS, 0xffffff00);
	mmio_write32(window + MMIO_QUEUE_SEL, 0x10000);
	expect_equal(mmio_read32(window + MMIO_QUEUE_NUM_MAX), 0, "size of queue 65536");
	mmio_write32(window + MMIO_QUEUE_SEL, 0);
	mmio_write32(window + MMIO_QUEUE_READY, UINT32_MAX);
	mmio_write32(window + MMIO_QUEUE_NUM, 0x10000 | RING_SIZE);
	mmio_write32(window + MMIO_QUEUE_NUM, UINT32_MAX);
}

/* The upper half alone, or the lower one, is written when the queue is enabled. */
static void half_addresses(struct attack *attack)
{
	const struct target *target = attack->target;
	struct queue *queue = &attack->queues[0];

	for (unsigned int half = 0; half < 2; half++) {
		expect(target_negotiate(target, target_wanted(target)), "FEATURES_OK stands");
		queue_init(queue, target, 0, RING_SIZE);
		target->transport->select(target, 0);
		target->transport->set_size(target, RING_SIZE);
		target->transport->set_address(target, PART_AVAIL, queue->area + AREA_AVAIL);
		target->transport->set_address(target, PART_USED, queue->area + AREA_USED);
		mmio_write32(target->mmio + MMIO_QUEUE_DESC + 4, UINT32_MAX);
		if (half == 1)
			mmio_write32(target->mmio + MMIO_QUEUE_DESC, (uint32_t)queue->area);
		target->transport->enable(target, 1);
		mmio_write32(target->mmio + MMIO_QUEUE_DESC + 4, 0);
		target->transport->write_status(target, RUNNING);
		expect_equal(target->transport->status(target), RUNNING | NEEDS_RESET, "status");
	}
}

static void config_space(struct attack *attack)
{
	const uint64_t config = attack->target->mmio + MMIO_CONFIG;
	const uint64_t sectors = mmio_read(config, 8);
	struct snapshot before;

	take_snapshot(attack->target, &before);
	for (uint32_t offset = 0; offset < 0x100; offset++)
		for (unsigned int size = 1; size <= 8 && offset + size <= 0x100; size *= 2)
			poke(config + offset, size);
	/* The byte at 56 is the last that is not 0; an access that is not all inside does not show it. */
	expect_equal(mmio_read(config + CONFIG_LEN - 8, 8), 1, "the last 8 bytes");
	expect_equal(mmio_read(config + CONFIG_LEN - 7, 8), 0, "across the end");
	expect_equal(mmio_read(config + CONFIG_LEN - 1, 2), 0, "across the end");
	expect_equal(mmio_read(config + CONFIG_LEN, 4), 0, "behind the end");
	expect_equal(mmio_read(config, 8), sectors, "the capacity");
	expect_unchanged(attack->target, &before);
}

static void interrupt_acknowledge(struct attack *attack)
{
	static const uint32_t values[] = { 0, 1, 2, 3, 4, 0x80000000, UINT32_MAX };
	const uint64_t window = attack->target->mmio;

	for (unsigned int i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		mmio_write32(window + MMIO_INTERRUPT_ACK, values[i]);
	expect_equal(mmio_read32(window + MMIO_INTERRUPT_STATUS) & 2, 0, "nothing was told");
}

static void shared_memory(struct attack *attack)
{
	static const uint32_t regions[] = { 0, 1, 255, UINT32_MAX };
	const uint64_t window = attack->target->mmio;

	for (unsigned int i = 0; i < 4; i++) {
		mmio_write32(window + MMIO_SHM_SEL, regions[i]);
		expect_equal(mmio_read32(window + MMIO_SHM_LEN), UINT32_MAX, "length");
		expect_equal(mmio_read32(window + MMIO_SHM_LEN + 4), UINT32_MAX, "length");
		expect_equal(mmio_read32(window + MMIO_SHM_BASE), UINT32_MAX, "base");
	}
}

const struct scenario mmio_scenarios[] = {
	{ "mmio-widths", widths, GOES_ON },
	{ "mmio-undefined-and-read-only", undefined_and_read_only, GOES_ON },
	{ "mmio-end-of-the-window", window_end, GOES_ON },
	{ "mmio-repeated-accesses", repeated, GOES_ON },
	{ "mmio-feature-selectors", feature_selectors, GOES_ON },
	{ "mmio-values-that-are-too-wide", wide_values, GOES_ON },
	{ "mmio-half-addresses", half_addresses, ANY_STATE },
	{ "mmio-configuration-space", config_space, GOES_ON },
	{ "mmio-interrupt-acknowledge", interrupt_acknowledge, GOES_ON },
	{ "mmio-shared-memory", shared_memory, GOES_ON },
	{ NULL, NULL, GOES_ON },
};
