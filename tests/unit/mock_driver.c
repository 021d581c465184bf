/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/unit/mock_driver.h"

#include <string.h>

static uint64_t align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) / align * align;
}

void mock_driver_init(struct mock_driver *driver, uint8_t *mem, uint64_t base, uint64_t at,
		      uint16_t size, uint16_t index)
{
	*driver = (struct mock_driver){ .mem = mem, .base = base, .size = size };
	driver->desc = align_up(at, 16);
	driver->avail = driver->desc + 16ull * size;
	driver->used = align_up(driver->avail + 6 + 2ull * size, 4);
	driver->next_free = align_up(driver->used + 6 + 8ull * size, 16);
	driver->avail_idx = index;
	driver->last_used = index;
	memset(mock_ptr(driver, driver->desc), 0, driver->next_free - driver->desc);
	mock_avail(driver)->idx = index;
	mock_used(driver)->idx = index;
}

struct virtqueue_layout mock_layout(const struct mock_driver *driver)
{
	return (struct virtqueue_layout){
		.desc = driver->desc,
		.avail = driver->avail,
		.used = driver->used,
		.size = driver->size,
		.base = driver->avail_idx,
		.event_idx = true,
		.indirect = true,
	};
}

void *mock_ptr(const struct mock_driver *driver, uint64_t dma_addr)
{
	return driver->mem + (dma_addr - driver->base);
}

uint64_t mock_alloc(struct mock_driver *driver, size_t len)
{
	uint64_t addr = driver->next_free;

	driver->next_free = align_up(addr + len, 16);
	return addr;
}

struct virtq_desc *mock_desc_table(const struct mock_driver *driver)
{
	return mock_ptr(driver, driver->desc);
}

struct virtq_avail *mock_avail(const struct mock_driver *driver)
{
	return mock_ptr(driver, driver->avail);
}

struct virtq_used *mock_used(const struct mock_driver *driver)
{
	return mock_ptr(driver, driver->used);
}

uint16_t *mock_used_event(const struct mock_driver *driver)
{
	return mock_ptr(driver, driver->avail + 4 + 2ull * driver->size);
}

uint16_t *mock_avail_event(const struct mock_driver *driver)
{
	return mock_ptr(driver, driver->used + 4 + 8ull * driver->size);
}

void mock_set_desc(struct virtq_desc *table, uint16_t index, struct virtq_desc desc)
{
	table[index] = desc;
}

void mock_submit(struct mock_driver *driver, uint16_t head)
{
	struct virtq_avail *avail = mock_avail(driver);

	avail->ring[driver->avail_idx % driver->size] = head;
	driver->avail_idx++;
	__atomic_store_n(&avail->idx, driver->avail_idx, __ATOMIC_SEQ_CST);
}

uint64_t mock_submit_buffer(struct mock_driver *driver, uint16_t head, uint32_t len, uint16_t flags)
{
	uint64_t addr = mock_alloc(driver, len);

	mock_set_desc(mock_desc_table(driver), head, (struct virtq_desc){ addr, len, flags, 0 });
	mock_submit(driver, head);
	return addr;
}

bool mock_take_used(struct mock_driver *driver, struct virtq_used_elem *elem)
{
	struct virtq_used *used = mock_used(driver);

	if (__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) == driver->last_used)
		return false;
	*elem = used->ring[driver->last_used % driver->size];
	driver->last_used++;
	return true;
}
