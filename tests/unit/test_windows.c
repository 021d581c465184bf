/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* SET_MEM_TABLE -> windows: where one begins in its file, and what a later table may change. */
#include "devices/core/windows.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	  4096ull
#define FILE_SIZE (16 * PAGE)
#define USER	  0x7f0000000000ull

static const struct dma_use buffer_use = { DMA_BUFFER, DMA_FROM_DEVICE, 0, 0 };

static struct device_report_wire report;
static struct dma_space space;
static int fd;
static uint8_t *file; /* as the guest sees it */

static void set_up(void)
{
	fd = memfd_create("pool", MFD_CLOEXEC);
	cr_assert_eq(ftruncate(fd, FILE_SIZE), 0);
	file = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert_neq(file, MAP_FAILED);
	for (size_t i = 0; i < FILE_SIZE; i++)
		file[i] = (uint8_t)(i + i / 256);
	report = (struct device_report_wire){ 0 };
	space = (struct dma_space){ .report = &report };
}

static void tear_down(void)
{
	munmap(file, FILE_SIZE);
	close(fd);
}

TestSuite(windows, .init = set_up, .fini = tear_down);

static struct vhost_user_msg table_of(const struct vhost_user_memory_region *regions, uint32_t n)
{
	struct vhost_user_msg msg = { .nr_fds = n };

	msg.payload.memory.nregions = n;
	memcpy(msg.payload.memory.regions, regions, n * sizeof(*regions));
	for (uint32_t i = 0; i < n; i++)
		msg.fds[i] = fd;
	return msg;
}

static int map_one(uint64_t base, uint64_t size, uint64_t offset)
{
	const struct vhost_user_memory_region region = { base, size, USER + base, offset };
	const struct vhost_user_msg msg = table_of(&region, 1);

	return windows_map(&space, &msg);
}

/* Whether @addr to @addr + @len is in a window, at @offset in the file. */
static bool lies_at(uint64_t addr, uint64_t len, uint64_t offset)
{
	const uint8_t *host = dma_map(&space, addr, len, &buffer_use);

	return host && memcmp(host, file + offset, len) == 0;
}

/* virtio VIRTIO_F_DMB: addresses are offsets into the region, and 0 is none. */
Test(windows, a_window_of_offsets_has_no_byte_0)
{
	static const struct {
		uint64_t addr, len;
		bool inside;
	} cases[] = {
		{ 0, 1, false },
		{ 0, 2, false },
		{ 0, FILE_SIZE, false },
		{ 1, 1, true },
		{ 1, FILE_SIZE - 1, true },
		{ 1, FILE_SIZE, false },
		{ PAGE, PAGE, true },
		{ FILE_SIZE - 1, 1, true },
		{ FILE_SIZE - 1, 2, false },
		{ FILE_SIZE, 1, false },
		{ UINT64_MAX, 1, false },
		{ UINT64_MAX, 3, false },
		{ 1, UINT64_MAX, false },
	};

	cr_assert_eq(map_one(1, FILE_SIZE - 1, 1), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(lies_at(cases[i].addr, cases[i].len, cases[i].addr), cases[i].inside,
			     "%#lx + %#lx", (unsigned long)cases[i].addr,
			     (unsigned long)cases[i].len);
}

/* What lies in the same page before it and behind it is mapped, and yet not part of it. */
Test(windows, a_window_inside_pages)
{
	static const struct {
		uint64_t offset, size;
	} cases[] = {
		{ 0, 1 },
		{ 1, 1 },
		{ 1, PAGE - 1 },
		{ PAGE - 1, 1 },
		{ PAGE - 1, 2 },
		{ PAGE, PAGE },
		{ PAGE + 1, PAGE },
		{ 3 * PAGE - 5, 2 * PAGE + 9 },
		{ FILE_SIZE - 1, 1 },
	};
	const uint64_t base = 0x40000000;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint64_t offset = cases[i].offset, size = cases[i].size;

		space = (struct dma_space){ .report = &report };
		cr_assert_eq(map_one(base, size, offset), 0);
		cr_expect(lies_at(base, size, offset), "case %zu", i);
		cr_expect(lies_at(base + size - 1, 1, offset + size - 1), "case %zu", i);
		cr_expect_null(dma_map(&space, base - 1, 1, &buffer_use), "case %zu", i);
		cr_expect_null(dma_map(&space, base - 1, 2, &buffer_use), "case %zu", i);
		cr_expect_null(dma_map(&space, base + size, 1, &buffer_use), "case %zu", i);
		cr_expect_null(dma_map(&space, base, size + 1, &buffer_use), "case %zu", i);
	}
}

Test(windows, what_a_device_writes_is_in_the_file)
{
	uint8_t *host;

	cr_assert_eq(map_one(1, FILE_SIZE - 1, 1), 0);
	host = dma_map(&space, 1, 1, &buffer_use);
	*host = 0xa5;
	cr_expect_eq(file[1], 0xa5);
	cr_expect_eq(file[0], 0);
	host = dma_map(&space, FILE_SIZE - 1, 1, &buffer_use);
	*host = 0x5a;
	cr_expect_eq(file[FILE_SIZE - 1], 0x5a);
}

Test(windows, bad_regions)
{
	static const struct {
		struct vhost_user_memory_region region;
		int rc;
	} cases[] = {
		{ { PAGE, 0, PAGE, 0 }, -EINVAL },
		{ { PAGE, PAGE, PAGE, 1ull << 63 }, -EINVAL },
		{ { PAGE, PAGE, PAGE, UINT64_MAX }, -EINVAL },
		{ { UINT64_MAX - PAGE + 1, PAGE, PAGE, 0 }, -EINVAL },
		{ { PAGE, PAGE, UINT64_MAX - PAGE + 1, 0 }, -EINVAL },
		{ { 0, 1ull << 62, 0, 0 }, -ENOMEM },
		/* With what lies before it in its page it wraps to one byte. */
		{ { 0, UINT64_MAX, 0, 2 }, -EINVAL },
		{ { 0, UINT64_MAX - PAGE + 3, 0, PAGE - 1 }, -EINVAL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct vhost_user_msg msg = table_of(&cases[i].region, 1);

		cr_expect_eq(windows_map(&space, &msg), cases[i].rc, "case %zu", i);
		cr_expect_eq(space.nr_windows, 0, "case %zu", i);
	}
}

/* Two windows of one file, as the later tables below find them. */
static const struct vhost_user_memory_region mapped[] = {
	{ 0x10000, 4 * PAGE, USER, 0 },
	{ 0x20001, PAGE, USER + 0x100000, 8 * PAGE + 1 },
};

static void map_two(void)
{
	const struct vhost_user_msg msg = table_of(mapped, 2);

	cr_assert_eq(windows_map(&space, &msg), 0);
}

Test(windows, moved_windows_keep_their_memory)
{
	static const struct vhost_user_memory_region moved[] = {
		{ 0x5000000000, 4 * PAGE, 0x5000000000, 0 },
		{ 0x10000, PAGE, 0x10000, 8 * PAGE + 1 },
	};
	struct vhost_user_msg msg = table_of(moved, 2);
	uint64_t addr = 0;

	map_two();
	msg.fds[0] = msg.fds[1] = -1; /* never looked at */
	cr_assert_eq(windows_move(&space, &msg), 0);
	cr_expect(lies_at(0x5000000000, 4 * PAGE, 0));
	cr_expect(lies_at(0x10000, PAGE, 8 * PAGE + 1), "where the other one was");
	cr_expect_null(dma_map(&space, 0x10000, PAGE + 1, &buffer_use));
	cr_expect_null(dma_map(&space, 0x20001, 1, &buffer_use));
	cr_expect_eq(dma_from_user(&space, 0x5000000010, &addr, &buffer_use), 0);
	cr_expect_eq(addr, 0x5000000010);
	cr_expect_eq(dma_from_user(&space, USER, &addr, &buffer_use), -EFAULT);
}

Test(windows, a_later_table_is_of_the_same_windows)
{
	static const struct {
		const char *what;
		uint32_t nregions;
		struct vhost_user_memory_region regions[3];
		int rc;
	} cases[] = {
		{ "none", 0, { { 0 } }, -EINVAL },
		{ "one less", 1, { { 0x90000, 4 * PAGE, USER, 0 } }, -EINVAL },
		{ "one more",
		  3,
		  { { 0x10000, 4 * PAGE, USER, 0 },
		    { 0x20001, PAGE, USER + 0x100000, 8 * PAGE + 1 },
		    { 0x90000, PAGE, USER + 0x900000, 0 } },
		  -EINVAL },
		{ "larger",
		  2,
		  { { 0x90000, 5 * PAGE, USER, 0 },
		    { 0x20001, PAGE, USER + 0x100000, 8 * PAGE + 1 } },
		  -EINVAL },
		{ "smaller",
		  2,
		  { { 0x90000, 4 * PAGE, USER, 0 },
		    { 0x20001, PAGE - 1, USER + 0x100000, 8 * PAGE + 1 } },
		  -EINVAL },
		{ "another place in the file",
		  2,
		  { { 0x90000, 4 * PAGE, USER, 0 }, { 0x20001, PAGE, USER + 0x100000, 8 * PAGE } },
		  -EINVAL },
		{ "in another order",
		  2,
		  { { 0x20001, PAGE, USER + 0x100000, 8 * PAGE + 1 },
		    { 0x10000, 4 * PAGE, USER, 0 } },
		  -EINVAL },
		{ "wraps",
		  2,
		  { { 0x90000, 4 * PAGE, USER, 0 },
		    { UINT64_MAX - PAGE + 1, PAGE, USER + 0x100000, 8 * PAGE + 1 } },
		  -EINVAL },
		{ "wraps in the front-end",
		  2,
		  { { 0x90000, 4 * PAGE, UINT64_MAX - 1, 0 },
		    { 0x20001, PAGE, USER + 0x100000, 8 * PAGE + 1 } },
		  -EINVAL },
		{ "one over the other",
		  2,
		  { { 0x90000, 4 * PAGE, USER, 0 },
		    { 0x93fff, PAGE, USER + 0x100000, 8 * PAGE + 1 } },
		  -EEXIST },
	};

	map_two();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct vhost_user_msg msg = table_of(cases[i].regions, cases[i].nregions);

		cr_expect_eq(windows_move(&space, &msg), cases[i].rc, "%s", cases[i].what);
		cr_expect_eq(space.nr_windows, 2, "%s", cases[i].what);
		cr_expect(lies_at(0x10000, 4 * PAGE, 0), "%s: nothing has changed", cases[i].what);
		cr_expect(lies_at(0x20001, PAGE, 8 * PAGE + 1), "%s", cases[i].what);
		cr_expect_null(dma_map(&space, 0x90000, 1, &buffer_use), "%s", cases[i].what);
	}
}
