/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>

#include "vmm/bus.h"

struct probe {
	struct bus_access last;
	uint64_t reply;
	unsigned int calls;
	enum bus_result result;
};

static enum bus_result probe_access(void *opaque, struct bus_access *access)
{
	struct probe *probe = opaque;

	probe->calls++;
	probe->last = *access;
	if (!access->is_write)
		access->value = probe->reply;
	return probe->result;
}

static struct bus_region region(uint64_t base, uint64_t size, struct probe *probe)
{
	return (struct bus_region){ .base = base,
				    .size = size,
				    .name = "probe",
				    .handler = probe_access,
				    .opaque = probe };
}

static int add(struct bus *bus, uint64_t base, uint64_t size, struct probe *probe)
{
	const struct bus_region r = region(base, size, probe);

	return bus_add(bus, &r);
}

Test(bus, add_refuses_what_is_no_region)
{
	struct bus bus = { 0 };
	struct probe probe = { 0 };
	const struct bus_region deaf = { .base = 0, .size = 8, .name = "deaf" };

	cr_expect_eq(add(&bus, 0x1000, 0, &probe), -EINVAL);
	cr_expect_eq(add(&bus, UINT64_MAX, 2, &probe), -EINVAL);
	cr_expect_eq(add(&bus, 1, UINT64_MAX, &probe), 0);
	cr_expect_eq(add(&bus, 2, UINT64_MAX, &probe), -EINVAL);
	cr_expect_eq(bus_add(&bus, &deaf), -EINVAL);
}

Test(bus, overlap_is_refused_at_every_edge)
{
	static const struct {
		uint64_t base, size;
		int expected;
	} cases[] = {
		{ 0x1000, 0x100, -EEXIST },			  /* the same */
		{ 0x1010, 0x10, -EEXIST },			  /* inside */
		{ 0x0f00, 0x300, -EEXIST },			  /* around */
		{ 0x0fff, 2, -EEXIST },				  /* first byte */
		{ 0x10ff, 2, -EEXIST },				  /* last byte */
		{ 0, UINT64_MAX, -EEXIST }, { 0x0f00, 0x100, 0 }, /* just below */
		{ 0x1100, 0x100, 0 },				  /* just above */
	};
	struct bus bus = { 0 };
	struct probe probe = { 0 };

	cr_assert_eq(add(&bus, 0x1000, 0x100, &probe), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(add(&bus, cases[i].base, cases[i].size, &probe), cases[i].expected,
			     "case %zu", i);
	cr_expect_eq(bus.nr_regions, 3);
}

Test(bus, table_has_an_end)
{
	struct bus bus = { 0 };
	struct probe probe = { 0 };

	for (unsigned int i = 0; i < BUS_MAX_REGIONS; i++)
		cr_assert_eq(add(&bus, i * 0x10ull, 0x10, &probe), 0);
	cr_expect_eq(add(&bus, 0x10000, 0x10, &probe), -ENOSPC);
	cr_expect_eq(bus.nr_regions, BUS_MAX_REGIONS);
}

Test(bus, frozen_takes_no_more)
{
	struct bus bus = { 0 };
	struct probe probe = { 0 };

	bus_freeze(&bus);
	cr_expect_eq(add(&bus, 0, 0x10, &probe), -EBUSY);
}

/* Whatever the order of adding, each address finds its region and no other. */
Test(bus, lookup_finds_each_of_many)
{
	struct bus bus = { 0 };
	struct probe probes[BUS_MAX_REGIONS];
	uint64_t value;

	for (unsigned int i = 0; i < BUS_MAX_REGIONS; i++) {
		const unsigned int at = i * 7 % BUS_MAX_REGIONS;

		probes[at] = (struct probe){ .result = BUS_HANDLED, .reply = at };
		cr_assert_eq(add(&bus, 0x100 + at * 0x20ull, 0x10, &probes[at]), 0);
	}
	for (unsigned int i = 0; i < BUS_MAX_REGIONS; i++) {
		const uint64_t base = 0x100 + i * 0x20ull;

		cr_expect_eq(bus_access(&bus, base, 4, false, &value), BUS_HANDLED);
		cr_expect_eq(value, i);
		cr_expect_eq(bus_access(&bus, base + 0xf, 1, false, &value), BUS_HANDLED);
		cr_expect_eq(value, i);
		cr_expect_eq(probes[i].last.offset, 0xf);
		cr_expect_eq(bus_access(&bus, base + 0x10, 1, false, &value), BUS_UNHANDLED);
		cr_expect_eq(bus_access(&bus, base - 1, 1, false, &value), BUS_UNHANDLED);
	}
}

Test(bus, access_crosses_no_edge)
{
	static const struct {
		uint64_t addr;
		unsigned int size;
		enum bus_result expected;
	} cases[] = {
		{ 0x1000, 8, BUS_HANDLED },	  { 0x1008, 8, BUS_HANDLED },
		{ 0x1009, 8, BUS_UNHANDLED }, /* into the adjacent region */
		{ 0x100f, 1, BUS_HANDLED },	  { 0x100f, 2, BUS_UNHANDLED },
		{ 0x1010, 8, BUS_HANDLED },	  { 0x101d, 4, BUS_UNHANDLED },
		{ 0x0fff, 1, BUS_UNHANDLED },	  { 0x0fff, 2, BUS_UNHANDLED },
		{ 0x1020, 1, BUS_UNHANDLED },	  { UINT64_MAX, 1, BUS_UNHANDLED },
		{ UINT64_MAX, 8, BUS_UNHANDLED },
	};
	struct bus bus = { 0 };
	struct probe probe = { .result = BUS_HANDLED };
	uint64_t value;

	cr_assert_eq(add(&bus, 0x1010, 0x10, &probe), 0);
	cr_assert_eq(add(&bus, 0x1000, 0x10, &probe), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const unsigned int calls = probe.calls;

		for (int write = 0; write < 2; write++) {
			value = 0x55;
			cr_expect_eq(bus_access(&bus, cases[i].addr, cases[i].size, write, &value),
				     cases[i].expected, "case %zu", i);
		}
		cr_expect_eq(probe.calls - calls, cases[i].expected == BUS_HANDLED ? 2 : 0);
	}
}

Test(bus, last_region_of_the_address_space)
{
	struct bus bus = { 0 };
	struct probe probe = { .result = BUS_HANDLED, .reply = 1 };
	uint64_t value;

	cr_assert_eq(add(&bus, UINT64_MAX - 7, 8, &probe), 0);
	cr_expect_eq(bus_access(&bus, UINT64_MAX - 7, 8, false, &value), BUS_HANDLED);
	cr_expect_eq(bus_access(&bus, UINT64_MAX, 1, false, &value), BUS_HANDLED);
	cr_expect_eq(probe.last.offset, 7);
	cr_expect_eq(bus_access(&bus, UINT64_MAX, 2, false, &value), BUS_UNHANDLED);
	cr_expect_eq(bus_access(&bus, UINT64_MAX - 2, 4, false, &value), BUS_UNHANDLED);
	cr_expect_eq(bus_access(&bus, 0, 1, false, &value), BUS_UNHANDLED);
}

Test(bus, values_are_masked_to_the_size)
{
	static const struct {
		unsigned int size;
		uint64_t mask;
	} cases[] = { { 1, 0xff }, { 2, 0xffff }, { 4, 0xffffffff }, { 8, UINT64_MAX } };
	struct bus bus = { 0 };
	struct probe probe = { .result = BUS_HANDLED, .reply = 0x8182838485868788 };
	uint64_t value;

	cr_assert_eq(add(&bus, 0, 8, &probe), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint64_t mask = cases[i].mask;

		value = 0;
		bus_access(&bus, 0, cases[i].size, false, &value);
		cr_expect_eq(value, probe.reply & mask);
		cr_expect_eq(probe.last.value, 0, "a read handler starts from 0");
		value = 0x9192939495969798;
		bus_access(&bus, 0, cases[i].size, true, &value);
		cr_expect_eq(probe.last.value, 0x9192939495969798 & mask);
		cr_expect(probe.last.is_write);
		cr_expect_eq(probe.last.size, cases[i].size);
		bus_access(&bus, 0x100, cases[i].size, false, &value);
		cr_expect_eq(value, mask, "nobody there: all-ones");
	}
}

Test(bus, other_sizes_are_unhandled)
{
	static const unsigned int sizes[] = { 0, 3, 5, 6, 7, 9, 16, UINT32_MAX };
	struct bus bus = { 0 };
	struct probe probe = { .result = BUS_HANDLED };
	uint64_t value = 0;

	cr_assert_eq(add(&bus, 0, 0x100, &probe), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		cr_expect_eq(bus_access(&bus, 0, sizes[i], false, &value), BUS_UNHANDLED);
	cr_expect_eq(probe.calls, 0);
}

Test(bus, handler_decides)
{
	struct bus bus = { 0 };
	struct probe probe = { .result = BUS_UNHANDLED, .reply = 0x12 };
	uint64_t value = 0;

	cr_assert_eq(add(&bus, 0, 0x100, &probe), 0);
	cr_expect_eq(bus_access(&bus, 0, 2, false, &value), BUS_UNHANDLED);
	cr_expect_eq(value, 0xffff);
	probe.result = BUS_ERROR;
	cr_expect_eq(bus_access(&bus, 0, 2, false, &value), BUS_ERROR);
}

Test(bus, empty)
{
	struct bus bus = { 0 };
	uint64_t value = 0;

	cr_expect_eq(bus_access(&bus, 0x3f8, 1, false, &value), BUS_UNHANDLED);
	cr_expect_eq(value, 0xff);
}
