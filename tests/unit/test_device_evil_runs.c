/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Evil devices over many requests: what a seed decides, and what no trick may harm. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/evil_bench.h"
#include "tests/unit/net_bench.h"

#define REQUESTS 200

/* Those whose effect is there at once, and stays. */
#define AT_ONCE "length-zero+length-long+length-huge+id-replay+id-foreign+id-outside+descriptor"
#define WAITING                                                                                 \
	"data-late+avail+used-flags+index-ahead+index-back+delay+reorder+stall+interrupt-late+" \
	"interrupt-spurious+config"
#define ENDS "lost+hang+interrupt-lost+needs-reset"

static struct evil_bench bench;
static struct mock_frontend *const fe = &bench.blk.fe;

/* What a driver saw: all elements and the descriptor, after each of the requests. */
struct trace {
	struct virtq_used_elem elements[2 * REQUESTS];
	unsigned int nr_elements;
	struct virtq_desc descriptors[REQUESTS];
	struct device_report_wire report;
};

static void wait_requests(uint64_t number)
{
	for (int ms = 0; ms < MOCK_TIMEOUT && mock_report(fe).requests < number; ms++)
		usleep(1000);
	cr_assert_eq(mock_report(fe).requests, number);
}

/* Requests one after the other; none of the tricks is one that waits. */
static struct trace *take_trace(const char *how)
{
	struct trace *trace = calloc(1, sizeof(*trace));

	cr_assert_not_null(trace);
	evil_start_rng(&bench, how, false);
	for (unsigned int i = 0; i < REQUESTS; i++) {
		evil_submit_rng(&bench, i % EVIL_SIZE);
		mock_kick(fe, 0);
		wait_requests(i + 1);
		while (trace->nr_elements < 2 * REQUESTS &&
		       mock_take_used(&fe->queues[0], &trace->elements[trace->nr_elements]))
			trace->nr_elements++;
		trace->descriptors[i] = mock_desc_table(&fe->queues[0])[i % EVIL_SIZE];
	}
	trace->report = mock_report(fe);
	cr_expect_eq(mock_stop(fe), 0);
	return trace;
}

static bool same_elements(const struct trace *a, const struct trace *b)
{
	return a->nr_elements == b->nr_elements &&
	       memcmp(a->elements, b->elements, sizeof(a->elements)) == 0;
}

Test(device_evil_runs, a_seed_decides_everything)
{
	struct trace *first = take_trace("seed=7,rate=300,tricks=" AT_ONCE);
	struct trace *again = take_trace("seed=7,rate=300,tricks=" AT_ONCE);
	struct trace *other = take_trace("seed=8,rate=300,tricks=" AT_ONCE);

	cr_expect(same_elements(first, again));
	cr_expect_eq(memcmp(first->descriptors, again->descriptors, sizeof(first->descriptors)), 0);
	cr_expect_eq(
		memcmp(first->report.tricks, again->report.tricks, sizeof(first->report.tricks)),
		0);
	cr_expect_eq(memcmp(first->report.last_plays, again->report.last_plays,
			    sizeof(first->report.last_plays)),
		     0);
	cr_expect_not(same_elements(first, other));
	cr_expect_neq(memcmp(first->report.last_plays, other->report.last_plays,
			     sizeof(first->report.last_plays)),
		      0);
	free(first);
	free(again);
	free(other);
}

/* With all that wait, too: when they end depends on the time, which they are does not. */
static struct device_report_wire run_all(const char *how)
{
	struct device_report_wire report;

	evil_start_rng(&bench, how, false);
	for (unsigned int i = 0; i < REQUESTS; i++) {
		evil_submit_rng(&bench, i % EVIL_SIZE);
		mock_kick(fe, 0);
		wait_requests(i + 1);
	}
	report = mock_report(fe);
	cr_expect_eq(mock_stop(fe), 0);
	return report;
}

Test(device_evil_runs, time_does_not_change_the_sequence)
{
	struct device_report_wire first = run_all("seed=11,rate=500");
	struct device_report_wire again = run_all("seed=11,rate=500");
	unsigned int kinds = 0;

	cr_expect_eq(memcmp(first.tricks, again.tricks, sizeof(first.tricks)), 0);
	cr_expect_eq(memcmp(first.last_plays, again.last_plays, sizeof(first.last_plays)), 0);
	cr_expect_eq(first.plays, again.plays);
	for (unsigned int i = 0; i < EVIL_NR_TRICKS; i++)
		kinds += first.tricks[i] > 0;
	/* All that are played unasked, but for the two that rng has nothing for: config, request. */
	cr_expect_geq(kinds, 16, "%u", kinds);
	cr_expect_eq(first.tricks[EVIL_HANG] + first.tricks[EVIL_LOST], 0);
}

Test(device_evil_runs, rate_and_a_good_start)
{
	struct device_report_wire report = run_all("seed=5,rate=250,after=100,tricks=length-zero");
	uint64_t first = report.last_plays[0].completion;

	/* A quarter of 100. */
	cr_expect(report.plays > 10 && report.plays < 40, "%lu", report.plays);
	for (unsigned int i = 0; i < DEVICE_REPORT_PLAYS && i < report.plays; i++)
		first = report.last_plays[i].completion < first ? report.last_plays[i].completion
								: first;
	cr_expect_gt(first, 100);
	report = run_all("rate=1000,after=1000");
	cr_expect_eq(report.plays, 0);
}

/* Writes of which the driver is told all kinds of things; the file has what was written. */
Test(device_evil_runs, a_disk_gets_what_was_written)
{
	uint8_t *content;

	evil_start_blk(&bench, "seed=9,rate=1000", false, false);
	for (uint64_t i = 0; i < SECTORS; i++) {
		evil_submit_blk(&bench, OUT, i);
		wait_requests(2 * i + 1);
		/* What another request finds in the data is none of its business. */
		memset(mock_ptr(&fe->queues[0], EVIL_DATA), 0xa0 + (int)i % 16, 512);
		evil_submit_blk(&bench, OUT, i);
		wait_requests(2 * i + 2);
		memset(mock_ptr(&fe->queues[0], EVIL_DATA), 0xee, 512);
	}
	cr_expect_gt(mock_report(fe).plays, SECTORS);
	cr_expect_eq(mock_report(fe).request_errors, 0);
	content = blk_bench_content(&bench.blk, SECTORS * 512);
	for (uint64_t i = 0; i < SECTORS * 512; i++)
		cr_assert_eq(content[i], 0xa0 + i / 512 % 16, "byte %lu", i);
	free(content);
	cr_expect_eq(mock_stop(fe), 0);
}

/* Memory that no chain names, and that is no ring, stays as it is. */
Test(device_evil_runs, nothing_else_in_the_pool_changes)
{
	struct mock_driver *driver = &fe->queues[0];
	const uint64_t end = MOCK_BASE + MOCK_POOL;
	uint64_t rings;

	evil_start_rng(&bench,
		       "seed=2,rate=1000,tricks=data+data-late+status+request+descriptor+avail+"
		       "used-flags+index-ahead+index-back+id-outside",
		       false);
	rings = driver->next_free;
	memset(mock_ptr(driver, rings), 0x5a, end - rings);
	for (unsigned int i = 0; i < 2 * REQUESTS; i++) {
		evil_submit_rng(&bench, 3);
		mock_kick(fe, 0);
		wait_requests(i + 1);
	}
	usleep(100000);
	for (const uint8_t *at = mock_ptr(driver, rings); at < fe->pool + MOCK_POOL; at++) {
		const uint64_t addr = MOCK_BASE + (uint64_t)(at - fe->pool);

		if (addr < EVIL_DATA + 0x300 || addr >= EVIL_DATA + 0x300 + EVIL_BUFFER)
			cr_assert_eq(*at, 0x5a, "at %#lx", addr);
	}
	cr_expect_eq(mock_stop(fe), 0);
}

/* A ring full of requests, a reset, one more. */
static void use_queue(void)
{
	for (uint16_t i = 0; i < EVIL_SIZE; i++)
		evil_submit_rng(&bench, i);
	mock_kick(fe, 0);
	wait_requests(EVIL_SIZE);
	usleep(100000);
	mock_stop_queue(fe, 0);
	mock_start_queue(fe, 0, EVIL_SIZE);
	evil_submit_rng(&bench, 0);
	mock_kick(fe, 0);
	wait_requests(EVIL_SIZE + 1);
	cr_expect_eq(mock_report(fe).broken_queues, 0);
	cr_expect_eq(mock_report(fe).plays, EVIL_SIZE + 1);
}

/* With everything that there is, in the sandbox: no call that other devices do not make. */
Test(device_evil_runs, confined_like_any_device)
{
	static const uint32_t seeds[] = { 1, 2, 3 };
	char how[384];

	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		snprintf(how, sizeof(how), "seed=%u,rate=1000,tricks=" AT_ONCE "+" WAITING "+" ENDS,
			 seeds[i]);
		evil_start_rng(&bench, how, true);
		use_queue();
		cr_expect_eq(mock_stop(fe), 0, "seed %u", seeds[i]);
	}
	evil_start_blk(&bench, "seed=1,rate=1000", false, true);
	for (uint64_t i = 0; i < SECTORS; i++) {
		evil_submit_blk(&bench, OUT, i);
		wait_requests(i + 1);
	}
	cr_expect_eq(mock_stop(fe), 0);
}

/* Chains that are held until all of a packet is there. */
Test(device_evil_runs, network_in_both_directions)
{
	static const uint8_t frame[60] = { 0x52, 0x54, 0, 1, 2, 3, 0x52, 0x54, 0, 3, 2, 1, 8 };
	const char *const settings[] = { "evil=seed=4,rate=1000,tricks=" AT_ONCE "+stall+reorder",
					 NULL };
	struct net_bench net = { 0 };
	struct device_report_wire report;

	net_start_stream(&net, settings, 0, 64);
	for (int i = 0; i < 40; i++) {
		mock_submit_buffer(&net.fe.queues[NET_RX], (uint16_t)i, 2048, NET_WRITE);
		mock_kick(&net.fe, NET_RX);
		peer_sends(&net, frame, sizeof(frame));
		mock_submit_buffer(&net.fe.queues[NET_TX], (uint16_t)i, 12 + 60, 0);
		mock_kick(&net.fe, NET_TX);
	}
	for (int ms = 0; ms < MOCK_TIMEOUT && mock_report(&net.fe).requests < 80; ms++)
		usleep(1000);
	report = mock_report(&net.fe);
	cr_expect_eq(report.requests, 80);
	cr_expect_eq(report.plays, 80);
	cr_expect_eq(mock_stop(&net.fe), 0);
	close(net.peer);
}

/* Where what it changes could be written by the next request. */
Test(device_evil_runs, refuses_to_damage_a_disk)
{
	static const char *const bad[] = { "evil=tricks=request",  "evil=tricks=delay+data-late",
					   "evil=tricks=",	   "evil=rate=0",
					   "evil=rate=1001",	   "evil=seed=-1",
					   "evil=seed=4294967296", "evil=what" };
	int file = blk_bench_file(1, 0);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *const settings[] = { bad[i], NULL };
		const struct device_options options = { &file, 1, settings };

		mock_start(fe, "blk", &options, false);
		cr_expect_eq(WEXITSTATUS(mock_wait(fe)), 1, "%s", bad[i]);
		close(fe->sock);
	}
	close(file);
}
