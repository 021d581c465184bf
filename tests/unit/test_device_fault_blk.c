/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A disk whose file fails: system calls that return errors or do less than asked, in the process
 * itself. The guest gets an error status or what it asked for, never a success that is none, and the
 * next request works.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "tests/unit/blk_bench.h"
#include "tests/unit/fault_tracer.h"
#include "tests/unit/mock_process.h"

#define LEN   8192u /* bytes of a transfer */
#define PIECE 2048u
#define AT    8 /* sector */

static struct blk_bench b;
static struct fault_tracer tracer;

static void set_up(void)
{
	mock_use_process();
	blk_bench_start(&b, blk_bench_file(SECTORS, 0), NULL, 1, 256);
}

static void set_up_direct(void)
{
	static const char *const settings[] = { "cache=none", NULL };

	mock_use_process();
	blk_bench_start(&b, blk_bench_direct_file(SECTORS), settings, 1, 256);
}

static void tear_down(void)
{
	cr_expect_eq(mock_stop(&b.fe), 0);
	close(b.file);
}

TestSuite(device_fault_blk, .init = set_up, .fini = tear_down);

struct row {
	const char *what;
	uint32_t type;
	uint32_t piece; /* of the data; 0: in one */
	struct fault faults[3];
	uint8_t status;
};

/* clang-format off */
static const struct row rows[] = {
	{ "read EIO", IN, 0, { { SYS_pread64, 0, 1, EIO, 0 } }, IOERR },
	{ "read EIO, pieces", IN, PIECE, { { SYS_preadv, 0, 1, EIO, 0 } }, IOERR },
	{ "read EINTR", IN, 0, { { SYS_pread64, 0, 3, EINTR, 0 } }, OK },
	{ "read EINTR, pieces", IN, PIECE, { { SYS_preadv, 0, 3, EINTR, 0 } }, OK },
	{ "read EAGAIN", IN, 0, { { SYS_pread64, 0, 1, EAGAIN, 0 } }, IOERR },
	{ "read EAGAIN, pieces", IN, PIECE, { { SYS_preadv, 0, 1, EAGAIN, 0 } }, IOERR },
	{ "short read", IN, 0, { { SYS_pread64, 0, 1, 0, 4096 } }, OK },
	{ "short read, pieces", IN, PIECE, { { SYS_preadv, 0, 3, 0, 0 } }, OK },
	{ "read EIO in the middle", IN, PIECE,
	  { { SYS_preadv, 0, 1, 0, 0 }, { SYS_preadv, 0, 1, EIO, 0 } }, IOERR },
	{ "write EIO", OUT, 0, { { SYS_pwrite64, 0, 1, EIO, 0 } }, IOERR },
	{ "write EIO, pieces", OUT, PIECE, { { SYS_pwritev, 0, 1, EIO, 0 } }, IOERR },
	{ "write ENOSPC", OUT, 0, { { SYS_pwrite64, 0, 1, ENOSPC, 0 } }, IOERR },
	{ "write ENOSPC, pieces", OUT, PIECE, { { SYS_pwritev, 0, 1, ENOSPC, 0 } }, IOERR },
	{ "write EFBIG", OUT, 0, { { SYS_pwrite64, 0, 1, EFBIG, 0 } }, IOERR },
	{ "write EFBIG, pieces", OUT, PIECE, { { SYS_pwritev, 0, 1, EFBIG, 0 } }, IOERR },
	{ "write EDQUOT", OUT, 0, { { SYS_pwrite64, 0, 1, EDQUOT, 0 } }, IOERR },
	{ "write EDQUOT, pieces", OUT, PIECE, { { SYS_pwritev, 0, 1, EDQUOT, 0 } }, IOERR },
	{ "write EAGAIN", OUT, 0, { { SYS_pwrite64, 0, 1, EAGAIN, 0 } }, IOERR },
	{ "write EAGAIN, pieces", OUT, PIECE, { { SYS_pwritev, 0, 1, EAGAIN, 0 } }, IOERR },
	{ "write EINTR", OUT, 0, { { SYS_pwrite64, 0, 3, EINTR, 0 } }, OK },
	{ "write EINTR, pieces", OUT, PIECE, { { SYS_pwritev, 0, 3, EINTR, 0 } }, OK },
	{ "short write", OUT, 0, { { SYS_pwrite64, 0, 1, 0, 4096 } }, OK },
	{ "short write, pieces", OUT, PIECE, { { SYS_pwritev, 0, 3, 0, 0 } }, OK },
	{ "write ENOSPC in the middle", OUT, PIECE,
	  { { SYS_pwritev, 0, 1, 0, 0 }, { SYS_pwritev, 0, 1, ENOSPC, 0 } }, IOERR },
	{ "zero EIO", WRITE_ZEROES, 0, { { SYS_fallocate, 0, 1, EIO, 0 } }, IOERR },
	{ "zero ENOSPC", WRITE_ZEROES, 0, { { SYS_fallocate, 0, 1, ENOSPC, 0 } }, IOERR },
	{ "zero EDQUOT", WRITE_ZEROES, 0, { { SYS_fallocate, 0, 1, EDQUOT, 0 } }, IOERR },
	{ "zero EINTR", WRITE_ZEROES, 0, { { SYS_fallocate, 0, 3, EINTR, 0 } }, OK },
	{ "zero not known", WRITE_ZEROES, 0, { { SYS_fallocate, 0, 1, EOPNOTSUPP, 0 } }, OK },
	{ "zero by short writes", WRITE_ZEROES, 0,
	  { { SYS_fallocate, 0, 1, EOPNOTSUPP, 0 }, { SYS_pwritev, 0, 1, 0, 0 },
	    { SYS_pwrite64, 0, 1, EINTR, 0 } }, OK },
	{ "zero by a write that fails", WRITE_ZEROES, 0,
	  { { SYS_fallocate, 0, 1, EOPNOTSUPP, 0 }, { SYS_pwritev, 0, 1, ENOSPC, 0 } }, IOERR },
	{ "discard EIO", DISCARD, 0, { { SYS_fallocate, 0, 1, EIO, 0 } }, IOERR },
	{ "discard EDQUOT", DISCARD, 0, { { SYS_fallocate, 0, 1, EDQUOT, 0 } }, IOERR },
	{ "discard EINTR", DISCARD, 0, { { SYS_fallocate, 0, 3, EINTR, 0 } }, OK },
	{ "discard not known", DISCARD, 0, { { SYS_fallocate, 0, 1, EOPNOTSUPP, 0 } }, UNSUPP },
	{ "flush EINTR", FLUSH, 0, { { SYS_fdatasync, 0, 3, EINTR, 0 } }, OK },
};
/* clang-format on */

/* A request of the row; what it moves is in @data. */
static struct blk_request request_of(const struct row *row, uint8_t *data)
{
	struct blk_request request = { row->what, row->type,  AT, 16, 0,	   LEN,
				       0,	  row->piece, 1,  W,  row->status, 1 };

	if (row->type == IN) {
		request.data_flags = W;
		request.used = row->status == OK ? LEN + 1 : 1;
		/* Bytes that had come before the error are counted. */
		if (row->status == IOERR && row->faults[1].count)
			request.used += PIECE;
	} else if (row->type == DISCARD || row->type == WRITE_ZEROES) {
		memset(data, 0, 16);
		data[0] = AT;
		data[8] = LEN / 512;
		request.sector = 0;
		request.data_len = 16;
	} else if (row->type == FLUSH) {
		request.sector = 0;
		request.data_len = 0;
	}
	return request;
}

/* What the file holds there now; it may be open for direct I/O. */
static const uint8_t *read_file(void)
{
	static uint8_t bytes[LEN] __attribute__((aligned(4096)));

	cr_assert_eq(pread(b.file, bytes, LEN, AT * 512), (ssize_t)LEN);
	return bytes;
}

/* Success is one: what was asked for is there. */
static void expect_done(const struct row *row, const uint8_t *data)
{
	const uint8_t *file = read_file();
	static const uint8_t zeroes[LEN];

	if (row->type == IN || row->type == OUT)
		cr_expect_eq(memcmp(file, data, LEN), 0, "%s", row->what);
	else if (row->type != FLUSH)
		cr_expect_eq(memcmp(file, zeroes, LEN), 0, "%s", row->what);
}

static void expect_next_works(const char *what)
{
	uint8_t out[LEN], in[LEN];

	memset(out, 0x5a, LEN);
	blk_bench_write(&b, AT, LEN, PIECE, out);
	blk_bench_read(&b, AT, LEN, PIECE, in);
	cr_expect_eq(memcmp(in, out, LEN), 0, "%s: the next request", what);
	cr_expect_eq(memcmp(read_file(), out, LEN), 0, "%s: the next write", what);
}

/* With @pieces: also the rows that count on data going in so many of them. */
static void perform_rows(bool pieces)
{
	unsigned int fds = mock_count_fds(&b.fe);
	uint64_t errors = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t data[LEN];
		struct blk_request request;
		unsigned int expected = 0;

		if (rows[i].piece && !pieces)
			continue;
		memset(data, 0xa0 + (int)i, LEN);
		request = request_of(&rows[i], data);
		tracer.pid = b.fe.pid;
		memcpy(tracer.faults, rows[i].faults, sizeof(tracer.faults));
		for (size_t k = 0; k < 3; k++)
			expected += rows[i].faults[k].count;
		fault_tracer_start(&tracer);
		blk_bench_perform(&b, &request, data);
		cr_expect_eq(fault_tracer_stop(&tracer), expected, "%s: so many faults",
			     rows[i].what);
		if (rows[i].status == OK)
			expect_done(&rows[i], data);
		errors += rows[i].status != OK;
		expect_next_works(rows[i].what);
	}
	cr_expect_eq(mock_report(&b.fe).request_errors, errors);
	cr_expect_eq(mock_report(&b.fe).broken_queues, 0);
	cr_expect_eq(mock_count_fds(&b.fe), fds);
}

Test(device_fault_blk, every_error_is_a_status)
{
	perform_rows(true);
}

Test(device_fault_blk, every_error_is_a_status_past_the_page_cache, .init = set_up_direct)
{
	perform_rows(false);
}

static uint8_t flush(void)
{
	struct mock_driver *driver = &b.fe.queues[0];
	struct virtq_desc *table = mock_desc_table(driver);
	uint64_t at = mock_alloc(driver, 32);

	*(uint32_t *)mock_ptr(driver, at) = htole32(FLUSH);
	mock_set_desc(table, 0, (struct virtq_desc){ at, 16, 1, 1 });
	mock_set_desc(table, 1, (struct virtq_desc){ at + 16, 1, W, 0 });
	mock_submit(driver, 0);
	mock_complete(&b.fe, 0);
	return *(uint8_t *)mock_ptr(driver, at + 16);
}

/*
 * The kernel reports once that it could not write something back, and forgets. So after one failure no
 * flush succeeds any more: not to this driver, and not to the next one.
 */
Test(device_fault_blk, a_flush_after_one_that_failed_claims_nothing)
{
	static const int errors[] = { EIO, ENOSPC, EDQUOT };

	for (size_t i = 0; i < 3; i++) {
		uint8_t data[LEN];

		if (i) {
			tear_down();
			set_up();
		}
		memset(data, 0x11, LEN);
		blk_bench_write(&b, AT, LEN, 0, data);
		tracer = (struct fault_tracer){
			.pid = b.fe.pid,
			.faults = { { SYS_fdatasync, 1, 1, errors[i], 0 } },
		};
		fault_tracer_start(&tracer);
		cr_expect_eq(flush(), OK);
		blk_bench_write(&b, AT, LEN, 0, data);
		cr_expect_eq(flush(), IOERR, "%s", strerror(errors[i]));
		for (int n = 0; n < 3; n++)
			cr_expect_eq(flush(), IOERR, "the data of before is still lost");
		expect_next_works("flush");
		cr_expect_eq(flush(), IOERR, "what was written since may be fine; the rest is not");
		mock_stop_queue(&b.fe, 0);
		cr_assert_eq(mock_ack_u64(&b.fe, VHOST_USER_SET_FEATURES, b.fe.features, -1), 0);
		mock_start_queue(&b.fe, 0, 256);
		cr_expect_eq(flush(), IOERR, "another driver is no cure");
		cr_expect_eq(fault_tracer_stop(&tracer), 1);
	}
}

/* A driver without FLUSH is promised that what it wrote is durable. */
Test(device_fault_blk, without_flush_a_failed_sync_fails_the_write)
{
	const struct blk_request lost = { "write", OUT, AT, 16, 0, 512, 0, 0, 1, W, IOERR, 1 };
	uint8_t data[512] = { 1 };

	mock_stop_queue(&b.fe, 0);
	cr_assert_eq(mock_ack_u64(&b.fe, VHOST_USER_SET_FEATURES, b.fe.features & ~(1ull << 9), -1),
		     0);
	mock_start_queue(&b.fe, 0, 256);
	blk_bench_write(&b, AT, 512, 0, data);
	tracer = (struct fault_tracer){
		.pid = b.fe.pid,
		.faults = { { SYS_fdatasync, 0, 1, EIO, 0 } },
	};
	fault_tracer_start(&tracer);
	blk_bench_perform(&b, &lost, data);
	cr_expect_eq(fault_tracer_stop(&tracer), 1);
	blk_bench_perform(&b, &lost, data);
	blk_bench_read(&b, AT, 512, 0, data);
}

/* That its size cannot be asked for changes nothing. */
Test(device_fault_blk, a_size_that_cannot_be_found_out)
{
	tracer = (struct fault_tracer){
		.pid = b.fe.pid,
		.faults = { { SYS_lseek, 0, 1, EIO, 0 } },
	};
	fault_tracer_start(&tracer);
	cr_expect_eq(blk_bench_config(&b).capacity, SECTORS);
	cr_expect_eq(fault_tracer_stop(&tracer), 1);
	expect_next_works("lseek");
}
