/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Register decoding of virtio-pci, for a guest that keeps no rule. */
#include "tests/unit/virtio_pci_bench.h"

static struct pci_bench b;

static void set_up(void)
{
	cr_redirect_stderr();
	pci_bench_init(&b);
}

static void tear_down(void)
{
	pci_bench_destroy(&b);
}

TestSuite(virtio_pci, .init = set_up, .fini = tear_down);

static const unsigned int sizes[] = { 1, 2, 4, 8 };
#define NR_SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* The way of a Linux driver, through nothing but registers. */
Test(virtio_pci, a_whole_initialisation)
{
	static const struct {
		uint64_t offset;
		unsigned int size;
		uint32_t value;
	} writes[] = {
		{ C_DEVICE_STATUS, 1, 0 },
		{ C_DEVICE_STATUS, 1, ACK },
		{ C_DEVICE_STATUS, 1, DRIVER },
		{ C_DRIVER_FEATURE_SELECT, 4, 0 },
		{ C_DRIVER_FEATURE, 4, BENCH_DEVICE_F },
		{ C_DRIVER_FEATURE_SELECT, 4, 1 },
		{ C_DRIVER_FEATURE, 4, 3 },
		{ C_DEVICE_STATUS, 1, FEATURES_OK },
		{ C_CONFIG_MSIX_VECTOR, 2, 0 },
		{ C_QUEUE_SELECT, 2, 1 },
		{ C_QUEUE_SIZE, 2, 128 },
		{ C_QUEUE_DESC, 4, 0x40001000 },
		{ C_QUEUE_DESC + 4, 4, 0 },
		{ C_QUEUE_DRIVER, 4, 0x40002000 },
		{ C_QUEUE_DRIVER + 4, 4, 0 },
		{ C_QUEUE_DEVICE, 4, 0x40003000 },
		{ C_QUEUE_DEVICE + 4, 4, 0 },
		{ C_QUEUE_MSIX_VECTOR, 2, 1 },
		{ C_QUEUE_ENABLE, 2, 1 },
		{ C_DEVICE_STATUS, 1, RUNNING },
	};
	const struct virtio_queue *vq = &b.virtio.device.queues[1];

	pci_bench_enable(&b);
	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++)
		bar_write(&b, writes[i].offset, writes[i].size, writes[i].value);
	for (size_t i = 1; i < sizeof(writes) / sizeof(writes[0]); i++)
		if (writes[i].offset != C_DEVICE_STATUS)
			cr_expect_eq(bar_read(&b, writes[i].offset, writes[i].size),
				     writes[i].offset == C_DRIVER_FEATURE ? 3
				     : writes[i].offset == C_DRIVER_FEATURE_SELECT
					     ? 1
					     : writes[i].value,
				     "reads back: write %zu", i);
	cr_expect_eq(bar_read(&b, C_DEVICE_STATUS, 1), RUNNING);
	cr_expect_eq(b.virtio.starts, 1);
	cr_expect_eq(b.virtio.started_with, BENCH_OFFERED);
	cr_expect_eq(vq->size, 128);
	cr_expect_eq(vq->addr[VIRTIO_RING_DESC], 0x40001000);
	cr_expect_eq(vq->addr[VIRTIO_RING_AVAIL], 0x40002000);
	cr_expect_eq(vq->addr[VIRTIO_RING_USED], 0x40003000);
	cr_expect_not(b.virtio.device.queues[0].enabled);
}

/* virtio 1.3, 4.1.3.1: with its width, and 64-bit fields by their halves. 0: no field. */
static unsigned int width_of(uint64_t offset)
{
	static const struct {
		uint64_t offset;
		unsigned int width;
	} fields[] = {
		{ 0, 4 },  { 4, 4 },  { 8, 4 },	 { 12, 4 }, { 16, 2 }, { 18, 2 }, { 20, 1 },
		{ 21, 1 }, { 22, 2 }, { 24, 2 }, { 26, 2 }, { 28, 2 }, { 30, 2 }, { 32, 4 },
		{ 36, 4 }, { 40, 4 }, { 44, 4 }, { 48, 4 }, { 52, 4 },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (fields[i].offset == offset)
			return fields[i].width;
	return 0;
}

/* Reads give 0, writes change nothing, whatever the value. */
Test(virtio_pci, fields_are_accessed_whole)
{
	struct pci_snapshot before;

	pci_bench_reach(&b, DRIVER);
	b.pci.queue_select = 1;
	b.pci.device_feature_select = 1;
	b.pci.driver_feature_select = 1;
	before = pci_take_snapshot(&b);
	for (uint64_t offset = 0; offset < B_ISR; offset++) {
		for (size_t i = 0; i < NR_SIZES; i++) {
			if (sizes[i] == width_of(offset))
				continue;
			cr_expect_eq(bar_read(&b, offset, sizes[i]), 0, "%#x, %u bytes",
				     (unsigned int)offset, sizes[i]);
			bar_write(&b, offset, sizes[i], 0);
			bar_write(&b, offset, sizes[i], 1);
			bar_write(&b, offset, sizes[i], UINT64_MAX);
			cr_assert(pci_unchanged(&b, &before), "%#x, %u bytes", (unsigned int)offset,
				  sizes[i]);
		}
	}
}

Test(virtio_pci, read_only_fields_ignore_writes)
{
	static const uint64_t read_only[] = { C_DEVICE_FEATURE, C_NUM_QUEUES, C_CONFIG_GENERATION,
					      C_QUEUE_NOTIFY_OFF };
	struct pci_snapshot before;

	pci_bench_reach(&b, DRIVER);
	before = pci_take_snapshot(&b);
	for (size_t i = 0; i < sizeof(read_only) / sizeof(read_only[0]); i++) {
		const unsigned int width = width_of(read_only[i]);
		const uint64_t value = bar_read(&b, read_only[i], width);

		bar_write(&b, read_only[i], width, 0);
		bar_write(&b, read_only[i], width, UINT32_MAX);
		cr_expect(pci_unchanged(&b, &before), "%#x", (unsigned int)read_only[i]);
		cr_expect_eq(bar_read(&b, read_only[i], width), value);
	}
}

/* What needs a feature that is not offered: RING_RESET, NOTIF_CONFIG_DATA, ADMIN_VQ. */
Test(virtio_pci, optional_fields_are_not_there)
{
	struct pci_snapshot before;

	pci_bench_reach(&b, RUNNING);
	before = pci_take_snapshot(&b);
	for (uint64_t offset = C_QUEUE_NOTIF_CONFIG_DATA; offset < C_END; offset += 2) {
		cr_expect_eq(bar_read(&b, offset, 2), 0);
		bar_write(&b, offset, 2, 1);
		cr_expect_eq(bar_read(&b, offset, 2), 0, "%#x", (unsigned int)offset);
	}
	cr_expect(pci_unchanged(&b, &before));
	cr_expect_eq(b.virtio.stops, 0);
}

Test(virtio_pci, feature_selectors)
{
	static const struct {
		uint32_t select, offered;
	} cases[] = {
		{ 0, (uint32_t)BENCH_OFFERED },
		{ 1, (uint32_t)(BENCH_OFFERED >> 32) },
		{ 2, 0 },
		{ 3, 0 },
		{ 32, 0 },
		{ 0x80000000, 0 },
		{ UINT32_MAX, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint32_t select = cases[i].select;

		bar_write(&b, C_DEVICE_FEATURE_SELECT, 4, select);
		cr_expect_eq(bar_read(&b, C_DEVICE_FEATURE_SELECT, 4), select);
		cr_expect_eq(bar_read(&b, C_DEVICE_FEATURE, 4), cases[i].offered, "%u", select);
		bar_write(&b, C_DRIVER_FEATURE_SELECT, 4, select);
		bar_write(&b, C_DRIVER_FEATURE, 4, 0x5a5a5a5a);
		cr_expect_eq(bar_read(&b, C_DRIVER_FEATURE, 4), select > 1 ? 0 : 0x5a5a5a5a);
		cr_expect_eq(b.virtio.device.accepted,
			     select == 0 ? 0x5a5a5a5aull : 0x5a5a5a5a5a5a5a5aull, "%u", select);
	}
}

Test(virtio_pci, a_feature_that_was_not_offered_clears_features_ok)
{
	pci_bench_reach(&b, DRIVER);
	bar_write(&b, C_DRIVER_FEATURE_SELECT, 4, 0);
	bar_write(&b, C_DRIVER_FEATURE, 4, 1u << 27);
	bar_write(&b, C_DEVICE_STATUS, 1, FEATURES_OK);
	cr_expect_eq(bar_read(&b, C_DEVICE_STATUS, 1), DRIVER);
}

/* Nothing beyond config_len is read, not even in part. */
Test(virtio_pci, device_configuration_reads)
{
	static const struct {
		uint64_t offset;
		unsigned int size;
		uint64_t value;
	} cases[] = {
		{ 0, 1, 0x80 },	       { 0, 2, 0x8180 },
		{ 0, 4, 0x83828180 },  { 0, 8, 0x8786858483828180 },
		{ 3, 4, 0x86858483 },  { 16, 8, 0x9796959493929190 },
		{ 20, 4, 0x97969594 }, { 23, 1, 0x97 },
		{ 17, 8, 0 },	       { 21, 4, 0 },
		{ 23, 2, 0 },	       { 23, 8, 0 },
		{ 24, 1, 0 },	       { 24, 8, 0 },
		{ 256, 4, 0 },	       { 0xfff, 1, 0 },
		{ 0xffd, 4, 0 },       { 0xffd, 8, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(bar_read(&b, B_CONFIG + cases[i].offset, cases[i].size),
			     cases[i].value, "offset %u, %u bytes", (unsigned int)cases[i].offset,
			     cases[i].size);
}

/* Device configuration and all that lies behind or between the parts. */
Test(virtio_pci, the_rest_of_the_bar_ignores_writes)
{
	struct pci_snapshot before;

	pci_bench_reach(&b, RUNNING);
	before = pci_take_snapshot(&b);
	for (uint64_t offset = B_ISR; offset < VIRTIO_PCI_REGISTERS_SIZE; offset++) {
		const bool doorbells = offset >= B_NOTIFY && offset < B_TABLE;
		const bool table = offset >= B_TABLE && offset < B_TABLE + 16 * PCI_BENCH_VECTORS;

		for (size_t i = 0; i < NR_SIZES; i++)
			if (!doorbells && !table && offset + sizes[i] <= VIRTIO_PCI_REGISTERS_SIZE)
				bar_write(&b, offset, sizes[i], UINT64_MAX);
	}
	cr_expect(pci_unchanged(&b, &before));
}

Test(virtio_pci, nothing_is_read_between_the_parts)
{
	static const uint64_t gaps[][2] = {
		{ C_END, B_ISR },
		{ B_ISR + 1, B_CONFIG },
		{ B_CONFIG + BENCH_CONFIG, B_TABLE },
		{ B_TABLE + 16 * PCI_BENCH_VECTORS, B_PENDING },
		{ B_PENDING + 8, VIRTIO_PCI_REGISTERS_SIZE },
	};

	pci_bench_reach(&b, RUNNING);
	for (size_t i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++)
		for (uint64_t offset = gaps[i][0]; offset < gaps[i][1]; offset++)
			cr_assert_eq(bar_read(&b, offset, 1) | bar_read(&b, offset, 4), 0, "%#x",
				     (unsigned int)offset);
}

/* virtio 1.3, 4.1.4.5: reading it acknowledges. */
Test(virtio_pci, isr_status)
{
	uint64_t generation;

	pci_bench_reach(&b, RUNNING);
	generation = bar_read(&b, C_CONFIG_GENERATION, 1);
	cr_expect_eq(bar_read(&b, B_ISR, 1), 1, "used buffers are not known here");
	cr_expect_eq(bar_read(&b, B_ISR, 1), 1);

	virtio_device_fail(&b.virtio.device);
	cr_expect_eq(bar_read(&b, C_CONFIG_GENERATION, 1), generation + 1);
	bar_write(&b, B_ISR, 1, 0);
	bar_write(&b, B_ISR, 1, 0xff);
	cr_expect_eq(bar_read(&b, B_ISR, 2), 0, "no such access, and it acknowledges nothing");
	cr_expect_eq(bar_read(&b, B_ISR, 4), 0);
	cr_expect_eq(bar_read(&b, B_ISR, 1), 3);
	cr_expect_eq(bar_read(&b, B_ISR, 1), 1, "acknowledged");
	cr_expect_eq(bar_read(&b, C_DEVICE_STATUS, 1), NEEDS_RESET);
}

Test(virtio_pci, config_generation_is_its_low_byte)
{
	b.virtio.device.config_generation = 0x1ff;
	cr_expect_eq(bar_read(&b, C_CONFIG_GENERATION, 1), 0xff);
	b.virtio.device.config_generation = 0x200;
	cr_expect_eq(bar_read(&b, C_CONFIG_GENERATION, 1), 0);
}

/* Where ioeventfds do not reach, and only at the place of a queue that exists. */
Test(virtio_pci, notifications)
{
	static const struct {
		uint64_t offset;
		unsigned int size;
		int queue; /* -1: nobody's */
	} cases[] = {
		{ 0, 2, 0 },   { 0, 1, 0 },	 { 0, 4, 0 },	   { 4, 2, 1 },
		{ 4, 4, 1 },   { 1, 2, -1 },	 { 2, 2, -1 },	   { 3, 1, -1 },
		{ 5, 4, -1 },  { 6, 2, -1 },	 { 8, 2, -1 },	   { 12, 4, -1 },
		{ 16, 2, -1 }, { 0x100, 2, -1 }, { 0xffc, 4, -1 }, { 0xffc, 8, -1 },
	};

	pci_bench_reach(&b, RUNNING);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(b.notified, 0, sizeof(b.notified));
		cr_expect_eq(bar_read(&b, B_NOTIFY + cases[i].offset, cases[i].size), 0);
		bar_write(&b, B_NOTIFY + cases[i].offset, cases[i].size, 0xffff);
		for (int queue = 0; queue < BENCH_QUEUES; queue++)
			cr_expect_eq(b.notified[queue], queue == cases[i].queue,
				     "offset %u: queue %d", (unsigned int)cases[i].offset, queue);
	}
}

/* The memory BAR has no registers, and other BARs do not exist. */
Test(virtio_pci, other_bars_are_not_ours)
{
	for (unsigned int bar = 1; bar < PCI_NR_BARS; bar++) {
		struct bus_access access = { .offset = C_NUM_QUEUES, .size = 2 };

		cr_expect_eq(virtio_pci_access(&b.pci, bar, &access), BUS_UNHANDLED);
	}
}
