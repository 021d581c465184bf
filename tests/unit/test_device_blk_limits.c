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

static struct device_options options_for(int fd, bool read_only)
{
	return (struct device_options){ .backend_fd = fd, .read_only = read_only, .serial = "" };
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
	struct device_options options;
	struct virtqueue_layout layout;
	const struct dma_window window = { BASE,   sizeof(memory),	   BASE,
					   memory, PROT_READ | PROT_WRITE, 0 };

	file = fresh_file(65536);
	options = options_for(file, false);
	cr_assert_eq(device_create(&device, device_kind_find("blk"), &options), 0);
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

/* One request of 512 bytes of data (none for FLUSH); returns its status. */
static uint8_t perform(uint32_t type, uint64_t sector)
{
	static const uint64_t header = BASE + 0x10000, data = BASE + 0x11000,
			      status = BASE + 0x12000;
	struct virtq_desc *table = mock_desc_table(&driver);
	bool has_data = type != 4;

	*(uint32_t *)mock_ptr(&driver, header) = htole32(type);
	*(uint64_t *)mock_ptr(&driver, header + 8) = htole64(sector);
	*(uint8_t *)mock_ptr(&driver, status) = 0xee;
	mock_set_desc(table, 0, (struct virtq_desc){ header, 16, 1, has_data ? 1 : 2 });
	mock_set_desc(table, 1, (struct virtq_desc){ data, 512, type == 1 ? 1 : 1 | W, 2 });
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
		uint32_t size_max, seg_max;
	} cases[] = {
		{ 0, 65536, 126 }, /* not known yet */
		{ 1ull << 40, 65536, 126 },
		{ 32ull << 20, 65536, 126 },
		{ 126ull * 65536 * 4, 65536, 126 },
		{ 126ull * 65536 * 4 - 1, 65536, 125 },
		{ 16ull << 20, 65536, 64 },
		{ 2ull << 20, 65536, 8 },
		{ 256ull << 10, 65536, 1 },
		{ (256ull << 10) - 1, 65024, 1 },
		{ 64ull << 10, 16384, 1 },
		{ 2048, 512, 1 },
		{ 1, 512, 1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t config[VHOST_USER_MAX_CONFIG] = { 0 };
		uint32_t size_max, seg_max;

		device.dma.windows[0].size = cases[i].window;
		device.dma.nr_windows = cases[i].window ? 1 : 0;
		device.ops->get_config(&device, config);
		memcpy(&size_max, config + 8, 4);
		memcpy(&seg_max, config + 12, 4);
		cr_expect_eq(le32toh(size_max), cases[i].size_max, "case %zu", i);
		cr_expect_eq(le32toh(seg_max), cases[i].seg_max, "case %zu", i);
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
		struct device_options options = options_for(fd, false);
		uint8_t config[VHOST_USER_MAX_CONFIG] = { 0 };
		struct device other;
		uint64_t capacity;

		cr_assert_eq(device_create(&other, device_kind_find("blk"), &options), 0);
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
	struct device_options options;
	int pair[2];

	options = options_for(open("/dev/null", O_RDWR | O_CLOEXEC), false);
	cr_expect_eq(device_create(&other, device_kind_find("blk"), &options), -ENOTBLK);
	options = options_for(open("/", O_RDONLY | O_CLOEXEC), true);
	cr_expect_eq(device_create(&other, device_kind_find("blk"), &options), -ENOTBLK);
	cr_assert_eq(pipe(pair), 0);
	options = options_for(pair[0], true);
	cr_expect_eq(device_create(&other, device_kind_find("blk"), &options), -ENOTBLK);
	options = options_for(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), false);
	cr_expect_eq(device_create(&other, device_kind_find("blk"), &options), -EACCES);
	options.read_only = true;
	cr_expect_eq(device_create(&other, device_kind_find("blk"), &options), 0);
	device_destroy(&other);
	options = options_for(open("/tmp", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600), false);
	cr_expect_eq(device_create(&other, device_kind_find("blk"), &options), -EACCES);
	options = options_for(1000, false);
	cr_expect_eq(device_create(&other, device_kind_find("blk"), &options), -EBADF);
}

Test(device_blk_limits, a_failed_flush_fails_for_ever)
{
	int pair[2];

	cr_assert_eq(pipe(pair), 0);
	cr_expect_eq(perform(4, 0), 0);
	device.backend_fd = pair[0]; /* fdatasync() fails on a pipe */
	cr_expect_eq(perform(4, 0), 1);
	device.backend_fd = file;
	cr_expect_eq(perform(4, 0), 1, "nothing tells what became of the old data");
	cr_expect_eq(perform(1, 0), 0, "writes go on");
	cr_expect_eq(perform(0, 0), 0, "and reads");
}

Test(device_blk_limits, without_flush_writes_go_through)
{
	int pair[2];

	cr_assert_eq(pipe(pair), 0);
	device.backend_fd = pair[0];
	cr_expect_eq(perform(4, 0), 1);
	device.backend_fd = file;
	cr_expect_eq(perform(1, 0), 0, "flush was negotiated: success says nothing of the medium");
	device.features = 0;
	cr_expect_eq(perform(1, 0), 1, "success would say that it is on the medium");
}

Test(device_blk_limits, errors_of_the_backend_are_errors_of_the_request)
{
	int read_only = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct rlimit limit = { 4096, 4096 };

	device.backend_fd = read_only;
	cr_expect_eq(perform(1, 0), 1, "EBADF");
	device.backend_fd = file;
	cr_expect_eq(perform(1, 0), 0, "the next one is fine");
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_expect_eq(perform(1, 100), 1, "EFBIG");
	cr_expect_eq(perform(1, 0), 0);
	cr_expect_eq(device.report.request_errors, 2);
}
