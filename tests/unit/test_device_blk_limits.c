/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* virtio-blk in this process: what it tells the driver, and a backend that fails. */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "devices/device.h"
#include "tests/unit/mock_driver.h"

#define BASE 0x10000ull
#define W    VIRTQ_DESC_F_WRITE

#define BLK_F_FLUSH (1ull << 9)

static uint8_t memory[1 << 20] __attribute__((aligned(4096)));
static struct device device;
static struct mock_driver driver;
static int file = -1;

static int create(struct device *other, int fd, const char *setting)
{
	const char *const settings[] = { setting, NULL };
	const struct device_options options = { &fd, 1, settings };

	return device_create(other, device_kind_find("blk"), &options);
}

static int fresh_file(off_t size)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, size), 0);
	return fd;
}

static void set_up(void)
{
	struct virtqueue_layout layout;
	const struct dma_window window = { BASE,   sizeof(memory),	   BASE,
					   memory, PROT_READ | PROT_WRITE, 0 };

	file = fresh_file(65536);
	cr_assert_eq(create(&device, file, NULL), 0);
	cr_assert_eq(dma_add_window(&device.dma, &window), 0);
	mock_driver_init(&driver, memory, BASE, BASE, 16, 0);
	layout = mock_layout(&driver);
	cr_assert_eq(virtqueue_start(&device.queues[0].vq, &layout), 0);
	device.features = BLK_F_FLUSH;
}

static void tear_down(void)
{
	device_destroy(&device);
	close(file);
}

TestSuite(device_blk_limits, .init = set_up, .fini = tear_down);

/*
 * One request of 512 bytes of data; none for FLUSH, a range of the one sector for DISCARD and
 * WRITE_ZEROES. Returns its status.
 */
static uint8_t perform(uint32_t type, uint64_t sector)
{
	static const uint64_t header = BASE + 0x10000, data = BASE + 0x11000,
			      status = BASE + 0x12000;
	struct virtq_desc *table = mock_desc_table(&driver);
	bool has_data = type != 4, has_range = type >= 11, is_read = type == 0;
	uint32_t len = has_range ? 16 : 512;

	*(uint32_t *)mock_ptr(&driver, header) = htole32(type);
	*(uint64_t *)mock_ptr(&driver, header + 8) = htole64(sector);
	if (has_range) {
		*(uint64_t *)mock_ptr(&driver, data) = htole64(sector);
		*(uint64_t *)mock_ptr(&driver, data + 8) = htole64(1);
	}
	*(uint8_t *)mock_ptr(&driver, status) = 0xee;
	mock_set_desc(table, 0, (struct virtq_desc){ header, 16, 1, has_data ? 1 : 2 });
	mock_set_desc(table, 1, (struct virtq_desc){ data, len, is_read ? 1 | W : 1, 2 });
	mock_set_desc(table, 2, (struct virtq_desc){ status, 1, W, 0 });
	mock_submit(&driver, 0);
	virtqueue_begin(&device.queues[0].vq);
	cr_expect(device.ops->handle_queue(&device, 0));
	return *(uint8_t *)mock_ptr(&driver, status);
}

Test(device_blk_limits, a_request_takes_a_quarter_of_the_smallest_window_at_most)
{
	static const struct {
		uint64_t window;
		uint32_t size_max, seg_max, max_discard_seg;
	} cases[] = {
		{ 0, 65536, 126, 32 }, /* not known yet */
		{ 1ull << 40, 65536, 126, 32 },
		{ 32ull << 20, 65536, 126, 32 },
		{ 126ull * 65536 * 4, 65536, 126, 32 },
		{ 126ull * 65536 * 4 - 1, 65536, 125, 32 },
		{ 16ull << 20, 65536, 64, 32 },
		{ 2ull << 20, 65536, 8, 32 },
		{ 256ull << 10, 65536, 1, 32 },
		{ (256ull << 10) - 1, 65024, 1, 32 },
		{ 64ull << 10, 16384, 1, 32 },
		{ 2048, 512, 1, 32 },
		{ 2047, 512, 1, 31 },
		{ 64, 512, 1, 1 },
		{ 1, 512, 1, 1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t config[VHOST_USER_MAX_CONFIG] = { 0 };
		uint32_t size_max, seg_max, max_discard_seg;

		device.dma.windows[0].size = cases[i].window;
		device.dma.nr_windows = cases[i].window ? 1 : 0;
		device.ops->get_config(&device, config);
		memcpy(&size_max, config + 8, 4);
		memcpy(&seg_max, config + 12, 4);
		memcpy(&max_discard_seg, config + 40, 4);
		cr_expect_eq(le32toh(size_max), cases[i].size_max, "case %zu", i);
		cr_expect_eq(le32toh(seg_max), cases[i].seg_max, "case %zu", i);
		cr_expect_eq(le32toh(max_discard_seg), cases[i].max_discard_seg, "case %zu", i);
	}
}

Test(device_blk_limits, capacity_counts_whole_sectors)
{
	static const struct {
		off_t size;
		uint64_t capacity;
	} cases[] = { { 0, 0 }, { 511, 0 }, { 512, 1 }, { 1023, 1 }, { 1ll << 40, 1ull << 31 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int fd = fresh_file(cases[i].size);
		uint8_t config[VHOST_USER_MAX_CONFIG] = { 0 };
		struct device other;
		uint64_t capacity;

		cr_assert_eq(create(&other, fd, NULL), 0);
		other.ops->get_config(&other, config);
		memcpy(&capacity, config, 8);
		cr_expect_eq(le64toh(capacity), cases[i].capacity, "case %zu", i);
		device_destroy(&other);
		close(fd);
	}
}

Test(device_blk_limits, backends_that_make_no_disk)
{
	struct device other;
	int pair[2];

	cr_expect_eq(create(&other, open("/dev/null", O_RDWR | O_CLOEXEC), NULL), -ENOTBLK);
	cr_expect_eq(create(&other, open("/", O_RDONLY | O_CLOEXEC), "ro"), -ENOTBLK);
	cr_assert_eq(pipe(pair), 0);
	cr_expect_eq(create(&other, pair[0], "ro"), -ENOTBLK);
	cr_expect_eq(create(&other, open("/proc/self/exe", O_RDONLY | O_CLOEXEC), NULL), -EACCES);
	cr_expect_eq(create(&other, open("/tmp", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600), NULL),
		     -EACCES);
	cr_expect_eq(
		create(&other, open("/tmp", O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600), NULL),
		-EACCES, "writes would go to the end");
	cr_expect_eq(create(&other, 1000, NULL), -EBADF);
	cr_expect_eq(create(&other, open("/proc/self/exe", O_RDONLY | O_CLOEXEC), "ro"), 0);
	device_destroy(&other);
}

Test(device_blk_limits, a_failed_flush_fails_for_ever)
{
	int good = dup(file), pair[2];

	cr_assert_eq(pipe(pair), 0);
	cr_expect_eq(perform(4, 0), 0);
	dup2(pair[0], file); /* fdatasync() fails on a pipe */
	cr_expect_eq(perform(4, 0), 1);
	dup2(good, file);
	cr_expect_eq(perform(4, 0), 1, "nothing tells what became of the old data");
	cr_expect_eq(perform(1, 0), 0, "writes go on");
	cr_expect_eq(perform(0, 0), 0, "and reads");
}

Test(device_blk_limits, without_flush_writes_go_through)
{
	int good = dup(file), pair[2];

	cr_assert_eq(pipe(pair), 0);
	dup2(pair[0], file);
	cr_expect_eq(perform(4, 0), 1);
	dup2(good, file);
	cr_expect_eq(perform(1, 0), 0, "flush was negotiated: success says nothing of the medium");
	cr_expect_eq(perform(13, 0), 0);
	device.features = 0;
	cr_expect_eq(perform(1, 0), 1, "success would say that it is on the medium");
	cr_expect_eq(perform(13, 0), 1, "zeroes are data, too");
}

Test(device_blk_limits, errors_of_the_backend_are_errors_of_the_request)
{
	int good = dup(file);
	struct rlimit limit = { 4096, 4096 };

	dup2(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), file);
	cr_expect_eq(perform(1, 0), 1, "EBADF");
	dup2(good, file);
	cr_expect_eq(perform(1, 0), 0, "the next one is fine");
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_expect_eq(perform(1, 100), 1, "EFBIG");
	cr_expect_eq(perform(1, 0), 0);
	cr_expect_eq(device.report->request_errors, 2);
}

Test(device_blk_limits, a_file_system_without_holes)
{
	cr_expect_eq(perform(11, 0), 0);
	dup2(open("/proc/self/comm", O_RDWR | O_CLOEXEC), file);
	cr_expect_eq(perform(11, 0), 2);
}
