/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Queues of a whole device, in windows that begin inside a page and in windows that move. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/mock_frontend.h"

#define MOVED	   0x5000000000ull
#define MOVED_USER 0x6000000000ull

static const struct device_options no_options = { 0 };
static struct mock_frontend fe;

/* The device fills a buffer, and nothing beside it. */
static void expect_served(const char *what)
{
	const struct mock_driver *driver = &fe.queues[0];
	const uint64_t addr = mock_submit_buffer(&fe.queues[0], 3, 64, VIRTQ_DESC_F_WRITE);
	const uint8_t *buffer = mock_ptr(driver, addr);
	static const uint8_t zeroes[64];
	const struct virtq_used_elem used = mock_complete(&fe, 0);

	cr_expect_eq(used.id, 3, "%s", what);
	cr_expect_eq(used.len, 64, "%s", what);
	cr_expect_neq(memcmp(buffer, zeroes, 64), 0, "%s", what);
	cr_expect_arr_eq(buffer + 64, zeroes, 64, "%s", what);
}

/* Address 1 is byte 1 of the file, as with VIRTIO_F_DMB; addresses of the front-end likewise. */
static void start_with_offsets(void)
{
	mock_start(&fe, "rng", &no_options, false);
	fe.window = (struct vhost_user_memory_region){ 1, MOCK_POOL - 1, 1, 1 };
	mock_connect(&fe, 1, 64);
}

Test(device_windows, a_queue_works_in_a_window_of_offsets)
{
	start_with_offsets();
	cr_expect_eq(mock_ptr(&fe.queues[0], 4096), fe.pool + 4096, "an address is an offset");
	expect_served("window of offsets");
	cr_expect_eq(mock_report(&fe).nr_violations, 0);
	cr_expect_eq(mock_stop(&fe), 0);
}

/* Both lie in the same page as the window, or behind it by one byte. */
Test(device_windows, bytes_beside_a_window_of_offsets_are_not_reached)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
	} cases[] = { { 0, 1 }, { 0, 64 }, { MOCK_POOL, 1 }, { MOCK_POOL - 63, 64 } };

	start_with_offsets();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct virtq_desc desc = { cases[i].addr, cases[i].len, VIRTQ_DESC_F_WRITE,
						 0 };
		const uint32_t violations = mock_report(&fe).nr_violations;

		mock_set_desc(mock_desc_table(&fe.queues[0]), 5, desc);
		mock_submit(&fe.queues[0], 5);
		mock_kick(&fe, 0);
		cr_expect(mock_signalled(fe.err[0], MOCK_TIMEOUT), "case %zu", i);
		cr_expect_eq(mock_report(&fe).nr_violations, violations + 1, "case %zu", i);
		cr_expect_eq(fe.pool[0], 0, "case %zu", i);
		mock_stop_queue(&fe, 0);
		mock_start_queue(&fe, 0, 64);
	}
	expect_served("after them");
	mock_stop(&fe);
}

Test(device_windows, a_window_moves_while_no_queue_runs)
{
	uint64_t old;

	mock_start(&fe, "rng", &no_options, false);
	mock_connect(&fe, 1, 64);
	expect_served("before");
	old = fe.queues[0].next_free;
	mock_stop_queue(&fe, 0);
	cr_assert_eq(mock_move_pool(&fe, MOVED, MOVED_USER), 0);
	mock_start_queue(&fe, 0, 64);
	expect_served("after");
	cr_expect_eq(mock_report(&fe).nr_violations, 0);

	mock_set_desc(mock_desc_table(&fe.queues[0]), 9,
		      (struct virtq_desc){ old, 16, VIRTQ_DESC_F_WRITE, 0 });
	mock_submit(&fe.queues[0], 9);
	mock_kick(&fe, 0);
	cr_expect(mock_signalled(fe.err[0], MOCK_TIMEOUT), "the old address");
	cr_expect_eq(mock_report(&fe).violations[0].dma_addr, old);
	mock_stop(&fe);
}

/* A queue that is started again without new addresses has those of before. */
Test(device_windows, rings_do_not_move_with_the_window)
{
	mock_start(&fe, "rng", &no_options, false);
	mock_connect(&fe, 1, 64);
	mock_stop_queue(&fe, 0);
	cr_assert_eq(mock_move_pool(&fe, MOVED, MOVED_USER), 0);
	cr_expect_eq(mock_ack_u64(&fe, VHOST_USER_SET_VRING_KICK, 0, fe.kick[0]), 1, "refused");
	cr_expect_gt(mock_report(&fe).addresses_outside[DMA_RING], 0);
	mock_stop_queue(&fe, 0);
	mock_start_queue(&fe, 0, 64);
	expect_served("new rings");
	mock_stop(&fe);
}

/* A move maps nothing, which the sealed process could not do. */
Test(device_windows, a_confined_device_moves_its_window_again_and_again)
{
	mock_start(&fe, "rng", &no_options, true);
	mock_connect(&fe, 1, 64);
	for (uint64_t i = 1; i <= 50; i++) {
		mock_stop_queue(&fe, 0);
		cr_assert_eq(mock_move_pool(&fe, i << 32, i << 33), 0, "move %d", (int)i);
		mock_start_queue(&fe, 0, 64);
	}
	expect_served("after 50 moves");
	cr_expect_eq(mock_stop(&fe), 0);
}
