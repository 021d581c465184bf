/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A block driver that can be told to misbehave: drives the first virtio-mmio device, a disk, with rings
 * and buffers where the command line says (hexadecimal):
 *
 *	ring=ADDR     page-aligned memory for the three rings
 *	buffer=ADDR   memory for the request's header, data and status
 *	good=ADDR     64 KiB inside the pool: after the device was stopped, reset it and read from there
 *	accept=N      0: VIRTIO_F_ACCESS_PLATFORM is not accepted
 *	expect=N      1: FEATURES_OK refused; 2: DEVICE_NEEDS_RESET; 3: the request succeeds
 */
#include "guest-images/payloads/payload.h"
#include "guest-images/payloads/virtio.h"

#define DEVICE 0xfe000000ull

/* virtio 1.3, 4.2.2 */
#define DEVICE_FEATURES	    0x010
#define DEVICE_FEATURES_SEL 0x014
#define DRIVER_FEATURES	    0x020
#define DRIVER_FEATURES_SEL 0x024
#define QUEUE_SEL	    0x030
#define QUEUE_NUM	    0x038
#define QUEUE_READY	    0x044
#define QUEUE_NOTIFY	    0x050
#define INTERRUPT_STATUS    0x060
#define STATUS		    0x070
#define QUEUE_DESC	    0x080
#define QUEUE_DRIVER	    0x090
#define QUEUE_DEVICE	    0x0a0

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

	write_register(STATUS, 0);
	write_register(STATUS, ACKNOWLEDGE);
	write_register(STATUS, ACKNOWLEDGE | DRIVER);
	write_register(DEVICE_FEATURES_SEL, 1);
	high = read_register(DEVICE_FEATURES) & (VERSION_1_HIGH | ACCESS_PLATFORM_HIGH);
	expect(high & VERSION_1_HIGH, "VIRTIO_F_VERSION_1 is offered");
	if (!accept_platform)
		high &= ~ACCESS_PLATFORM_HIGH;
	write_register(DRIVER_FEATURES_SEL, 0);
	write_register(DRIVER_FEATURES, 0);
	write_register(DRIVER_FEATURES_SEL, 1);
	write_register(DRIVER_FEATURES, high);
	write_register(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
	return read_register(STATUS) & FEATURES_OK;
}

static void submit(volatile struct rings *rings, volatile struct request *request)
{
	request->type = 0; /* VIRTIO_BLK_T_IN */
	request->sector = 0;
	request->status = 0xff;
	rings->desc[0] = (struct descriptor){ (uint64_t)request, 16, NEXT, 1 };
	rings->desc[1] =
		(struct descriptor){ (uint64_t)request->data, SECTOR_SIZE, NEXT | WRITE, 2 };
	rings->desc[2] = (struct descriptor){ (uint64_t)&request->status, 1, WRITE, 0 };
	rings->avail_flags = 0;
	rings->used_idx = 0;
	rings->avail_ring[0] = 0;
	__atomic_store_n(&rings->avail_idx, 1, __ATOMIC_RELEASE);

	write_register(QUEUE_SEL, 0);
	write_register(QUEUE_NUM, QUEUE_SIZE);
	write_address(QUEUE_DESC, rings->desc);
	write_address(QUEUE_DRIVER, &rings->avail_flags);
	write_address(QUEUE_DEVICE, &rings->used_flags);
	write_register(QUEUE_READY, 1);
	write_register(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
	write_register(QUEUE_NOTIFY, 0);
}

/* One request from negotiation to its end. */
static enum outcome read_sector(bool accept_platform, volatile struct rings *rings,
				volatile struct request *request)
{
	if (!negotiate(accept_platform))
		return REFUSED;
	submit(rings, request);
	for (uint64_t i = 0; i < PATIENCE; i++) {
		if (__atomic_load_n(&rings->used_idx, __ATOMIC_ACQUIRE) == 1) {
			expect(request->status == 0, "the request succeeded");
			return DONE;
		}
		/* Each look at the status is an exit to the VMM: seldom. */
		if (i % 4096 == 0 && (read_register(STATUS) & NEEDS_RESET)) {
			expect(read_register(INTERRUPT_STATUS) & 2,
			       "a configuration change is told");
			return STOPPED;
		}
	}
	expect(false, "the device answers");
	return 0;
}

void payload_main(const uint8_t *boot_params)
{
	uint64_t ring = payload_option(boot_params, "ring");
	uint64_t buffer = payload_option(boot_params, "buffer");
	uint64_t good = payload_option(boot_params, "good");
	uint64_t want = payload_option(boot_params, "expect");

	expect(read_sector(payload_option(boot_params, "accept") != 0,
			   (volatile struct rings *)ring,
			   (volatile struct request *)buffer) == want,
	       "the outcome is the expected one");
	if (good)
		expect(read_sector(true, (volatile struct rings *)good,
				   (volatile struct request *)(good + 0x8000)) == DONE,
		       "after a reset a request inside the pool succeeds");
	print("payload: all true\n");
	end(0);
}
