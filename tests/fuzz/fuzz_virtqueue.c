/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The virtqueue walker: two queues in two windows, a driver that writes anything anywhere, and a
 * device that takes, holds back, puts back and completes. ring.c compares each step.
 */
#include <string.h>

#include "tests/fuzz/ring.h"

#define QUEUES 2

static struct device_report_wire report;
static struct dma_space space = { .report = &report };
static struct virtqueue queues[QUEUES];
static struct mock_driver drivers[QUEUES];
static bool running[QUEUES];

static void set_up(void)
{
	memory_reset();
	memset(&report, 0, sizeof(report));
	if (!space.nr_windows) {
		memory_add_windows(&space);
		for (unsigned int i = 0; i < QUEUES; i++)
			fuzz_check(virtqueue_init(&queues[i], &space, i, RING_SIZE) == 0);
	}
	memset(running, 0, sizeof(running));
}

/* Where a driver puts rings that it means well with, or anywhere. */
static void start(unsigned int i, struct fuzz_input *in)
{
	const uint8_t how = fuzz_u8(in);
	struct virtqueue_layout layout;

	ring_place(&drivers[i], i, how & 1 ? fuzz_u16(in) : 0);
	layout = mock_layout(&drivers[i]);
	layout.event_idx = how & 2;
	layout.indirect = !(how & 4);
	if (how & 8)
		layout.size = (uint16_t)fuzz_number(in);
	if (how & 0x10)
		layout.desc = memory_address(in);
	if (how & 0x20)
		layout.avail = memory_address(in);
	if (how & 0x40)
		layout.used = memory_address(in);
	running[i] = virtqueue_start(&queues[i], &layout) == 0;
	fuzz_check(running[i] != queues[i].broken);
}

/* What a device does with a chain; holding back is done and undone at once. */
static void handle(struct virtqueue *vq, struct virtqueue_chain *chain, uint8_t how)
{
	static uint8_t bytes[300];

	switch (how & 7) {
	case 0:
		virtqueue_drop(vq, chain);
		break;
	case 1:
		virtqueue_unpop(vq);
		break;
	case 2:
	case 3:
		virtqueue_hold(vq);
		virtqueue_push(vq, chain, 0);
		for (unsigned int n = how >> 4; n && virtqueue_pop(vq, chain) > 0; n--)
			virtqueue_push(vq, chain, 0);
		if (how & 1)
			virtqueue_rewind(vq);
		else
			virtqueue_publish(vq);
		break;
	default:
		dma_buffers_read(&chain->readable, bytes, how);
		dma_buffers_skip(&chain->readable, how & 0x18);
		dma_buffers_take_last(&chain->writable);
		virtqueue_push(vq, chain,
			       (uint32_t)dma_buffers_write(&chain->writable, bytes, how));
	}
}

static void run(unsigned int i, struct fuzz_input *in)
{
	struct virtqueue *vq = &queues[i];
	struct virtqueue_chain chain;
	const uint16_t used = vq->used_idx;

	virtqueue_begin(vq);
	for (;;) {
		const uint8_t how = fuzz_u8(in);

		if (how == 0xff || virtqueue_pop(vq, &chain) <= 0)
			break;
		handle(vq, &chain, how);
		if ((how & 7) == 1)
			break;
	}
	virtqueue_finish(vq, true);
	virtqueue_should_notify(vq);
	fuzz_check((uint16_t)(vq->used_idx - used) <= 2 * vq->size, "more than a batch");
	fuzz_check(ring_outstanding == 0);
	ring_check(vq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	set_up();
	while (in.left) {
		const uint8_t op = fuzz_u8(&in);
		const unsigned int i = op & 1;

		if (!running[i])
			start(i, &in);
		else if ((op & 0xe) == 0)
			run(i, &in);
		else if (op == 2)
			running[i] = false;
		else
			ring_step(&drivers[i], &in);
	}
	memory_check();
	return 0;
}
