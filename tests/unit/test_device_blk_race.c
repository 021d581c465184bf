/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The header of a request that another vCPU changes while the device reads it: it is fetched once. */
#include "tests/unit/blk_bench.h"
#include "tests/unit/flipper.h"

#define GOOD_SECTOR  7u
#define OTHER_SECTOR 9u
#define FAR_SECTOR   0x7fffffffffffffffull

#define HEADER (MOCK_BASE + 0x100000)
#define STATUS (MOCK_BASE + 0x101000)
#define DATA   (MOCK_BASE + 0x200000)

static void make_request(struct mock_driver *driver)
{
	struct virtq_desc *table = mock_desc_table(driver);

	mock_set_desc(table, 0, (struct virtq_desc){ HEADER, 16, VIRTQ_DESC_F_NEXT, 1 });
	mock_set_desc(table, 1, (struct virtq_desc){ DATA, 512, W | VIRTQ_DESC_F_NEXT, 2 });
	mock_set_desc(table, 2, (struct virtq_desc){ STATUS, 1, W, 0 });
}

/* Reads over and over, while 8 bytes at @offset of the header change; counts each status in @seen. */
static void race(struct flipper *flipper, uint64_t sector, size_t offset, unsigned int seen[3])
{
	struct blk_bench b;
	struct mock_driver *driver = &b.fe.queues[0];

	blk_bench_start(&b, blk_bench_file(SECTORS, 0), NULL, 1, 8);
	make_request(driver);
	*(uint64_t *)mock_ptr(driver, HEADER + 8) = htole64(sector);
	flipper_start(flipper, mock_ptr(driver, HEADER + offset), sizeof(uint64_t));
	while (!flipper_done(flipper) || !seen[OK]) {
		uint8_t *data = mock_ptr(driver, DATA);
		uint8_t status;

		mock_submit(driver, 0);
		mock_complete(&b.fe, 0);
		status = *(uint8_t *)mock_ptr(driver, STATUS);
		cr_assert_leq(status, UNSUPP);
		seen[status]++;
		if (status != OK)
			continue;
		/* One of the sectors, and all of it. */
		cr_assert(data[0] == GOOD_SECTOR || data[0] == OTHER_SECTOR, "%u", data[0]);
		cr_assert_eq(memcmp(data, data + 1, 511), 0);
	}
	flipper_stop(flipper);
	mock_stop(&b.fe);
}

Test(device_blk_race, sector_beyond_the_end, .timeout = 120)
{
	struct flipper flipper = { .good = GOOD_SECTOR, .bad = FAR_SECTOR };
	unsigned int seen[3] = { 0 };

	race(&flipper, GOOD_SECTOR, 8, seen);
	cr_expect_eq(seen[UNSUPP], 0);
}

Test(device_blk_race, one_sector_or_the_other, .timeout = 120)
{
	struct flipper flipper = { .good = GOOD_SECTOR, .bad = OTHER_SECTOR };
	unsigned int seen[3] = { 0 };

	race(&flipper, GOOD_SECTOR, 8, seen);
	cr_expect_eq(seen[IOERR] + seen[UNSUPP], 0);
}

Test(device_blk_race, type_that_is_not_known, .timeout = 120)
{
	struct flipper flipper = { .good = IN, .bad = 0xffffffff };
	unsigned int seen[3] = { 0 };

	race(&flipper, GOOD_SECTOR, 0, seen);
	cr_expect_eq(seen[IOERR], 0);
}
