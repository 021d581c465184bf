/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What one request left in a device's memory is never the answer to another. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/blk_bench.h"

#define SECRET 0x5a

static uint8_t data[4096];

/* How many bytes of the secret the last answer contains. */
static unsigned int secrets_in_answer(void)
{
	unsigned int n = 0;

	for (size_t i = 0; i < sizeof(data); i++)
		n += data[i] == SECRET;
	return n;
}

/*
 * @cache: "none" goes through a buffer of the device's own, in pieces that direct I/O does not take.
 * A request reads the secret; then the file lost its end, and another asks for what is no longer there.
 */
static void read_after_secret(const char *cache)
{
	const char *const settings[] = { cache, NULL };
	const struct blk_request gone = { "gone", IN,  64, 16, 0,     sizeof(data),
					  W,	  100, 1,  W,  IOERR, 1 };
	int file = blk_bench_direct_file(128);
	struct blk_bench b;

	for (int sector = 0; sector < 8; sector++) {
		memset(data, SECRET, 512);
		cr_assert_eq(pwrite(file, data, 512, sector * 512), 512);
	}
	blk_bench_start(&b, file, settings, 1, 64);
	blk_bench_read(&b, 0, sizeof(data), 100, data);
	cr_expect_eq(secrets_in_answer(), sizeof(data), "what was asked for");
	cr_assert_eq(ftruncate(file, 8 * 512), 0);
	memset(data, 0, sizeof(data));
	blk_bench_perform(&b, &gone, data);
	cr_expect_eq(secrets_in_answer(), 0, "%s", cache);
	cr_expect_eq(mock_stop(&b.fe), 0);
	close(file);
}

Test(device_blk_stale, a_read_that_fails_has_nothing_of_the_one_before)
{
	read_after_secret("cache=writeback");
	read_after_secret("cache=none");
}
