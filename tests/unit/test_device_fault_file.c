/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A disk in a file system that is full, past a limit, and of a size that changes: nothing is faked. */
#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/unit/blk_bench.h"
#include "tests/unit/mock_process.h"

#define CHUNK	     65536u
#define CHUNK_SECTOR (CHUNK / 512)

static struct blk_bench b;
static uint8_t data[CHUNK];

static void tear_down(void)
{
	cr_expect_eq(mock_report(&b.fe).broken_queues, 0);
	cr_expect_eq(mock_stop(&b.fe), 0);
	close(b.file);
}

TestSuite(device_fault_file, .init = mock_use_process, .fini = tear_down);

static uint8_t perform(uint32_t type, uint64_t sector, uint32_t len)
{
	struct mock_driver *driver = &b.fe.queues[0];
	struct virtq_desc *table = mock_desc_table(driver);
	uint64_t header = MOCK_BASE + 0x100000, status = header + 16, at = MOCK_BASE + 0x200000;
	uint16_t index;

	memcpy(mock_ptr(driver, header), &(uint32_t){ htole32(type) }, 4);
	memcpy(mock_ptr(driver, header + 8), &(uint64_t){ htole64(sector) }, 8);
	memcpy(mock_ptr(driver, at), data, len);
	index = blk_bench_add(driver, 0, header, 16, 0, 0);
	if (len)
		index = blk_bench_add(driver, index, at, len, type == IN ? W : 0, 0);
	blk_bench_add(driver, index, status, 1, W, 0);
	table[index].flags &= ~VIRTQ_DESC_F_NEXT;
	mock_submit(driver, 0);
	mock_complete(&b.fe, 0);
	if (type == IN)
		memcpy(data, mock_ptr(driver, at), len);
	return *(uint8_t *)mock_ptr(driver, status);
}

/* DISCARD or WRITE_ZEROES of so many sectors. */
static uint8_t clear(uint32_t type, uint64_t sector, uint32_t sectors)
{
	memset(data, 0, 16);
	memcpy(data, &(uint64_t){ htole64(sector) }, 8);
	memcpy(data + 8, &(uint32_t){ htole32(sectors) }, 4);
	return perform(type, 0, 16);
}

static void expect_chunk(uint64_t sector, uint8_t byte)
{
	memset(data, 0xee, CHUNK);
	cr_expect_eq(perform(IN, sector, CHUNK), OK);
	for (uint32_t i = 0; i < CHUNK; i++)
		cr_assert_eq(data[i], byte, "sector %llu, byte %u", (unsigned long long)sector, i);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	cr_assert_geq(fd, 0, "%s", path);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text), "%s", path);
	close(fd);
}

/* A file of @size bytes without content, where there is room for @room bytes. */
static int small_file_system(const char *room, off_t size)
{
	int user = geteuid() ? CLONE_NEWUSER : 0;
	char map[32];
	int fd;

	snprintf(map, sizeof(map), "0 %u 1", geteuid());
	cr_assert_eq(unshare(CLONE_NEWNS | user), 0, "%s", strerror(errno));
	if (user)
		write_text("/proc/self/uid_map", map);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("tmpfs", "/mnt", "tmpfs", 0, room), 0, "%s", strerror(errno));
	fd = open("/mnt", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, size), 0);
	return fd;
}

Test(device_fault_file, a_full_file_system)
{
	unsigned int chunks = 0, fds;
	uint8_t status = OK;

	/* It ends in the middle of a chunk, so one write is a short one first. */
	blk_bench_start(&b, small_file_system("size=288k", 1 << 20), NULL, 1, 256);
	fds = mock_count_fds(&b.fe);
	while (status == OK && chunks < 16) {
		memset(data, 'a' + (int)chunks, CHUNK);
		status = perform(OUT, (uint64_t)chunks * CHUNK_SECTOR, CHUNK);
		chunks += status == OK;
	}
	cr_expect_eq(status, IOERR);
	cr_expect_eq(chunks, 4);
	cr_expect_eq(perform(OUT, 12 * CHUNK_SECTOR, CHUNK), IOERR, "still full");
	cr_expect_eq(clear(WRITE_ZEROES, 12 * CHUNK_SECTOR, CHUNK_SECTOR), IOERR,
		     "zeroes take room here");
	cr_expect_eq(perform(FLUSH, 0, 0), OK, "all that was acknowledged is there");
	for (unsigned int i = 0; i < chunks; i++)
		expect_chunk((uint64_t)i * CHUNK_SECTOR, 'a' + i);
	memset(data, 'z', CHUNK);
	cr_expect_eq(perform(OUT, 0, CHUNK), OK, "what has its place can be written");
	cr_expect_eq(clear(DISCARD, 1 * CHUNK_SECTOR, CHUNK_SECTOR), OK);
	memset(data, 'y', CHUNK);
	cr_expect_eq(perform(OUT, 12 * CHUNK_SECTOR, CHUNK), OK, "there is room again");
	expect_chunk(12 * CHUNK_SECTOR, 'y');
	expect_chunk(1 * CHUNK_SECTOR, 0);
	expect_chunk(0, 'z');
	cr_expect_eq(mock_count_fds(&b.fe), fds);
}

static void limit_file_size(rlim_t bytes)
{
	const struct rlimit limit = { bytes, RLIM_INFINITY };

	cr_assert_eq(prlimit(b.fe.pid, RLIMIT_FSIZE, &limit, NULL), 0, "%s", strerror(errno));
}

/* SIGXFSZ comes with the error, and must not end the process. */
static void write_past_limit(void)
{
	struct stat st;

	blk_bench_start(&b, blk_bench_file(SECTORS, 0), NULL, 1, 256);
	limit_file_size(50 * 512);
	memset(data, 1, CHUNK);
	for (int i = 0; i < 100; i++) {
		cr_assert_eq(perform(OUT, 60, 512), IOERR, "behind it");
		cr_assert_eq(perform(OUT, 48, 2048), IOERR, "across it");
		cr_assert_eq(perform(OUT, 48, 1024), OK, "up to it");
	}
	cr_expect_eq(perform(IN, 60, 512), OK);
	cr_expect_eq(data[0], 60, "as it was");
	cr_expect_eq(perform(FLUSH, 0, 0), OK);
	limit_file_size(RLIM_INFINITY);
	memset(data, 2, CHUNK);
	cr_expect_eq(perform(OUT, 60, 512), OK);
	cr_expect_eq(perform(IN, 60, 512), OK);
	cr_expect_eq(data[0], 2);
	cr_expect_eq(fstat(b.file, &st), 0);
	cr_expect_eq(st.st_size, SECTORS * 512);
}

Test(device_fault_file, past_the_limit_on_file_sizes)
{
	write_past_limit();
}

/* In its sandbox the process is the first of its pid namespace, and hears no such signal anyway. */
Test(device_fault_file, past_the_limit_without_a_sandbox)
{
	unsetenv("MINIVMM_DEVICE_SANDBOX");
	write_past_limit();
}

/*
 * Under a driver that knows nothing of it: what is gone is an error, what is written comes back into
 * being, and nothing is ever written behind the end that the driver was told.
 */
Test(device_fault_file, a_size_that_changes)
{
	struct stat st;

	blk_bench_start(&b, blk_bench_file(SECTORS, 0), NULL, 1, 256);
	cr_assert_eq(ftruncate(b.file, 50 * 512 + 100), 0);
	cr_expect_eq(perform(IN, 60, 512), IOERR);
	cr_expect_eq(perform(IN, 50, 512), IOERR, "a part of it is there");
	cr_expect_eq(perform(IN, 49, 512), OK);
	memset(data, 7, 512);
	cr_expect_eq(perform(OUT, 60, 512), OK);
	cr_expect_eq(perform(IN, 60, 512), OK);
	cr_expect_eq(data[0], 7);
	cr_expect_eq(clear(WRITE_ZEROES, 58, 10), OK);
	cr_expect_eq(perform(IN, 60, 8 * 512), OK, "behind the end it has come into being");
	for (uint32_t i = 0; i < 8 * 512; i++)
		cr_assert_eq(data[i], 0);
	cr_expect_eq(perform(FLUSH, 0, 0), OK);
	cr_assert_eq(ftruncate(b.file, 0), 0);
	cr_expect_eq(perform(IN, 0, 512), IOERR);
	cr_assert_eq(ftruncate(b.file, 1 << 20), 0);
	cr_expect_eq(perform(IN, SECTORS - 1, 512), OK);
	cr_expect_eq(perform(IN, SECTORS, 512), IOERR, "nobody has told the driver");
	cr_expect_eq(perform(OUT, SECTORS, 512), IOERR);
	cr_expect_eq(perform(OUT, SECTORS - 1, 512), OK);
	cr_expect_eq(fstat(b.file, &st), 0);
	cr_expect_eq(st.st_size, 1 << 20);
}
