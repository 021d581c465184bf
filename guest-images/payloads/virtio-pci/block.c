/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Requests of a block device (virtio 1.3, 5.2.6), and what is on the disk. */
#include "guest-images/payloads/payload.h"
#include "guest-images/payloads/virtio-pci/device.h"

#define LINE_SIZE	 16u
#define LINES_PER_SECTOR (SECTOR_SIZE / LINE_SIZE)

/* Header and status, HEADERS_OFFSET into the buffers. */
struct header {
	uint32_t type, reserved;
	uint64_t sector;
	uint8_t status;
};

#define HEADER_SIZE 16u

static uint64_t header_offset(unsigned int index)
{
	return HEADERS_OFFSET + index * sizeof(struct header);
}

static uint64_t data_offset(unsigned int index)
{
	return DATA_OFFSET + (uint64_t)index * DATA_SIZE;
}

static volatile struct header *get_header(const struct device *device, unsigned int index)
{
	return (volatile struct header *)(device->buffers.cpu + header_offset(index));
}

static volatile struct rings *get_rings(const struct device *device)
{
	return (volatile struct rings *)device->rings.cpu;
}

volatile char *block_data(const struct device *device, unsigned int index)
{
	return (volatile char *)(device->buffers.cpu + data_offset(index));
}

void block_submit(struct device *device, unsigned int index, uint32_t type, uint64_t sector,
		  uint32_t len)
{
	volatile struct header *header = get_header(device, index);
	volatile struct rings *rings = get_rings(device);
	const uint16_t head = (uint16_t)(3 * index);
	volatile struct descriptor *desc = &rings->desc[head];
	const uint64_t dma = device->buffers.dma;

	header->type = type;
	header->reserved = 0;
	header->sector = sector;
	header->status = 0xff;
	desc[0] = (struct descriptor){ dma + header_offset(index), HEADER_SIZE, NEXT, head + 1 };
	desc[1] = (struct descriptor){ dma + data_offset(index), len,
				       type == BLOCK_IN ? NEXT | WRITE : NEXT, head + 2 };
	desc[2] = (struct descriptor){ dma + header_offset(index) + offsetof(struct header, status),
				       1, WRITE, 0 };
	if (len == 0)
		desc[0].next = head + 2;
	rings->avail_ring[device->submitted % QUEUE_SIZE] = head;
	device->submitted++;
	__atomic_store_n(&rings->avail_idx, device->submitted, __ATOMIC_RELEASE);
}

void block_redirect(const struct device *device, unsigned int index, uint64_t dma)
{
	get_rings(device)->desc[3 * index + 1].addr = dma;
}

void block_notify(const struct device *device)
{
	device_write(device, &device->notify, device->notify_offset, 2, 0);
}

uint16_t block_used(const struct device *device)
{
	return __atomic_load_n(&get_rings(device)->used_idx, __ATOMIC_ACQUIRE);
}

void block_await(struct device *device)
{
	volatile struct rings *rings = get_rings(device);
	uint64_t turns = 0;

	while (block_used(device) != device->submitted) {
		expect(turns++ < PATIENCE, "the device answers");
		__asm__ volatile("pause");
	}
	for (; device->awaited != device->submitted; device->awaited++) {
		const uint32_t head = rings->used_ring[device->awaited % QUEUE_SIZE].id;

		expect(head % 3 == 0 && head < 3 * NR_REQUESTS, "the used ring names a request");
		expect_equal(get_header(device, head / 3)->status, 0, "status of a request");
	}
}

/* The line's character at @position. */
static char line_char(uint64_t number, unsigned int position)
{
	if (position == LINE_SIZE - 1)
		return '\n';
	for (unsigned int i = position; i < LINE_SIZE - 2; i++)
		number /= 10;
	return (char)('0' + number % 10);
}

void block_check_lines(const struct device *device, unsigned int index, uint64_t sector,
		       unsigned int sectors)
{
	volatile const char *data = block_data(device, index);

	for (unsigned int i = 0; i < sectors * SECTOR_SIZE; i++)
		expect_equal((uint64_t)data[i],
			     (uint64_t)line_char(sector * LINES_PER_SECTOR + i / LINE_SIZE,
						 i % LINE_SIZE),
			     "what was read");
}

void block_fill_lines(const struct device *device, unsigned int index, uint64_t sector,
		      unsigned int sectors, uint64_t add)
{
	volatile char *data = block_data(device, index);

	for (unsigned int i = 0; i < sectors * SECTOR_SIZE; i++)
		data[i] = line_char(sector * LINES_PER_SECTOR + i / LINE_SIZE + add, i % LINE_SIZE);
}

void block_read(struct device *device, uint64_t sector)
{
	block_data(device, 0)[0] = 0;
	block_submit(device, 0, BLOCK_IN, sector, SECTOR_SIZE);
	block_notify(device);
	block_await(device);
	block_check_lines(device, 0, sector, 1);
}
