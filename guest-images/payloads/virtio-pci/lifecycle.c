/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* From reset to reset: requests, and devices that are interrupted at work. */
#include "guest-images/payloads/payload.h"
#include "guest-images/payloads/virtio-pci/pci.h"
#include "guest-images/payloads/virtio-pci/scenario.h"

#define RESETS	     300u
#define BUS_MASTERS  50u
#define WRITE_SECTOR 9u
#define WRITE_ADD    1000000u /* the written lines' numbers are that much larger */
#define READ_SECTORS (DATA_SIZE / SECTOR_SIZE)

static void read_write_flush(struct device *device)
{
	device_set_up(device);
	block_read(device, 0);
	block_read(device, 2047);

	/* Two at a time, of all the buffer. */
	block_submit(device, 0, BLOCK_IN, 100, DATA_SIZE);
	block_submit(device, 1, BLOCK_IN, 1000, DATA_SIZE);
	block_notify(device);
	block_await(device);
	block_check_lines(device, 0, 100, READ_SECTORS);
	block_check_lines(device, 1, 1000, READ_SECTORS);

	block_fill_lines(device, 0, WRITE_SECTOR, 1, WRITE_ADD);
	block_submit(device, 0, BLOCK_OUT, WRITE_SECTOR, SECTOR_SIZE);
	block_notify(device);
	block_await(device);
	block_submit(device, 0, BLOCK_FLUSH, 0, 0);
	block_notify(device);
	block_await(device);
	block_read(device, WRITE_SECTOR + 1);
}

void scenario_plain(struct device *device)
{
	read_write_flush(device);
}

/* It works where the BAR does not answer; so where the pool is not in a BAR, none answers. */
void scenario_access(struct device *device)
{
	if (device->kind == POOL_IN_MEMORY)
		pci_write(device->slot, PCI_COMMAND, 2, PCI_COMMAND_BUS_MASTER);
	device->by_capability = true;
	read_write_flush(device);
	expect_equal(device_read(device, &device->common, NUM_QUEUES, 2), 1, "number of queues");
	expect_equal(device_read(device, &device->config, 0, 4), 2048, "sectors of the disk");
}

static void set_bus_master(const struct device *device, bool on)
{
	pci_write(device->slot, PCI_COMMAND, 2,
		  PCI_COMMAND_MEMORY | (on ? PCI_COMMAND_BUS_MASTER : 0));
}

/* With requests that the device has been told of, or not; it may have seen them all the same. */
static void interrupt_dma(struct device *device, bool notify_before)
{
	uint16_t used;

	device_set_up(device);
	block_submit(device, 0, BLOCK_IN, 0, DATA_SIZE);
	block_submit(device, 1, BLOCK_IN, 64, DATA_SIZE);
	if (notify_before)
		block_notify(device);
	set_bus_master(device, false);
	used = block_used(device);
	device_await_stop(device);
	block_notify(device);
	wait_a_moment();
	expect_equal(block_used(device), used, "requests used without bus mastering");
	set_bus_master(device, true);
	expect(device_status(device) & NEEDS_RESET, "only a reset leads on");
	device_set_up(device);
	block_read(device, 1);
}

static void start_without_dma(struct device *device)
{
	const struct place rings = { device->pool.cpu + RINGS_OFFSET,
				     device->pool.dma + RINGS_OFFSET };

	set_bus_master(device, false);
	expect(device_negotiate(device, device_wanted(device)), "FEATURES_OK stands");
	device_start(device, rings, device->pool);
	device_await_stop(device);
	set_bus_master(device, true);
	device_set_up(device);
	block_read(device, 2);
}

void scenario_bus_master(struct device *device)
{
	for (unsigned int i = 0; i < BUS_MASTERS; i++)
		interrupt_dma(device, i % 2 == 0);
	start_without_dma(device);
}

void scenario_reset(struct device *device)
{
	for (unsigned int i = 0; i < RESETS; i++) {
		uint16_t used;

		device_set_up(device);
		block_submit(device, 0, BLOCK_IN, 0, DATA_SIZE);
		block_submit(device, 1, BLOCK_IN, 64, DATA_SIZE);
		block_notify(device);
		/* Now and then some are done already. */
		for (unsigned int k = 0; k < (i % 16) * 64; k++)
			__asm__ volatile("pause");
		expect(device_negotiate(device, device_wanted(device)), "FEATURES_OK stands");
		used = block_used(device);
		fill_pattern(device->buffers.cpu + DATA_OFFSET, DATA_SIZE, i);
		wait_a_moment();
		expect_equal(block_used(device), used, "requests used after a reset");
		expect_pattern(device->buffers.cpu + DATA_OFFSET, DATA_SIZE, i,
			       "memory of a request after a reset");
	}
	device_set_up(device);
	block_read(device, 3);
}
