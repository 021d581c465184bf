/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Each trick of an evil device, as its driver sees it. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/eventfd.h>

#include "tests/unit/evil_bench.h"

static struct evil_bench bench;
static struct mock_frontend *const fe = &bench.blk.fe;

static void end(void)
{
	cr_expect_eq(mock_stop(fe), 0, "the device process lives until its connection ends");
}

static void start_rng(const char *trick)
{
	char how[128];

	snprintf(how, sizeof(how), "seed=3,rate=1000,tricks=%s", trick);
	evil_start_rng(&bench, how, false);
}

static void start_blk(const char *trick, bool read_only)
{
	char how[128];

	snprintf(how, sizeof(how), "seed=3,rate=1000,tricks=%s", trick);
	evil_start_blk(&bench, how, read_only, false);
}

static struct virtq_used_elem complete_rng(void)
{
	evil_submit_rng(&bench, 0);
	return mock_complete(fe, 0);
}

TestSuite(device_evil, .fini = end);

Test(device_evil, length_zero)
{
	start_rng("length-zero");
	cr_expect_eq(complete_rng().len, 0);
	cr_expect_eq(evil_played(&bench, EVIL_LENGTH_ZERO), 1);
}

Test(device_evil, length_long)
{
	start_rng("length-long");
	for (int i = 0; i < 20; i++) {
		uint32_t len = complete_rng().len;

		cr_expect_gt(len, EVIL_BUFFER);
		cr_expect_leq(len, EVIL_BUFFER + 4096);
	}
}

Test(device_evil, length_huge)
{
	start_rng("length-huge");
	for (int i = 0; i < 20; i++)
		cr_expect_geq(complete_rng().len, (uint32_t)INT32_MAX);
}

Test(device_evil, id_replay)
{
	start_rng("id-replay");
	evil_submit_rng(&bench, 5);
	cr_expect_eq(mock_complete(fe, 0).id, 5);
	cr_expect_eq(mock_wait_used(fe, 0).id, 5);
}

Test(device_evil, id_foreign)
{
	start_rng("id-foreign");
	for (int i = 0; i < 20; i++) {
		uint32_t id;

		cr_expect_eq(complete_rng().id, 0);
		id = mock_wait_used(fe, 0).id;
		cr_expect(id > 0 && id < EVIL_SIZE, "%u", id);
	}
}

Test(device_evil, id_outside)
{
	bool cut = false;

	start_rng("id-outside");
	for (int i = 0; i < 40; i++) {
		uint32_t id;

		cr_expect_eq(complete_rng().id, 0);
		id = mock_wait_used(fe, 0).id;
		cr_expect_geq(id, EVIL_SIZE);
		cut |= id == 0x10000;
	}
	cr_expect(cut, "never one that is right in its low half");
}

Test(device_evil, index_ahead)
{
	bool beyond = false;

	start_rng("index-ahead");
	for (int i = 0; i < 20; i++) {
		uint16_t before = evil_used_idx(&bench), step;

		evil_submit_rng(&bench, 0);
		mock_kick(fe, 0);
		cr_assert(mock_signalled(fe->call[0], MOCK_TIMEOUT));
		step = evil_used_idx(&bench) - before;
		cr_expect_gt(step, 1);
		beyond |= step > EVIL_SIZE + 1;
		/* As a driver that is told to have seen all of it. */
		fe->queues[0].last_used = evil_used_idx(&bench);
		*mock_used_event(&fe->queues[0]) = fe->queues[0].last_used;
	}
	cr_expect(beyond, "never further than the ring is long");
}

/* The index is looked at as fast as can be: is it ever one that was not to come? */
Test(device_evil, index_back)
{
	uint16_t right = 0;
	bool seen = false;

	start_rng("index-back");
	for (int i = 0; i < 20; i++) {
		uint64_t until = evil_ms() + 1000;

		*mock_used_event(&fe->queues[0]) = right;
		evil_submit_rng(&bench, 0);
		mock_kick(fe, 0);
		right++;
		do {
			uint16_t index = evil_used_idx(&bench);

			seen |= index != right && index != (uint16_t)(right - 1);
		} while (evil_ms() < until && (evil_used_idx(&bench) != right || !seen));
		cr_expect(mock_signalled(fe->call[0], MOCK_TIMEOUT));
		/* And it is mended, or a request would be lost. */
		for (int ms = 0; ms < MOCK_TIMEOUT && evil_used_idx(&bench) != right; ms++)
			usleep(1000);
		cr_expect_eq(evil_used_idx(&bench), right);
	}
	cr_expect(seen, "the index never went back");
}

Test(device_evil, used_flags)
{
	uint16_t event, seen = 0, flags = 0;

	start_rng("used-flags");
	for (uint16_t i = 0; i < 5; i++) {
		complete_rng();
		cr_expect(mock_signalled(fe->call[0], MOCK_TIMEOUT));
		*mock_used_event(&fe->queues[0]) = i + 1;
		flags |= __atomic_load_n(&mock_used(&fe->queues[0])->flags, __ATOMIC_ACQUIRE);
		event = __atomic_load_n(mock_avail_event(&fe->queues[0]), __ATOMIC_ACQUIRE);
		seen += event > i + 1;
	}
	cr_expect(flags & VIRTQ_USED_F_NO_NOTIFY);
	cr_expect_gt(seen, 0, "avail_event never asked for no kick");
	/* A driver that believes it does not kick: its chain is taken all the same. */
	evil_submit_rng(&bench, 0);
	mock_wait_used(fe, 0);
	for (int ms = 0; ms < MOCK_TIMEOUT && mock_used(&fe->queues[0])->flags; ms++)
		usleep(1000);
	cr_expect_eq(mock_used(&fe->queues[0])->flags, 0, "mended");
}

/* Of a disk: sector N is full of bytes N. */
static unsigned int wrong_bytes(uint8_t right)
{
	const uint8_t *at = mock_ptr(&fe->queues[0], EVIL_DATA);
	unsigned int wrong = 0;

	for (int i = 0; i < 512; i++)
		wrong += at[i] != right;
	return wrong;
}

Test(device_evil, data)
{
	unsigned int wrong = 0;

	start_blk("data", false);
	for (uint8_t i = 1; i < 20; i++) {
		evil_submit_blk(&bench, IN, i);
		cr_expect_eq(mock_wait_used(fe, 0).len, 513);
		wrong += wrong_bytes(i) > 0;
	}
	cr_expect_geq(wrong, 15, "%u of 19", wrong);
}

Test(device_evil, data_late)
{
	uint8_t before[EVIL_BUFFER];
	unsigned int changed = 0;
	uint64_t addr = 0;

	start_rng("data-late");
	for (int i = 0; i < 5; i++) {
		addr = evil_submit_rng(&bench, 0);
		mock_complete(fe, 0);
		memcpy(before, mock_ptr(&fe->queues[0], addr), sizeof(before));
		for (int ms = 0; ms < 500; ms++) {
			if (memcmp(before, mock_ptr(&fe->queues[0], addr), sizeof(before)))
				break;
			usleep(1000);
		}
		changed += memcmp(before, mock_ptr(&fe->queues[0], addr), sizeof(before)) != 0;
	}
	/* A look that comes too late finds the change made already. */
	cr_expect_gt(changed, 0);
}

Test(device_evil, status)
{
	start_blk("status", false);
	for (uint8_t i = 1; i < 20; i++) {
		evil_submit_blk(&bench, IN, i);
		mock_wait_used(fe, 0);
		cr_expect_neq(*(uint8_t *)mock_ptr(&fe->queues[0], EVIL_STATUS), OK);
		cr_expect_eq(wrong_bytes(i), 0);
	}
}

Test(device_evil, request)
{
	const uint8_t header[16] = { IN, 0, 0, 0, 0, 0, 0, 0, 9 };

	start_blk("request", true);
	evil_submit_blk(&bench, IN, 9);
	mock_wait_used(fe, 0);
	cr_expect_neq(memcmp(header, mock_ptr(&fe->queues[0], EVIL_HEADER), 16), 0);
	cr_expect_eq(wrong_bytes(9), 0, "it was served before");
}

Test(device_evil, descriptor)
{
	struct virtq_desc before[3];

	start_blk("descriptor", false);
	for (uint8_t i = 1; i < 20; i++) {
		evil_offer_blk(&bench, IN, i);
		memcpy(before, mock_desc_table(&fe->queues[0]), sizeof(before));
		mock_complete(fe, 0);
		cr_expect_eq(wrong_bytes(i), 0);
	}
	cr_expect_neq(memcmp(before, mock_desc_table(&fe->queues[0]), sizeof(before)), 0);
	cr_expect_eq(mock_report(fe).malformed_chains, 0);
	cr_expect_eq(mock_report(fe).nr_violations, 0,
		     "the device does not trip over its own trick");
}

Test(device_evil, descriptor_of_an_indirect_table)
{
	struct mock_driver *driver;
	struct virtq_desc *table, before;

	start_rng("descriptor");
	driver = &fe->queues[0];
	table = mock_ptr(driver, EVIL_HEADER);
	before = (struct virtq_desc){ EVIL_DATA, EVIL_BUFFER, VIRTQ_DESC_F_WRITE, 0 };
	for (int i = 0; i < 10; i++) {
		table[0] = before;
		mock_set_desc(mock_desc_table(driver), 0,
			      (struct virtq_desc){ EVIL_HEADER, 16, VIRTQ_DESC_F_INDIRECT, 0 });
		mock_submit(driver, 0);
		mock_complete(fe, 0);
		if (memcmp(table, &before, sizeof(before)))
			return;
	}
	cr_expect_fail("the table never changed");
}

/* While nothing happens the index is another one; the driver's next one counts all the same. */
Test(device_evil, avail)
{
	uint16_t seen = 0;

	start_rng("avail");
	for (uint16_t i = 1; i <= 5; i++) {
		const struct virtq_avail *avail = mock_avail(&fe->queues[0]);

		complete_rng();
		for (int ms = 0; ms < 200; ms++) {
			if (__atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE) != i)
				break;
			usleep(1000);
		}
		seen += __atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE) != i;
	}
	cr_expect_eq(seen, 5);
	cr_expect_eq(mock_report(fe).broken_queues, 0);
	cr_expect_eq(mock_report(fe).requests, 5);
}

Test(device_evil, avail_while_the_ring_is_full)
{
	/* More than the device takes in one batch: entries that it has not taken stay whole. */
	start_rng("avail");
	for (uint16_t i = 0; i < EVIL_SIZE; i++)
		evil_submit_rng(&bench, i);
	mock_kick(fe, 0);
	for (uint16_t i = 0; i < EVIL_SIZE; i++)
		cr_expect_eq(mock_wait_used(fe, 0).id, i);
}

Test(device_evil, delay)
{
	start_rng("delay");
	for (int i = 0; i < 5; i++) {
		uint64_t start = evil_ms();

		complete_rng();
		cr_expect_geq(evil_ms() - start, 9);
		cr_expect(mock_signalled(fe->call[0], MOCK_TIMEOUT), "with its interrupt");
		*mock_used_event(&fe->queues[0]) = evil_used_idx(&bench);
	}
}

Test(device_evil, reorder)
{
	bool seen[8] = { false }, in_order = true;

	start_rng("reorder");
	for (uint16_t i = 0; i < 8; i++)
		evil_submit_rng(&bench, i);
	mock_kick(fe, 0);
	for (uint32_t i = 0; i < 8; i++) {
		uint32_t id = mock_wait_used(fe, 0).id;

		cr_assert_lt(id, 8);
		cr_expect_not(seen[id], "%u twice", id);
		seen[id] = true;
		in_order &= id == i;
	}
	cr_expect_not(in_order);
}

Test(device_evil, stall)
{
	uint64_t start = evil_ms();

	start_rng("stall");
	for (uint16_t i = 0; i < 8; i++)
		evil_submit_rng(&bench, i);
	mock_kick(fe, 0);
	for (uint32_t i = 0; i < 8; i++) {
		struct virtq_used_elem elem;

		cr_assert(mock_poll_used(fe, 0, 4000, &elem));
		cr_expect_eq(elem.id, i);
	}
	cr_expect_geq(evil_ms() - start, 99);
	cr_expect(mock_signalled(fe->call[0], MOCK_TIMEOUT));
	mock_expect_idle(fe, "afterwards");
}

Test(device_evil, interrupt_late)
{
	uint64_t start = evil_ms();

	start_rng("interrupt-late");
	complete_rng();
	cr_expect(mock_signalled(fe->call[0], MOCK_TIMEOUT));
	cr_expect_geq(evil_ms() - start, 49);
}

Test(device_evil, interrupt_spurious)
{
	eventfd_t count = 0;

	start_rng("interrupt-spurious");
	complete_rng();
	cr_expect_gt(mock_report(fe).calls, 1);
	cr_expect_eq(eventfd_read(fe->call[0], &count), 0);
	cr_expect_gt(count, 1);
	cr_expect_eq(count, mock_report(fe).calls);
}

/* Every reading may be another one, and the front-end is told to read. */
Test(device_evil, config)
{
	struct vhost_user_msg msg;
	unsigned int lies = 0;
	int channel[2];

	start_blk("config", false);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel), 0);
	cr_assert_eq(mock_ack(fe, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, channel[1]), 0);
	for (uint8_t i = 0; i < 20; i++) {
		struct blk_bench_config config = blk_bench_config(&bench.blk);

		lies += config.capacity != SECTORS || config.num_queues != 1 ||
			config.size_max != 65536 || config.blk_size != 512;
		evil_submit_blk(&bench, IN, 1);
		mock_wait_used(fe, 0);
		cr_assert_eq(vhost_user_recv(channel[0], &msg, MOCK_TIMEOUT), 1);
		cr_expect_eq(msg.hdr.request, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG);
	}
	cr_expect_geq(lies, 3, "%u of 20", lies);
	cr_expect_geq(evil_played(&bench, EVIL_CONFIG), 20 + lies);
}

/* What stops for good has to be asked for. */
Test(device_evil, lost)
{
	struct virtq_used_elem elem;

	start_rng("lost");
	evil_submit_rng(&bench, 0);
	mock_kick(fe, 0);
	cr_expect_not(mock_poll_used(fe, 0, MOCK_FULL, &elem));
	cr_expect_eq(evil_played(&bench, EVIL_LOST), 1);
}

Test(device_evil, hang)
{
	struct virtq_used_elem elem;

	start_rng("hang");
	for (uint16_t i = 0; i < EVIL_SIZE; i++)
		evil_submit_rng(&bench, i);
	mock_kick(fe, 0);
	cr_expect_not(mock_poll_used(fe, 0, MOCK_FULL, &elem));
	mock_expect_idle(fe, "hanging");
	cr_expect_eq(mock_stop_queue(fe, 0), EVIL_SIZE, "a reset ends it");
	cr_expect(mock_poll_used(fe, 0, 1, &elem));
}

Test(device_evil, interrupt_lost)
{
	start_rng("interrupt-lost");
	complete_rng();
	cr_expect_not(mock_signalled(fe->call[0], 700));
}

Test(device_evil, needs_reset)
{
	start_rng("needs-reset");
	evil_submit_rng(&bench, 0);
	mock_kick(fe, 0);
	cr_expect(mock_signalled(fe->err[0], MOCK_TIMEOUT));
	cr_expect_eq(mock_report(fe).broken_queues, 0, "no fault of the driver's");
	mock_stop_queue(fe, 0);
}
