/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/unit/report_example.h"

#include <stdio.h>
#include <string.h>

#define MIB (1ull << 20)

#define F_INDIRECT_DESC	  (1ull << 28)
#define F_EVENT_IDX	  (1ull << 29)
#define F_VERSION_1	  (1ull << 32)
#define F_ACCESS_PLATFORM (1ull << 33)
#define BLK_F_SEG_MAX	  (1ull << 2)
#define BLK_F_FLUSH	  (1ull << 9)

#define OFFERED                                                                            \
	(F_INDIRECT_DESC | F_EVENT_IDX | F_VERSION_1 | F_ACCESS_PLATFORM | BLK_F_SEG_MAX | \
	 BLK_F_FLUSH)

/* A disk behind its own pool, and a guest that used it well. */
static void fill_confined(struct report_device *device, const char *name)
{
	*device = (struct report_device){
		.type = "blk",
		.transport = "mmio",
		.mechanism = "dt",
		.place = "memory",
		.policy = "require",
		.sandbox = "full",
		.features_offered = OFFERED,
		.features_negotiated = OFFERED,
		.driven = true,
		.resets = 1,
		.windows = { { .base = 0x20000000, .size = 16 * MIB } },
		.nr_windows = 1,
		.counters_valid = true,
		.counters = {
			.requests = 16420,
			.bytes_to_device = 64 * MIB + 16420 * 16ull,
			.bytes_from_device = 64 * MIB + 16420,
			.addresses_inside = { [DMA_RING] = 3,
					      [DMA_INDIRECT_TABLE] = 16000,
					      [DMA_BUFFER] = 49260 },
			.kicks = 8211,
			.calls = 8190,
			.pool_high_water = 2142208,
		},
	};
	snprintf(device->name, sizeof(device->name), "%s", name);
}

static void fill_failed(struct report_device *device)
{
	fill_confined(device, "blk0");
	device->counters_valid = false;
	strcpy(device->failure, "device process ended: killed by signal 11");
}

static void fill_violation(struct report_device *device)
{
	fill_confined(device, "blk1");
	device->policy = "hope";
	device->features_negotiated &= ~F_ACCESS_PLATFORM;
	device->counters.addresses_outside[DMA_BUFFER] = 1;
	device->violations[0] = (struct dma_violation){
		.dma_addr = 0x20fff000,
		.length = 0x2000,
		.purpose = DMA_BUFFER,
		.direction = DMA_FROM_DEVICE,
		.queue = 0,
		.descriptor = 7,
	};
	device->nr_violations = 1;
}

static void fill_refused(struct report_device *device)
{
	fill_confined(device, "blk2");
	device->features_negotiated = 0;
	device->driven = false;
	memset(&device->counters, 0, sizeof(device->counters));
	strcpy(device->refusals[0], "VIRTIO_F_ACCESS_PLATFORM not accepted; guest kernel lacks "
				    "CONFIG_DMA_RESTRICTED_POOL?");
	device->nr_refusals = 1;
}

static void fill_evil(struct report_device *device)
{
	static const struct evil_play plays[] = {
		{ .trick = EVIL_DELAY, .queue = 0, .completion = 40 },
		{ .trick = EVIL_DELAY, .queue = 0, .completion = 51 },
		{ .trick = EVIL_CONFIG, .queue = UINT16_MAX, .completion = 2 },
	};

	fill_confined(device, "blk4");
	device->evil = true;
	device->evil_settings = (struct evil_settings){
		.seed = 4294967295,
		.rate = 50,
		.tricks = EVIL_BIT(EVIL_DELAY) | EVIL_BIT(EVIL_CONFIG),
	};
	device->counters.plays = 3;
	device->counters.tricks[EVIL_DELAY] = 2;
	device->counters.tricks[EVIL_CONFIG] = 1;
	memcpy(device->counters.last_plays, plays, sizeof(plays));
}

static void fill_unrestricted(struct report_device *device)
{
	fill_confined(device, "blk3");
	device->mechanism = "none";
	device->place = "none";
	device->policy = "none";
	device->windows[0] = (struct machine_range){ .base = 0, .size = 512 * MIB };
	device->counters.pool_high_water = 401 * MIB;
}

static void fill_unused(struct report_device *device)
{
	fill_confined(device, "rng0");
	device->type = "rng";
	device->features_offered = F_INDIRECT_DESC | F_VERSION_1 | F_ACCESS_PLATFORM;
	device->features_negotiated = 0;
	device->driven = false;
	device->resets = 0;
	memset(&device->counters, 0, sizeof(device->counters));
}

void report_example_fill(struct report_example *example)
{
	fill_failed(&example->devices[REPORT_FAILED]);
	fill_violation(&example->devices[REPORT_VIOLATION]);
	fill_refused(&example->devices[REPORT_REFUSED]);
	fill_evil(&example->devices[REPORT_EVIL]);
	fill_confined(&example->devices[REPORT_CONFINED], "blk0");
	fill_unrestricted(&example->devices[REPORT_UNRESTRICTED]);
	fill_unused(&example->devices[REPORT_UNUSED]);
	example->report = (struct report){
		.restricted = true,
		.exit_status = 0,
		.exit_reason = "guest powered off",
		.nr_cpus = 1,
		.memory = 512 * MIB,
		.devices = example->devices,
		.nr_devices = EXAMPLE_DEVICES,
	};
}
