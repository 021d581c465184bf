/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The same bad chains to every queue of every device whose driver may send at any time: the chain is
 * dropped, or the queue stops and the front-end is told; the next good request works, and nothing is
 * left behind in the process.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/blk_bench.h"
#include "tests/unit/mock_process.h"

#define NEXT	 VIRTQ_DESC_F_NEXT
#define INDIRECT VIRTQ_DESC_F_INDIRECT
#define SPACE	 (MOCK_BASE + (18ull << 20)) /* of no ring and no buffer */
#define END	 (MOCK_BASE + MOCK_POOL)

static struct mock_frontend fe;

enum outcome { DROPPED, STOPPED };

static const struct {
	const char *what;
	struct virtq_desc desc[3];
	enum outcome outcome;
} chains[] = {
	{ "address 0", { { 0, 64, 0, 0 } }, STOPPED },
	{ "ordinary RAM", { { 0x100000, 64, 0, 0 } }, STOPPED },
	{ "a byte before the pool", { { MOCK_BASE - 1, 64, 0, 0 } }, STOPPED },
	{ "a byte behind it", { { END - 63, 64, 0, 0 } }, STOPPED },
	{ "right behind it", { { END, 1, 0, 0 } }, STOPPED },
	{ "all before it", { { MOCK_BASE - 4096, 4096, 0, 0 } }, STOPPED },
	{ "a register of the device", { { 0xfe000050, 4, 0, 0 } }, STOPPED },
	{ "the local APIC", { { 0xfee00000, 4096, W, 0 } }, STOPPED },
	{ "wraps", { { UINT64_MAX - 255, 512, 0, 0 } }, STOPPED },
	{ "4 GiB", { { SPACE, UINT32_MAX, 0, 0 } }, STOPPED },
	{ "4 GiB to write", { { SPACE, UINT32_MAX, W, 0 } }, STOPPED },
	{ "the second one outside", { { SPACE, 16, NEXT, 1 }, { END, 16, W, 0 } }, STOPPED },
	{ "table outside", { { END, 32, INDIRECT, 0 } }, STOPPED },
	{ "table across the end", { { END - 16, 32, INDIRECT, 0 } }, STOPPED },
	{ "names itself", { { SPACE, 16, NEXT, 0 } }, DROPPED },
	{ "two in a circle", { { SPACE, 16, NEXT, 1 }, { SPACE, 16, NEXT, 0 } }, DROPPED },
	{ "next that is none", { { SPACE, 16, NEXT, 64 } }, DROPPED },
	{ "next that is far away", { { SPACE, 16, NEXT, 0xffff } }, DROPPED },
	{ "readable behind writable",
	  { { SPACE, 64, NEXT, 1 }, { SPACE, 64, W | NEXT, 2 }, { SPACE, 64, 0, 0 } },
	  DROPPED },
	{ "table of no bytes", { { SPACE, 0, INDIRECT, 0 } }, DROPPED },
	{ "table of 17 bytes", { { SPACE, 17, INDIRECT, 0 } }, DROPPED },
	{ "table of 2^20 entries", { { SPACE, 16 << 20, INDIRECT, 0 } }, DROPPED },
	{ "table and next", { { SPACE, 16, INDIRECT | NEXT, 1 }, { SPACE, 16, W, 0 } }, DROPPED },
};

/* A good request: so many bytes to the device, and room for so many. */
struct good {
	unsigned int queue;
	uint8_t bytes[80];
	uint32_t len;
	uint32_t room;
};

static int a_file(void)
{
	return blk_bench_file(SECTORS, 0);
}

static int a_stream(void)
{
	int pair[2];

	/* Its other end stays open for as long as the test. */
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	return pair[1];
}

static const struct {
	const char *kind;
	int (*open_backend)(void);
	unsigned int nr_backends, nr_queues;
	const char *settings[2];
	struct good good[3];
} devices[] = {
	{ "blk", a_file, 1, 1, { NULL }, { { 0, { FLUSH }, 16, 1 } } },
	{ "rng", NULL, 0, 1, { NULL }, { { 0, { 0 }, 0, 64 } } },
	{ "console",
	  a_stream,
	  2,
	  6,
	  { "names=:port" },
	  { { 1, "text", 4, 0 }, { 3, { 0 }, 8, 0 } } },
	{ "net", a_stream, 1, 3, { NULL }, { { 1, { 0 }, 72, 0 }, { 2, { 0, 0, 1 }, 3, 1 } } },
	{ "vsock",
	  a_stream,
	  2,
	  3,
	  { "cid=3" },
	  { { 1, { [0] = 3, [8] = 2, [28] = 1, [30] = 3 }, 44, 0 } } },
};

static void expect_good(const struct good *good, const char *what)
{
	struct mock_driver *driver = &fe.queues[good->queue];
	struct virtq_desc *table = mock_desc_table(driver);
	const struct device_report_wire before = mock_report(&fe);
	struct device_report_wire after;
	uint16_t n = 0;

	memcpy(mock_ptr(driver, SPACE), good->bytes, sizeof(good->bytes));
	if (good->len)
		table[n++] = (struct virtq_desc){ SPACE, good->len, good->room ? NEXT : 0, 1 };
	if (good->room)
		table[n] = (struct virtq_desc){ SPACE + 4096, good->room, W, 0 };
	mock_submit(driver, 0);
	cr_expect_eq(mock_complete(&fe, good->queue).len, good->room, "%s", what);
	after = mock_report(&fe);
	cr_expect_eq(after.requests, before.requests + 1, "%s: %llu", what,
		     (unsigned long long)after.requests);
	cr_expect_eq(after.request_errors, before.request_errors, "%s", what);
}

static void give_bad(unsigned int queue, size_t i, const char *kind)
{
	struct mock_driver *driver = &fe.queues[queue];
	const struct device_report_wire before = mock_report(&fe);
	struct device_report_wire after;

	memcpy(mock_desc_table(driver), chains[i].desc, sizeof(chains[i].desc));
	mock_submit(driver, 0);
	mock_kick(&fe, queue);
	if (chains[i].outcome == DROPPED) {
		cr_expect_eq(mock_wait_used(&fe, queue).len, 0, "%s: %s", kind, chains[i].what);
	} else {
		cr_expect(mock_signalled(fe.err[queue], MOCK_TIMEOUT), "%s: %s", kind,
			  chains[i].what);
		mock_stop_queue(&fe, queue);
		mock_start_queue(&fe, queue, 64);
	}
	after = mock_report(&fe);
	cr_expect_eq(after.malformed_chains - before.malformed_chains, chains[i].outcome == DROPPED,
		     "%s: %s", kind, chains[i].what);
	cr_expect_eq(after.broken_queues - before.broken_queues, chains[i].outcome == STOPPED,
		     "%s: %s", kind, chains[i].what);
	cr_expect_eq(after.bytes_from_device, before.bytes_from_device, "%s: %s", kind,
		     chains[i].what);
}

static void attack(size_t d)
{
	int fds[2];
	const struct device_options options = { fds, devices[d].nr_backends, devices[d].settings };
	unsigned int nr_fds;

	for (unsigned int i = 0; i < devices[d].nr_backends; i++)
		fds[i] = devices[d].open_backend();
	mock_start(&fe, devices[d].kind, &options, true);
	mock_connect(&fe, devices[d].nr_queues, 64);
	nr_fds = mock_count_fds(&fe);
	for (const struct good *good = devices[d].good; good->len || good->room; good++) {
		expect_good(good, devices[d].kind);
		for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
			give_bad(good->queue, i, devices[d].kind);
			expect_good(good, chains[i].what);
		}
	}
	cr_expect_eq(mock_count_fds(&fe), nr_fds, "%s", devices[d].kind);
	cr_expect_eq(mock_stop(&fe), 0, "%s", devices[d].kind);
}

Test(device_hostile, bad_chains_to_every_queue, .init = mock_use_process)
{
	for (size_t d = 0; d < sizeof(devices) / sizeof(devices[0]); d++)
		attack(d);
}
