/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* virtio-blk over a real file, through a whole vhost-user session. */
#include <criterion/criterion.h>
#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/mock_frontend.h"

#define SECTORS 100ull
#define TAIL	300 /* bytes behind the last whole sector */

#define IN     0
#define OUT    1
#define FLUSH  4
#define GET_ID 8

#define OK     0
#define IOERR  1
#define UNSUPP 2
#define NONE   0xee /* the device wrote no status */

#define W VIRTQ_DESC_F_WRITE

static struct mock_frontend fe;
static struct device_options options;

static void start(bool read_only, const char *serial)
{
	options = (struct device_options){
		.backend_fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600),
		.read_only = read_only,
		.serial = serial,
	};
	cr_assert_geq(options.backend_fd, 0);
	for (uint64_t i = 0; i < SECTORS; i++) {
		uint8_t sector[512];

		memset(sector, (int)i, sizeof(sector));
		cr_assert_eq(pwrite(options.backend_fd, sector, 512, i * 512), 512);
	}
	cr_assert_eq(ftruncate(options.backend_fd, SECTORS * 512 + TAIL), 0);
	mock_start(&fe, "blk", &options, false);
	mock_connect(&fe, 1, 256);
}

static void set_up(void)
{
	start(false, "S3R1AL");
}

static void tear_down(void)
{
	cr_expect_eq(mock_stop(&fe), 0);
}

TestSuite(device_blk, .init = set_up, .fini = tear_down);

/* What stands in the chain: a header, pieces of data, room for the status. */
struct request {
	const char *what;
	uint32_t type;
	uint64_t sector;
	uint32_t header_len; /* 16 */
	uint16_t header_flags;
	uint32_t data_len; /* over all pieces */
	uint16_t data_flags;
	uint32_t piece;	     /* bytes of a descriptor, everywhere; 0: one each */
	uint32_t status_len; /* 1 */
	uint16_t status_flags;
	uint8_t status; /* expected */
	uint32_t used;	/* expected */
};

static uint16_t add_part(struct mock_driver *driver, uint16_t index, uint64_t addr, uint32_t len,
			 uint16_t flags, uint32_t piece)
{
	if (!piece)
		piece = len ? len : 1;
	for (uint32_t at = 0; at < len || at == 0; at += piece) {
		uint32_t n = len - at < piece ? len - at : piece;

		mock_set_desc(
			mock_desc_table(driver), index,
			(struct virtq_desc){ addr + at, n, flags | VIRTQ_DESC_F_NEXT, index + 1 });
		index++;
	}
	return index;
}

static uint64_t data_addr;

/* Performs the request with @data (in and out) and checks status and length. */
static void perform(const struct request *request, void *data)
{
	struct mock_driver *driver = &fe.queues[0];
	uint64_t header = MOCK_BASE + 0x100000, status = MOCK_BASE + 0x101000;
	uint8_t *status_byte = mock_ptr(driver, status + request->status_len - 1);
	struct virtq_used_elem elem;
	uint16_t index = 0;

	data_addr = MOCK_BASE + 0x200000;
	memcpy(mock_ptr(driver, header), &(uint32_t){ htole32(request->type) }, 4);
	memcpy(mock_ptr(driver, header + 8), &(uint64_t){ htole64(request->sector) }, 8);
	if (data)
		memcpy(mock_ptr(driver, data_addr), data, request->data_len);
	*status_byte = NONE;
	if (request->header_len)
		index = add_part(driver, index, header, request->header_len, request->header_flags,
				 request->piece);
	if (request->data_len)
		index = add_part(driver, index, data_addr, request->data_len, request->data_flags,
				 request->piece);
	if (request->status_len)
		index = add_part(driver, index, status, request->status_len, request->status_flags,
				 0);
	mock_desc_table(driver)[index - 1].flags &= ~VIRTQ_DESC_F_NEXT;
	mock_submit(driver, 0);
	elem = mock_complete(&fe, 0);
	cr_expect_eq(elem.len, request->used, "%s: used %u", request->what, elem.len);
	if (request->status_len)
		cr_expect_eq(*status_byte, request->status, "%s: status %u", request->what,
			     *status_byte);
	if (data)
		memcpy(data, mock_ptr(driver, data_addr), request->data_len);
}

static void read_sectors(uint64_t sector, uint32_t len, uint32_t piece, uint8_t *data)
{
	const struct request request = {
		"read", IN, sector, 16, 0, len, W, piece, 1, W, OK, len + 1
	};

	perform(&request, data);
}

static void write_sectors(uint64_t sector, uint32_t len, uint32_t piece, uint8_t *data)
{
	const struct request request = { "write", OUT, sector, 16, 0, len, 0, piece, 1, W, OK, 1 };

	perform(&request, data);
}

struct config {
	uint64_t capacity;
	uint32_t size_max, seg_max;
	uint8_t geometry[4];
	uint32_t blk_size;
};

static struct config get_config(void)
{
	struct vhost_user_config reply = { .size = sizeof(struct config) };
	struct config config;

	mock_send(&fe, VHOST_USER_GET_CONFIG, 0, &reply, 12 + sizeof(config), -1);
	cr_assert(mock_reply(&fe, VHOST_USER_GET_CONFIG, &reply, 12 + sizeof(config)));
	memcpy(&config, reply.region, sizeof(config));
	return config;
}

Test(device_blk, features)
{
	cr_expect_eq(fe.features & 0xffffff, 1 << 1 | 1 << 2 | 1 << 6 | 1 << 9);
}

Test(device_blk, configuration)
{
	struct config config = get_config();

	cr_expect_eq(le64toh(config.capacity), SECTORS);
	cr_expect_eq(le32toh(config.blk_size), 512);
	cr_expect_eq(le32toh(config.size_max), 65536);
	cr_expect_eq(le32toh(config.seg_max), MOCK_POOL / 4 / 65536);
}

Test(device_blk, configuration_can_be_read_in_parts_and_beyond)
{
	struct vhost_user_config reply = { .offset = 4, .size = 12 };
	uint8_t whole[24];
	static const uint8_t zero[232];

	memcpy(whole, &(struct config){ 0 }, 24);
	*(struct config *)whole = get_config();
	mock_send(&fe, VHOST_USER_GET_CONFIG, 0, &reply, 24, -1);
	cr_assert(mock_reply(&fe, VHOST_USER_GET_CONFIG, &reply, 24));
	cr_expect_eq(memcmp(reply.region, whole + 4, 12), 0);
	reply.offset = 24;
	reply.size = 232;
	mock_send(&fe, VHOST_USER_GET_CONFIG, 0, &reply, 244, -1);
	cr_assert(mock_reply(&fe, VHOST_USER_GET_CONFIG, &reply, 244));
	cr_expect_eq(memcmp(reply.region, zero, 232), 0);
}

Test(device_blk, reads_what_the_file_holds)
{
	static uint8_t data[8192], zero[8192];

	read_sectors(0, 512, 0, data);
	cr_expect_eq(memcmp(data, zero, 512), 0);
	read_sectors(99, 512, 0, data);
	cr_expect_eq(data[0], 99);
	cr_expect_eq(data[511], 99);
	read_sectors(7, 8192, 0, data);
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
		write_sectors(40, sizeof(out), pieces[i], out);
		cr_assert_eq(pread(options.backend_fd, file, sizeof(file), 40 * 512), 1536);
		cr_expect_eq(memcmp(file, out, sizeof(out)), 0, "pieces of %u", pieces[i]);
		read_sectors(40, sizeof(in), pieces[i], in);
		cr_expect_eq(memcmp(in, out, sizeof(out)), 0, "pieces of %u", pieces[i]);
	}
}

/* The bits of the row are those of struct request. */
static const struct request requests[] = {
	{ "flush", FLUSH, 0, 16, 0, 0, 0, 0, 1, W, OK, 1 },
	{ "flush with a sector", FLUSH, 77, 16, 0, 0, 0, 0, 1, W, OK, 1 },
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
	{ "DISCARD", 11, 0, 16, 0, 16, 0, 0, 1, W, UNSUPP, 1 },
	{ "WRITE_ZEROES", 13, 0, 16, 0, 16, 0, 0, 1, W, UNSUPP, 1 },
	{ "type with high bits", 0x80000000, 0, 16, 0, 512, W, 0, 1, W, UNSUPP, 1 },
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

	cr_assert_eq(pread(options.backend_fd, before, sizeof(before), 0), (ssize_t)sizeof(before));
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		perform(&requests[i], NULL);
		errors += requests[i].status == IOERR || requests[i].status == UNSUPP;
		dropped += requests[i].status == NONE;
	}
	report = mock_report(&fe);
	cr_expect_eq(report.request_errors, errors);
	cr_expect_eq(report.malformed_chains, dropped);
	cr_expect_eq(report.broken_queues, 0);
	cr_expect_eq(fstat(options.backend_fd, &st), 0);
	cr_expect_eq(st.st_size, (off_t)sizeof(before), "the file did not grow");
	cr_assert_eq(pread(options.backend_fd, after, sizeof(after), 0), (ssize_t)sizeof(after));
	cr_expect_eq(memcmp(before, after, sizeof(before)), 0, "and did not change");
}

Test(device_blk, identity)
{
	static const uint32_t lengths[] = { 0, 3, 19, 20, 21, 512 };

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		static const char serial[20] = "S3R1AL";
		uint32_t n = lengths[i] < 20 ? lengths[i] : 20;
		const struct request request = { "identity", GET_ID, 0, 16, 0,	lengths[i],
						 W,	     0,	     1, W,  OK, n + 1 };
		uint8_t data[512];

		memset(data, 0x77, sizeof(data));
		perform(&request, data);
		cr_expect_eq(memcmp(data, serial, n), 0);
		cr_expect(lengths[i] <= 20 || data[20] == 0x77, "not a byte more");
	}
}

Test(device_blk, many_requests_in_one_batch)
{
	struct mock_driver *driver = &fe.queues[0];
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
	mock_kick(&fe, 0);
	for (uint16_t i = 0; i < 85; i++) {
		cr_assert_eq(mock_wait_used(&fe, 0).id, 3 * i);
		cr_assert_eq(*(uint8_t *)mock_ptr(driver, data + 512 * i), i);
	}
	cr_expect(mock_signalled(fe.call[0], MOCK_TIMEOUT));
	cr_expect_eq(mock_report(&fe).calls, 1);
}

Test(device_blk, read_only)
{
	static uint8_t data[512], file[512];
	const struct request request = { "write", OUT, 3, 16, 0, 512, 0, 0, 1, W, IOERR, 1 };
	const struct request flush = { "flush", FLUSH, 0, 16, 0, 0, 0, 0, 1, W, OK, 1 };

	mock_stop(&fe);
	start(true, "");
	cr_expect(fe.features & 1 << 5, "F_RO");
	memset(data, 0xff, sizeof(data));
	perform(&request, data);
	cr_assert_eq(pread(options.backend_fd, file, 512, 3 * 512), 512);
	cr_expect_eq(file[0], 3);
	perform(&flush, NULL);
	read_sectors(3, 512, 0, data);
	cr_expect_eq(data[0], 3);
}

Test(device_blk, a_file_that_shrinks_is_an_error_for_the_guest)
{
	const struct request gone = { "gone", IN, 50, 16, 0, 1024, W, 0, 1, W, IOERR, 1 };
	/* What was there is counted as written, since it was. */
	const struct request half = { "half gone", IN, 49, 16, 0, 1024, W, 0, 1, W, IOERR, 513 };
	uint8_t data[512];

	cr_assert_eq(ftruncate(options.backend_fd, 50 * 512), 0);
	perform(&gone, NULL);
	perform(&half, NULL);
	read_sectors(49, 512, 0, data);
	cr_expect_eq(data[0], 49);
}
