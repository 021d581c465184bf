/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The only way to guest data.
 *
 * A device process holds mappings of its DMA windows and of nothing else of the guest. An address
 * that the guest wrote becomes a pointer here or nowhere, and only when the whole range lies inside
 * one window:
 *
 *	base              addr        addr + len            base + size      (DMA addresses)
 *	 |-----------------|===============|---------------------|
 *	host                                                                 (our address space)
 *
 * Windows that touch each other in DMA addresses need not do so in ours, so a range never spans
 *two.
 */
#ifndef DEVICES_CORE_DMA_H
#define DEVICES_CORE_DMA_H

#include <stdint.h>

#include "devices/proto/report.h"
#include "devices/proto/vhost_user.h"

#define DMA_MAX_WINDOWS VHOST_USER_MAX_FDS

struct dma_window {
	uint64_t base;	    /* DMA address; base + size does not wrap */
	uint64_t size;	    /* bytes, not 0 */
	uint64_t user_base; /* the front-end's address of the same bytes: only rings use it */
	uint8_t *host;
	int prot;	      /* PROT_READ and/or PROT_WRITE, as mapped */
	uint64_t file_offset; /* of the first byte in the file behind it */
};

struct dma_space {
	struct dma_window windows[DMA_MAX_WINDOWS];
	unsigned int nr_windows;
	struct device_report_wire *report; /* counters and violations; not owned */
};

/* What a range is wanted for; goes into the report when the range is refused. */
struct dma_use {
	enum dma_purpose purpose;
	enum dma_direction direction;
	uint32_t queue;
	uint32_t descriptor; /* index in its table; UINT32_MAX for a ring */
};

/*
 * Adds a copy of @window. Returns 0, -EINVAL when it is empty or wraps, -EEXIST when it overlaps
 * another one, -ENOSPC when there are DMA_MAX_WINDOWS.
 */
int dma_add_window(struct dma_space *space, const struct dma_window *window);

/*
 * Our pointer to the @len > 0 bytes at DMA address @addr, contiguous; NULL when they are not inside
 * one window that allows the direction. Counts both, and records the latter as a violation.
 */
void *dma_map(struct dma_space *space, uint64_t addr, uint64_t len, const struct dma_use *use);

/*
 * The same without counting: for a look at memory that the device was not given by a request. @prot as
 * in struct dma_window.
 */
void *dma_find(const struct dma_space *space, uint64_t addr, uint64_t len, int prot);

/*
 * Translates a front-end's address (SET_VRING_ADDR names rings by those) to the DMA address of the
 * same byte, for dma_map(). Returns 0, or -EFAULT after it was counted and recorded as dma_map()
 * does it.
 */
int dma_from_user(struct dma_space *space, uint64_t user_addr, uint64_t *dma_addr,
		  const struct dma_use *use);

/* Bytes of the smallest window, 0 when there is none. */
uint64_t dma_smallest_window(const struct dma_space *space);

#endif
