/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Drivers that do not keep to the pool. The device does without the request, touches nothing, and
 * needs a reset; then a good driver is served.
 */
#include "guest-images/payloads/payload.h"
#include "guest-images/payloads/virtio-pci/pci.h"
#include "guest-images/payloads/virtio-pci/scenario.h"

#define F_ACCESS_PLATFORM (1ull << 33)

static const struct place ram = { RAM, RAM };

static struct place pool_rings(const struct device *device)
{
	return (struct place){ device->pool.cpu + RINGS_OFFSET, device->pool.dma + RINGS_OFFSET };
}

static uint64_t promise(const struct device *device)
{
	return device->promise != 0 ? device->promise : F_ACCESS_PLATFORM;
}

static void expect_service(struct device *device)
{
	device_set_up(device);
	block_read(device, 4);
}

static void use_foreign_rings(struct device *device, uint64_t features)
{
	expect(device_negotiate(device, features), "FEATURES_OK stands");
	device_start(device, ram, device->pool);
	device_await_stop(device);
}

static void use_foreign_buffers(struct device *device, uint64_t features)
{
	expect(device_negotiate(device, features), "FEATURES_OK stands");
	device_start(device, pool_rings(device), ram);
	fill_pattern(RAM + DATA_OFFSET, DATA_SIZE, 6);
	block_submit(device, 0, BLOCK_IN, 0, DATA_SIZE);
	block_notify(device);
	device_await_stop(device);
	expect_pattern(RAM + DATA_OFFSET, DATA_SIZE, 6, "memory outside the pool");
}

void scenario_any_layout(struct device *device)
{
	use_foreign_rings(device, device_wanted(device));
	expect_service(device);
	use_foreign_buffers(device, device_wanted(device));
	expect_service(device);
}

void scenario_refused(struct device *device)
{
	expect(!device_negotiate(device, device_wanted(device) & ~promise(device)),
	       "FEATURES_OK is refused");
	expect_equal(device_status(device), ACKNOWLEDGE | DRIVER, "status after a refusal");
	expect_service(device);
}

void scenario_unpromised(struct device *device)
{
	const uint64_t features = device_wanted(device) & ~promise(device);

	use_foreign_rings(device, features);
	expect_service(device);
	/* Inside the pool it is served; but where addresses are offsets it cannot mean those. */
	expect(device_negotiate(device, features), "FEATURES_OK stands");
	device_start(device, pool_rings(device), device->pool);
	if (device->kind == POOL_OFFSETS) {
		device_await_stop(device);
	} else {
		expect_equal(device_status(device), RUNNING, "status of a device that runs");
		block_read(device, 6);
	}
	expect_service(device);
}

/*
 * Where something of the pool's first or last bytes, or of those around 2^64, is outside. @cpu is
 * where the whole buffer is for us, 0 if nowhere.
 */
struct edge {
	uint64_t rings, buffer, cpu;
};

#define BUFFER_SIZE SECTOR_SIZE
#define HALF_BUFFER (BUFFER_SIZE / 2)
#define HALF_TABLE  (QUEUE_SIZE * sizeof(struct descriptor) / 2)

static void use_edge_rings(struct device *device, const struct edge *edge)
{
	const struct place inside = pool_rings(device);

	expect(device_negotiate(device, device_wanted(device)), "FEATURES_OK stands");
	device_start(device, (struct place){ inside.cpu, edge->rings }, device->pool);
	device_await_stop(device);
	expect_service(device);
}

static void use_edge_buffer(struct device *device, const struct edge *edge, uint32_t type)
{
	device_set_up(device);
	if (edge->cpu != 0)
		fill_pattern(edge->cpu, BUFFER_SIZE, 7);
	block_submit(device, 0, type, 0, BUFFER_SIZE);
	block_redirect(device, 0, edge->buffer);
	block_notify(device);
	device_await_stop(device);
	if (edge->cpu != 0)
		expect_pattern(edge->cpu, BUFFER_SIZE, 7, "memory at the edge of the pool");
	expect_service(device);
}

/* Offset 0 of a device memory buffer is no address. */
static struct edge first_edge(const struct device *device)
{
	const struct place *pool = &device->pool;

	if (device->kind == POOL_OFFSETS)
		return (struct edge){ 0, 0, pool->cpu };
	return (struct edge){ pool->dma - HALF_TABLE, pool->dma - HALF_BUFFER,
			      device->kind == POOL_IN_MEMORY ? pool->cpu - HALF_BUFFER : 0 };
}

void scenario_edges(struct device *device)
{
	const uint64_t end = device->pool.dma + device->pool_size;
	const struct edge edges[] = {
		first_edge(device),
		{ end - HALF_TABLE, end - HALF_BUFFER,
		  device->kind == POOL_IN_MEMORY
			  ? device->pool.cpu + device->pool_size - HALF_BUFFER
			  : 0 },
		{ end, end, 0 },
		{ 0 - HALF_TABLE, 0 - HALF_BUFFER, 0 },
	};

	for (unsigned int i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		use_edge_rings(device, &edges[i]);
		use_edge_buffer(device, &edges[i], BLOCK_IN);
		use_edge_buffer(device, &edges[i], BLOCK_OUT);
	}
}

/* Where the pool was is outside once the device was set up anew, and no sooner. */
void scenario_moved_pool(struct device *device)
{
	const struct place before = pool_rings(device);

	expect(device->kind == POOL_IN_BAR, "the pool is in a BAR, and has a bus address");
	device_set_up(device);
	device_move_pool(device, device->pool.cpu + pci_bar_size(device->slot, MEMORY_BAR));
	expect_service(device);
	expect(device_negotiate(device, device_wanted(device)), "FEATURES_OK stands");
	device_start(device, (struct place){ pool_rings(device).cpu, before.dma }, device->pool);
	device_await_stop(device);
	expect_service(device);
}
