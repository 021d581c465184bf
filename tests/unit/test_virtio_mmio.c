/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Register decoding of virtio-mmio, for a guest that keeps no rule. */
#include "tests/unit/mmio_bench.h"

TestSuite(virtio_mmio, .init = cr_redirect_stderr);

Test(virtio_mmio, identity)
{
	struct virtio_bench b;

	bench_init(&b);
	cr_expect_eq(reg_read(&b, R_MAGIC), 0x74726976);
	cr_expect_eq(reg_read(&b, R_VERSION), 2);
	cr_expect_eq(reg_read(&b, R_DEVICE_ID), 2);
	cr_expect_neq(reg_read(&b, R_VENDOR_ID), 0);
}

/* The way of a Linux driver, through nothing but registers. */
Test(virtio_mmio, a_whole_initialisation)
{
	static const struct {
		uint64_t offset;
		uint32_t value;
	} writes[] = {
		{ R_STATUS, 0 },
		{ R_STATUS, ACK },
		{ R_STATUS, DRIVER },
		{ R_DRIVER_FEATURES_SEL, 0 },
		{ R_DRIVER_FEATURES, BENCH_DEVICE_F },
		{ R_DRIVER_FEATURES_SEL, 1 },
		{ R_DRIVER_FEATURES, 3 },
		{ R_STATUS, FEATURES_OK },
		{ R_QUEUE_SEL, 1 },
		{ R_QUEUE_NUM, 128 },
		{ R_QUEUE_DESC_LOW, 0x40001000 },
		{ R_QUEUE_DESC_HIGH, 0 },
		{ R_QUEUE_DRIVER_LOW, 0x40002000 },
		{ R_QUEUE_DRIVER_HIGH, 0 },
		{ R_QUEUE_DEVICE_LOW, 0x40003000 },
		{ R_QUEUE_DEVICE_HIGH, 0 },
		{ R_QUEUE_READY, 1 },
		{ R_STATUS, RUNNING },
	};
	struct virtio_bench b;
	const struct virtio_queue *vq = &b.device.queues[1];

	bench_init(&b);
	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++)
		reg_write(&b, writes[i].offset, writes[i].value);
	cr_expect_eq(reg_read(&b, R_STATUS), RUNNING);
	cr_expect_eq(reg_read(&b, R_QUEUE_READY), 1);
	cr_expect_eq(b.starts, 1);
	cr_expect_eq(b.started_with, BENCH_OFFERED);
	cr_expect_eq(vq->size, 128);
	cr_expect_eq(vq->addr[VIRTIO_RING_DESC], 0x40001000);
	cr_expect_eq(vq->addr[VIRTIO_RING_AVAIL], 0x40002000);
	cr_expect_eq(vq->addr[VIRTIO_RING_USED], 0x40003000);
	cr_expect_not(b.device.queues[0].enabled);
}

/* Reads give 0, writes change nothing, whatever the value. */
Test(virtio_mmio, registers_are_accessed_whole)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8 };
	struct virtio_bench b;
	struct snapshot before;

	bench_init(&b);
	bench_reach(&b, DRIVER);
	b.mmio.queue_sel = 1;
	before = take_snapshot(&b);
	for (uint64_t offset = 0; offset < R_CONFIG; offset++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			if (sizes[i] == 4 && offset % 4 == 0)
				continue;
			cr_expect_eq(read_wide(&b, offset, sizes[i]), 0, "0x%x, %u bytes",
				     (unsigned int)offset, sizes[i]);
			write_wide(&b, offset, sizes[i], 0);
			write_wide(&b, offset, sizes[i], 1);
			write_wide(&b, offset, sizes[i], UINT64_MAX);
			cr_assert(unchanged(&b, &before), "0x%x, %u bytes", (unsigned int)offset,
				  sizes[i]);
		}
	}
}

/* What is not there, or only to be read; the doorbell is an ioeventfd. */
Test(virtio_mmio, undefined_and_read_only_registers_ignore_writes)
{
	static const uint64_t writable[] = {
		R_DEVICE_FEATURES_SEL, R_DRIVER_FEATURES,
		R_DRIVER_FEATURES_SEL, R_QUEUE_SEL,
		R_QUEUE_NUM,	       R_QUEUE_READY,
		R_INTERRUPT_ACK,       R_STATUS,
		R_QUEUE_DESC_LOW,      R_QUEUE_DESC_HIGH,
		R_QUEUE_DRIVER_LOW,    R_QUEUE_DRIVER_HIGH,
		R_QUEUE_DEVICE_LOW,    R_QUEUE_DEVICE_HIGH,
	};
	struct virtio_bench b;
	struct snapshot before;

	bench_init(&b);
	bench_reach(&b, DRIVER);
	before = take_snapshot(&b);
	for (uint64_t offset = 0; offset < MMIO_WINDOW; offset += 4) {
		bool skip = false;

		for (size_t i = 0; i < sizeof(writable) / sizeof(writable[0]); i++)
			skip |= writable[i] == offset;
		if (skip)
			continue;
		reg_write(&b, offset, 0);
		reg_write(&b, offset, 1);
		reg_write(&b, offset, UINT32_MAX);
		cr_expect(unchanged(&b, &before), "0x%x", (unsigned int)offset);
	}
}

Test(virtio_mmio, undefined_and_write_only_registers_read_0)
{
	static const uint64_t offsets[] = {
		R_DEVICE_FEATURES_SEL,
		0x018,
		0x01c,
		R_DRIVER_FEATURES,
		R_DRIVER_FEATURES_SEL,
		0x028,
		0x02c,
		R_QUEUE_SEL,
		R_QUEUE_NUM,
		0x03c,
		0x040,
		0x048,
		R_QUEUE_NOTIFY,
		R_INTERRUPT_ACK,
		R_QUEUE_DESC_LOW,
		R_QUEUE_DRIVER_HIGH,
		R_QUEUE_DEVICE_LOW,
		R_SHM_SEL,
		0x0c0,
		0x0d0,
		0x0f8,
	};
	struct virtio_bench b;

	bench_init(&b);
	bench_reach(&b, RUNNING);
	b.mmio.device_features_sel = 1;
	b.mmio.driver_features_sel = 1;
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
		cr_expect_eq(reg_read(&b, offsets[i]), 0, "0x%x", (unsigned int)offsets[i]);
}

Test(virtio_mmio, feature_selectors)
{
	static const struct {
		uint32_t select, features;
	} cases[] = {
		{ 0, (uint32_t)BENCH_OFFERED },
		{ 1, (uint32_t)(BENCH_OFFERED >> 32) },
		{ 2, 0 },
		{ 3, 0 },
		{ 32, 0 },
		{ 0x80000000, 0 },
		{ UINT32_MAX, 0 },
	};
	struct virtio_bench b;

	bench_init(&b);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		reg_write(&b, R_DEVICE_FEATURES_SEL, cases[i].select);
		cr_expect_eq(reg_read(&b, R_DEVICE_FEATURES), cases[i].features, "select %u",
			     cases[i].select);
		reg_write(&b, R_DRIVER_FEATURES_SEL, cases[i].select);
		reg_write(&b, R_DRIVER_FEATURES, 0x5a5a5a5a);
		cr_expect_eq(b.device.accepted,
			     cases[i].select == 0 ? 0x5a5a5a5aull : 0x5a5a5a5a5a5a5a5aull,
			     "select %u", cases[i].select);
	}
}

/* A truncated 0x100 would be a reset. */
Test(virtio_mmio, status_is_not_truncated)
{
	struct virtio_bench b;

	bench_init(&b);
	bench_reach(&b, RUNNING);
	reg_write(&b, R_STATUS, 0x100);
	reg_write(&b, R_STATUS, 0xffffff00);
	reg_write(&b, R_STATUS, 0x180);
	cr_expect_eq(reg_read(&b, R_STATUS), RUNNING);
	reg_write(&b, R_STATUS, 0);
	cr_expect_eq(reg_read(&b, R_STATUS), 0);
}

/* Nothing beyond config_len is read, not even in part. */
Test(virtio_mmio, configuration_reads)
{
	static const struct {
		uint64_t offset; /* in configuration space */
		unsigned int size;
		uint64_t value;
	} cases[] = {
		{ 0, 1, 0x80 },	       { 0, 2, 0x8180 },
		{ 0, 4, 0x83828180 },  { 0, 8, 0x8786858483828180 },
		{ 3, 4, 0x86858483 },  { 16, 8, 0x9796959493929190 },
		{ 20, 4, 0x97969594 }, { 23, 1, 0x97 },
		{ 17, 8, 0 },	       { 21, 4, 0 },
		{ 23, 2, 0 },	       { 23, 8, 0 },
		{ 24, 1, 0 },	       { 24, 8, 0 },
		{ 100, 4, 0 },	       { 0xff, 1, 0 },
		{ 0xf8, 8, 0 },
	};
	struct virtio_bench b;

	bench_init(&b);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(read_wide(&b, R_CONFIG + cases[i].offset, cases[i].size),
			     cases[i].value, "offset %u, %u bytes", (unsigned int)cases[i].offset,
			     cases[i].size);
}

Test(virtio_mmio, configuration_reads_with_the_whole_and_with_none)
{
	struct virtio_bench b;

	bench_init(&b);
	b.device.config_len = sizeof(b.device.config);
	cr_expect_eq(read_wide(&b, R_CONFIG + 0xf8, 8), 0x7f7e7d7c7b7a7978);
	b.device.config_len = 0;
	cr_expect_eq(read_wide(&b, R_CONFIG, 1), 0);
}

Test(virtio_mmio, configuration_is_read_only)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8 };
	struct virtio_bench b;
	struct snapshot before;

	bench_init(&b);
	bench_reach(&b, RUNNING);
	before = take_snapshot(&b);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (uint64_t offset = R_CONFIG; offset + sizes[i] <= MMIO_WINDOW; offset++)
			write_wide(&b, offset, sizes[i], 0);
	cr_expect(unchanged(&b, &before));
}

/* Nothing but the configuration change can be acknowledged. */
Test(virtio_mmio, interrupt_status_and_acknowledge)
{
	static const uint32_t others[] = { 0, 1, 4, 0x80000000, ~2u };
	struct virtio_bench b;
	uint32_t generation;

	bench_init(&b);
	bench_reach(&b, RUNNING);
	generation = reg_read(&b, R_CONFIG_GENERATION);
	cr_expect_eq(reg_read(&b, R_INTERRUPT_STATUS), 1, "used buffers are not known here");
	reg_write(&b, R_INTERRUPT_ACK, UINT32_MAX);
	cr_expect_eq(reg_read(&b, R_INTERRUPT_STATUS), 1);

	virtio_device_fail(&b.device);
	cr_expect_eq(reg_read(&b, R_INTERRUPT_STATUS), 3);
	cr_expect_eq(reg_read(&b, R_CONFIG_GENERATION), generation + 1);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		reg_write(&b, R_INTERRUPT_ACK, others[i]);
	cr_expect_eq(reg_read(&b, R_INTERRUPT_STATUS), 3);
	reg_write(&b, R_INTERRUPT_ACK, 2);
	cr_expect_eq(reg_read(&b, R_INTERRUPT_STATUS), 1);
	cr_expect_eq(reg_read(&b, R_STATUS), NEEDS_RESET);
	reg_write(&b, R_STATUS, 0);
	cr_expect_eq(reg_read(&b, R_CONFIG_GENERATION), generation + 1, "it never goes back");
}

/* virtio 1.3, 4.2.2: a length of all ones says that there is no such region. */
Test(virtio_mmio, there_is_no_shared_memory_region)
{
	static const uint32_t ids[] = { 0, 1, UINT32_MAX };
	struct virtio_bench b;

	bench_init(&b);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		reg_write(&b, R_SHM_SEL, ids[i]);
		cr_expect_eq(reg_read(&b, R_SHM_LEN_LOW), UINT32_MAX);
		cr_expect_eq(reg_read(&b, R_SHM_LEN_HIGH), UINT32_MAX);
		cr_expect_eq(reg_read(&b, R_SHM_BASE_LOW), UINT32_MAX);
		cr_expect_eq(reg_read(&b, R_SHM_BASE_HIGH), UINT32_MAX);
	}
}
