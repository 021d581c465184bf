/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* virtio-mmio (virtio 1.3, 4.2.2). */
#include "guest-images/payloads/mmio.h"

#include "guest-images/payloads/hostile/target.h"
#include "guest-images/payloads/payload.h"

#define FIRST_WINDOW  0xfe000000ull
#define STRIDE	      0x1000ull
#define CONFIG_CHANGE 2u

static uint32_t get(const struct target *target, uint32_t offset)
{
	return mmio_read32(target->mmio + offset);
}

static void set(const struct target *target, uint32_t offset, uint32_t value)
{
	mmio_write32(target->mmio + offset, value);
}

static uint8_t status(const struct target *target)
{
	return (uint8_t)get(target, MMIO_STATUS);
}

static void write_status(const struct target *target, uint8_t value)
{
	set(target, MMIO_STATUS, value);
}

static uint64_t features(const struct target *target)
{
	uint64_t value = 0;

	for (unsigned int half = 0; half < 2; half++) {
		set(target, MMIO_DEVICE_FEATURES_SEL, half);
		value |= (uint64_t)get(target, MMIO_DEVICE_FEATURES) << (32 * half);
	}
	return value;
}

static void accept(const struct target *target, uint64_t value)
{
	for (unsigned int half = 0; half < 2; half++) {
		set(target, MMIO_DRIVER_FEATURES_SEL, half);
		set(target, MMIO_DRIVER_FEATURES, (uint32_t)(value >> (32 * half)));
	}
}

static void select_queue(const struct target *target, uint32_t queue)
{
	set(target, MMIO_QUEUE_SEL, queue);
}

static uint32_t max_size(const struct target *target)
{
	return get(target, MMIO_QUEUE_NUM_MAX);
}

static void set_size(const struct target *target, uint32_t size)
{
	set(target, MMIO_QUEUE_NUM, size);
}

static void set_address(const struct target *target, enum ring_part part, uint64_t address)
{
	static const uint32_t offsets[] = {
		[PART_DESC] = MMIO_QUEUE_DESC,
		[PART_AVAIL] = MMIO_QUEUE_DRIVER,
		[PART_USED] = MMIO_QUEUE_DEVICE,
	};

	set(target, offsets[part], (uint32_t)address);
	set(target, offsets[part] + 4, (uint32_t)(address >> 32));
}

static void enable(const struct target *target, uint32_t value)
{
	set(target, MMIO_QUEUE_READY, value);
}

static uint32_t enabled(const struct target *target)
{
	return get(target, MMIO_QUEUE_READY);
}

static void notify(const struct target *target, uint32_t queue)
{
	set(target, MMIO_QUEUE_NOTIFY, queue);
}

static bool take_config_interrupt(const struct target *target)
{
	const bool told = get(target, MMIO_INTERRUPT_STATUS) & CONFIG_CHANGE;

	set(target, MMIO_INTERRUPT_ACK, CONFIG_CHANGE);
	return told;
}

static uint32_t config(const struct target *target, uint32_t offset)
{
	return get(target, MMIO_CONFIG + offset);
}

const struct transport transport_mmio = {
	.name = "mmio",
	.status = status,
	.write_status = write_status,
	.features = features,
	.accept = accept,
	.select = select_queue,
	.max_size = max_size,
	.set_size = set_size,
	.set_address = set_address,
	.enable = enable,
	.enabled = enabled,
	.notify = notify,
	.take_config_interrupt = take_config_interrupt,
	.config = config,
};

void target_find_mmio(struct target *target, unsigned int index, uint64_t pool, uint64_t pool_size)
{
	*target = (struct target){
		.transport = &transport_mmio,
		.pool = pool,
		.pool_size = pool_size,
		.mmio = FIRST_WINDOW + index * STRIDE,
	};
	expect_equal(get(target, MMIO_DEVICE_ID), 2, "the device is a disk");
}
