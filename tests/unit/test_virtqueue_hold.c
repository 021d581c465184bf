/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Several chains for one thing: the driver sees all of them or none. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/unit/mock_driver.h"

#define BASE  0x40000000ull
#define SIZE  8
#define WRITE VIRTQ_DESC_F_WRITE

static uint8_t memory[65536] __attribute__((aligned(4096)));
static struct device_report_wire report;
static struct dma_space space = { .report = &report };
static struct virtqueue vq;
static struct mock_driver driver;

static void set_up(void)
{
	const struct dma_window window = { BASE,   sizeof(memory),	   BASE,
					   memory, PROT_READ | PROT_WRITE, 0 };
	struct virtqueue_layout layout;

	cr_assert_eq(dma_add_window(&space, &window), 0);
	cr_assert_eq(virtqueue_init(&vq, &space, 0, SIZE), 0);
	/* Near the end of the indices: everything here wraps. */
	mock_driver_init(&driver, memory, BASE, BASE + 0x100, SIZE, 65534);
	layout = mock_layout(&driver);
	cr_assert_eq(virtqueue_start(&vq, &layout), 0);
	virtqueue_begin(&vq);
}

static void tear_down(void)
{
	virtqueue_destroy(&vq);
}

TestSuite(virtqueue_hold, .init = set_up, .fini = tear_down);

/* Pops the chain at @head and completes it with @written bytes. */
static void take(uint16_t head, uint32_t written)
{
	struct virtqueue_chain chain;

	cr_assert_eq(virtqueue_pop(&vq, &chain), 1);
	cr_assert_eq(chain.head, head);
	virtqueue_push(&vq, &chain, written);
}

static void hold_first(uint16_t head, uint32_t written)
{
	struct virtqueue_chain chain;

	cr_assert_eq(virtqueue_pop(&vq, &chain), 1);
	cr_assert_eq(chain.head, head);
	virtqueue_hold(&vq);
	virtqueue_push(&vq, &chain, written);
}

static void expect_used(uint32_t head, uint32_t len)
{
	struct virtq_used_elem elem;

	cr_assert(mock_take_used(&driver, &elem));
	cr_expect_eq(elem.id, head);
	cr_expect_eq(elem.len, len);
}

Test(virtqueue_hold, published_together)
{
	struct virtq_used_elem elem;

	for (uint16_t n = 0; n < 4; n++)
		mock_submit_buffer(&driver, n, 100, WRITE);
	take(0, 1);
	hold_first(1, 2);
	take(2, 3);
	expect_used(0, 1);
	cr_expect_not(mock_take_used(&driver, &elem), "not yet");
	virtqueue_publish(&vq);
	expect_used(1, 2);
	expect_used(2, 3);
	take(3, 4);
	expect_used(3, 4);
	cr_expect_eq(report.requests, 4);
	cr_expect_eq(report.bytes_from_device, 10);
}

Test(virtqueue_hold, rewound_as_if_nothing_had_been_popped)
{
	struct virtq_used_elem elem;

	for (uint16_t n = 0; n < 4; n++)
		mock_submit_buffer(&driver, n, 100, WRITE);
	take(0, 1);
	hold_first(1, 2);
	take(2, 3);
	virtqueue_rewind(&vq);
	expect_used(0, 1);
	cr_expect_not(mock_take_used(&driver, &elem));
	cr_expect_eq(report.requests, 1);
	cr_expect_eq(report.bytes_from_device, 1);
	for (uint16_t n = 1; n < 4; n++) {
		take(n, 10 * n);
		expect_used(n, 10 * n);
	}
	cr_expect_not(virtqueue_finish(&vq, true));
}

Test(virtqueue_hold, malformed_chains_in_between_go_with_the_others)
{
	struct virtq_used_elem elem;

	mock_submit_buffer(&driver, 0, 100, WRITE);
	mock_submit_buffer(&driver, 1, 100, VIRTQ_DESC_F_INDIRECT);
	mock_submit_buffer(&driver, 2, 100, WRITE);
	for (int round = 0; round < 2; round++) {
		hold_first(0, 1);
		take(2, 3);
		cr_expect_not(mock_take_used(&driver, &elem));
		if (!round)
			virtqueue_rewind(&vq);
	}
	virtqueue_publish(&vq);
	expect_used(0, 1);
	expect_used(1, 0);
	expect_used(2, 3);
	cr_expect_not(mock_take_used(&driver, &elem));
}

Test(virtqueue_hold, the_budget_does_not_end_in_between_but_counts)
{
	struct virtqueue_chain chain;

	for (uint16_t n = 0; n < SIZE; n++)
		mock_submit_buffer(&driver, n, 8, WRITE);
	for (uint16_t n = 0; n < SIZE - 2; n++)
		take(n, 1);
	hold_first(SIZE - 2, 1);
	take(SIZE - 1, 1);
	/* The driver has been quick. */
	for (uint16_t n = 0; n < 3; n++)
		mock_submit_buffer(&driver, n, 8, WRITE);
	take(0, 1);
	virtqueue_publish(&vq);
	cr_expect_eq(virtqueue_pop(&vq, &chain), 0, "the batch is over");
	cr_expect(virtqueue_finish(&vq, true));
	virtqueue_begin(&vq);
	take(1, 1);
}

Test(virtqueue_hold, chains_that_are_held_are_not_the_drivers_yet)
{
	struct virtqueue_chain chain;

	for (uint16_t n = 0; n < SIZE; n++)
		mock_submit_buffer(&driver, n, 8, WRITE);
	hold_first(0, 1);
	for (uint16_t n = 1; n < SIZE; n++)
		take(n, 1);
	mock_submit_buffer(&driver, 0, 8, WRITE);
	cr_expect_eq(virtqueue_pop(&vq, &chain), -EPROTO, "more than the ring has entries");
	virtqueue_rewind(&vq);
	cr_expect_not(virtqueue_has_chain(&vq));
	cr_expect_not(virtqueue_finish(&vq, true));
}

Test(virtqueue_hold, an_index_that_goes_back_is_no_chain)
{
	struct virtqueue_chain chain;

	for (uint16_t n = 0; n < 3; n++)
		mock_submit_buffer(&driver, n, 8, WRITE);
	take(0, 1);
	hold_first(1, 1);
	take(2, 1);
	/* Behind what was taken, not behind what is held. */
	mock_avail(&driver)->idx--;
	cr_expect_eq(virtqueue_pop(&vq, &chain), -EPROTO);
}

Test(virtqueue_hold, one_interrupt_for_all)
{
	for (uint16_t n = 0; n < 3; n++)
		mock_submit_buffer(&driver, n, 100, WRITE);
	*mock_used_event(&driver) = 65535;
	hold_first(0, 1);
	take(1, 1);
	virtqueue_publish(&vq);
	virtqueue_finish(&vq, true);
	cr_expect(virtqueue_should_notify(&vq));
	cr_expect_not(virtqueue_should_notify(&vq));
}

Test(virtqueue_hold, a_broken_ring_is_not_touched)
{
	struct virtqueue_chain chain;
	struct virtq_used_elem elem;

	mock_submit_buffer(&driver, 0, 100, WRITE);
	mock_submit_buffer(&driver, 1, 100, WRITE);
	mock_set_desc(mock_desc_table(&driver), 1, (struct virtq_desc){ 0x1000, 64, WRITE, 0 });
	hold_first(0, 1);
	cr_expect_lt(virtqueue_pop(&vq, &chain), 0);
	virtqueue_publish(&vq);
	cr_expect_not(mock_take_used(&driver, &elem));
}
