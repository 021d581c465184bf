/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "boot/initrd.h"
#include "boot/plan_build.h"
#include "tests/unit/test_boot_support.h"

Test(boot_plan, range_contains_at_all_edges)
{
	const struct machine_range range = { 0x1000, 0x1000 };
	const struct machine_range top = { UINT64_MAX - 0xfff, 0x1000 };

	cr_expect(machine_range_contains(&range, 0x1000, 0x1000));
	cr_expect(machine_range_contains(&range, 0x1fff, 1));
	cr_expect(machine_range_contains(&range, 0x2000, 0));
	cr_expect_not(machine_range_contains(&range, 0xfff, 2));
	cr_expect_not(machine_range_contains(&range, 0x1fff, 2));
	cr_expect_not(machine_range_contains(&range, 0x2000, 1));
	cr_expect_not(machine_range_contains(&range, 0x2001, 0));
	cr_expect_not(machine_range_contains(&range, 0x1800, UINT64_MAX));
	cr_expect_not(machine_range_contains(&range, 0x1800, UINT64_MAX - 0x7ff));
	cr_expect(machine_range_contains(&top, UINT64_MAX, 1));
	cr_expect_not(machine_range_contains(&top, UINT64_MAX, 2));
}

Test(boot_plan, range_overlaps_at_all_edges)
{
	const struct machine_range a = { 0x1000, 0x1000 };

	cr_expect(boot_range_overlaps(a, (struct machine_range){ 0x1fff, 1 }));
	cr_expect(boot_range_overlaps(a, (struct machine_range){ 0xfff, 2 }));
	cr_expect(boot_range_overlaps(a, (struct machine_range){ 0, 0x10000 }));
	cr_expect(boot_range_overlaps(a, (struct machine_range){ 0x1800, 1 }));
	cr_expect_not(boot_range_overlaps(a, (struct machine_range){ 0x2000, 1 }));
	cr_expect_not(boot_range_overlaps(a, (struct machine_range){ 0xfff, 1 }));
}

Test(boot_plan, data_start_as_zeros_and_belong_to_the_plan)
{
	static const uint8_t zeros[16];
	struct boot_plan plan = { .kernel_fd = -1, .initrd_fd = -1 };
	void *data;

	cr_assert_eq(boot_plan_add_data(&plan, "data", 0x1000, 16, &data), 0);
	cr_expect(!memcmp(data, zeros, 16));
	cr_expect_eq(plan.segments[0].data, data);
	cr_expect_eq(plan.segments[0].mem_len, 16);
	cr_expect_eq(plan.segments[0].fd, -1);
	boot_plan_destroy(&plan);
	cr_expect_eq(plan.nr_segments, 0);
	boot_plan_destroy(&plan);
}

Test(boot_plan, refuses_segments_that_wrap_or_are_too_many)
{
	struct boot_plan plan = { 0 };
	void *data;

	cr_expect_eq(boot_plan_add_data(&plan, "data", UINT64_MAX, 1, &data), -EINVAL);
	cr_expect_eq(plan.nr_segments, 0);
	plan.nr_segments = BOOT_MAX_SEGMENTS;
	cr_expect_eq(boot_plan_add_data(&plan, "data", 0x1000, 1, &data), -ENOSPC);
	cr_expect(strstr(plan.error, "more than 64 segments") != NULL, "%s", plan.error);
}

Test(boot_plan, check_finds_what_cannot_be_loaded)
{
	static const struct machine_range ram[] = { { 0x1000, 0x1000 }, { 0x2000, 0x1000 } };
	static const struct {
		struct machine_range first, second;
		const char *error; /* NULL: fine */
	} cases[] = {
		{ { 0x1000, 0x800 }, { 0x1800, 0x800 }, NULL },
		{ { 0x1000, 0x1000 }, { 0x2000, 0x1000 }, NULL },
		{ { 0x1000, 0x801 },
		  { 0x1800, 0x800 },
		  "second: 0x1800-0x2000: overlaps the first at 0x1000" },
		{ { 0x1800, 1 },
		  { 0x1000, 0x1000 },
		  "second: 0x1000-0x2000: overlaps the first at 0x1800" },
		{ { 0x1000, 1 },
		  { 0x2fff, 2 },
		  "second: 0x2fff-0x3001: not inside the guest's RAM" },
		{ { 0xfff, 1 }, { 0x1000, 1 }, "first: 0xfff-0x1000: not inside the guest's RAM" },
		/* guest_memory_write() goes to one region at a time. */
		{ { 0x1000, 1 },
		  { 0x1fff, 2 },
		  "second: 0x1fff-0x2001: not inside the guest's RAM" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct boot_plan plan = {
			.segments = {
				{ "first", .gpa = cases[i].first.base, .mem_len = cases[i].first.size },
				{ "second", .gpa = cases[i].second.base,
				  .mem_len = cases[i].second.size },
			},
			.nr_segments = 2,
		};
		int ret = boot_plan_check(&plan, ram, 2);

		cr_expect_eq(ret, cases[i].error ? -ENOSPC : 0, "case %zu: %d", i, ret);
		cr_expect_str_eq(plan.error, cases[i].error ?: "", "case %zu", i);
	}
}

static const struct machine_range initrd_ram[] = {
	{ 0, 0x9f000 },
	{ MIB, 63 * MIB },
	{ 128 * MIB, 16 * MIB },
	{ 4 * GIB, GIB },
};

static struct initrd_room make_room(void)
{
	return (struct initrd_room){
		.ram = initrd_ram,
		.nr_ram = ARRAY_SIZE(initrd_ram),
		.kernel = { 16 * MIB, 32 * MIB },
		.min = MIB,
		.max = 3 * GIB - 1,
	};
}

static struct image initrd_image(uint64_t size)
{
	return (struct image){ .what = "initrd", .path = "test-initrd", .fd = -1, .size = size };
}

static int place(struct boot_plan *plan, const struct initrd_room *room, uint64_t size,
		 uint64_t *gpa)
{
	struct image image = initrd_image(size);

	return initrd_place(plan, &image, room, gpa);
}

Test(boot_initrd, goes_as_high_as_it_may)
{
	struct initrd_room room = make_room();
	struct boot_plan plan = { 0 };
	uint64_t gpa;

	cr_assert_eq(place(&plan, &room, 5000, &gpa), 0);
	cr_expect_eq(gpa, 144 * MIB - 8192, "page aligned: 0x%lx", gpa);
	cr_expect_eq(plan.segments[0].gpa, gpa);
	cr_expect_eq(plan.segments[0].len, 5000);
	cr_expect_eq(plan.segments[0].mem_len, 5000);
}

Test(boot_initrd, last_byte_may_be_at_the_limit)
{
	struct initrd_room room = make_room();
	struct boot_plan plan = { 0 };
	uint64_t gpa;

	room.max = 136 * MIB - 1;
	cr_assert_eq(place(&plan, &room, MIB, &gpa), 0);
	cr_expect_eq(gpa, 135 * MIB);
	room.max = 136 * MIB - 2;
	plan.nr_segments = 0;
	cr_assert_eq(place(&plan, &room, MIB, &gpa), 0);
	cr_expect_eq(gpa, 135 * MIB - 4096);
	room.max = UINT64_MAX;
	plan.nr_segments = 0;
	cr_assert_eq(place(&plan, &room, MIB, &gpa), 0);
	cr_expect_eq(gpa, 5 * GIB - MIB);
}

Test(boot_initrd, keeps_clear_of_the_kernel_and_other_segments)
{
	struct initrd_room room = make_room();
	struct boot_plan plan = { 0 };
	uint64_t gpa;

	room.max = 64 * MIB - 1;
	cr_assert_eq(place(&plan, &room, 16 * MIB, &gpa), 0);
	cr_expect_eq(gpa, 48 * MIB, "exactly above the kernel");
	plan.nr_segments = 0;
	cr_assert_eq(place(&plan, &room, 15 * MIB, &gpa), 0);
	cr_expect_eq(gpa, 49 * MIB);
	/* The first initrd is a segment now: the second one goes below the kernel. */
	cr_assert_eq(place(&plan, &room, 2 * MIB, &gpa), 0);
	cr_expect_eq(gpa, 14 * MIB);
	/* A page is left on top of the kernel. */
	cr_assert_eq(place(&plan, &room, MIB, &gpa), 0);
	cr_expect_eq(gpa, 48 * MIB);
}

Test(boot_initrd, refuses_what_does_not_fit)
{
	struct initrd_room room = make_room();
	struct boot_plan plan = { 0 };
	uint64_t gpa;
	int ret;

	room.max = 64 * MIB - 1;
	ret = place(&plan, &room, 16 * MIB + 1, &gpa);
	cr_expect_eq(ret, -ENOSPC);
	test_expect_error(&plan, ret, "initrd: test-initrd: 16777217 bytes do not fit", "too long");
	cr_expect_eq(place(&plan, &room, INT64_MAX, &gpa), -ENOSPC);
	room.max = 0;
	cr_expect_eq(place(&plan, &room, 1, &gpa), -ENOSPC);
	/* The first MiB is not for it. */
	room.max = MIB - 1;
	cr_expect_eq(place(&plan, &room, 4096, &gpa), -ENOSPC);
}
