/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* virtio-blk: what its settings do, and a file that gets another size. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/blk_bench.h"

#define BLK_F_MQ (1ull << 12)

static struct blk_bench b;

static void start(const char *setting, unsigned int nr_queues, uint16_t queue_size)
{
	const char *const settings[] = { setting, NULL };

	blk_bench_start(&b, blk_bench_file(SECTORS, 0), settings, nr_queues, queue_size);
}

static void stop(void)
{
	cr_expect_eq(mock_stop(&b.fe), 0);
	close(b.file);
}

/* A device that is never driven; its configuration without a window. */
static int create(const char *setting, struct blk_bench_config *config)
{
	int file = blk_bench_file(SECTORS, 0);
	const char *const settings[] = { setting, NULL };
	const struct device_options options = { &file, 1, settings };
	uint8_t bytes[VHOST_USER_MAX_CONFIG] = { 0 };
	struct device device;
	int rc = device_create(&device, device_kind_find("blk"), &options);

	if (!rc) {
		device.ops->get_config(&device, bytes);
		memcpy(config, bytes, sizeof(*config));
		device_destroy(&device);
	}
	close(file);
	return rc;
}

/* One line each: it is the next setting's that comes next. */
Test(device_blk_config, refused_settings)
{
	static const char *const settings[] = {
		"queues=0",	   "queues=17",
		"queues",	   "queues=x",
		"queue-size=0",	   "queue-size=2",
		"queue-size=6",	   "queue-size=2048",
		"queue-size=1000", "cache",
		"cache=",	   "cache=direct",
		"cache=nonee",	   "serial=a serial number of 21",
	};
	struct blk_bench_config config;
	char line[256];

	cr_redirect_stderr();
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		cr_expect_eq(create(settings[i], &config), -EINVAL, "%s", settings[i]);
		cr_assert_not_null(fgets(line, sizeof(line), cr_get_redirected_stderr()));
		cr_expect_eq(strncmp(line, settings[i], strcspn(settings[i], "=")), 0, "%s", line);
	}
}

/* Header and status need two descriptors of the queue. */
Test(device_blk_config, a_request_fits_into_a_queue)
{
	static const struct {
		const char *setting;
		uint32_t seg_max;
	} cases[] = {
		{ "ro", 126 },		 { "queue-size=1024", 126 }, { "queue-size=128", 126 },
		{ "queue-size=64", 62 }, { "queue-size=4", 2 },
	};
	struct blk_bench_config config;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(create(cases[i].setting, &config), 0, "%s", cases[i].setting);
		cr_expect_eq(le32toh(config.seg_max), cases[i].seg_max, "%s", cases[i].setting);
	}
}

Test(device_blk_config, queue_size_is_the_largest)
{
	static const uint16_t sizes[] = { 4, 16, 1024 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char setting[32];
		uint8_t data[512];

		snprintf(setting, sizeof(setting), "queue-size=%u", sizes[i]);
		start(setting, 1, sizes[i]);
		blk_bench_read(&b, 3, 512, 0, data);
		cr_expect_eq(data[511], 3);
		mock_stop_queue(&b.fe, 0);
		cr_expect_eq(mock_ack_state(&b.fe, VHOST_USER_SET_VRING_NUM, 0, sizes[i] * 2), -1);
		cr_expect_neq(mock_stop(&b.fe), 0);
		close(b.file);
	}
}

Test(device_blk_config, one_queue_needs_no_word)
{
	struct blk_bench_config config;

	start(NULL, 1, 64);
	config = blk_bench_config(&b);
	cr_expect_eq(b.fe.features & BLK_F_MQ, 0);
	cr_expect_eq(le16toh(config.num_queues), 1);
	cr_expect_eq(mock_get_u64(&b.fe, VHOST_USER_GET_QUEUE_NUM), 1);
	stop();
}

/* Requests wait in all of them before the first is kicked. */
Test(device_blk_config, several_queues)
{
	struct blk_bench_config config;

	start("queues=4", 4, 64);
	config = blk_bench_config(&b);
	cr_expect_neq(b.fe.features & BLK_F_MQ, 0);
	cr_expect_eq(le16toh(config.num_queues), 4);
	cr_expect_eq(mock_get_u64(&b.fe, VHOST_USER_GET_QUEUE_NUM), 4);
	for (uint32_t round = 0; round < 3; round++) {
		uint64_t data[4];

		for (uint32_t q = 0; q < 4; q++) {
			struct mock_driver *driver = &b.fe.queues[q];
			uint64_t header = mock_alloc(driver, 32);

			data[q] = mock_alloc(driver, 512);
			*(uint32_t *)mock_ptr(driver, header) = htole32(IN);
			*(uint64_t *)mock_ptr(driver, header + 8) = htole64(10 * round + q);
			blk_bench_add(driver, 0, header, 16, 0, 0);
			blk_bench_add(driver, 1, data[q], 512, W, 0);
			mock_set_desc(mock_desc_table(driver), 2,
				      (struct virtq_desc){ header + 16, 1, W, 0 });
			mock_submit(driver, 0);
		}
		for (uint32_t q = 4; q-- > 0;) {
			cr_expect_eq(mock_complete(&b.fe, q).len, 513);
			cr_expect_eq(*(uint8_t *)mock_ptr(&b.fe.queues[q], data[q]),
				     10 * round + q);
		}
	}
	stop();
}

static void expect_read(uint64_t sector, uint8_t status)
{
	const struct blk_request request = {
		"read", IN, sector, 16, 0, 512, W, 0, 1, W, status, status == OK ? 513 : 1
	};

	blk_bench_perform(&b, &request, NULL);
}

Test(device_blk_config, a_file_that_grows)
{
	start(NULL, 1, 64);
	cr_assert_eq(ftruncate(b.file, (SECTORS + 10) * 512 + 100), 0);
	expect_read(SECTORS, IOERR); /* nobody has told the driver */
	cr_expect_eq(le64toh(blk_bench_config(&b).capacity), SECTORS + 10);
	expect_read(SECTORS + 9, OK);
	expect_read(SECTORS + 10, IOERR);
	stop();
}

Test(device_blk_config, a_file_that_shrinks)
{
	const struct blk_request write = { "write", OUT, 50, 16, 0, 512, 0, 0, 1, W, IOERR, 1 };
	const struct blk_request discard = {
		"discard", DISCARD, 0, 16, 0, 16, 0, 0, 1, W, IOERR, 1
	};
	struct {
		uint64_t sector;
		uint32_t num_sectors, flags;
	} range = { htole64(49), htole32(2), 0 };
	struct stat st;

	start(NULL, 1, 64);
	cr_assert_eq(ftruncate(b.file, 50 * 512), 0);
	cr_expect_eq(le64toh(blk_bench_config(&b).capacity), 50);
	expect_read(49, OK);
	expect_read(50, IOERR);
	blk_bench_perform(&b, &write, NULL);
	blk_bench_perform(&b, &discard, &range);
	cr_expect_eq(fstat(b.file, &st), 0);
	cr_expect_eq(st.st_size, 50 * 512, "it does not grow again");
	stop();
}

Test(device_blk_config, past_the_page_cache)
{
	static const char *const settings[] = { "cache=none", NULL };
	static uint8_t out[8192], in[8192];
	uint32_t block_size;

	blk_bench_start(&b, blk_bench_direct_file(128), settings, 1, 64);
	cr_expect_neq(fcntl(b.file, F_GETFL) & O_DIRECT, 0);
	block_size = le32toh(blk_bench_config(&b).blk_size);
	cr_expect(block_size >= 512 && block_size <= 65536);
	for (uint32_t piece = 1000; piece <= 8192; piece += 3596) {
		memset(out, (int)piece, sizeof(out));
		blk_bench_write(&b, 17, sizeof(out), piece, out);
		memset(in, 0, sizeof(in));
		blk_bench_read(&b, 17, sizeof(in), piece, in);
		cr_expect_eq(memcmp(in, out, sizeof(in)), 0, "pieces of %u", piece);
	}
	blk_bench_read(&b, 16, 512, 0, in);
	cr_expect_eq(in[511], 16);
	blk_bench_read(&b, 33, 512, 0, in);
	cr_expect_eq(in[0], 33);
	stop();
}

/* No format is looked for, ever: a guest could write such a header, and name any file in it. */
Test(device_blk_config, a_header_of_another_format_is_data)
{
	static const char *const headers[] = { "QFI\xfb", "KDMV", "vhdxfile", "conectix", "QED" };
	static const char backing[] = "/etc/shadow";
	uint8_t sector[512];

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		int file = blk_bench_file(SECTORS, 0);
		uint8_t header[512] = { 0 };

		memcpy(header, headers[i], strlen(headers[i]));
		header[7] = 3; /* version; where the name is, and its length */
		header[15] = 104;
		header[19] = sizeof(backing) - 1;
		memcpy(header + 104, backing, sizeof(backing));
		cr_assert_eq(pwrite(file, header, sizeof(header), 0), (ssize_t)sizeof(header));
		blk_bench_start(&b, file, (const char *const[]){ NULL }, 1, 64);
		cr_expect_eq(le64toh(blk_bench_config(&b).capacity), SECTORS);
		blk_bench_read(&b, 0, sizeof(sector), 0, sector);
		cr_expect_eq(memcmp(sector, header, sizeof(header)), 0, "%s", headers[i]);
		stop();
	}
}
