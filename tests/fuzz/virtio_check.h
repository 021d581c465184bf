/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What must be so of the device of virtio_bench.h, whatever a guest does to its registers. */
#ifndef TESTS_FUZZ_VIRTIO_CHECK_H
#define TESTS_FUZZ_VIRTIO_CHECK_H

#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/virtio_bench.h"

/* In the window, in numbers of twice the width; aligned as virtio 1.3, 2.7 wants it. */
static inline void check_ring(const struct virtio_bench *b, const struct virtio_queue *queue,
			      int part)
{
	static const unsigned int align[] = { 16, 2, 4 }, fixed[] = { 0, 6, 6 },
				  entry[] = { 16, 2, 8 };
	const struct machine_range *window = &b->report.windows[0];
	const unsigned __int128 end =
		(unsigned __int128)queue->addr[part] + fixed[part] + entry[part] * queue->size;

	fuzz_check(queue->addr[part] >= window->base, "a ring below the window");
	fuzz_check(end <= (unsigned __int128)window->base + window->size,
		   "a ring above the window");
	fuzz_check(queue->addr[part] % align[part] == 0, "a misaligned ring");
}

static inline void check_queues(const struct virtio_bench *b)
{
	for (unsigned int i = 0; i < BENCH_QUEUES; i++) {
		const struct virtio_queue *queue = &b->device.queues[i];

		fuzz_check(queue->size <= BENCH_QUEUE_MAX && !(queue->size & (queue->size - 1)),
			   "a queue of %u entries", queue->size);
		fuzz_check(!queue->enabled || queue->size, "a queue without entries");
		for (int part = 0; b->device.started && queue->enabled && part < VIRTIO_RING_PARTS;
		     part++)
			check_ring(b, queue, part);
	}
}

static inline void check_device(const struct virtio_bench *b)
{
	static const uint8_t way[] = { 0, ACK, DRIVER, FEATURES_OK, RUNNING };
	const struct virtio_device *device = &b->device;
	const uint8_t status = device->status & ~(STATUS_FAILED | VIRTIO_STATUS_NEEDS_RESET);

	fuzz_check(memchr(way, status, sizeof(way)), "status %#x", device->status);
	fuzz_check(!(device->status & VIRTIO_STATUS_NEEDS_RESET) || status == RUNNING, "status %#x",
		   device->status);
	if (status & VIRTIO_STATUS_FEATURES_OK)
		fuzz_check(!(device->accepted & ~device->offered) &&
				   !(device->required & ~device->accepted),
			   "features %#llx", (unsigned long long)device->accepted);
	fuzz_check(!device->started || device->status == RUNNING, "runs with status %#x",
		   device->status);
	fuzz_check(!device->started || device->dma_allowed, "runs without DMA");
	fuzz_check(b->starts == b->stops + device->started, "%u starts, %u stops", b->starts,
		   b->stops);
	check_queues(b);
}

/* What only others than the guest do to a device. */
static inline void disturb_device(struct virtio_bench *b, struct fuzz_input *in)
{
	uint8_t config[BENCH_CONFIG] = { 0 };
	const uint8_t how = fuzz_u8(in);

	switch (how & 3) {
	case 0:
		virtio_device_fail(&b->device);
		break;
	case 1:
		b->start_result = how & 4 ? -5 : 0;
		break;
	case 2:
		config[0] = how;
		virtio_device_change_config(&b->device, config, sizeof(config) - (how >> 7));
		break;
	default:
		virtio_device_stop(&b->device);
	}
}

/* A ring address: mostly near the window. */
static inline uint64_t ring_address(struct fuzz_input *in)
{
	const uint8_t how = fuzz_u8(in);

	if (how & 0x80)
		return fuzz_number(in);
	if (how & 0x40)
		return BENCH_WINDOW + BENCH_WINDOW_SZ - fuzz_u16(in);
	return BENCH_WINDOW + how * 0x1000ull;
}

#endif
