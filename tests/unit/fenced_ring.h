/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A virtqueue in one window of memory that has nothing before and nothing behind it: a step outside
 * is a crash of the test. A suite uses fenced_ring_set_up() and fenced_ring_tear_down().
 */
#ifndef TESTS_UNIT_FENCED_RING_H
#define TESTS_UNIT_FENCED_RING_H

#include <criterion/criterion.h>
#include <sys/mman.h>

#include "tests/unit/mock_driver.h"

#define BASE	0x40000000ull
#define MEMORY	65536ull
#define END	(BASE + MEMORY)
#define TABLE	(BASE + 0x8000) /* indirect table */
#define SIZE	8
#define OUTSIDE 0x1000ull

#define NEXT	 VIRTQ_DESC_F_NEXT
#define WRITE	 VIRTQ_DESC_F_WRITE
#define INDIRECT VIRTQ_DESC_F_INDIRECT

static uint8_t *memory; /* with nothing before and nothing behind it */
static struct device_report_wire report;
static struct dma_space space = { .report = &report };
static struct virtqueue vq;
static struct mock_driver driver;

static inline void fenced_ring_set_up(void)
{
	uint8_t *area = mmap(NULL, MEMORY + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct dma_window window = { BASE, MEMORY, BASE, NULL, PROT_READ | PROT_WRITE, 0 };
	struct virtqueue_layout layout;

	cr_assert_neq(area, MAP_FAILED);
	memory = area + 4096;
	cr_assert_eq(mprotect(memory, MEMORY, PROT_READ | PROT_WRITE), 0);
	window.host = memory;
	cr_assert_eq(dma_add_window(&space, &window), 0);
	cr_assert_eq(virtqueue_init(&vq, &space, 2, SIZE), 0);
	mock_driver_init(&driver, memory, BASE, BASE + 0x100, SIZE, 0);
	layout = mock_layout(&driver);
	cr_assert_eq(virtqueue_start(&vq, &layout), 0);
}

static inline void fenced_ring_tear_down(void)
{
	virtqueue_destroy(&vq);
}

#endif
