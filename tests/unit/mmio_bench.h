/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The registers of virtio-mmio (virtio 1.3, 4.2.2) around the device of virtio_bench.h. */
#ifndef TESTS_UNIT_MMIO_BENCH_H
#define TESTS_UNIT_MMIO_BENCH_H

#include "tests/unit/virtio_bench.h"

enum {
	R_MAGIC = 0x000,
	R_VERSION = 0x004,
	R_DEVICE_ID = 0x008,
	R_VENDOR_ID = 0x00c,
	R_DEVICE_FEATURES = 0x010,
	R_DEVICE_FEATURES_SEL = 0x014,
	R_DRIVER_FEATURES = 0x020,
	R_DRIVER_FEATURES_SEL = 0x024,
	R_QUEUE_SEL = 0x030,
	R_QUEUE_NUM_MAX = 0x034,
	R_QUEUE_NUM = 0x038,
	R_QUEUE_READY = 0x044,
	R_QUEUE_NOTIFY = 0x050,
	R_INTERRUPT_STATUS = 0x060,
	R_INTERRUPT_ACK = 0x064,
	R_STATUS = 0x070,
	R_QUEUE_DESC_LOW = 0x080,
	R_QUEUE_DESC_HIGH = 0x084,
	R_QUEUE_DRIVER_LOW = 0x090,
	R_QUEUE_DRIVER_HIGH = 0x094,
	R_QUEUE_DEVICE_LOW = 0x0a0,
	R_QUEUE_DEVICE_HIGH = 0x0a4,
	R_SHM_SEL = 0x0ac,
	R_SHM_LEN_LOW = 0x0b0,
	R_SHM_LEN_HIGH = 0x0b4,
	R_SHM_BASE_LOW = 0x0b8,
	R_SHM_BASE_HIGH = 0x0bc,
	R_CONFIG_GENERATION = 0x0fc,
	R_CONFIG = 0x100,
};

#define MMIO_WINDOW 0x200 /* bytes */

static inline uint64_t read_wide(struct virtio_bench *b, uint64_t offset, unsigned int size)
{
	struct bus_access access = { .offset = offset, .size = size };

	cr_assert_eq(virtio_mmio_access(&b->mmio, &access), BUS_HANDLED);
	return access.value;
}

static inline void write_wide(struct virtio_bench *b, uint64_t offset, unsigned int size,
			      uint64_t value)
{
	struct bus_access access = {
		.offset = offset,
		.size = size,
		.is_write = true,
		.value = value,
	};

	cr_assert_eq(virtio_mmio_access(&b->mmio, &access), BUS_HANDLED);
}

static inline uint32_t reg_read(struct virtio_bench *b, uint64_t offset)
{
	return (uint32_t)read_wide(b, offset, 4);
}

static inline void reg_write(struct virtio_bench *b, uint64_t offset, uint32_t value)
{
	write_wide(b, offset, 4, value);
}

/* The same with the registers of the transport. */
struct snapshot {
	struct device_snapshot device;
	uint32_t queue_sel, device_features_sel, driver_features_sel;
};

static inline struct snapshot take_snapshot(struct virtio_bench *b)
{
	struct snapshot s;

	memset(&s, 0, sizeof(s));
	bench_snapshot(b, &s.device);
	s.queue_sel = b->mmio.queue_sel;
	s.device_features_sel = b->mmio.device_features_sel;
	s.driver_features_sel = b->mmio.driver_features_sel;
	return s;
}

static inline bool unchanged(struct virtio_bench *b, const struct snapshot *before)
{
	const struct snapshot now = take_snapshot(b);

	return memcmp(&now, before, sizeof(now)) == 0;
}

#endif
