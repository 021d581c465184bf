/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Where rings may lie: containment in the windows at every edge. */
#include "tests/unit/virtio_bench.h"
#include "vmm/virtio/confine.h"

TestSuite(confine, .init = cr_redirect_stderr);

/* Of a queue with 256 entries. */
#define DESC_BYTES  4096ull
#define AVAIL_BYTES 518ull
#define USED_BYTES  2054ull

#define BASE BENCH_WINDOW
#define SIZE BENCH_WINDOW_SZ
#define END  (BASE + SIZE)

/* Enabled queue @queue with 256 entries and all rings well inside the bench's window. */
static struct virtio_queue *good_queue(struct virtio_bench *b, uint32_t queue)
{
	struct virtio_queue *vq = &b->device.queues[queue];

	*vq = (struct virtio_queue){
		.size = 256,
		.enabled = true,
		.addr = { BASE + 0x1000, BASE + 0x3000, BASE + 0x5000 },
	};
	return vq;
}

/* virtio 1.3, 2.7: 16, 2 and 8 bytes an entry, flags and index, and the event index at the end. */
Test(confine, bytes_of_ring_parts)
{
	static const struct {
		uint16_t entries;
		uint64_t desc, avail, used;
	} cases[] = {
		{ 1, 16, 8, 14 },
		{ 256, DESC_BYTES, AVAIL_BYTES, USED_BYTES },
		{ 32768, 524288, 65542, 262150 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(virtio_ring_bytes(VIRTIO_RING_DESC, cases[i].entries), cases[i].desc);
		cr_expect_eq(virtio_ring_bytes(VIRTIO_RING_AVAIL, cases[i].entries),
			     cases[i].avail);
		cr_expect_eq(virtio_ring_bytes(VIRTIO_RING_USED, cases[i].entries), cases[i].used);
	}
}

/* One part is placed, the other two are good. */
Test(confine, ring_at_the_edges_of_the_window)
{
	static const struct {
		const char *what;
		enum virtio_ring_part part;
		uint64_t addr;
		bool inside;
	} cases[] = {
		{ "first bytes", VIRTIO_RING_DESC, BASE, true },
		{ "first bytes", VIRTIO_RING_AVAIL, BASE, true },
		{ "first bytes", VIRTIO_RING_USED, BASE, true },
		{ "starts before", VIRTIO_RING_DESC, BASE - 16, false },
		{ "starts before", VIRTIO_RING_AVAIL, BASE - 2, false },
		{ "starts before", VIRTIO_RING_USED, BASE - 4, false },
		{ "last bytes", VIRTIO_RING_DESC, END - DESC_BYTES, true },
		{ "last bytes", VIRTIO_RING_AVAIL, END - AVAIL_BYTES, true },
		{ "last aligned place", VIRTIO_RING_USED, END - USED_BYTES - 2, true },
		{ "ends after", VIRTIO_RING_DESC, END - DESC_BYTES + 16, false },
		{ "ends after", VIRTIO_RING_AVAIL, END - AVAIL_BYTES + 2, false },
		{ "ends after", VIRTIO_RING_USED, END - USED_BYTES + 2, false },
		{ "only the event index after", VIRTIO_RING_AVAIL, END - AVAIL_BYTES + 2, false },
		{ "starts at the end", VIRTIO_RING_DESC, END, false },
		{ "wholly before", VIRTIO_RING_DESC, BASE - DESC_BYTES, false },
		{ "zero", VIRTIO_RING_DESC, 0, false },
		{ "end wraps to 0", VIRTIO_RING_DESC, UINT64_MAX - DESC_BYTES + 1, false },
		{ "end wraps past 0", VIRTIO_RING_DESC, UINT64_MAX - 15, false },
		{ "end wraps past 0", VIRTIO_RING_AVAIL, UINT64_MAX - 1, false },
		{ "end wraps past 0", VIRTIO_RING_USED, UINT64_MAX - 3, false },
		{ "upper half wrong", VIRTIO_RING_DESC, (1ull << 32) + BASE, false },
		{ "upper half all ones", VIRTIO_RING_USED, 0xffffffffull << 32 | BASE, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct virtio_bench b;

		bench_init(&b);
		good_queue(&b, 0)->addr[cases[i].part] = cases[i].addr;
		cr_expect_eq(confine_rings(&b.device), cases[i].inside, "%s: part %d",
			     cases[i].what, cases[i].part);
		cr_expect_eq(b.report.nr_violations, !cases[i].inside, "%s: part %d", cases[i].what,
			     cases[i].part);
	}
}

/* The same by the byte, which alignment does not allow above. */
Test(confine, window_one_byte_too_short)
{
	static const uint64_t bytes[VIRTIO_RING_PARTS] = { DESC_BYTES, AVAIL_BYTES, USED_BYTES };

	for (int part = 0; part < VIRTIO_RING_PARTS; part++) {
		struct virtio_bench b;
		struct virtio_queue *vq;

		bench_init(&b);
		vq = good_queue(&b, 0);
		vq->addr[part] = 0x1000;
		b.report.nr_windows = 2;

		b.report.windows[1] = (struct machine_range){ 0x1000, bytes[part] };
		cr_expect(confine_rings(&b.device), "part %d", part);
		b.report.windows[1].size--;
		cr_expect_not(confine_rings(&b.device), "part %d ends one byte after", part);
		b.report.windows[1] = (struct machine_range){ 0x1001, bytes[part] };
		cr_expect_not(confine_rings(&b.device), "part %d starts one byte before", part);
	}
}

Test(confine, a_ring_lies_in_one_window)
{
	struct virtio_bench b;
	struct virtio_queue *vq;

	bench_init(&b);
	b.report.windows[1] = (struct machine_range){ END, SIZE };
	b.report.nr_windows = 2;
	vq = good_queue(&b, 0);
	vq->addr[VIRTIO_RING_DESC] = END;
	cr_expect(confine_rings(&b.device), "the second window");
	vq->addr[VIRTIO_RING_DESC] = END - 16;
	cr_expect_not(confine_rings(&b.device), "adjacent windows are still two");
	vq->addr[VIRTIO_RING_DESC] = END + SIZE;
	cr_expect_not(confine_rings(&b.device));
}

Test(confine, a_window_may_end_with_the_address_space)
{
	struct virtio_bench b;

	bench_init(&b);
	b.report.windows[1] = (struct machine_range){ UINT64_MAX - SIZE + 1, SIZE };
	b.report.nr_windows = 2;
	good_queue(&b, 0)->addr[VIRTIO_RING_DESC] = UINT64_MAX - DESC_BYTES + 1;
	cr_expect(confine_rings(&b.device));
	b.device.queues[0].addr[VIRTIO_RING_DESC] += 16;
	cr_expect_not(confine_rings(&b.device));
}

Test(confine, without_a_window_nothing_is_inside)
{
	struct virtio_bench b;

	bench_init(&b);
	b.report.nr_windows = 0;
	cr_expect(confine_rings(&b.device), "no queue in use");
	good_queue(&b, 0);
	cr_expect_not(confine_rings(&b.device));
}

Test(confine, alignment)
{
	static const struct {
		enum virtio_ring_part part;
		uint64_t off; /* from an aligned place */
		bool aligned;
	} cases[] = {
		{ VIRTIO_RING_DESC, 1, false }, { VIRTIO_RING_DESC, 8, false },
		{ VIRTIO_RING_DESC, 16, true }, { VIRTIO_RING_AVAIL, 1, false },
		{ VIRTIO_RING_AVAIL, 2, true }, { VIRTIO_RING_USED, 1, false },
		{ VIRTIO_RING_USED, 2, false }, { VIRTIO_RING_USED, 4, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct virtio_bench b;

		bench_init(&b);
		good_queue(&b, 0)->addr[cases[i].part] += cases[i].off;
		cr_expect_eq(confine_rings(&b.device), cases[i].aligned, "part %d + %d",
			     cases[i].part, (int)cases[i].off);
		cr_expect_eq(b.report.nr_violations, !cases[i].aligned);
		if (!cases[i].aligned)
			bench_expect_line(": misaligned: device stopped");
	}
}

/* Of queue 0 and, if it is enabled, queue 1. */
static const struct {
	const char *what;
	uint64_t first[VIRTIO_RING_PARTS], second[VIRTIO_RING_PARTS];
	const char *line; /* NULL: they are apart */
} neighbours[] = {
	{ "one behind the other",
	  { BASE, BASE + DESC_BYTES, BASE + DESC_BYTES + AVAIL_BYTES + 2 },
	  { 0 },
	  NULL },
	{ "up to the last byte of the address space",
	  { UINT64_MAX - DESC_BYTES + 1, BASE, BASE + 0x1000 },
	  { 0 },
	  NULL },
	{ "all at one place",
	  { BASE, BASE, BASE },
	  { 0 },
	  "queue 0: available ring at 0x40000000, 518 bytes: overlaps the descriptor table of "
	  "queue 0: device stopped\n" },
	{ "available ring in the last descriptor",
	  { BASE, BASE + DESC_BYTES - 2, BASE + 0x2000 },
	  { 0 },
	  "available ring at 0x40000ffe, 518 bytes: overlaps the descriptor table of queue 0" },
	{ "used ring in the event index",
	  { BASE, BASE + 0x2002, BASE + 0x2002 + AVAIL_BYTES - 4 },
	  { 0 },
	  "used ring at 0x40002204, 2054 bytes: overlaps the available ring of queue 0" },
	{ "used ring into the first descriptor",
	  { BASE + USED_BYTES - 6, BASE + 0x2000, BASE },
	  { 0 },
	  "used ring at 0x40000000, 2054 bytes: overlaps the descriptor table of queue 0" },
	{ "the whole of one inside another",
	  { BASE, BASE + 0x100, BASE + 0x2000 },
	  { 0 },
	  "available ring at 0x40000100, 518 bytes: overlaps the descriptor table of queue 0" },
	{ "two queues",
	  { BASE, BASE + 0x1000, BASE + 0x2000 },
	  { BASE + 0x3000, BASE + 0x4000, BASE + 0x5000 },
	  NULL },
	{ "two queues in one used ring",
	  { BASE, BASE + 0x1000, BASE + 0x2000 },
	  { BASE + 0x3000, BASE + 0x4000, BASE + 0x2000 },
	  "queue 1: used ring at 0x40002000, 2054 bytes: overlaps the used ring of queue 0" },
	{ "used ring in another queue's descriptors",
	  { BASE, BASE + 0x1000, BASE + 0x2000 },
	  { BASE + 0x3000, BASE + 0x4000, BASE + 0x800 },
	  "queue 1: used ring at 0x40000800, 2054 bytes: overlaps the descriptor table of queue 0" },
};

Test(confine, rings_have_places_of_their_own)
{
	for (size_t i = 0; i < sizeof(neighbours) / sizeof(neighbours[0]); i++) {
		struct virtio_bench b;

		bench_init(&b);
		b.report.windows[1] = (struct machine_range){ UINT64_MAX - SIZE + 1, SIZE };
		b.report.nr_windows = 2;
		memcpy(good_queue(&b, 0)->addr, neighbours[i].first, sizeof(neighbours[i].first));
		if (neighbours[i].second[0] != 0)
			memcpy(good_queue(&b, 1)->addr, neighbours[i].second,
			       sizeof(neighbours[i].second));
		cr_expect_eq(confine_rings(&b.device), !neighbours[i].line, "%s",
			     neighbours[i].what);
		cr_expect_eq(b.report.nr_violations, neighbours[i].line != NULL, "%s",
			     neighbours[i].what);
		if (neighbours[i].line)
			bench_expect_line(neighbours[i].line);
	}
}

Test(confine, only_enabled_queues_count)
{
	struct virtio_bench b;

	bench_init(&b);
	good_queue(&b, 0);
	good_queue(&b, 1)->addr[VIRTIO_RING_DESC] = 0;
	cr_expect_not(confine_rings(&b.device));
	cr_expect_eq(b.report.violations[0].queue, 1);
	b.device.queues[1].enabled = false;
	cr_expect(confine_rings(&b.device));
}

Test(confine, a_ring_violation_is_told_and_recorded)
{
	struct virtio_bench b;

	bench_init(&b);
	good_queue(&b, 1)->addr[VIRTIO_RING_USED] = 0x1234560;
	cr_expect_not(confine_rings(&b.device));
	cr_expect_eq(b.report.violations[0].dma_addr, 0x1234560);
	cr_expect_eq(b.report.violations[0].length, USED_BYTES);
	cr_expect_eq(b.report.violations[0].purpose, DMA_RING);
	cr_expect_eq(b.report.violations[0].direction, DMA_FROM_DEVICE);
	cr_expect_eq(b.report.violations[0].queue, 1);
	cr_expect_eq(b.report.violations[0].descriptor, UINT32_MAX);
	bench_expect_line("minivmm: blk0: queue 1: used ring at 0x1234560, 2054 bytes: outside the "
			  "device's DMA windows: device stopped; guest kernel lacks "
			  "CONFIG_DMA_RESTRICTED_POOL, or found the device without its device tree "
			  "node?\n");
}

/* Where no pool was offered, there is none to be missing. */
Test(confine, the_hint_is_for_restricted_devices)
{
	struct virtio_bench b;

	bench_init(&b);
	b.device.mechanism = MECHANISM_NONE;
	good_queue(&b, 1)->addr[VIRTIO_RING_USED] = 0x1234560;
	cr_expect_not(confine_rings(&b.device));
	bench_expect_line("windows: device stopped\n");
}

Test(confine, the_driver_area_is_read_by_the_device)
{
	static const enum virtio_ring_part readable[] = { VIRTIO_RING_DESC, VIRTIO_RING_AVAIL };

	for (size_t i = 0; i < sizeof(readable) / sizeof(readable[0]); i++) {
		struct virtio_bench b;

		bench_init(&b);
		good_queue(&b, 0)->addr[readable[i]] = 0;
		cr_expect_not(confine_rings(&b.device));
		cr_expect_eq(b.report.violations[0].direction, DMA_TO_DEVICE);
	}
}

/* What the device process tells is not trusted to be of a known kind. */
Test(confine, violations_found_by_the_device)
{
	static const struct {
		uint32_t purpose;
		const char *line;
	} cases[] = {
		{ DMA_RING, "queue 7: ring at 0x10, 32 bytes" },
		{ DMA_INDIRECT_TABLE, "queue 7: indirect table at 0x10, 32 bytes" },
		{ DMA_BUFFER, "queue 7: buffer at 0x10, 32 bytes" },
		{ DMA_NR_PURPOSES, "queue 7: access at 0x10, 32 bytes" },
		{ UINT32_MAX, "queue 7: access at 0x10, 32 bytes" },
	};
	struct virtio_bench b;

	bench_init(&b);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct dma_violation violation = {
			.dma_addr = 0x10,
			.length = 32,
			.queue = 7,
			.purpose = cases[i].purpose,
		};

		confine_report_violation(&b.device, &violation);
		bench_expect_line(cases[i].line);
	}
	cr_expect_eq(b.report.nr_violations, sizeof(cases) / sizeof(cases[0]));
	cr_expect_eq(b.report.violations[3].purpose, DMA_NR_PURPOSES);
}

Test(confine, violations_beyond_those_kept_are_counted)
{
	struct virtio_bench b;

	bench_init(&b);
	for (uint32_t i = 0; i < DEVICE_REPORT_VIOLATIONS + 5; i++) {
		const struct dma_violation violation = { .queue = i };

		confine_report_violation(&b.device, &violation);
	}
	cr_expect_eq(b.report.nr_violations, DEVICE_REPORT_VIOLATIONS + 5);
	cr_expect_eq(b.report.violations[DEVICE_REPORT_VIOLATIONS - 1].queue,
		     DEVICE_REPORT_VIOLATIONS - 1, "the first are kept");
	cr_expect_eq(b.report.failure[0], '\0', "and nothing after them is overwritten");
}
