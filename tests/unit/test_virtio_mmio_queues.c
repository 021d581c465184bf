/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The queue registers of virtio-mmio, for a guest that keeps no rule. */
#include "tests/unit/mmio_bench.h"

TestSuite(virtio_mmio_queues, .init = cr_redirect_stderr);

Test(virtio_mmio_queues, a_queue_that_does_not_exist)
{
	static const uint32_t selects[] = {
		BENCH_QUEUES, DEVICE_MAX_QUEUES, DEVICE_MAX_QUEUES + 1, 65535, 65536, UINT32_MAX,
	};
	struct virtio_bench b;

	bench_init(&b);
	bench_reach(&b, FEATURES_OK);
	for (size_t i = 0; i < sizeof(selects) / sizeof(selects[0]); i++) {
		struct snapshot before;

		reg_write(&b, R_QUEUE_SEL, selects[i]);
		before = take_snapshot(&b);
		cr_expect_eq(reg_read(&b, R_QUEUE_NUM_MAX), 0);
		reg_write(&b, R_QUEUE_NUM, 8);
		for (uint64_t offset = R_QUEUE_DESC_LOW; offset <= R_QUEUE_DEVICE_HIGH; offset += 4)
			reg_write(&b, offset, 0x40000000);
		reg_write(&b, R_QUEUE_READY, 1);
		cr_expect_eq(reg_read(&b, R_QUEUE_READY), 0);
		reg_write(&b, R_QUEUE_READY, 0);
		reg_write(&b, R_QUEUE_NOTIFY, selects[i]);
		cr_expect(unchanged(&b, &before), "queue %u", selects[i]);
	}
}

/* A refused size leaves the one before. */
Test(virtio_mmio_queues, queue_sizes)
{
	static const struct {
		uint32_t size;
		bool good;
	} cases[] = {
		{ 1, true },	  { 2, true },		 { 128, true },		{ 256, true },
		{ 0, false },	  { 3, false },		 { 255, false },	{ 257, false },
		{ 512, false },	  { 32768, false },	 { 65535, false },	{ 65536, false },
		{ 65664, false }, { 0x80000000, false }, { UINT32_MAX, false },
	};
	struct virtio_bench b;

	bench_init(&b);
	bench_reach(&b, FEATURES_OK);
	cr_expect_eq(reg_read(&b, R_QUEUE_NUM_MAX), BENCH_QUEUE_MAX);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		reg_write(&b, R_QUEUE_NUM, 64);
		reg_write(&b, R_QUEUE_NUM, cases[i].size);
		cr_expect_eq(b.device.queues[0].size, cases[i].good ? cases[i].size : 64, "size %u",
			     cases[i].size);
	}
}

Test(virtio_mmio_queues, queue_ready)
{
	struct virtio_bench b;

	bench_init(&b);
	bench_reach(&b, FEATURES_OK);
	reg_write(&b, R_QUEUE_READY, 1);
	cr_expect_eq(reg_read(&b, R_QUEUE_READY), 0, "no size yet");
	reg_write(&b, R_QUEUE_NUM, 8);
	reg_write(&b, R_QUEUE_READY, 2);
	reg_write(&b, R_QUEUE_READY, UINT32_MAX);
	reg_write(&b, R_QUEUE_READY, 0x101);
	cr_expect_eq(reg_read(&b, R_QUEUE_READY), 0);
	reg_write(&b, R_QUEUE_READY, 1);
	reg_write(&b, R_QUEUE_READY, 1);
	cr_expect_eq(reg_read(&b, R_QUEUE_READY), 1);
	reg_write(&b, R_QUEUE_READY, 2);
	cr_expect_eq(reg_read(&b, R_QUEUE_READY), 1);
}

/* virtio 1.3, 4.2.2.2: a driver that stops using a queue writes 0 and reads it back. */
Test(virtio_mmio_queues, a_queue_is_given_up_before_driver_ok_only)
{
	struct virtio_bench b;

	bench_init(&b);
	bench_reach(&b, FEATURES_OK);
	bench_set_up_queue(&b, 0);
	reg_write(&b, R_QUEUE_READY, 0);
	cr_expect_eq(reg_read(&b, R_QUEUE_READY), 0);
	reg_write(&b, R_QUEUE_NUM, 16);
	cr_expect_eq(b.device.queues[0].size, 16, "and may be set up anew");
	reg_write(&b, R_QUEUE_READY, 1);
	reg_write(&b, R_STATUS, RUNNING);
	reg_write(&b, R_QUEUE_READY, 0);
	cr_expect_eq(reg_read(&b, R_QUEUE_READY), 1);
}

static void write_queue_registers(struct virtio_bench *b)
{
	reg_write(b, R_QUEUE_NUM, 4);
	for (uint64_t offset = R_QUEUE_DESC_LOW; offset <= R_QUEUE_DEVICE_HIGH; offset += 4)
		reg_write(b, offset, 0x5a5a5a50);
}

Test(virtio_mmio_queues, queue_registers_are_frozen_once_ready)
{
	struct virtio_bench b;
	struct snapshot before;

	bench_init(&b);
	bench_reach(&b, FEATURES_OK);
	bench_set_up_queue(&b, 0);
	before = take_snapshot(&b);
	write_queue_registers(&b);
	cr_expect(unchanged(&b, &before));
}

/* Also those of a queue that was left out. */
Test(virtio_mmio_queues, queue_registers_are_frozen_by_driver_ok)
{
	static const uint8_t frozen[] = { RUNNING, NEEDS_RESET, RUNNING | STATUS_FAILED };
	struct virtio_bench b;

	bench_init(&b);
	for (size_t i = 0; i < sizeof(frozen); i++) {
		for (uint32_t queue = 0; queue < BENCH_QUEUES; queue++) {
			struct snapshot before;

			bench_reach(&b, frozen[i]);
			reg_write(&b, R_QUEUE_SEL, queue);
			before = take_snapshot(&b);
			write_queue_registers(&b);
			reg_write(&b, R_QUEUE_READY, 1);
			cr_expect(unchanged(&b, &before), "status 0x%02x, queue %u", frozen[i],
				  queue);
		}
	}
}

Test(virtio_mmio_queues, address_halves_in_any_order)
{
	static const struct {
		uint64_t low, high;
		enum virtio_ring_part part;
	} cases[] = {
		{ R_QUEUE_DESC_LOW, R_QUEUE_DESC_HIGH, VIRTIO_RING_DESC },
		{ R_QUEUE_DRIVER_LOW, R_QUEUE_DRIVER_HIGH, VIRTIO_RING_AVAIL },
		{ R_QUEUE_DEVICE_LOW, R_QUEUE_DEVICE_HIGH, VIRTIO_RING_USED },
	};
	struct virtio_bench b;

	bench_init(&b);
	bench_reach(&b, FEATURES_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint64_t *addr = &b.device.queues[0].addr[cases[i].part];

		reg_write(&b, cases[i].high, 0xffffffff);
		cr_expect_eq(*addr, 0xffffffff00000000);
		reg_write(&b, cases[i].low, 0x80001000);
		cr_expect_eq(*addr, 0xffffffff80001000);
		reg_write(&b, cases[i].high, 1);
		cr_expect_eq(*addr, 0x180001000);
	}
}

Test(virtio_mmio_queues, an_address_half_written_at_driver_ok_is_outside)
{
	struct virtio_bench b;

	bench_init(&b);
	bench_reach(&b, FEATURES_OK);
	reg_write(&b, R_QUEUE_NUM, 8);
	reg_write(&b, R_QUEUE_DESC_HIGH, 0xffffffff);
	reg_write(&b, R_QUEUE_READY, 1);
	reg_write(&b, R_STATUS, RUNNING);
	cr_expect_eq(reg_read(&b, R_STATUS), NEEDS_RESET);
	cr_expect_eq(b.starts, 0);
}
