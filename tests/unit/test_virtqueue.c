/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The split ring as a well-behaved driver uses it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/unit/mock_driver.h"

#define BASE 0x40000000ull
#define SIZE 8

#define NEXT	 VIRTQ_DESC_F_NEXT
#define WRITE	 VIRTQ_DESC_F_WRITE
#define INDIRECT VIRTQ_DESC_F_INDIRECT

static uint8_t memory[65536] __attribute__((aligned(4096)));
static struct device_report_wire report;
static struct dma_space space = { .report = &report };
static struct virtqueue vq;
static struct mock_driver driver;

static void start_at(uint16_t index, bool event_idx)
{
	struct virtqueue_layout layout;

	mock_driver_init(&driver, memory, BASE, BASE + 0x100, SIZE, index);
	layout = mock_layout(&driver);
	layout.event_idx = event_idx;
	cr_assert_eq(virtqueue_start(&vq, &layout), 0);
	virtqueue_begin(&vq);
}

static void set_up(void)
{
	const struct dma_window window = { BASE,   sizeof(memory),	   BASE,
					   memory, PROT_READ | PROT_WRITE, 0 };

	cr_assert_eq(dma_add_window(&space, &window), 0);
	cr_assert_eq(virtqueue_init(&vq, &space, 0, SIZE), 0);
	start_at(0, true);
}

static void tear_down(void)
{
	virtqueue_destroy(&vq);
}

TestSuite(virtqueue, .init = set_up, .fini = tear_down);

Test(virtqueue, empty_ring)
{
	struct virtqueue_chain chain;

	cr_expect_eq(virtqueue_pop(&vq, &chain), 0);
	cr_expect_not(virtqueue_has_chain(&vq));
	cr_expect_not(virtqueue_finish(&vq, true));
	cr_expect_not(virtqueue_should_notify(&vq));
}

Test(virtqueue, chain_of_both_kinds)
{
	struct virtq_desc *table = mock_desc_table(&driver);
	uint64_t a = mock_alloc(&driver, 16), b = mock_alloc(&driver, 100);
	uint64_t c = mock_alloc(&driver, 512), d = mock_alloc(&driver, 1);
	struct virtqueue_chain chain;
	struct virtq_used_elem elem;

	/* In an order of its own, as a driver that recycles descriptors would have it. */
	mock_set_desc(table, 5, (struct virtq_desc){ a, 16, NEXT, 2 });
	mock_set_desc(table, 2, (struct virtq_desc){ b, 100, NEXT, 7 });
	mock_set_desc(table, 7, (struct virtq_desc){ c, 512, NEXT | WRITE, 0 });
	mock_set_desc(table, 0, (struct virtq_desc){ d, 1, WRITE, 0 });
	mock_submit(&driver, 5);

	cr_assert(virtqueue_has_chain(&vq));
	cr_assert_eq(virtqueue_pop(&vq, &chain), 1);
	cr_expect_eq(chain.head, 5);
	cr_assert_eq(chain.readable.count, 2);
	cr_assert_eq(chain.writable.count, 2);
	cr_expect_eq(chain.readable_len, 116);
	cr_expect_eq(chain.writable_len, 513);
	cr_expect_eq(chain.readable.iov[0].iov_base, mock_ptr(&driver, a));
	cr_expect_eq(chain.readable.iov[1].iov_len, 100);
	cr_expect_eq(chain.writable.iov[0].iov_base, mock_ptr(&driver, c));
	cr_expect_eq(chain.writable.iov[1].iov_base, mock_ptr(&driver, d));

	cr_expect_not(mock_take_used(&driver, &elem), "not complete yet");
	virtqueue_push(&vq, &chain, 513);
	cr_assert(mock_take_used(&driver, &elem));
	cr_expect_eq(elem.id, 5);
	cr_expect_eq(elem.len, 513);
	cr_expect_eq(report.requests, 1);
	cr_expect_eq(report.bytes_to_device, 116);
	cr_expect_eq(report.bytes_from_device, 513);
	cr_expect_eq(report.addresses_inside[DMA_BUFFER], 4);
	cr_expect_eq(report.addresses_inside[DMA_RING], 3);
}

Test(virtqueue, indirect_table)
{
	/* Not even aligned: the specification asks for nothing. */
	uint64_t at = mock_alloc(&driver, 3 * sizeof(struct virtq_desc) + 3) + 3;
	struct virtq_desc inner[3] = {
		{ BASE + 0x1000, 16, NEXT, 2 },
		{ BASE + 0x3000, 1, WRITE, 0 },
		{ BASE + 0x2000, 512, NEXT | WRITE, 1 },
	};
	struct virtqueue_chain chain;

	memcpy(mock_ptr(&driver, at), inner, sizeof(inner));
	/* WRITE on the descriptor itself is to be ignored (2.7.5.3.2). */
	mock_set_desc(mock_desc_table(&driver), 3,
		      (struct virtq_desc){ at, sizeof(inner), INDIRECT | WRITE, 0 });
	mock_submit(&driver, 3);
	cr_assert_eq(virtqueue_pop(&vq, &chain), 1);
	cr_expect_eq(chain.head, 3);
	cr_expect_eq(chain.readable.count, 1);
	cr_assert_eq(chain.writable.count, 2);
	cr_expect_eq(chain.writable.iov[1].iov_base, mock_ptr(&driver, BASE + 0x3000));
	cr_expect_eq(report.addresses_inside[DMA_INDIRECT_TABLE], 1);
}

Test(virtqueue, indirect_table_behind_direct_descriptors)
{
	uint64_t at = mock_alloc(&driver, sizeof(struct virtq_desc));
	struct virtq_desc *table = mock_desc_table(&driver);
	struct virtqueue_chain chain;

	mock_set_desc(mock_ptr(&driver, at), 0, (struct virtq_desc){ BASE, 4, WRITE, 0 });
	mock_set_desc(table, 0, (struct virtq_desc){ BASE, 16, NEXT, 1 });
	mock_set_desc(table, 1, (struct virtq_desc){ at, 16, INDIRECT, 0 });
	mock_submit(&driver, 0);
	cr_assert_eq(virtqueue_pop(&vq, &chain), 1);
	cr_expect_eq(chain.readable_len, 16);
	cr_expect_eq(chain.writable_len, 4);
}

/* One by one, so that also the used entries are seen to come at the right places. */
static void run_requests(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct virtqueue_chain chain;
		struct virtq_used_elem elem;

		driver.next_free = BASE + 0x1000;
		mock_submit_buffer(&driver, i % SIZE, 64, WRITE);
		virtqueue_begin(&vq);
		cr_assert_eq(virtqueue_pop(&vq, &chain), 1, "request %u", i);
		cr_assert_eq(chain.head, i % SIZE);
		virtqueue_push(&vq, &chain, i);
		cr_assert(mock_take_used(&driver, &elem));
		cr_assert_eq(elem.id, i % SIZE);
		cr_assert_eq(elem.len, i);
		cr_assert_not(virtqueue_finish(&vq, true));
	}
}

Test(virtqueue, indices_wrap)
{
	run_requests(3 * 65536);
}

Test(virtqueue, starts_at_any_index)
{
	start_at(65530, true);
	run_requests(20);
	cr_expect_eq(mock_used(&driver)->idx, (uint16_t)(65530 + 20));
}

Test(virtqueue, longest_chain)
{
	struct virtq_desc *table = mock_desc_table(&driver);
	struct virtqueue_chain chain;

	for (uint16_t i = 0; i < SIZE; i++)
		mock_set_desc(table, i,
			      (struct virtq_desc){ BASE + i, 1, i < SIZE - 1 ? NEXT : 0, i + 1 });
	mock_submit(&driver, 0);
	cr_assert_eq(virtqueue_pop(&vq, &chain), 1);
	cr_expect_eq(chain.readable.count, SIZE);
}

Test(virtqueue, empty_descriptors_name_no_memory)
{
	struct virtq_desc *table = mock_desc_table(&driver);
	struct virtqueue_chain chain;

	mock_set_desc(table, 0, (struct virtq_desc){ 0xbad, 0, NEXT, 1 });
	mock_set_desc(table, 1, (struct virtq_desc){ BASE, 8, NEXT, 2 });
	mock_set_desc(table, 2, (struct virtq_desc){ 0xbad, 0, NEXT | WRITE, 3 });
	mock_set_desc(table, 3, (struct virtq_desc){ BASE + 8, 8, WRITE, 0 });
	mock_submit(&driver, 0);
	cr_assert_eq(virtqueue_pop(&vq, &chain), 1);
	cr_expect_eq(chain.readable.count, 1);
	cr_expect_eq(chain.writable.count, 1);
	cr_expect_eq(report.nr_violations, 0);
}

Test(virtqueue, unpop_gives_the_chain_back)
{
	struct virtqueue_chain chain;

	mock_submit_buffer(&driver, 4, 10, WRITE);
	cr_assert_eq(virtqueue_pop(&vq, &chain), 1);
	virtqueue_unpop(&vq);
	cr_expect(virtqueue_has_chain(&vq));
	cr_assert_eq(virtqueue_pop(&vq, &chain), 1);
	cr_expect_eq(chain.head, 4);
	cr_expect_eq(virtqueue_pop(&vq, &chain), 0);
}

Test(virtqueue, drop_completes_with_length_0)
{
	struct virtqueue_chain chain;
	struct virtq_used_elem elem;

	mock_submit_buffer(&driver, 4, 10, WRITE);
	cr_assert_eq(virtqueue_pop(&vq, &chain), 1);
	virtqueue_drop(&vq, &chain);
	cr_assert(mock_take_used(&driver, &elem));
	cr_expect_eq(elem.id, 4);
	cr_expect_eq(elem.len, 0);
	cr_expect_eq(report.malformed_chains, 1);
	cr_expect_eq(report.requests, 0);
}

Test(virtqueue, no_kicks_during_a_batch_with_event_idx)
{
	struct virtqueue_chain chain;

	cr_expect_not(virtqueue_finish(&vq, true));
	cr_expect_eq(*mock_avail_event(&driver), 0, "kick me for the first");
	mock_submit_buffer(&driver, 0, 1, 0);
	virtqueue_begin(&vq);
	while (virtqueue_pop(&vq, &chain) > 0)
		;
	cr_expect_eq(*mock_avail_event(&driver), 0, "index 0 has passed: no kick");
	cr_expect_not(virtqueue_finish(&vq, true));
	cr_expect_eq(*mock_avail_event(&driver), 1, "kick me for the next");

	mock_submit_buffer(&driver, 1, 1, 0);
	virtqueue_begin(&vq);
	cr_expect_eq(virtqueue_pop(&vq, &chain), 1);
	cr_expect_not(virtqueue_finish(&vq, false), "a device that waits for its host");
	cr_expect_eq(*mock_avail_event(&driver), 1, "... does not ask");
}

Test(virtqueue, no_kicks_during_a_batch_without_event_idx)
{
	struct virtqueue_chain chain;

	start_at(0, false);
	cr_expect_eq(mock_used(&driver)->flags, VIRTQ_USED_F_NO_NOTIFY);
	mock_submit_buffer(&driver, 0, 1, 0);
	cr_expect_eq(virtqueue_pop(&vq, &chain), 1);
	cr_expect_not(virtqueue_finish(&vq, false));
	cr_expect_eq(mock_used(&driver)->flags, VIRTQ_USED_F_NO_NOTIFY);
	cr_expect_not(virtqueue_finish(&vq, true));
	cr_expect_eq(mock_used(&driver)->flags, 0);
	cr_expect_eq(*mock_avail_event(&driver), 0, "not ours to write");
}

Test(virtqueue, chains_that_come_in_at_the_last_moment_are_seen)
{
	struct virtqueue_chain chain;

	cr_expect_eq(virtqueue_pop(&vq, &chain), 0);
	mock_submit_buffer(&driver, 0, 1, 0);
	cr_expect(virtqueue_finish(&vq, true));
	cr_expect_eq(virtqueue_pop(&vq, &chain), 1);
	cr_expect_not(virtqueue_finish(&vq, true));
}

Test(virtqueue, batch_is_bounded)
{
	struct virtqueue_chain chain;
	unsigned int n = 0;

	/* The driver adds one for each that is taken: it would never end. */
	mock_submit_buffer(&driver, 0, 1, 0);
	while (virtqueue_pop(&vq, &chain) > 0) {
		virtqueue_push(&vq, &chain, 0);
		mock_submit(&driver, 0);
		cr_assert_leq(++n, SIZE);
	}
	cr_expect_eq(n, SIZE);
	cr_expect_not(virtqueue_has_chain(&vq));
	cr_expect(virtqueue_finish(&vq, true), "more is waiting");
	virtqueue_begin(&vq);
	cr_expect_eq(virtqueue_pop(&vq, &chain), 1);
}

Test(virtqueue, batch_of_malformed_chains_is_bounded)
{
	struct virtqueue_chain chain;

	mock_set_desc(mock_desc_table(&driver), 0, (struct virtq_desc){ BASE, 1, NEXT, 0 });
	for (unsigned int i = 0; i < SIZE; i++)
		mock_submit(&driver, 0);
	cr_expect_eq(virtqueue_pop(&vq, &chain), 0);
	cr_expect_eq(report.malformed_chains, SIZE);
	cr_expect_eq(vq.budget, 0);
}

/* Completes @n requests and asks whether the driver is to be told. */
static bool notify_after(unsigned int n)
{
	while (n--) {
		struct virtqueue_chain chain;

		driver.next_free = BASE + 0x1000;
		mock_submit_buffer(&driver, 0, 1, 0);
		virtqueue_begin(&vq);
		cr_assert_eq(virtqueue_pop(&vq, &chain), 1);
		virtqueue_push(&vq, &chain, 0);
	}
	virtqueue_finish(&vq, true);
	return virtqueue_should_notify(&vq);
}

Test(virtqueue, interrupts_with_event_idx)
{
	static const struct {
		unsigned int completed;
		uint16_t event; /* used_event, relative to used.idx before */
		bool notify;
	} cases[] = {
		{ 1, 0, true }, { 1, 1, false }, { 1, 0xffff, false }, { 3, 0, true },
		{ 3, 2, true }, { 3, 3, false }, { 0, 0, false },      { 1, 0x8000, false },
		{ 8, 7, true }, { 8, 8, false },
	};

	/* 70000 requests take the indices across 65535. */
	for (unsigned int round = 0; round < 3000; round++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			*mock_used_event(&driver) = mock_used(&driver)->idx + cases[i].event;
			cr_assert_eq(notify_after(cases[i].completed), cases[i].notify,
				     "round %u, case %zu", round, i);
		}
	}
}

Test(virtqueue, interrupts_without_event_idx)
{
	start_at(0, false);
	*mock_used_event(&driver) = 1000;
	cr_expect(notify_after(1), "used_event means nothing");
	cr_expect_not(notify_after(0));
	mock_avail(&driver)->flags = VIRTQ_AVAIL_F_NO_INTERRUPT;
	cr_expect_not(notify_after(1));
	mock_avail(&driver)->flags = 0xfffe;
	cr_expect(notify_after(1), "other bits mean nothing");
}
