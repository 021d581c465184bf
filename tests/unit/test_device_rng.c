/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* virtio-rng through a whole vhost-user session. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/mock_frontend.h"

static const struct device_options no_options = { 0 };
static struct mock_frontend fe;

static void set_up(void)
{
	mock_start(&fe, "rng", &no_options, false);
	mock_connect(&fe, 1, 64);
}

static void tear_down(void)
{
	cr_expect_eq(mock_stop(&fe), 0);
}

TestSuite(device_rng, .init = set_up, .fini = tear_down);

Test(device_rng, fills_what_is_offered)
{
	static const uint8_t zero[64];
	uint64_t addr = mock_submit_buffer(&fe.queues[0], 0, 64, VIRTQ_DESC_F_WRITE);
	uint64_t behind = mock_alloc(&fe.queues[0], 64);
	struct virtq_used_elem elem = mock_complete(&fe, 0);

	cr_expect_eq(elem.id, 0);
	cr_expect_eq(elem.len, 64);
	cr_expect_neq(memcmp(mock_ptr(&fe.queues[0], addr), zero, 64), 0);
	cr_expect_eq(memcmp(mock_ptr(&fe.queues[0], behind), zero, 64), 0);
	cr_expect(mock_signalled(fe.call[0], MOCK_TIMEOUT));
}

Test(device_rng, one_request_is_capped)
{
	struct virtq_used_elem elem;

	mock_submit_buffer(&fe.queues[0], 0, 65536 + 4096, VIRTQ_DESC_F_WRITE);
	elem = mock_complete(&fe, 0);
	cr_expect_eq(elem.len, 65536);
	cr_expect_eq(mock_report(&fe).bytes_from_device, 65536);
}

Test(device_rng, the_cap_is_over_all_buffers)
{
	struct mock_driver *driver = &fe.queues[0];
	struct virtq_desc *table = mock_desc_table(driver);
	uint64_t addr = mock_alloc(driver, 40000);

	for (uint16_t i = 0; i < 64; i++)
		mock_set_desc(
			table, i,
			(struct virtq_desc){ addr, 40000,
					     VIRTQ_DESC_F_WRITE | (i < 63 ? VIRTQ_DESC_F_NEXT : 0),
					     i + 1 });
	mock_submit(driver, 0);
	cr_expect_eq(mock_complete(&fe, 0).len, 65536);
}

Test(device_rng, nothing_to_write_to)
{
	mock_submit_buffer(&fe.queues[0], 0, 64, 0);
	cr_expect_eq(mock_complete(&fe, 0).len, 0);
	mock_submit_buffer(&fe.queues[0], 1, 0, VIRTQ_DESC_F_WRITE);
	cr_expect_eq(mock_complete(&fe, 0).len, 0);
	cr_expect_eq(mock_report(&fe).malformed_chains, 2);
	mock_submit_buffer(&fe.queues[0], 2, 8, VIRTQ_DESC_F_WRITE);
	cr_expect_eq(mock_complete(&fe, 0).len, 8, "goes on");
}
