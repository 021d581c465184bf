/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What each mechanism makes of a driver's promise, and of an address that breaks it. */
#include "tests/unit/virtio_bench.h"
#include "vmm/virtio/confine.h"

TestSuite(confine_mechanism, .init = cr_redirect_stderr);

#define V1	 VIRTIO_F_VERSION_1
#define PLATFORM VIRTIO_F_ACCESS_PLATFORM
#define SWIOTLB	 (1ull << 27)
#define DMB	 (1ull << 44)
#define OTHER	 (1ull << 48) /* where --proposal puts a bit */

#define POOL 0x200000ull /* bytes */

/* A device as devices.c sets it up for @mechanism. */
static void init(struct virtio_bench *b, enum mechanism mechanism, bool require)
{
	struct virtio_device *device = &b->device;

	bench_init(b);
	device->mechanism = mechanism;
	device->offered = V1 | BENCH_DEVICE_F | mechanism_features(mechanism, &device->proposal);
	device->required = V1 | (require ? mechanism_promise(mechanism, &device->proposal) : 0);
	if (mechanism == MECHANISM_DMB)
		b->report.windows[0] = (struct machine_range){ 1, POOL - 1 };
}

/* A device that the driver has accepted @accepted from, with good rings in queue 0. */
static struct virtio_queue *init_accepted(struct virtio_bench *b, enum mechanism mechanism,
					  uint64_t accepted)
{
	struct virtio_queue *vq = &b->device.queues[0];
	uint64_t at;

	init(b, mechanism, false);
	b->device.accepted = accepted;
	at = b->report.windows[0].base / 4096 * 4096;
	*vq = (struct virtio_queue){
		.size = 256,
		.enabled = true,
		.addr = { at + 0x1000, at + 0x2000, at + 0x3000 },
	};
	return vq;
}

#define NO_PLATFORM                                                                            \
	"the driver did not accept VIRTIO_F_ACCESS_PLATFORM (bit 33), so its addresses would " \
	"bypass the pool; check that the guest's driver uses the DMA API"
#define NO_SWIOTLB(what)                                                                   \
	"the driver did not accept VIRTIO_F_SWIOTLB (bit 27), so it does not know of the " \
	"pool that " what " names; check that the guest kernel knows this proposal"
#define NO_DMB                                                                                 \
	"the driver did not accept VIRTIO_F_DMB (bit 44) with VIRTIO_F_ACCESS_PLATFORM "       \
	"(bit 33), so its addresses are no offsets into the device memory buffer; check that " \
	"the guest kernel knows this proposal"
#define NO_V1                                                            \
	"the driver did not accept VIRTIO_F_VERSION_1 (bit 32); legacy " \
	"drivers are not served"
#define NOT_OFFERED "the driver accepted features that were not offered: "

static const struct {
	enum mechanism mechanism;
	bool require;
	uint64_t accepted;
	const char *refusal; /* NULL: FEATURES_OK stands */
} promises[] = {
	{ MECHANISM_NONE, false, V1, NULL },
	{ MECHANISM_NONE, false, 0, NO_V1 },
	{ MECHANISM_NONE, false, V1 | SWIOTLB, NOT_OFFERED "0x8000000" },
	{ MECHANISM_NONE, false, V1 | DMB, NOT_OFFERED "0x100000000000" },

	{ MECHANISM_DT, true, V1 | PLATFORM, NULL },
	{ MECHANISM_DT, true, V1, NO_PLATFORM },
	{ MECHANISM_DT, true, PLATFORM, NO_V1 },
	{ MECHANISM_DT, true, V1 | PLATFORM | SWIOTLB, NOT_OFFERED "0x8000000" },
	{ MECHANISM_DT, false, V1, NULL },

	{ MECHANISM_CAP, true, V1 | SWIOTLB, NULL },
	{ MECHANISM_CAP, true, V1 | SWIOTLB | PLATFORM, NULL },
	{ MECHANISM_CAP, true, V1 | PLATFORM, NO_SWIOTLB("VIRTIO_PCI_CAP_SWIOTLB") },
	{ MECHANISM_CAP, true, V1, NO_SWIOTLB("VIRTIO_PCI_CAP_SWIOTLB") },
	{ MECHANISM_CAP, true, SWIOTLB, NO_V1 },
	{ MECHANISM_CAP, true, V1 | DMB, NOT_OFFERED "0x100000000000" },
	{ MECHANISM_CAP, false, V1 | PLATFORM, NULL },
	{ MECHANISM_CAP, false, V1, NULL },

	{ MECHANISM_CONFIG, true, V1 | SWIOTLB, NULL },
	{ MECHANISM_CONFIG, true, V1 | PLATFORM, NO_SWIOTLB("the common configuration") },
	{ MECHANISM_CONFIG, false, V1, NULL },

	{ MECHANISM_DMB, true, V1 | PLATFORM | DMB, NULL },
	{ MECHANISM_DMB, true, V1 | PLATFORM, NO_DMB },
	{ MECHANISM_DMB, true, V1 | DMB, NO_DMB },
	{ MECHANISM_DMB, true, V1, NO_DMB },
	{ MECHANISM_DMB, true, PLATFORM | DMB, NO_V1 },
	{ MECHANISM_DMB, false, V1 | PLATFORM | DMB, NULL },
	{ MECHANISM_DMB, false, V1 | PLATFORM, NULL },
	{ MECHANISM_DMB, false, V1, NULL },
	/* One half of a promise is none, whatever the policy. */
	{ MECHANISM_DMB, false, V1 | DMB, NO_DMB },
};

Test(confine_mechanism, promises)
{
	for (size_t i = 0; i < sizeof(promises) / sizeof(promises[0]); i++) {
		const char *refusal = promises[i].refusal;
		struct virtio_bench b;

		init(&b, promises[i].mechanism, promises[i].require);
		b.device.accepted = promises[i].accepted;
		cr_expect_eq(confine_features(&b.device), !refusal, "case %zu", i);
		cr_expect_eq(b.report.nr_refusals, refusal != NULL, "case %zu", i);
		cr_expect_str_eq(b.report.refusals[0], refusal ? refusal : "", "case %zu", i);
		if (refusal)
			bench_expect_line("minivmm: blk0: FEATURES_OK refused: the driver ");
	}
}

Test(confine_mechanism, promises_by_other_numbers)
{
	static const struct {
		enum mechanism mechanism;
		const char *key;
		const char *refusal;
	} cases[] = {
		{ MECHANISM_CAP, "swiotlb-feature", "VIRTIO_F_SWIOTLB (bit 48)" },
		{ MECHANISM_CONFIG, "swiotlb-feature", "VIRTIO_F_SWIOTLB (bit 48)" },
		{ MECHANISM_DMB, "dmb-feature", "VIRTIO_F_DMB (bit 48)" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct virtio_bench b;
		struct virtio_device *device = &b.device;

		init(&b, cases[i].mechanism, true);
		cr_assert_eq(proposal_set(&device->proposal, cases[i].key, 48), 0);
		device->offered = V1 | mechanism_features(device->mechanism, &device->proposal);
		device->required = V1 | mechanism_promise(device->mechanism, &device->proposal);
		device->accepted = V1 | PLATFORM | OTHER;
		cr_expect(confine_features(device), "case %zu", i);
		device->accepted = V1 | PLATFORM;
		cr_expect_not(confine_features(device), "case %zu", i);
		cr_expect_not_null(strstr(b.report.refusals[0], cases[i].refusal), "%s",
				   b.report.refusals[0]);
		device->accepted = V1 | PLATFORM | SWIOTLB | DMB;
		cr_expect_not(confine_features(device), "case %zu: the usual bits", i);
	}
}

/* Bit 27 was VIRTIO_F_ANY_LAYOUT: whoever acknowledges it may not know of a pool. */
Test(confine_mechanism, hints)
{
	static const struct {
		enum mechanism mechanism;
		uint64_t accepted;
		uint32_t bit; /* of the proposal; 0: the usual one */
		const char *hint;
	} cases[] = {
		{ MECHANISM_NONE, V1, 0, "" },
		{ MECHANISM_DT, V1 | PLATFORM, 0,
		  "; guest kernel lacks CONFIG_DMA_RESTRICTED_POOL, or found the device without "
		  "its device tree node?" },
		{ MECHANISM_CAP, V1 | SWIOTLB, 0,
		  "; the driver acknowledged bit 27 and does not keep to it: does it take it for "
		  "the legacy VIRTIO_F_ANY_LAYOUT?" },
		{ MECHANISM_CAP, V1 | OTHER, 48,
		  "; the driver acknowledged bit 48 and does not keep to it" },
		{ MECHANISM_CAP, V1, 0, "; the driver did not accept VIRTIO_F_SWIOTLB (bit 27)" },
		{ MECHANISM_CAP, V1 | PLATFORM, 48,
		  "; the driver did not accept VIRTIO_F_SWIOTLB (bit 48)" },
		{ MECHANISM_CONFIG, V1 | SWIOTLB, 0,
		  "; the driver acknowledged bit 27 and does not keep to it: does it take it for "
		  "the legacy VIRTIO_F_ANY_LAYOUT?" },
		{ MECHANISM_CONFIG, V1, 0,
		  "; the driver did not accept VIRTIO_F_SWIOTLB (bit 27)" },
		{ MECHANISM_DMB, V1 | PLATFORM | DMB, 0, "" },
		{ MECHANISM_DMB, V1 | PLATFORM, 0,
		  "; the driver did not accept VIRTIO_F_DMB (bit 44)" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct virtio_bench b;
		char line[LOG_LINE_MAX];

		init_accepted(&b, cases[i].mechanism, cases[i].accepted)->addr[0] = 0x12345670;
		if (cases[i].bit)
			b.device.proposal.value[PROPOSAL_SWIOTLB_FEATURE] = cases[i].bit;
		cr_expect_not(confine_rings(&b.device), "case %zu", i);
		snprintf(line, sizeof(line), "outside the device's DMA windows: device stopped%s\n",
			 cases[i].hint);
		bench_expect_line(line);
	}
}

/* A misaligned ring says nothing about pools. */
Test(confine_mechanism, no_hint_for_a_misaligned_ring)
{
	struct virtio_bench b;

	init_accepted(&b, MECHANISM_CAP, V1 | SWIOTLB)->addr[0] += 8;
	cr_expect_not(confine_rings(&b.device));
	bench_expect_line(": misaligned: device stopped\n");
}

/* Offset 0 is reserved: a queue whose address is 0 was never programmed. */
Test(confine_mechanism, offsets_into_a_device_memory_buffer)
{
	static const struct {
		const char *what;
		enum virtio_ring_part part;
		uint64_t addr;
		bool inside;
	} cases[] = {
		{ "never programmed", VIRTIO_RING_DESC, 0, false },
		{ "never programmed", VIRTIO_RING_AVAIL, 0, false },
		{ "never programmed", VIRTIO_RING_USED, 0, false },
		{ "lowest", VIRTIO_RING_DESC, 16, true },
		{ "lowest", VIRTIO_RING_AVAIL, 2, true },
		{ "lowest", VIRTIO_RING_USED, 4, true },
		{ "highest", VIRTIO_RING_DESC, POOL - 4096, true },
		{ "highest", VIRTIO_RING_AVAIL, POOL - 518, true },
		{ "highest", VIRTIO_RING_USED, POOL - 2056, true },
		{ "across the end", VIRTIO_RING_DESC, POOL - 4096 + 16, false },
		{ "across the end", VIRTIO_RING_AVAIL, POOL - 518 + 2, false },
		{ "across the end", VIRTIO_RING_USED, POOL - 2052, false },
		{ "beyond the end", VIRTIO_RING_DESC, POOL, false },
		{ "an address", VIRTIO_RING_DESC, BENCH_WINDOW, false },
		{ "wraps to 0", VIRTIO_RING_DESC, UINT64_MAX - 4095, false },
		{ "wraps into the buffer", VIRTIO_RING_DESC, UINT64_MAX - 15, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct virtio_bench b;
		struct virtio_queue *vq = init_accepted(&b, MECHANISM_DMB, V1 | PLATFORM | DMB);

		cr_assert(confine_rings(&b.device));
		vq->addr[cases[i].part] = cases[i].addr;
		cr_expect_eq(confine_rings(&b.device), cases[i].inside, "%s: part %d",
			     cases[i].what, cases[i].part);
		cr_expect_eq(b.report.nr_violations, !cases[i].inside, "%s", cases[i].what);
	}
}

/* Guest physical addresses that happen to be small are no offsets. */
Test(confine_mechanism, without_dmb_nothing_is_inside)
{
	static const uint64_t accepted[] = { V1, V1 | PLATFORM, V1 | SWIOTLB };

	for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
		struct virtio_bench b;

		init_accepted(&b, MECHANISM_DMB, accepted[i]);
		cr_expect_not(confine_rings(&b.device), "case %zu", i);
	}
}

Test(confine_mechanism, a_moved_window_counts_from_the_next_driver_ok)
{
	const uint64_t moved = 0x5000000000;
	struct virtio_bench b;

	bench_init(&b);
	bench_reach(&b, RUNNING);
	virtio_device_move_window(&b.device, moved);
	cr_expect_eq(virtio_device_status(&b.device), RUNNING, "the driver's own doing");
	cr_expect_eq(b.stops, 0);

	bench_reach(&b, FEATURES_OK);
	bench_set_up_queue(&b, 0); /* where the window was */
	virtio_device_write_status(&b.device, RUNNING);
	cr_expect_eq(virtio_device_status(&b.device), NEEDS_RESET);
	cr_expect_eq(b.starts, 1);

	bench_reach(&b, FEATURES_OK);
	bench_set_up_queue_at(&b, 0, moved);
	virtio_device_write_status(&b.device, RUNNING);
	cr_expect_eq(virtio_device_status(&b.device), RUNNING);
	cr_expect_eq(b.starts, 2);
	cr_expect_eq(b.report.windows[0].size, BENCH_WINDOW_SZ);
}
