/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Device processes that end at any moment, and those that go on in their place. */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/core/kept.h"
#include "tests/unit/blk_bench.h"

#define SIZE	 64 /* queue entries */
#define SLOTS	 16 /* requests in flight, of three descriptors each */
#define PIECE	 8192u
#define BASE_LBA 16u /* sectors of a slot's place on the disk */

static struct mock_frontend fe;

static struct device_kept *map_kept(void)
{
	void *kept =
		mmap(NULL, VHOST_USER_KEPT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fe.kept_fd, 0);

	cr_assert_neq(kept, MAP_FAILED);
	return kept;
}

static void start(const char *kind, const struct device_options *options, bool confined,
		  unsigned int nr_queues)
{
	mock_start(&fe, kind, options, confined);
	mock_negotiate(&fe, 0);
	mock_keep(&fe);
	mock_share_pool(&fe);
	for (unsigned int i = 0; i < nr_queues; i++)
		mock_start_queue(&fe, i, SIZE);
}

/* --- many requests of a disk in flight, each with data that nobody else writes --- */

struct slot {
	uint32_t round; /* of writes; what the sectors are filled with */
	bool reading;
	bool in_flight;
	unsigned int completions; /* of this request */
};

static struct slot slots[SLOTS];

static uint64_t header_at(unsigned int slot)
{
	return MOCK_BASE + 0x100000 + slot * 64;
}

static uint64_t data_at(unsigned int slot)
{
	return MOCK_BASE + 0x200000 + slot * (uint64_t)PIECE;
}

static uint8_t *status_of(unsigned int slot)
{
	return mock_ptr(&fe.queues[0], header_at(slot) + 32);
}

static void fill(unsigned int slot, uint32_t *words)
{
	for (unsigned int i = 0; i < PIECE / 4; i++)
		words[i] = slots[slot].round << 8 | slot;
}

/* Writes what this round is, or reads it back, in turn. */
static void submit_slot(unsigned int slot)
{
	struct mock_driver *driver = &fe.queues[0];
	struct virtq_desc *table = mock_desc_table(driver);
	const uint16_t head = slot * 3;
	uint32_t *data = mock_ptr(driver, data_at(slot));

	slots[slot].reading = !slots[slot].reading;
	if (!slots[slot].reading) {
		slots[slot].round++;
		fill(slot, data);
	} else {
		memset(data, 0xff, PIECE);
	}
	memcpy(mock_ptr(driver, header_at(slot)),
	       &(uint32_t){ htole32(slots[slot].reading ? IN : OUT) }, 4);
	memcpy(mock_ptr(driver, header_at(slot) + 8), &(uint64_t){ htole64(slot * BASE_LBA) }, 8);
	*status_of(slot) = NONE;
	mock_set_desc(table, head,
		      (struct virtq_desc){ header_at(slot), 16, VIRTQ_DESC_F_NEXT, head + 1 });
	mock_set_desc(table, head + 1,
		      (struct virtq_desc){ data_at(slot), PIECE,
					   VIRTQ_DESC_F_NEXT | (slots[slot].reading ? W : 0),
					   head + 2 });
	mock_set_desc(table, head + 2, (struct virtq_desc){ header_at(slot) + 32, 1, W, 0 });
	slots[slot].in_flight = true;
	slots[slot].completions = 0;
	mock_submit(driver, head);
}

static void take_completion(const struct virtq_used_elem *elem)
{
	const unsigned int slot = elem->id / 3;
	uint32_t expected[PIECE / 4];

	cr_assert(elem->id % 3 == 0 && slot < SLOTS, "head %u was never offered", elem->id);
	cr_assert(slots[slot].in_flight, "slot %u completed twice", slot);
	slots[slot].in_flight = false;
	cr_assert_eq(*status_of(slot), OK);
	cr_assert_eq(elem->len, slots[slot].reading ? PIECE + 1 : 1);
	fill(slot, expected);
	cr_assert_eq(memcmp(mock_ptr(&fe.queues[0], data_at(slot)), expected, PIECE), 0,
		     "slot %u: other data", slot);
}

/* Keeps @SLOTS requests in flight for so many completions. */
static void work(unsigned int completions)
{
	while (completions > 0) {
		struct virtq_used_elem elem;

		for (unsigned int slot = 0; slot < SLOTS; slot++)
			if (!slots[slot].in_flight)
				submit_slot(slot);
		mock_kick(&fe, 0);
		elem = mock_wait_used(&fe, 0);
		do {
			take_completion(&elem);
			completions -= completions > 0;
		} while (mock_take_used(&fe.queues[0], &elem));
	}
}

static unsigned int scale(void)
{
	const char *text = getenv("HOSTILE_SCALE");

	return text ? (unsigned int)strtoul(text, NULL, 10) : 1;
}

/*
 * Killed with requests in flight, 100 times: each of them is completed once, by the one or the other, and
 * all data is as it was acknowledged.
 */
Test(device_resume, requests_are_completed_once_each, .timeout = 300)
{
	int file = blk_bench_file(SLOTS * BASE_LBA, 0);
	const struct device_options options = { &file, 1, NULL };
	const unsigned int kills = 100 * scale();

	start("blk", &options, true, 1);
	for (unsigned int i = 0; i < SLOTS; i++)
		slots[i].reading = true;
	work(SLOTS);
	for (unsigned int i = 0; i < kills; i++) {
		for (unsigned int slot = 0; slot < SLOTS; slot++)
			if (!slots[slot].in_flight)
				submit_slot(slot);
		mock_kick(&fe, 0);
		usleep(i % 50 * 4);
		kill(fe.pid, SIGKILL);
		mock_succeed(&fe, "blk", &options, true, 1);
		work(SLOTS);
	}
	cr_expect_eq(mock_stop(&fe), 0);
}

/* Step 2 of kept.h was reached, step 3 was not: it is completed without being carried out again. */
Test(device_resume, what_is_done_is_only_shown)
{
	int file = blk_bench_file(SLOTS * BASE_LBA, 0);
	const struct device_options options = { &file, 1, NULL };
	struct virtq_used_elem elem;

	start("blk", &options, false, 1);
	slots[0].reading = true;
	submit_slot(0);
	elem = mock_complete(&fe, 0);
	take_completion(&elem);
	kill(fe.pid, SIGKILL);
	(void)waitpid(fe.pid, NULL, 0);
	/* As if it had ended one instruction before the store to used.idx. */
	mock_used(&fe.queues[0])->idx = htole16(0);
	fe.queues[0].last_used = 0;
	slots[0].in_flight = true;
	cr_assert_eq(ftruncate(file, 0), 0, "carried out again, it would fail");
	cr_assert_eq(ftruncate(file, SLOTS * BASE_LBA * 512), 0);
	mock_succeed(&fe, "blk", &options, false, 1);
	elem = mock_wait_used(&fe, 0);
	take_completion(&elem);
	cr_expect(mock_signalled(fe.call[0], MOCK_TIMEOUT),
		  "the interrupt may have been lost, too");
	cr_expect_eq(mock_report(&fe).requests, 1);
	cr_expect_eq(mock_stop(&fe), 0);
}

/* A driver that begins anew does so from an empty ring, whoever was there before. */
Test(device_resume, a_new_driver_begins_at_zero)
{
	int file = blk_bench_file(SLOTS * BASE_LBA, 0);
	const struct device_options options = { &file, 1, NULL };
	struct device_kept *kept;

	start("blk", &options, false, 1);
	for (unsigned int i = 0; i < SLOTS; i++)
		slots[i].reading = true;
	work(SLOTS);
	kept = map_kept();
	cr_expect_eq(kept->next[0], SLOTS);
	mock_stop_queue(&fe, 0);
	cr_assert_eq(mock_ack_u64(&fe, VHOST_USER_SET_FEATURES, fe.features, -1), 0);
	cr_expect_eq(kept->next[0], 0);
	mock_stop(&fe);
}

/* What the one before counted and found stays in the report. */
Test(device_resume, the_report_goes_on)
{
	const struct device_options options = { 0 };

	start("rng", &options, true, 1);
	mock_submit_buffer(&fe.queues[0], 0, 16, VIRTQ_DESC_F_WRITE);
	mock_complete(&fe, 0);
	mock_succeed(&fe, "rng", &options, true, 1);
	mock_submit_buffer(&fe.queues[0], 1, 16, VIRTQ_DESC_F_WRITE);
	mock_complete(&fe, 0);
	cr_expect_eq(mock_report(&fe).requests, 2);
	cr_expect_eq(mock_report(&fe).bytes_from_device, 32);
	cr_expect_eq(mock_stop(&fe), 0);
}

/* A process that was taken over by its guest leaves garbage: the next one is a process like any. */
Test(device_resume, garbage_is_no_harm)
{
	const char *const kinds[] = { "rng", "blk", "console" };
	int file = blk_bench_file(SLOTS * BASE_LBA, 0);
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const int fds[] = { file, pair[0] };
		const struct device_options options = { i == 0 ? NULL : &fds[i - 1], i > 0, NULL };
		struct device_kept *kept;

		start(kinds[i], &options, true, 1);
		kill(fe.pid, SIGKILL);
		(void)waitpid(fe.pid, NULL, 0);
		kept = map_kept();
		memset(kept, 0xff, sizeof(*kept));
		mock_succeed(&fe, kinds[i], &options, true, 1);
		cr_expect_leq(mock_report(&fe).nr_violations, DEVICE_REPORT_VIOLATIONS);
		/* Its ring makes no sense at 0xffff; a driver that begins anew is served. */
		mock_stop_queue(&fe, 0);
		cr_assert_eq(mock_ack_u64(&fe, VHOST_USER_SET_FEATURES, fe.features, -1), 0);
		mock_start_queue(&fe, 0, SIZE);
		cr_expect_eq(mock_stop(&fe), 0, "%s", kinds[i]);
	}
}

/* Once written data may be lost, no process of this disk claims that it is not. */
Test(device_resume, lost_data_stays_lost)
{
	struct blk_bench b = { .file = blk_bench_file(SECTORS, 0) };
	const struct device_options options = { &b.file, 1, NULL };
	const struct blk_request flush = { "flush", FLUSH, 0, 16, 0, 0, 0, 0, 1, W, IOERR, 1 };

	start("blk", &options, false, 1);
	/* What blk.c notes when fdatasync() has failed. */
	map_kept()->state[0] = 1;
	mock_succeed(&fe, "blk", &options, false, 1);
	b.fe = fe;
	blk_bench_perform(&b, &flush, NULL);
	cr_expect_eq(mock_stop(&b.fe), 0);
}

static const struct misuse {
	const char *what;
	uint32_t request;
	bool negotiated;
	bool shared;
} misuses[] = {
	{ "kept without its feature", VHOST_USER_MINIVMM_SET_KEPT, false, false },
	{ "resumed without its feature", VHOST_USER_MINIVMM_RESUME, false, false },
	{ "kept after the windows", VHOST_USER_MINIVMM_SET_KEPT, true, true },
	{ "resumed without kept memory", VHOST_USER_MINIVMM_RESUME, true, true },
};

Test(device_resume, misuse_ends_the_connection)
{
	for (size_t i = 0; i < sizeof(misuses) / sizeof(misuses[0]); i++) {
		const struct misuse *misuse = &misuses[i];
		const struct device_options options = { 0 };
		const bool is_resume = misuse->request == VHOST_USER_MINIVMM_RESUME;
		uint64_t features;
		int status;

		mock_start(&fe, "rng", &options, false);
		features = mock_get_u64(&fe, VHOST_USER_GET_FEATURES);
		if (misuse->negotiated)
			mock_negotiate(&fe, 0);
		if (misuse->shared)
			mock_share_pool(&fe);
		mock_send(&fe, misuse->request, 0, is_resume ? &features : NULL, is_resume ? 8 : 0,
			  is_resume ? -1 : fe.sock);
		status = mock_wait(&fe);
		cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1, "%s", misuse->what);
	}
}
