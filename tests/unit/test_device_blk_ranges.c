/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* virtio-blk: DISCARD and WRITE_ZEROES, with ranges good and bad (virtio 1.3, 5.2.6). */
#include <criterion/criterion.h>
#include <endian.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/blk_bench.h"

#define UNMAP	   1
#define MAX_RANGES 33

static struct blk_bench b;
static uint8_t model[SECTORS * 512 + TAIL];

static void set_up(void)
{
	blk_bench_start(&b, blk_bench_file(SECTORS, TAIL), NULL, 1, 256);
	cr_assert_eq(pread(b.file, model, sizeof(model), 0), (ssize_t)sizeof(model));
}

static void tear_down(void)
{
	cr_expect_eq(mock_stop(&b.fe), 0);
	close(b.file);
}

TestSuite(device_blk_ranges, .init = set_up, .fini = tear_down);

struct range {
	uint64_t sector;
	uint32_t num_sectors;
	uint32_t flags;
};

struct clearing {
	const char *what;
	uint32_t type;
	uint8_t status;
	uint32_t len;	/* bytes of ranges */
	uint32_t piece; /* of a descriptor; 0: one for all */
	struct range ranges[3];
};

static void perform(const struct clearing *c, void *ranges)
{
	const struct blk_request request = { c->what, c->type,	0, 16, 0,	  c->len,
					     0,	      c->piece, 1, W,  c->status, 1 };

	blk_bench_perform(&b, &request, ranges);
}

static void expect_content(const char *what)
{
	uint8_t *content = blk_bench_content(&b, sizeof(model));
	struct stat st;

	cr_expect_eq(memcmp(content, model, sizeof(model)), 0, "%s", what);
	free(content);
	cr_expect_eq(fstat(b.file, &st), 0);
	cr_expect_eq(st.st_size, (off_t)sizeof(model), "%s", what);
}

static const struct clearing clearings[] = {
	{ "one sector", DISCARD, OK, 16, 0, { { 3, 1, 0 } } },
	{ "page by page", DISCARD, OK, 48, 0, { { 8, 8, 0 }, { 24, 8, 0 }, { 32, 16, 0 } } },
	{ "one on the other", DISCARD, OK, 32, 0, { { 60, 8, 0 }, { 63, 8, 0 } } },
	{ "in small pieces", DISCARD, OK, 32, 7, { { 90, 1, 0 }, { 92, 1, 0 } } },
	{ "the last sector", DISCARD, OK, 16, 0, { { SECTORS - 1, 1, 0 } } },
	{ "no sector", DISCARD, OK, 16, 0, { { 5, 0, 0 } } },
	{ "no sector at the end", DISCARD, OK, 16, 0, { { SECTORS, 0, 0 } } },
	{ "zero one", WRITE_ZEROES, OK, 16, 0, { { 1, 1, 0 } } },
	{ "zero and unmap", WRITE_ZEROES, OK, 16, 0, { { 16, 8, UNMAP } } },
	{ "zero the last ones", WRITE_ZEROES, OK, 16, 5, { { SECTORS - 3, 3, 0 } } },
	{ "zero none", WRITE_ZEROES, OK, 16, 0, { { 7, 0, UNMAP } } },

	{ "nothing", DISCARD, IOERR, 0, 0, { { 0 } } },
	{ "15 bytes", DISCARD, IOERR, 15, 0, { { 10, 1, 0 } } },
	{ "17 bytes", DISCARD, IOERR, 17, 0, { { 10, 1, 0 } } },
	{ "a range and a half", DISCARD, IOERR, 24, 0, { { 10, 1, 0 } } },
	{ "at the capacity", DISCARD, IOERR, 16, 0, { { SECTORS, 1, 0 } } },
	{ "across it", DISCARD, IOERR, 16, 0, { { SECTORS - 1, 2, 0 } } },
	{ "of 2^32 - 1", DISCARD, IOERR, 16, 0, { { 10, UINT32_MAX, 0 } } },
	{ "wraps", DISCARD, IOERR, 16, 0, { { UINT64_MAX, 2, 0 } } },
	{ "bytes wrap", DISCARD, IOERR, 16, 0, { { 1ull << 55, 1, 0 } } },
	{ "bytes wrap to 10", DISCARD, IOERR, 16, 0, { { (1ull << 55) + 10, 1, 0 } } },
	{ "the second is bad", DISCARD, IOERR, 32, 0, { { 10, 1, 0 }, { SECTORS, 1, 0 } } },
	{ "zero nothing", WRITE_ZEROES, IOERR, 0, 0, { { 0 } } },
	{ "zero 8 bytes", WRITE_ZEROES, IOERR, 8, 0, { { 10, 1, 0 } } },
	{ "zero across it", WRITE_ZEROES, IOERR, 16, 0, { { SECTORS - 1, 2, UNMAP } } },
	{ "zero, wraps", WRITE_ZEROES, IOERR, 16, 0, { { UINT64_MAX - 1, 10, 0 } } },
	{ "zero two", WRITE_ZEROES, IOERR, 32, 0, { { 10, 1, 0 }, { 12, 1, 0 } } },

	{ "discard and unmap", DISCARD, UNSUPP, 16, 0, { { 10, 1, UNMAP } } },
	{ "reserved flag", DISCARD, UNSUPP, 16, 0, { { 10, 1, 2 } } },
	{ "the second has one", DISCARD, UNSUPP, 32, 0, { { 10, 1, 0 }, { 12, 1, 1u << 31 } } },
	{ "zero, reserved flag", WRITE_ZEROES, UNSUPP, 16, 0, { { 10, 1, UNMAP | 2 } } },
	{ "zero, last flag", WRITE_ZEROES, UNSUPP, 16, 0, { { 10, 1, 1u << 31 } } },
};

Test(device_blk_ranges, good_and_bad)
{
	for (size_t i = 0; i < sizeof(clearings) / sizeof(clearings[0]); i++) {
		const struct clearing *c = &clearings[i];
		struct range ranges[3];

		for (size_t k = 0; k < 3; k++) {
			const struct range *range = &c->ranges[k];

			ranges[k] =
				(struct range){ htole64(range->sector), htole32(range->num_sectors),
						htole32(range->flags) };
			if (c->status == OK)
				memset(model + range->sector * 512, 0, range->num_sectors * 512ull);
		}
		perform(c, ranges);
		expect_content(c->what);
	}
}

Test(device_blk_ranges, as_many_as_are_told)
{
	struct blk_bench_config config = blk_bench_config(&b);
	struct range ranges[MAX_RANGES];
	struct clearing all = { "32", DISCARD, OK, 32 * 16, 0, { { 0 } } };
	struct clearing more = { "33", DISCARD, IOERR, MAX_RANGES * 16, 0, { { 0 } } };

	cr_expect_eq(le32toh(config.max_discard_seg), 32);
	cr_expect_eq(le32toh(config.max_write_zeroes_seg), 1);
	for (uint32_t i = 0; i < MAX_RANGES; i++)
		ranges[i] = (struct range){ htole64(3 * i), htole32(1), 0 };
	perform(&more, ranges);
	expect_content("too many");
	for (size_t i = 0; i < 32; i++)
		memset(model + 3 * i * 512, 0, 512);
	perform(&all, ranges);
	expect_content("all");
}

/* Each limit on a sparse disk that is much larger. */
Test(device_blk_ranges, as_long_as_is_told)
{
	struct blk_bench_config config = blk_bench_config(&b);
	uint32_t limits[] = { le32toh(config.max_discard_sectors),
			      le32toh(config.max_write_zeroes_sectors) };

	cr_assert_eq(ftruncate(b.file, 1ll << 40), 0);
	blk_bench_config(&b);
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t type = i ? WRITE_ZEROES : DISCARD, flags = i ? UNMAP : 0;
		struct range range = { htole64(1 << 20), htole32(limits[i]), htole32(flags) };

		perform(&(struct clearing){ "most", type, OK, 16, 0, { { 0 } } }, &range);
		range.num_sectors = htole32(limits[i] + 1);
		perform(&(struct clearing){ "more", type, IOERR, 16, 0, { { 0 } } }, &range);
	}
}

Test(device_blk_ranges, what_is_told)
{
	struct blk_bench_config config = blk_bench_config(&b);

	cr_expect_eq(le32toh(config.max_discard_sectors), 256 << 11);
	cr_expect_eq(le32toh(config.max_write_zeroes_sectors), 32 << 11);
	cr_expect_eq(le32toh(config.discard_sector_alignment), 8);
	cr_expect_eq(config.write_zeroes_may_unmap, 1);
}

/* Room for more than the status would be room for data. */
Test(device_blk_ranges, the_device_has_nothing_to_write)
{
	static const uint32_t types[] = { DISCARD, WRITE_ZEROES };

	for (size_t i = 0; i < 2; i++) {
		const struct blk_request only = { "writable", types[i], 0, 16, 0,     16,
						  W,	      0,	1, W,  IOERR, 1 };
		const struct blk_request more = { "and room", types[i], 0,  16, 0,     16,
						  0,	      0,	17, W,	IOERR, 1 };
		struct range range = { 0, htole32(8), 0 };

		blk_bench_perform(&b, &only, &range);
		blk_bench_perform(&b, &more, &range);
	}
	expect_content("with room");
}

Test(device_blk_ranges, space_is_given_back_where_that_is_wanted)
{
	static const struct {
		uint32_t type, flags;
		bool less;
	} cases[] = {
		{ WRITE_ZEROES, 0, false },
		{ WRITE_ZEROES, UNMAP, true },
		{ DISCARD, 0, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct clearing c = { "space", cases[i].type, OK, 16, 0, { { 0 } } };
		struct range range = { htole64(32 * i), htole32(32), htole32(cases[i].flags) };
		struct stat before, after;

		cr_expect_eq(fstat(b.file, &before), 0);
		perform(&c, &range);
		cr_expect_eq(fstat(b.file, &after), 0);
		cr_expect_eq(after.st_blocks < before.st_blocks, cases[i].less, "case %zu", i);
	}
}
