/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The file behind a disk: what goes through the bounce buffer, and ways to make zeroes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/blk_file.h"
#include "tests/unit/blk_bench.h"

#define FILE_SECTORS 512u
#define FILE_SIZE    (FILE_SECTORS * BLK_SECTOR_SIZE)
#define BLOCK	     4096u
#define UNTOUCHED    0xa5

static struct blk_file file;
static uint8_t model[FILE_SIZE]; /* what the file should hold */

/* As a disk with sectors of 4 KiB, on a file system that is content with less. */
static void set_up(void)
{
	cr_assert_eq(blk_file_init(&file, blk_bench_direct_file(FILE_SECTORS), false, true), 0);
	file.block_size = BLOCK;
	file.memory_align = BLK_SECTOR_SIZE;
	for (uint32_t i = 0; i < FILE_SIZE; i++)
		model[i] = (uint8_t)(i / BLK_SECTOR_SIZE);
}

static void tear_down(void)
{
	blk_file_destroy(&file);
	close(file.fd);
}

TestSuite(blk_file, .init = set_up, .fini = tear_down);

static void expect_content(const char *what)
{
	static uint8_t content[FILE_SIZE] __attribute__((aligned(4096)));

	cr_assert_eq(pread(file.fd, content, FILE_SIZE, 0), FILE_SIZE);
	cr_expect_eq(memcmp(content, model, FILE_SIZE), 0, "%s", what);
}

struct transfer {
	const char *what;
	uint32_t offset; /* bytes of the file */
	uint32_t skew;	 /* of memory from a page's start */
	uint32_t len;
	uint32_t piece; /* bytes of one range of memory */
	bool bounced;
};

static const struct transfer transfers[] = {
	{ "one block", 8192, 0, 4096, 4096, false },
	{ "three blocks in three pieces", 4096, 0, 12288, 4096, false },
	{ "memory at a sector", 0, 512, 4096, 4096, false },
	{ "memory at 8", 0, 8, 4096, 4096, true },
	{ "the second piece at 8", 4096, 0, 8192, 4104, true },
	{ "a sector at a block's start", 4096, 0, 512, 512, true },
	{ "a sector in the middle", 4096 + 1024, 0, 512, 512, true },
	{ "a sector at a block's end", 8192 - 512, 0, 512, 512, true },
	{ "a block between two", 512, 0, 4096, 4096, true },
	{ "blocks in pieces of a sector", 0, 0, 8192, 512, true },
	{ "blocks in pieces of 7 bytes", 0, 0, 8192, 7, true },
	{ "as much as fits", 0, 1, BLK_BOUNCE_SIZE, BLK_BOUNCE_SIZE, true },
	{ "more than fits", 512, 0, 3 * BLK_BOUNCE_SIZE + 512, 10000, true },
	{ "the last sector", FILE_SIZE - 512, 0, 512, 512, true },
	{ "all but the ends", 512, 3, FILE_SIZE - 1024, FILE_SIZE, true },
};

static uint8_t memory[FILE_SIZE + 4096] __attribute__((aligned(4096)));

static struct dma_buffers cut(const struct transfer *t, struct iovec *iov)
{
	struct dma_buffers buffers = { iov, 0, t->len };

	for (uint32_t at = 0; at < t->len; at += t->piece) {
		uint32_t n = t->len - at < t->piece ? t->len - at : t->piece;

		iov[buffers.count++] = (struct iovec){ memory + t->skew + at, n };
	}
	return buffers;
}

/* Every byte of it, so that nothing goes unnoticed. */
static bool bounce_was_used(void)
{
	for (uint32_t i = 0; i < BLK_BOUNCE_SIZE; i++) {
		if (file.bounce[i] != UNTOUCHED)
			return true;
	}
	return false;
}

static int perform(const struct transfer *t, bool write)
{
	static struct iovec iov[2048];
	struct dma_buffers buffers = cut(t, iov);
	int rc;

	memset(file.bounce, UNTOUCHED, BLK_BOUNCE_SIZE);
	rc = blk_file_transfer(&file, &buffers, write, t->offset);
	cr_expect_eq(bounce_was_used(), t->bounced, "%s", t->what);
	cr_expect(rc || !buffers.count, "%s: all was moved", t->what);
	return rc;
}

Test(blk_file, what_is_not_aligned_is_bounced)
{
	for (size_t i = 0; i < sizeof(transfers) / sizeof(transfers[0]); i++) {
		const struct transfer *t = &transfers[i];

		memset(memory, 0x77, sizeof(memory));
		cr_expect_eq(perform(t, false), 0, "%s", t->what);
		cr_expect_eq(memcmp(memory + t->skew, model + t->offset, t->len), 0, "%s", t->what);
		cr_expect(t->skew == 0 || memory[t->skew - 1] == 0x77, "%s: before", t->what);
		cr_expect_eq(memory[t->skew + t->len], 0x77, "%s: behind", t->what);
		for (uint32_t k = 0; k < t->len; k++)
			memory[t->skew + k] = model[t->offset + k] = (uint8_t)(k * 31 + i);
		cr_expect_eq(perform(t, true), 0, "%s", t->what);
		expect_content(t->what);
	}
}

Test(blk_file, in_the_page_cache_nothing_is_bounced)
{
	struct blk_file cached;
	struct iovec iov = { memory + 8, 512 };
	struct dma_buffers buffers = { &iov, 1, 512 };

	cr_assert_eq(blk_file_init(&cached, blk_bench_file(8, 0), false, false), 0);
	cr_expect_null(cached.bounce);
	cr_expect_eq(cached.block_size, 512);
	cr_expect_eq(blk_file_transfer(&cached, &buffers, false, 512), 0);
	cr_expect_eq(memory[8], 1);
	close(cached.fd);
}

Test(blk_file, whole_blocks_are_shown)
{
	static const struct {
		off_t size;
		uint64_t shown;
	} cases[] = { { 0, 0 }, { 4095, 0 }, { 4096, 4096 }, { 8191, 4096 }, { 8192, 8192 } };
	uint64_t bytes;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(ftruncate(file.fd, cases[i].size), 0);
		cr_expect_eq(blk_file_size(&file, &bytes), 0);
		cr_expect_eq(bytes, cases[i].shown, "case %zu", i);
	}
}

Test(blk_file, a_file_that_became_shorter)
{
	static const struct transfer gone = { "gone", 8192, 0, 4096, 4096, false };
	static const struct transfer half = { "half gone", 0, 0, 8192, 8192, false };
	static const struct transfer part = { "a sector that is gone", 4096, 0, 512, 512, true };

	cr_assert_eq(ftruncate(file.fd, 4096), 0);
	cr_expect_eq(perform(&gone, false), -EIO);
	cr_expect_eq(perform(&half, false), -EIO);
	memset(file.bounce, 0, BLK_BOUNCE_SIZE);
	for (int write = 0; write < 2; write++) {
		struct iovec iov = { memory, part.len };
		struct dma_buffers buffers = { &iov, 1, part.len };

		cr_expect_eq(blk_file_transfer(&file, &buffers, write, part.offset), -EIO);
	}
}

Test(blk_file, direct_where_it_is_wanted)
{
	struct blk_file other;
	int fd = blk_bench_direct_file(8);

	cr_assert_eq(blk_file_init(&other, fd, false, false), 0);
	cr_expect_eq(fcntl(fd, F_GETFL) & O_DIRECT, 0);
	cr_assert_eq(blk_file_init(&other, fd, false, true), 0);
	cr_expect_neq(fcntl(fd, F_GETFL) & O_DIRECT, 0);
	cr_expect_eq((uintptr_t)other.bounce % BLK_BOUNCE_SIZE, 0);
	cr_expect_geq(other.block_size, BLK_SECTOR_SIZE);
	blk_file_destroy(&other);
	/* Whoever opened it wanted it: what we were told does not matter. */
	cr_assert_eq(blk_file_init(&other, fd, false, false), 0);
	cr_expect_not_null(other.bounce);
	blk_file_destroy(&other);
	close(fd);
	fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	cr_expect_eq(blk_file_init(&other, fd, true, true), -EOPNOTSUPP);
	close(fd);
}

Test(blk_file, zeroes)
{
	static const struct {
		uint32_t offset, len;
	} cases[] = {
		{ 4096, 4096 },
		{ 512, 512 },
		{ 1024, 16384 },
		{ 7680, 1024 },
		{ 20480, 0 },
		{ 32768, 512 },
		{ 65536, BLK_BOUNCE_SIZE },
		{ 131584, 100352 },
		{ 261632, 512 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(model + cases[i].offset, 0, cases[i].len);
		cr_expect_eq(blk_file_zero(&file, cases[i].offset, cases[i].len, i % 2), 0);
		expect_content("zeroes");
	}
}

/* A tmpfs file can punch holes, but not allocate zeroes. */
Test(blk_file, zeroes_are_written_where_nothing_shorter_leads_there)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	struct blk_file other;
	struct stat st;

	cr_assert_eq(ftruncate(fd, FILE_SIZE), 0);
	cr_assert_eq(blk_file_init(&other, fd, false, false), 0);
	cr_expect_eq(blk_file_zero(&other, 1024, 3 * BLK_BOUNCE_SIZE + 512, false), 0);
	cr_expect_eq(fstat(fd, &st), 0);
	cr_expect_geq(st.st_blocks, 3 * BLK_BOUNCE_SIZE / 512, "they take space");
	cr_expect_eq(blk_file_zero(&other, 0, FILE_SIZE, true), 0);
	cr_expect_eq(fstat(fd, &st), 0);
	cr_expect_eq(st.st_blocks, 0, "or give it back");
	cr_expect_eq(st.st_size, FILE_SIZE);
	close(fd);
}

/* Through the bounce buffer, as far as the ends of it are no whole blocks. */
Test(blk_file, zeroes_are_written_past_the_page_cache)
{
	struct iovec iov = { memory, 4096 };
	struct dma_buffers buffers = { &iov, 1, 4096 };
	int fd = memfd_create("disk", MFD_CLOEXEC);

	memset(memory, 0x11, 4096);
	cr_assert_eq(ftruncate(fd, FILE_SIZE), 0);
	close(file.fd);
	file.fd = fd;
	cr_assert_eq(blk_file_transfer(&file, &buffers, true, 4096), 0);
	cr_assert_eq(blk_file_zero(&file, 512, 4096, false), 0);
	memset(model, 0, FILE_SIZE);
	memset(model + 4608, 0x11, 3584);
	expect_content("zeroes over the first sector");
}

Test(blk_file, discarding)
{
	struct blk_file other = { .fd = open("/proc/self/comm", O_RDWR | O_CLOEXEC) };
	struct stat before, after;
	int fd;

	cr_expect_eq(fstat(file.fd, &before), 0);
	cr_expect_eq(blk_file_discard(&file, 65536, 131072), 0);
	memset(model + 65536, 0, 131072);
	expect_content("a hole");
	cr_expect_eq(fstat(file.fd, &after), 0);
	cr_expect_leq(after.st_blocks, before.st_blocks - 131072 / 512);
	cr_expect_eq(after.st_size, before.st_size);
	cr_expect_eq(blk_file_discard(&file, 0, 0), 0, "nothing at all");
	cr_expect_eq(blk_file_discard(&other, 0, 512), -EOPNOTSUPP);
	close(other.fd);
	fd = memfd_create("disk", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	cr_assert_eq(ftruncate(fd, 4096), 0);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	other.fd = fd;
	cr_expect_eq(blk_file_discard(&other, 0, 512), -EPERM);
	close(fd);
}
