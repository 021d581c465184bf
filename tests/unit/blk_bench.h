/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A block device over a file of known sectors, and a driver that asks for whatever a row says. */
#ifndef TESTS_UNIT_BLK_BENCH_H
#define TESTS_UNIT_BLK_BENCH_H

#include <criterion/criterion.h>
#include <endian.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/mock_frontend.h"

#define SECTORS 100ull
#define TAIL	300 /* bytes behind the last whole sector */

#define IN	     0
#define OUT	     1
#define FLUSH	     4
#define GET_ID	     8
#define DISCARD	     11
#define WRITE_ZEROES 13

#define OK     0
#define IOERR  1
#define UNSUPP 2
#define NONE   0xee /* the device wrote no status */

#define W VIRTQ_DESC_F_WRITE

struct blk_bench {
	struct mock_frontend fe;
	int file;
};

/* virtio 1.3, 5.2.4 */
struct blk_bench_config {
	uint64_t capacity;
	uint32_t size_max, seg_max;
	uint8_t geometry[4];
	uint32_t blk_size;
	uint8_t topology[8];
	uint8_t writeback, unused;
	uint16_t num_queues;
	uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
	uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap, padding[7];
};

/* What stands in the chain: a header, pieces of data, room for the status. */
struct blk_request {
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

/* Fills sector N of @file with bytes N; behind the last one lies a @tail. */
static inline int blk_bench_fill(int file, uint64_t sectors, uint64_t tail)
{
	cr_assert_geq(file, 0);
	for (uint64_t i = 0; i < sectors; i++) {
		uint8_t sector[512];

		memset(sector, (int)i, sizeof(sector));
		cr_assert_eq(pwrite(file, sector, 512, (off_t)(i * 512)), 512);
	}
	cr_assert_eq(ftruncate(file, (off_t)(sectors * 512 + tail)), 0);
	return file;
}

static inline int blk_bench_file(uint64_t sectors, uint64_t tail)
{
	return blk_bench_fill(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), sectors, tail);
}

/* The same without a tail, where a file system has direct I/O. The descriptor goes without. */
static inline int blk_bench_direct_file(uint64_t sectors)
{
	static const char *const folders[] = { "/tmp", "/var/tmp", "." };
	int flags, file = -1;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]) && file < 0; i++)
		file = open(folders[i], O_TMPFILE | O_RDWR | O_CLOEXEC | O_DIRECT, 0600);
	cr_assert_geq(file, 0, "no file system with direct I/O");
	flags = fcntl(file, F_GETFL);
	cr_assert_eq(fcntl(file, F_SETFL, flags & ~O_DIRECT), 0);
	return blk_bench_fill(file, sectors, 0);
}

/* Starts a device over @file with @settings, and takes all its features; queues of @size. */
static inline void blk_bench_start(struct blk_bench *b, int file, const char *const *settings,
				   unsigned int nr_queues, uint16_t size)
{
	const struct device_options options = { &file, 1, settings };

	b->file = file;
	mock_start(&b->fe, "blk", &options, false);
	mock_connect(&b->fe, nr_queues, size);
}

static inline uint16_t blk_bench_add(struct mock_driver *driver, uint16_t index, uint64_t addr,
				     uint32_t len, uint16_t flags, uint32_t piece)
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

/* Performs the request with @data (in and out) and checks status and length. */
static inline void blk_bench_perform(struct blk_bench *b, const struct blk_request *request,
				     void *data)
{
	struct mock_driver *driver = &b->fe.queues[0];
	uint64_t header = MOCK_BASE + 0x100000, status = MOCK_BASE + 0x101000;
	uint64_t data_addr = MOCK_BASE + 0x200000;
	uint8_t *status_byte = mock_ptr(driver, status + request->status_len - 1);
	struct virtq_used_elem elem;
	uint16_t index = 0;

	memcpy(mock_ptr(driver, header), &(uint32_t){ htole32(request->type) }, 4);
	memcpy(mock_ptr(driver, header + 8), &(uint64_t){ htole64(request->sector) }, 8);
	if (data)
		memcpy(mock_ptr(driver, data_addr), data, request->data_len);
	*status_byte = NONE;
	if (request->header_len)
		index = blk_bench_add(driver, index, header, request->header_len,
				      request->header_flags, request->piece);
	if (request->data_len)
		index = blk_bench_add(driver, index, data_addr, request->data_len,
				      request->data_flags, request->piece);
	if (request->status_len)
		index = blk_bench_add(driver, index, status, request->status_len,
				      request->status_flags, 0);
	mock_desc_table(driver)[index - 1].flags &= ~VIRTQ_DESC_F_NEXT;
	mock_submit(driver, 0);
	elem = mock_complete(&b->fe, 0);
	cr_expect_eq(elem.len, request->used, "%s: used %u", request->what, elem.len);
	if (request->status_len)
		cr_expect_eq(*status_byte, request->status, "%s: status %u", request->what,
			     *status_byte);
	if (data)
		memcpy(data, mock_ptr(driver, data_addr), request->data_len);
}

static inline void blk_bench_read(struct blk_bench *b, uint64_t sector, uint32_t len,
				  uint32_t piece, void *data)
{
	const struct blk_request request = { "read", IN,    sector, 16, 0,  len,
					     W,	     piece, 1,	    W,	OK, len + 1 };

	blk_bench_perform(b, &request, data);
}

static inline void blk_bench_write(struct blk_bench *b, uint64_t sector, uint32_t len,
				   uint32_t piece, void *data)
{
	const struct blk_request request = {
		"write", OUT, sector, 16, 0, len, 0, piece, 1, W, OK, 1
	};

	blk_bench_perform(b, &request, data);
}

static inline struct blk_bench_config blk_bench_config(struct blk_bench *b)
{
	struct vhost_user_config reply = { .size = sizeof(struct blk_bench_config) };
	struct blk_bench_config config;

	mock_send(&b->fe, VHOST_USER_GET_CONFIG, 0, &reply, 12 + sizeof(config), -1);
	cr_assert(mock_reply(&b->fe, VHOST_USER_GET_CONFIG, &reply, 12 + sizeof(config)));
	memcpy(&config, reply.region, sizeof(config));
	return config;
}

/* The bytes of the file; the caller frees them. */
static inline uint8_t *blk_bench_content(const struct blk_bench *b, size_t len)
{
	uint8_t *content = malloc(len);

	cr_assert_not_null(content);
	cr_assert_eq(pread(b->file, content, len, 0), (ssize_t)len);
	return content;
}

#endif
