/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The driver's side of a split virtqueue, for tests: builds rings in a piece of memory as a guest
 * would, or as a guest would not. Nothing is checked, so that a test can write any nonsense.
 */
#ifndef TESTS_UNIT_MOCK_DRIVER_H
#define TESTS_UNIT_MOCK_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/core/virtqueue.h"

struct mock_driver {
	uint8_t *mem;  /* the DMA window as the driver sees it; not owned */
	uint64_t base; /* its DMA address */
	uint16_t size; /* queue size */
	uint64_t desc; /* DMA addresses of the rings */
	uint64_t avail;
	uint64_t used;
	uint64_t next_free; /* DMA address for mock_alloc() */
	uint16_t avail_idx; /* as last published */
	uint16_t last_used; /* used entries taken so far */
};

/* Rings at the DMA address @at inside the window, indices starting at @index; the rest is free. */
void mock_driver_init(struct mock_driver *driver, uint8_t *mem, uint64_t base, uint64_t at,
		      uint16_t size, uint16_t index);

struct virtqueue_layout mock_layout(const struct mock_driver *driver);

/* Our pointer to a DMA address, unchecked. */
void *mock_ptr(const struct mock_driver *driver, uint64_t dma_addr);

/* Takes @len bytes, aligned to 16, from the free part; they are never given back. */
uint64_t mock_alloc(struct mock_driver *driver, size_t len);

/* The rings as the driver sees them. */
struct virtq_desc *mock_desc_table(const struct mock_driver *driver);
struct virtq_avail *mock_avail(const struct mock_driver *driver);
struct virtq_used *mock_used(const struct mock_driver *driver);
uint16_t *mock_used_event(const struct mock_driver *driver);
uint16_t *mock_avail_event(const struct mock_driver *driver);

/* Fills entry @index of the table at @table. */
void mock_set_desc(struct virtq_desc *table, uint16_t index, struct virtq_desc desc);

/* Makes the chain at @head available. */
void mock_submit(struct mock_driver *driver, uint16_t head);

/* A chain of one descriptor with @len bytes of fresh memory; returns their DMA address. */
uint64_t mock_submit_buffer(struct mock_driver *driver, uint16_t head, uint32_t len,
			    uint16_t flags);

/* Takes the next used entry; false when there is none. */
bool mock_take_used(struct mock_driver *driver, struct virtq_used_elem *elem);

#endif
