/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A virtio device with two queues, one DMA window, and a back-end that only keeps count. */
#ifndef TESTS_UNIT_VIRTIO_BENCH_H
#define TESTS_UNIT_VIRTIO_BENCH_H

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

#include "vmm/virtio/device.h"
#include "vmm/virtio/mmio.h"

#define BENCH_QUEUES	2
#define BENCH_QUEUE_MAX 256
#define BENCH_CONFIG	24 /* bytes: 0x80, 0x81, ... */
#define BENCH_WINDOW	0x40000000ull
#define BENCH_WINDOW_SZ 0x200000ull
#define BENCH_DEVICE_F	(1ull << 9)
#define BENCH_OFFERED	(VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM | BENCH_DEVICE_F)

#define ACK	      VIRTIO_STATUS_ACKNOWLEDGE
#define DRIVER	      (ACK | VIRTIO_STATUS_DRIVER)
#define FEATURES_OK   (DRIVER | VIRTIO_STATUS_FEATURES_OK)
#define RUNNING	      (FEATURES_OK | VIRTIO_STATUS_DRIVER_OK)
#define NEEDS_RESET   (RUNNING | VIRTIO_STATUS_NEEDS_RESET)
#define STATUS_FAILED VIRTIO_STATUS_FAILED

struct virtio_bench {
	struct virtio_device device;
	struct virtio_mmio mmio;
	struct report_device report;
	unsigned int starts, stops, interrupts;
	uint64_t started_with; /* features that the back-end saw */
	int start_result;
};

static inline int bench_start(void *opaque, const struct virtio_device *device)
{
	struct virtio_bench *b = opaque;

	b->starts++;
	b->started_with = device->accepted;
	return b->start_result;
}

static inline void bench_stop(void *opaque)
{
	struct virtio_bench *b = opaque;

	b->stops++;
}

static inline void bench_config_interrupt(void *opaque)
{
	struct virtio_bench *b = opaque;

	b->interrupts++;
}

/* Policy "require": FEATURES_OK needs both VERSION_1 and ACCESS_PLATFORM. */
static inline void bench_init(struct virtio_bench *b)
{
	static const struct virtio_backend_ops ops = {
		.start = bench_start,
		.stop = bench_stop,
		.config_interrupt = bench_config_interrupt,
	};

	*b = (struct virtio_bench){
		.device = {
			.name = "blk0",
			.id = 2,
			.offered = BENCH_OFFERED,
			.required = VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM,
			.mechanism = MECHANISM_DT,
			.nr_queues = BENCH_QUEUES,
			.queue_max = BENCH_QUEUE_MAX,
			.config_len = BENCH_CONFIG,
			.report = &b->report,
			.backend = &ops,
			.backend_opaque = b,
		},
		.mmio = { .device = &b->device },
		.report = {
			.windows = { { BENCH_WINDOW, BENCH_WINDOW_SZ } },
			.nr_windows = 1,
		},
	};
	/* Beyond config_len as well, to see that nothing of it is ever read. */
	for (size_t i = 0; i < sizeof(b->device.config); i++)
		b->device.config[i] = (uint8_t)(0x80 + i);
	virtio_device_init(&b->device);
	proposal_init(&b->device.proposal);
}

static inline void bench_accept(struct virtio_bench *b, uint64_t features)
{
	virtio_device_accept_features(&b->device, 0, (uint32_t)features);
	virtio_device_accept_features(&b->device, 1, (uint32_t)(features >> 32));
}

/* A well-behaved queue at @at. */
static inline void bench_set_up_queue_at(struct virtio_bench *b, uint32_t queue, uint64_t at)
{
	virtio_device_set_queue_size(&b->device, queue, BENCH_QUEUE_MAX);
	for (int part = 0; part < VIRTIO_RING_PARTS; part++) {
		const uint64_t addr = at + (uint64_t)part * 0x2000;

		virtio_device_set_queue_addr(&b->device, queue, (enum virtio_ring_part)part, false,
					     (uint32_t)addr);
		virtio_device_set_queue_addr(&b->device, queue, (enum virtio_ring_part)part, true,
					     (uint32_t)(addr >> 32));
	}
	virtio_device_enable_queue(&b->device, queue);
}

/* ... and inside the window. */
static inline void bench_set_up_queue(struct virtio_bench *b, uint32_t queue)
{
	bench_set_up_queue_at(b, queue, BENCH_WINDOW + queue * 0x10000);
}

/* From a reset along the way of virtio 1.3, 3.1.1, as far as @status, all features accepted. */
static inline void bench_reach(struct virtio_bench *b, uint8_t status)
{
	static const uint8_t way[] = { ACK, DRIVER, FEATURES_OK, RUNNING };

	virtio_device_write_status(&b->device, 0);
	for (size_t i = 0; i < sizeof(way) && (status & way[i]) == way[i]; i++) {
		if (way[i] == DRIVER)
			bench_accept(b, BENCH_OFFERED);
		if (way[i] == RUNNING)
			bench_set_up_queue(b, 0);
		virtio_device_write_status(&b->device, way[i]);
	}
	if (status & VIRTIO_STATUS_NEEDS_RESET)
		virtio_device_fail(&b->device);
	if (status & STATUS_FAILED)
		virtio_device_write_status(&b->device, status);
	cr_assert_eq(virtio_device_status(&b->device), status);
}

/* Everything of the device that a guest could change, to see that it did not. */
struct device_snapshot {
	uint64_t accepted;
	uint8_t status;
	bool config_changed;
	struct virtio_queue queues[DEVICE_MAX_QUEUES];
	uint8_t config[VHOST_USER_MAX_CONFIG];
};

/* Snapshots are compared byte by byte: @s is zeroed, padding included. */
static inline void bench_snapshot(const struct virtio_bench *b, struct device_snapshot *s)
{
	s->accepted = b->device.accepted;
	s->status = b->device.status;
	s->config_changed = b->device.config_changed;
	memcpy(s->queues, b->device.queues, sizeof(s->queues));
	memcpy(s->config, b->device.config, sizeof(s->config));
}

/* The next line on stderr, which the test has redirected and in which there must be one. */
static inline void bench_expect_line(const char *expected)
{
	char line[LOG_LINE_MAX + 1] = "";

	cr_assert_not_null(fgets(line, sizeof(line), cr_get_redirected_stderr()));
	cr_expect_not_null(strstr(line, expected), "no \"%s\" in: %s", expected, line);
}

#endif
