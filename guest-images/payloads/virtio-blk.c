/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A block driver that can be told to misbehave: drives the first virtio-mmio device, a disk, with rings
 * and buffers where the command line says (hexadecimal):
 *
 *	ring=ADDR     page-aligned memory for the three rings
 *	buffer=ADDR   memory for the request's header, data and status
 *	good=ADDR     64 KiB inside the pool: after the device was stopped, reset it and read from there
 *	times=N       in the end read the sector N times more, one after the other
 *	accept=N      0: VIRTIO_F_ACCESS_PLATFORM is not accepted
 *	expect=N      1: FEATURES_OK refused; 2: DEVICE_NEEDS_RESET; 3: the request succeeds
 */
#include "guest-images/payloads/mmio.h"
#include "guest-images/payloads/payload.h"
#include "guest-images/payloads/virtio.h"

#define DEVICE 0xfe000000ull

#define VERSION_1_HIGH	     (1u << 0) /* bit 32 */
#define ACCESS_PLATFORM_HIGH (1u << 1) /* bit 33 */

enum outcome { REFUSED = 1, STOPPED = 2, DONE = 3 };

struct request {
	uint32_t type, reserved;
	uint64_t sector;
	uint8_t data[SECTOR_SIZE];
	volatile uint8_t status;
};

static void write_register(uint32_t offset, uint32_t value)
{
	mmio_write32(DEVICE + offset, value);
}

static uint32_t read_register(uint32_t offset)
{
	return mmio_read32(DEVICE + offset);
}

static void write_address(uint32_t offset, const volatile void *addr)
{
	write_register(offset, (uint32_t)(uint64_t)addr);
	write_register(offset + 4, (uint32_t)((uint64_t)addr >> 32));
}

static bool negotiate(bool accept_platform)
{
	uint32_t high;

	write_register(MMIO_STATUS, 0);
	write_register(MMIO_STATUS, ACKNOWLEDGE);
	write_register(MMIO_STATUS, ACKNOWLEDGE | DRIVER);
	write_register(MMIO_DEVICE_FEATURES_SEL, 1);
	high = read_register(MMIO_DEVICE_FEATURES) & (VERSION_1_HIGH | ACCESS_PLATFORM_HIGH);
	expect(high & VERSION_1_HIGH, "VIRTIO_F_VERSION_1 is offered");
	if (!accept_platform)
		high &= ~ACCESS_PLATFORM_HIGH;
	write_register(MMIO_DRIVER_FEATURES_SEL, 0);
	write_register(MMIO_DRIVER_FEATURES, 0);
	write_register(MMIO_DRIVER_FEATURES_SEL, 1);
	write_register(MMIO_DRIVER_FEATURES, high);
	write_register(MMIO_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
	return read_register(MMIO_STATUS) & FEATURES_OK;
}

static void start_queue(volatile struct rings *rings, volatile struct request *request)
{
	rings->desc[0] = (struct descriptor){ (uint64_t)request, 16, NEXT, 1 };
	rings->desc[1] =
		(struct descriptor){ (uint64_t)request->data, SECTOR_SIZE, NEXT | WRITE, 2 };
	rings->desc[2] = (struct descriptor){ (uint64_t)&request->status, 1, WRITE, 0 };
	rings->avail_flags = 0;
	rings->used_idx = 0;
	rings->avail_idx = 0;

	write_register(MMIO_QUEUE_SEL, 0);
	write_register(MMIO_QUEUE_NUM, QUEUE_SIZE);
	write_address(MMIO_QUEUE_DESC, rings->desc);
	write_address(MMIO_QUEUE_DRIVER, &rings->avail_flags);
	write_address(MMIO_QUEUE_DEVICE, &rings->used_flags);
	write_register(MMIO_QUEUE_READY, 1);
	write_register(MMIO_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

/* One request of a queue that runs, and its end. */
static enum outcome read_sector(volatile struct rings *rings, volatile struct request *request)
{
	const uint16_t next = rings->avail_idx;

	request->type = 0; /* VIRTIO_BLK_T_IN */
	request->sector = 0;
	request->status = 0xff;
	rings->avail_ring[next % QUEUE_SIZE] = 0;
	__atomic_store_n(&rings->avail_idx, next + 1, __ATOMIC_RELEASE);
	write_register(MMIO_QUEUE_NOTIFY, 0);
	for (uint64_t i = 0; i < PATIENCE; i++) {
		if (__atomic_load_n(&rings->used_idx, __ATOMIC_ACQUIRE) == (uint16_t)(next + 1)) {
			expect(request->status == 0, "the request succeeded");
			return DONE;
		}
		/* Each look at the status is an exit to the VMM: seldom. */
		if (i % 4096 == 0 && (read_register(MMIO_STATUS) & NEEDS_RESET)) {
			expect(read_register(MMIO_INTERRUPT_STATUS) & 2,
			       "a configuration change is told");
			return STOPPED;
		}
	}
	expect(false, "the device answers");
	return 0;
}

/* The first request from negotiation to its end. */
static enum outcome read_first(bool accept_platform, volatile struct rings *rings,
			       volatile struct request *request)
{
	if (!negotiate(accept_platform))
		return REFUSED;
	start_queue(rings, request);
	return read_sector(rings, request);
}

void payload_main(const uint8_t *boot_params)
{
	volatile struct rings *rings = (void *)payload_option(boot_params, "ring");
	volatile struct request *request = (void *)payload_option(boot_params, "buffer");
	uint64_t good = payload_option(boot_params, "good");
	uint64_t times = payload_option(boot_params, "times");
	bool accept_platform = payload_option(boot_params, "accept") != 0;

	expect(read_first(accept_platform, rings, request) == payload_option(boot_params, "expect"),
	       "the outcome is the expected one");
	if (good) {
		rings = (volatile struct rings *)good;
		request = (volatile struct request *)(good + 0x8000);
		expect(read_first(true, rings, request) == DONE,
		       "after a reset a request inside the pool succeeds");
	}
	for (; times; times--)
		expect(read_sector(rings, request) == DONE, "a request succeeds");
	print("payload: all true\n");
	end(0);
}
