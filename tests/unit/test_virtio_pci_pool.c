/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* How a virtio-pci function announces its pool: capabilities, fields, and a BAR to hold it. */
#include "tests/unit/virtio_pci_bench.h"

/* Of the pool capability, which is the last one in the list. */
#define CAP_AT 0xa4u

static struct pci_bench b;

TestSuite(virtio_pci_pool, .init = cr_redirect_stderr);

static const uint8_t group[VIRTIO_PCI_UUID_SIZE] = {
	0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1,
	0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8
};

/* The pools of the tests below: one of system memory, one in a BAR that is a power of two. */
#define IN_MEMORY                        \
	{                                \
		0x123400000, 0x180000000 \
	}
#define IN_BAR                         \
	{                              \
		0x4000000000, 0x600000 \
	}

static const struct {
	const char *what;
	struct virtio_pci_pool pool;
	uint8_t bytes[40]; /* as many as the third says */
} caps[] = {
	{ "system memory",
	  { .mechanism = MECHANISM_CAP, .range = IN_MEMORY },
	  { 0x09, 0x00, 24,   10,   0xff, 0,	0,    0,    /* */
	    0x00, 0x00, 0x40, 0x23, 0x00, 0x00, 0x00, 0x80, /* offset, length: low */
	    0x01, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00 } },
	{ "its own memory",
	  { .mechanism = MECHANISM_CAP, .place = POOL_IN_BAR, .range = IN_BAR },
	  { 0x09, 0x00, 24, 10, 2, 0, 0, 0, /* */
	    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x60, 0x00 } },
	{ "owner of a group",
	  { .mechanism = MECHANISM_CAP, .range = IN_MEMORY, .group = group },
	  { 0x09, 0x00, 40,   10,   0xff, 0,	0,    0,    /* */
	    0x00, 0x00, 0x40, 0x23, 0x00, 0x00, 0x00, 0x80, /* */
	    0x01, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, /* */
	    0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, /* */
	    0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8 } },
	{ "owner of a group, in its own memory",
	  { .mechanism = MECHANISM_CAP, .place = POOL_IN_BAR, .range = IN_BAR, .group = group },
	  { 0x09, 0x00, 40,   10,   2,	  0,	0,    0,    /* */
	    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x60, 0x00, /* */
	    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* */
	    0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, /* */
	    0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8 } },
	{ "member of a group",
	  { .mechanism = MECHANISM_CAP, .group = group },
	  { 0x09, 0x00, 40,   10,   0xff, 0,	0,    0,    /* */
	    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* no range */
	    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* */
	    0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, /* */
	    0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8 } },
	{ "member of a group with device memory",
	  { .mechanism = MECHANISM_CAP, .place = POOL_IN_BAR, .group = group },
	  { 0x09, 0x00, 40,   10,   0xff, 0,	0,    0,    /* */
	    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* */
	    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* */
	    0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, /* */
	    0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8 } },
	{ "device memory buffer",
	  { .mechanism = MECHANISM_DMB, .place = POOL_IN_BAR, .range = IN_BAR },
	  { 0x09, 0x00, 24, 8, 2, 0x0d, 0, 0, /* shared memory, with its id */
	    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x60, 0x00 } },
};

Test(virtio_pci_pool, capabilities)
{
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		const uint8_t *bytes = caps[i].bytes;

		pci_bench_init_pool(&b, &caps[i].pool);
		cr_assert_eq(find_virtio_cap(&b, bytes[3]), CAP_AT, "%s", caps[i].what);
		for (unsigned int at = 0; at < bytes[2]; at++)
			cr_expect_eq(config_read(&b, CAP_AT + at, 1), bytes[at],
				     "%s: byte %u is %#x", caps[i].what, at,
				     config_read(&b, CAP_AT + at, 1));
		for (unsigned int at = CAP_AT + bytes[2]; at < PCI_CONFIG_SIZE; at++)
			cr_expect_eq(config_read(&b, at, 1), 0, "%s: behind it", caps[i].what);
		pci_bench_destroy(&b);
	}
}

/* None of it may be changed by the guest that it confines. */
Test(virtio_pci_pool, capabilities_are_read_only)
{
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		struct pci_snapshot before;

		pci_bench_init_pool(&b, &caps[i].pool);
		before = pci_take_snapshot(&b);
		for (unsigned int at = CAP_AT; at < PCI_CONFIG_SIZE; at++) {
			config_write(&b, at, 1, 0xff);
			config_write(&b, at, 1, 0);
		}
		cr_expect(pci_unchanged(&b, &before), "%s", caps[i].what);
		pci_bench_destroy(&b);
	}
}

/* Mechanisms that are told in another way have no such capability. */
Test(virtio_pci_pool, only_cap_and_dmb_have_a_capability)
{
	static const enum mechanism others[] = { MECHANISM_NONE, MECHANISM_DT, MECHANISM_CONFIG };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		const struct virtio_pci_pool pool = { .mechanism = others[i], .range = IN_MEMORY };

		pci_bench_init_pool(&b, &pool);
		cr_expect_eq(find_virtio_cap(&b, 10), 0);
		cr_expect_eq(find_virtio_cap(&b, 8), 0);
		pci_bench_destroy(&b);
	}
}

/* 64 bits, prefetchable, at least as large as the pool; registers stay in BAR 0. */
Test(virtio_pci_pool, memory_bar)
{
	static const struct {
		uint64_t size;
		uint32_t low, high; /* after all ones were written */
	} cases[] = {
		{ 0x40000, 0xffe0000c, 0xffffffff },	 { 0x200000, 0xffe0000c, 0xffffffff },
		{ 0x400000, 0xffc0000c, 0xffffffff },	 { 0x600000, 0xff80000c, 0xffffffff },
		{ 0x800000, 0xff80000c, 0xffffffff },	 { 0x800001, 0xff00000c, 0xffffffff },
		{ 0x80000000, 0x8000000c, 0xffffffff },	 { 0x100000000, 0x0000000c, 0xffffffff },
		{ 0x100200000, 0x0000000c, 0xfffffffe }, { 0x800000000, 0x0000000c, 0xfffffff8 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct virtio_pci_pool pool = {
			.mechanism = MECHANISM_CAP,
			.place = POOL_IN_BAR,
			.range = { 0x4000000000, cases[i].size },
		};

		pci_bench_init_pool(&b, &pool);
		cr_expect_eq(config_read(&b, PCI_BAR(2), 4), 0x0000000c);
		cr_expect_eq(config_read(&b, PCI_BAR(3), 4), 0x00000040, "as firmware leaves it");
		config_write(&b, PCI_BAR(2), 4, UINT32_MAX);
		config_write(&b, PCI_BAR(3), 4, UINT32_MAX);
		cr_expect_eq(config_read(&b, PCI_BAR(2), 4), cases[i].low, "%#lx",
			     (unsigned long)cases[i].size);
		cr_expect_eq(config_read(&b, PCI_BAR(3), 4), cases[i].high, "%#lx",
			     (unsigned long)cases[i].size);
		cr_expect(b.pci.function.bars[2].is_ram);
		pci_bench_destroy(&b);
	}
}

Test(virtio_pci_pool, no_memory_bar_without_memory_in_it)
{
	static const struct virtio_pci_pool cases[] = {
		{ .mechanism = MECHANISM_CAP, .range = IN_MEMORY },
		{ .mechanism = MECHANISM_CAP, .place = POOL_IN_BAR, .group = group },
		{ .mechanism = MECHANISM_CONFIG, .range = IN_MEMORY },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pci_bench_init_pool(&b, &cases[i]);
		config_write(&b, PCI_BAR(2), 4, UINT32_MAX);
		cr_expect_eq(config_read(&b, PCI_BAR(2), 4), 0, "case %zu", i);
		pci_bench_destroy(&b);
	}
}

static uint32_t common_length(void)
{
	return config_read(&b, find_virtio_cap(&b, 1) + 12, 4);
}

/*
 * Behind the standard's fields, @n values of @width bytes at @from are read, by that width, and
 * nothing else; no write changes anything.
 */
static void expect_fields(uint32_t from, unsigned int width, const uint32_t *values, uint32_t n)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8 };

	for (uint32_t at = C_QUEUE_NOTIF_CONFIG_DATA; at < 1100; at++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			const bool field = sizes[i] == width && at >= from &&
					   at < from + n * width && at % width == 0;

			bar_write(&b, at, sizes[i], UINT64_MAX);
			cr_expect_eq(bar_read(&b, at, sizes[i]),
				     field ? values[(at - from) / width] : 0, "offset %u, %u bytes",
				     at, sizes[i]);
		}
	}
}

/* Two le64 fields; the driver reads them by their halves, as all of 64 bits. */
Test(virtio_pci_pool, fields_of_the_common_configuration)
{
	static const uint32_t halves[] = { 0x23400000, 1, 0x80000000, 1 };
	static const uint32_t offsets[] = { 64, 72, 1024 };
	struct proposal proposal;
	const struct virtio_pci_pool pool = { .mechanism = MECHANISM_CONFIG,
					      .proposal = &proposal,
					      .range = IN_MEMORY };

	proposal_init(&proposal);
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		cr_assert_eq(proposal_set(&proposal, "swiotlb-config", offsets[i]), 0);
		pci_bench_init_pool(&b, &pool);
		cr_expect_eq(common_length(), offsets[i] + 16);
		expect_fields(offsets[i], 4, halves, 4);
		pci_bench_destroy(&b);
	}
}

Test(virtio_pci_pool, id_of_the_device_memory_buffer)
{
	static const struct {
		uint32_t offset, id;
	} cases[] = { { 64, 0x0d }, { 68, 0 }, { 1024, 255 } };
	struct proposal proposal;
	const struct virtio_pci_pool pool = { .mechanism = MECHANISM_DMB,
					      .proposal = &proposal,
					      .place = POOL_IN_BAR,
					      .range = IN_BAR };

	proposal_init(&proposal);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(proposal_set(&proposal, "dmb-config", cases[i].offset), 0);
		cr_assert_eq(proposal_set(&proposal, "dmb-shm-id", cases[i].id), 0);
		pci_bench_init_pool(&b, &pool);
		cr_expect_eq(common_length(), cases[i].offset + 4);
		cr_expect_eq(config_read(&b, CAP_AT + 5, 1), cases[i].id, "the same in the list");
		expect_fields(cases[i].offset, 1, &cases[i].id, 1);
		pci_bench_destroy(&b);
	}
}

/* Those of one mechanism are not shown by another. */
Test(virtio_pci_pool, other_mechanisms_have_no_fields)
{
	static const struct virtio_pci_pool cases[] = {
		{ .mechanism = MECHANISM_NONE },
		{ .mechanism = MECHANISM_DT, .range = IN_MEMORY },
		{ .mechanism = MECHANISM_CAP, .range = IN_MEMORY },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pci_bench_init_pool(&b, &cases[i]);
		cr_expect_eq(common_length(), 64);
		for (uint32_t at = 64; at < 128; at++)
			cr_expect_eq(bar_read(&b, at, 1) | bar_read(&b, at, 4), 0);
		pci_bench_destroy(&b);
	}
}

Test(virtio_pci_pool, another_cfg_type)
{
	struct proposal proposal;
	const struct virtio_pci_pool pool = { .mechanism = MECHANISM_CAP,
					      .proposal = &proposal,
					      .range = IN_MEMORY };

	proposal_init(&proposal);
	cr_assert_eq(proposal_set(&proposal, "swiotlb-cfg-type", 0xfe), 0);
	pci_bench_init_pool(&b, &pool);
	cr_expect_eq(find_virtio_cap(&b, 10), 0);
	cr_expect_eq(find_virtio_cap(&b, 0xfe), CAP_AT);
	pci_bench_destroy(&b);
}
