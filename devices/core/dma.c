/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/core/dma.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a - b < b_size || b - a < a_size;
}

static bool wraps(uint64_t base, uint64_t size)
{
	uint64_t end;

	return __builtin_add_overflow(base, size, &end);
}

int dma_add_window(struct dma_space *space, const struct dma_window *window)
{
	if (!window->size || wraps(window->base, window->size) ||
	    wraps(window->user_base, window->size))
		return -EINVAL;
	for (unsigned int i = 0; i < space->nr_windows; i++) {
		const struct dma_window *other = &space->windows[i];

		if (overlap(window->base, window->size, other->base, other->size) ||
		    overlap(window->user_base, window->size, other->user_base, other->size))
			return -EEXIST;
	}
	if (space->nr_windows == DMA_MAX_WINDOWS)
		return -ENOSPC;
	space->windows[space->nr_windows++] = *window;
	return 0;
}

static int needed_prot(enum dma_direction direction)
{
	switch (direction) {
	case DMA_TO_DEVICE:
		return PROT_READ;
	case DMA_FROM_DEVICE:
		return PROT_WRITE;
	default:
		return PROT_READ | PROT_WRITE;
	}
}

static void record_violation(struct device_report_wire *report, uint64_t addr, uint64_t len,
			     const struct dma_use *use)
{
	report->addresses_outside[use->purpose]++;
	if (report->nr_violations >= DEVICE_REPORT_VIOLATIONS)
		return;
	report->violations[report->nr_violations++] = (struct dma_violation){
		.dma_addr = addr,
		.length = len,
		.purpose = use->purpose,
		.direction = use->direction,
		.queue = use->queue,
		.descriptor = use->descriptor,
	};
}

/* An address below the window wraps to an offset far above its size. */
static bool holds(const struct dma_window *window, uint64_t addr, uint64_t len)
{
	uint64_t offset = addr - window->base;

	return offset < window->size && len <= window->size - offset;
}

void *dma_map(struct dma_space *space, uint64_t addr, uint64_t len, const struct dma_use *use)
{
	struct device_report_wire *report = space->report;
	int prot = needed_prot(use->direction);

	for (unsigned int i = 0; i < space->nr_windows; i++) {
		const struct dma_window *window = &space->windows[i];
		uint64_t offset = addr - window->base;

		if (!holds(window, addr, len) || (window->prot & prot) != prot)
			continue;
		report->addresses_inside[use->purpose]++;
		if (offset + len > report->pool_high_water)
			report->pool_high_water = offset + len;
		return window->host + offset;
	}
	record_violation(report, addr, len, use);
	return NULL;
}

void *dma_find(const struct dma_space *space, uint64_t addr, uint64_t len, int prot)
{
	for (unsigned int i = 0; i < space->nr_windows; i++) {
		const struct dma_window *window = &space->windows[i];

		if (holds(window, addr, len) && (window->prot & prot) == prot)
			return window->host + (addr - window->base);
	}
	return NULL;
}

int dma_from_user(struct dma_space *space, uint64_t user_addr, uint64_t *dma_addr,
		  const struct dma_use *use)
{
	for (unsigned int i = 0; i < space->nr_windows; i++) {
		const struct dma_window *window = &space->windows[i];
		uint64_t offset = user_addr - window->user_base;

		if (offset < window->size) {
			*dma_addr = window->base + offset;
			return 0;
		}
	}
	record_violation(space->report, user_addr, 1, use);
	return -EFAULT;
}

uint64_t dma_smallest_window(const struct dma_space *space)
{
	uint64_t smallest = 0;

	for (unsigned int i = 0; i < space->nr_windows; i++) {
		if (!smallest || space->windows[i].size < smallest)
			smallest = space->windows[i].size;
	}
	return smallest;
}
