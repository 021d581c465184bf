/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* virtio-blk over a real file, through a whole vhost-user session. */
#include <sys/stat.h>

#include "tests/unit/blk_bench.h"

static struct blk_bench b;

static void set_up(void)
{
	static const char *const settings[] = { "serial=S3R1AL", NULL };

	blk_bench_start(&b, blk_bench_file(SECTORS, TAIL), settings, 1, 256);
}

static void tear_down(void)
{
	cr_expect_eq(mock_stop(&b.fe), 0);
	close(b.file);
}

TestSuite(device_blk, .init = set_up, .fini = tear_down);

Test(device_blk, features)
{
	cr_expect_eq(b.fe.features & 0xffffff,
		     1 << 1 | 1 << 2 | 1 << 6 | 1 << 9 | 1 << 13 | 1 << 14);
}

Test(device_blk, configuration)
{
	struct blk_bench_config config = blk_bench_config(&b);

	cr_expect_eq(le64toh(config.capacity), SECTORS);
	cr_expect_eq(le32toh(config.blk_size), 512);
	cr_expect_eq(le32toh(config.size_max), 65536);
	cr_expect_eq(le32toh(config.seg_max), MOCK_POOL / 4 / 65536);
}

Test(device_blk, configuration_can_be_read_in_parts_and_beyond)
{
	struct vhost_user_config reply = { .offset = 4, .size = 12 };
	const struct blk_bench_config whole = blk_bench_config(&b);
	static const uint8_t zero[192];

	mock_send(&b.fe, VHOST_USER_GET_CONFIG, 0, &reply, 24, -1);
	cr_assert(mock_reply(&b.fe, VHOST_USER_GET_CONFIG, &reply, 24));
	cr_expect_eq(memcmp(reply.region, (const uint8_t *)&whole + 4, 12), 0);
	reply.offset = 64;
	reply.size = 192;
	mock_send(&b.fe, VHOST_USER_GET_CONFIG, 0, &reply, 204, -1);
	cr_assert(mock_reply(&b.fe, VHOST_USER_GET_CONFIG, &reply, 204));
	cr_expect_eq(memcmp(reply.region, zero, 192), 0);
}

Test(device_blk, reads_what_the_file_holds)
{
	static uint8_t data[8192], zero[8192];

	blk_bench_read(&b, 0, 512, 0, data);
	cr_expect_eq(memcmp(data, zero, 512), 0);
	blk_bench_read(&b, 99, 512, 0, data);
	cr_expect_eq(data[0], 99);
	cr_expect_eq(data[511], 99);
	blk_bench_read(&b, 7, 8192, 0, data);
	for (int i = 0; i < 8192; i++)
		cr_assert_eq(data[i], 7 + i / 512);
}

Test(device_blk, any_cut_into_descriptors)
{
	static const uint32_t pieces[] = { 0, 7, 16, 100, 511, 512, 513, 1000 };

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		static uint8_t out[1536], in[1536], file[1536];

		for (size_t k = 0; k < sizeof(out); k++)
			out[k] = k * 31 + i;
		blk_bench_write(&b, 40, sizeof(out), pieces[i], out);
		cr_assert_eq(pread(b.file, file, sizeof(file), 40 * 512), 1536);
		cr_expect_eq(memcmp(file, out, sizeof(out)), 0, "pieces of %u", pieces[i]);
		blk_bench_read(&b, 40, sizeof(in), pieces[i], in);
		cr_expect_eq(memcmp(in, out, sizeof(out)), 0, "pieces of %u", pieces[i]);
	}
}

/* The bits of the row are those of struct blk_request. */
static const struct blk_request requests[] = {
	{ "flush", FLUSH, 0, 16, 0, 0, 0, 0, 1, W, OK, 1 },
	{ "flush with a sector", FLUSH, 77, 16, 0, 0, 0, 0, 1, W, OK, 1 },
	{ "flush with data", FLUSH, 0, 16, 0, 512, 0, 0, 1, W, OK, 1 },
	{ "flush into data", FLUSH, 0, 16, 0, 512, W, 0, 1, W, OK, 1 },
	{ "header in 16 pieces", FLUSH, 0, 16, 0, 0, 0, 1, 1, W, OK, 1 },
	{ "read of nothing", IN, 0, 16, 0, 0, 0, 0, 1, W, OK, 1 },
	{ "last sector", IN, SECTORS - 1, 16, 0, 512, W, 0, 1, W, OK, 513 },
	{ "status in a large buffer", IN, 0, 16, 0, 0, 0, 0, 513, W, OK, 513 },
	{ "capacity", IN, SECTORS, 16, 0, 512, W, 0, 1, W, IOERR, 1 },
	{ "across the capacity", IN, SECTORS - 1, 16, 0, 1024, W, 0, 1, W, IOERR, 1 },
	{ "across it in pieces", IN, SECTORS - 1, 16, 0, 1024, W, 512, 1, W, IOERR, 1 },
	{ "write at the capacity", OUT, SECTORS, 16, 0, 512, 0, 0, 1, W, IOERR, 1 },
	{ "write across it", OUT, SECTORS - 1, 16, 0, 5120, 0, 512, 1, W, IOERR, 1 },
	{ "sector * 512 wraps", IN, 1ull << 55, 16, 0, 512, W, 0, 1, W, IOERR, 1 },
	{ "sector * 512 wraps to 0", OUT, 1ull << 56, 16, 0, 512, 0, 0, 1, W, IOERR, 1 },
	{ "sector 2^64 - 1", IN, UINT64_MAX, 16, 0, 512, W, 0, 1, W, IOERR, 1 },
	{ "sector 2^64 - 1, two", OUT, UINT64_MAX, 16, 0, 1024, 0, 0, 1, W, IOERR, 1 },
	{ "511 bytes", IN, 0, 16, 0, 511, W, 0, 1, W, IOERR, 1 },
	{ "513 bytes", OUT, 0, 16, 0, 513, 0, 0, 1, W, IOERR, 1 },
	{ "read with readable data", IN, 0, 16, 0, 512, 0, 0, 1, W, IOERR, 1 },
	{ "write with writable data", OUT, 0, 16, 0, 512, W, 0, 1, W, IOERR, 1 },
	{ "header of 15 bytes", IN, 0, 15, 0, 512, W, 0, 1, W, IOERR, 1 },
	{ "header of 17 bytes", IN, 0, 17, 0, 512, W, 0, 1, W, IOERR, 1 },
	{ "no header", IN, 0, 0, 0, 512, W, 0, 1, W, IOERR, 1 },
	{ "writable header", IN, 0, 16, W, 512, W, 0, 1, W, IOERR, 1 },
	{ "unknown type", 2, 0, 16, 0, 512, W, 0, 1, W, UNSUPP, 1 },
	{ "SCSI_CMD", 3, 0, 16, 0, 512, W, 0, 1, W, UNSUPP, 1 },
	{ "SECURE_ERASE", 14, 0, 16, 0, 16, 0, 0, 1, W, UNSUPP, 1 },
	{ "type with high bits", 0x80000000, 0, 16, 0, 512, W, 0, 1, W, UNSUPP, 1 },
	{ "nothing but room", IN, 0, 0, 0, 0, 0, 0, 1, W, IOERR, 1 },
	{ "status in a page", IN, 0, 16, 0, 0, 0, 0, 4097, W, OK, 4097 },
	{ "type with all bits", UINT32_MAX, 0, 16, 0, 512, W, 0, 1, W, UNSUPP, 1 },
	{ "header only", IN, 0, 16, 0, 0, 0, 0, 0, 0, NONE, 0 },
	{ "readable status", OUT, 0, 16, 0, 512, 0, 0, 1, 0, NONE, 0 },
	{ "status of length 0", OUT, 0, 16, 0, 512, 0, 0, 0, W, NONE, 0 },
};

Test(device_blk, requests_of_all_kinds)
{
	static uint8_t before[SECTORS * 512 + TAIL], after[sizeof(before)];
	uint64_t errors = 0, dropped = 0;
	struct device_report_wire report;
	struct stat st;

	cr_assert_eq(pread(b.file, before, sizeof(before), 0), (ssize_t)sizeof(before));
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		blk_bench_perform(&b, &requests[i], NULL);
		errors += requests[i].status == IOERR || requests[i].status == UNSUPP;
		dropped += requests[i].status == NONE;
	}
	report = mock_report(&b.fe);
	cr_expect_eq(report.request_errors, errors);
	cr_expect_eq(report.malformed_chains, dropped);
	cr_expect_eq(report.broken_queues, 0);
	cr_expect_eq(fstat(b.file, &st), 0);
	cr_expect_eq(st.st_size, (off_t)sizeof(before), "the file did not grow");
	cr_assert_eq(pread(b.file, after, sizeof(after), 0), (ssize_t)sizeof(after));
	cr_expect_eq(memcmp(before, after, sizeof(before)), 0, "and did not change");
}

Test(device_blk, identity)
{
	static const uint32_t lengths[] = { 0, 3, 19, 20, 21, 512 };

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		static const char serial[20] = "S3R1AL";
		uint32_t n = lengths[i] < 20 ? lengths[i] : 20;
		const struct blk_request request = { "identity", GET_ID, 0, 16, 0,  lengths[i],
						     W,		 0,	 1, W,	OK, n + 1 };
		uint8_t data[512];

		memset(data, 0x77, sizeof(data));
		blk_bench_perform(&b, &request, data);
		cr_expect_eq(memcmp(data, serial, n), 0);
		cr_expect(lengths[i] <= 20 || data[20] == 0x77, "not a byte more");
	}
}

Test(device_blk, many_requests_in_one_batch)
{
	struct mock_driver *driver = &b.fe.queues[0];
	uint64_t header = mock_alloc(driver, 85 * 16), data = mock_alloc(driver, 85 * 512);
	uint64_t status = mock_alloc(driver, 85);

	for (uint16_t i = 0; i < 85; i++) {
		struct virtq_desc *table = mock_desc_table(driver);
		uint16_t at = 3 * i;

		memset(mock_ptr(driver, header + 16 * i), 0, 16);
		*(uint64_t *)mock_ptr(driver, header + 16 * i + 8) = htole64(i);
		mock_set_desc(table, at, (struct virtq_desc){ header + 16 * i, 16, 1, at + 1 });
		mock_set_desc(table, at + 1,
			      (struct virtq_desc){ data + 512 * i, 512, 1 | W, at + 2 });
		mock_set_desc(table, at + 2, (struct virtq_desc){ status + i, 1, W, 0 });
		mock_submit(driver, at);
	}
	mock_kick(&b.fe, 0);
	for (uint16_t i = 0; i < 85; i++) {
		cr_assert_eq(mock_wait_used(&b.fe, 0).id, 3 * i);
		cr_assert_eq(*(uint8_t *)mock_ptr(driver, data + 512 * i), i);
	}
	cr_expect(mock_signalled(b.fe.call[0], MOCK_TIMEOUT));
	cr_expect_eq(mock_report(&b.fe).calls, 1);
}

/* All of the same chain, which is none of the device's business: it answers each in its turn. */
Test(device_blk, a_queue_full_of_flushes)
{
	struct mock_driver *driver = &b.fe.queues[0];
	uint64_t header = mock_alloc(driver, 32);

	*(uint32_t *)mock_ptr(driver, header) = htole32(FLUSH);
	blk_bench_add(driver, 0, header, 16, 0, 0);
	mock_set_desc(mock_desc_table(driver), 1, (struct virtq_desc){ header + 16, 1, W, 0 });
	for (int i = 0; i < 256; i++)
		mock_submit(driver, 0);
	mock_kick(&b.fe, 0);
	for (int i = 0; i < 256; i++)
		cr_assert_eq(mock_wait_used(&b.fe, 0).len, 1);
	cr_expect_eq(mock_report(&b.fe).request_errors, 0);
}

#define PIECE (4u << 20)

/* As many descriptors as there are, all of the same memory: the device needs no more than that. */
Test(device_blk, a_request_of_a_gibibyte)
{
	const struct virtq_desc data = { MOCK_BASE + 0x200000, PIECE, W | 1, 0 };
	struct mock_driver *driver = &b.fe.queues[0];
	struct virtq_desc *table = mock_desc_table(driver);
	uint64_t header = mock_alloc(driver, 32);
	struct virtq_used_elem elem;

	cr_assert_eq(ftruncate(b.file, 254 * PIECE), 0);
	blk_bench_config(&b);
	memset(mock_ptr(driver, header), 0, 16);
	mock_set_desc(table, 0, (struct virtq_desc){ header, 16, 1, 1 });
	for (uint16_t i = 1; i < 255; i++) {
		mock_set_desc(table, i, data);
		table[i].next = i + 1;
	}
	mock_set_desc(table, 255, (struct virtq_desc){ header + 16, 1, W, 0 });
	mock_submit(driver, 0);
	mock_kick(&b.fe, 0);
	/* So much takes its time where others work, too. */
	cr_assert(mock_poll_used(&b.fe, 0, 10 * MOCK_TIMEOUT, &elem));
	cr_expect_eq(elem.len, 254 * PIECE + 1);
	cr_expect_eq(*(uint8_t *)mock_ptr(driver, header + 16), OK);
}

/* What is in flight together is done in its order. */
Test(device_blk, writes_to_the_same_sector)
{
	struct mock_driver *driver = &b.fe.queues[0];
	struct virtq_desc *table = mock_desc_table(driver);
	uint64_t header = mock_alloc(driver, 32), data = mock_alloc(driver, 8 * 512);
	uint8_t file[512];

	*(uint32_t *)mock_ptr(driver, header) = htole32(OUT);
	*(uint64_t *)mock_ptr(driver, header + 8) = htole64(9);
	for (uint16_t i = 0; i < 8; i++) {
		memset(mock_ptr(driver, data + 512 * i), 0xa0 + i, 512);
		mock_set_desc(table, 3 * i, (struct virtq_desc){ header, 16, 1, 3 * i + 1 });
		mock_set_desc(table, 3 * i + 1,
			      (struct virtq_desc){ data + 512 * i, 512, 1, 3 * i + 2 });
		mock_set_desc(table, 3 * i + 2, (struct virtq_desc){ header + 16, 1, W, 0 });
		mock_submit(driver, 3 * i);
	}
	mock_kick(&b.fe, 0);
	for (uint16_t i = 0; i < 8; i++)
		cr_assert_eq(mock_wait_used(&b.fe, 0).id, 3 * i);
	cr_assert_eq(pread(b.file, file, 512, 9 * 512), 512);
	for (int i = 0; i < 512; i++)
		cr_assert_eq(file[i], 0xa7);
}

Test(device_blk, read_only)
{
	static const char *const settings[] = { "ro", NULL };
	const struct blk_request write = { "write", OUT, 3, 16, 0, 512, 0, 0, 1, W, IOERR, 1 };
	const struct blk_request discard = {
		"discard", DISCARD, 0, 16, 0, 16, 0, 0, 1, W, UNSUPP, 1
	};
	const struct blk_request zero = {
		"zero", WRITE_ZEROES, 0, 16, 0, 16, 0, 0, 1, W, UNSUPP, 1
	};
	const struct blk_request flush = { "flush", FLUSH, 0, 16, 0, 0, 0, 0, 1, W, OK, 1 };
	uint8_t range[16] = { [0] = 3, [8] = 1 }; /* sector and number of them */
	uint8_t data[512], file[512];

	tear_down();
	blk_bench_start(&b, blk_bench_file(SECTORS, TAIL), settings, 1, 256);
	cr_expect_eq(b.fe.features & 0xffffff, 1 << 1 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 9);
	cr_expect_eq(blk_bench_config(&b).max_discard_sectors, 0);
	memset(data, 0xff, sizeof(data));
	blk_bench_perform(&b, &write, data);
	blk_bench_perform(&b, &discard, range);
	blk_bench_perform(&b, &zero, range);
	blk_bench_perform(&b, &flush, NULL);
	cr_assert_eq(pread(b.file, file, 512, 3 * 512), 512);
	cr_expect_eq(file[0], 3);
	blk_bench_read(&b, 3, 512, 0, data);
	cr_expect_eq(data[0], 3);
}

/* It may still try. */
Test(device_blk, read_only_to_a_driver_that_has_not_noticed)
{
	static const char *const settings[] = { "ro", NULL };
	const struct blk_request write = { "write", OUT, 3, 16, 0, 512, 0, 0, 1, W, IOERR, 1 };
	uint8_t data[512] = { 0 };

	tear_down();
	blk_bench_start(&b, blk_bench_file(SECTORS, TAIL), settings, 1, 256);
	mock_stop_queue(&b.fe, 0);
	cr_assert_eq(mock_ack_u64(&b.fe, VHOST_USER_SET_FEATURES, b.fe.features & ~(1ull << 5), -1),
		     0);
	mock_start_queue(&b.fe, 0, 256);
	blk_bench_perform(&b, &write, data);
	blk_bench_read(&b, 3, 512, 0, data);
	cr_expect_eq(data[0], 3);
}

Test(device_blk, a_file_that_shrinks_is_an_error_for_the_guest)
{
	const struct blk_request gone = { "gone", IN, 50, 16, 0, 1024, W, 0, 1, W, IOERR, 1 };
	/* What was there is counted as written, since it was. */
	const struct blk_request half = {
		"half gone", IN, 49, 16, 0, 1024, W, 0, 1, W, IOERR, 513
	};
	uint8_t data[512];

	cr_assert_eq(ftruncate(b.file, 50 * 512), 0);
	blk_bench_perform(&b, &gone, NULL);
	blk_bench_perform(&b, &half, NULL);
	blk_bench_read(&b, 49, 512, 0, data);
	cr_expect_eq(data[0], 49);
}
