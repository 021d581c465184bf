/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The setup_data chain, as a kernel walks it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <asm/bootparam.h>

#include "boot/x86_64/layout.h"
#include "boot/x86_64/setup_data.h"
#include "tests/unit/test_boot_support.h"

/* Follows the chain as Linux does; returns the number of nodes. */
static size_t walk_setup_data(const struct boot_segment *segment, struct setup_data *nodes,
			      const uint8_t **payloads, size_t max)
{
	uint64_t gpa = LAYOUT_SETUP_DATA;
	size_t n = 0;

	while (gpa) {
		cr_assert_lt(n, max, "endless chain");
		cr_assert_geq(gpa, segment->gpa);
		cr_assert_leq(gpa - segment->gpa + sizeof(nodes[n]), segment->len);
		cr_expect_eq(gpa % 8, 0);
		memcpy(&nodes[n], (uint8_t *)segment->data + (gpa - segment->gpa),
		       sizeof(nodes[n]));
		payloads[n] = (uint8_t *)segment->data + (gpa - segment->gpa) + sizeof(nodes[n]);
		cr_assert_leq(gpa - segment->gpa + sizeof(nodes[n]) + nodes[n].len, segment->len);
		gpa = nodes[n++].next;
	}
	return n;
}

/* A plan with a copy of @dtb, as boot_plan_destroy() releases it; without one if that is NULL. */
static struct boot_plan plan_with_dtb(const char *dtb, size_t dtb_len)
{
	struct boot_plan plan = { .kernel_fd = -1, .initrd_fd = -1 };

	if (dtb) {
		plan.dtb = malloc(dtb_len);
		plan.dtb_len = dtb_len;
		cr_assert_not_null(plan.dtb);
		memcpy(plan.dtb, dtb, dtb_len);
	}
	return plan;
}

static void check_setup_data(size_t nr_pools, const char *dtb, size_t dtb_len)
{
	struct setup_data nodes[MACHINE_MAX_POOLS + 1];
	const uint8_t *payloads[MACHINE_MAX_POOLS + 1];
	struct machine machine = { .ram = { { GIB, MIB } }, .nr_ram = 1, .nr_pools = nr_pools };
	struct boot_plan plan = plan_with_dtb(dtb, dtb_len);
	const size_t first_pool = dtb ? 1 : 0;
	uint64_t gpa = 1;

	for (size_t i = 0; i < nr_pools; i++)
		machine.pools[i] = (struct machine_range){ (64 + 4 * i) * MIB, (i + 1) * 0x40000 };
	cr_assert_eq(setup_data_add(&plan, &machine, &gpa), 0, "%s", plan.error);
	cr_expect_eq(gpa, LAYOUT_SETUP_DATA);
	cr_assert_eq(walk_setup_data(&plan.segments[0], nodes, payloads, ARRAY_SIZE(nodes)),
		     nr_pools + first_pool);
	cr_expect_leq(plan.segments[0].gpa + plan.segments[0].mem_len, LAYOUT_SETUP_DATA_END);
	if (dtb) {
		cr_expect_eq(nodes[0].type, SETUP_DTB);
		cr_expect_eq(nodes[0].len, dtb_len);
		cr_expect(!memcmp(payloads[0], dtb, dtb_len));
	}
	for (size_t i = 0; i < nr_pools; i++) {
		struct setup_indirect pool;

		cr_expect_eq(nodes[first_pool + i].type, 0x80000000u);
		cr_assert_eq(nodes[first_pool + i].len, 24);
		memcpy(&pool, payloads[first_pool + i], sizeof(pool));
		cr_expect_eq(pool.type, 0xffffffffu, "not SETUP_INDIRECT again");
		cr_expect_eq(pool.reserved, 0);
		cr_expect_eq(pool.addr, machine.pools[i].base);
		cr_expect_eq(pool.len, machine.pools[i].size);
	}
	boot_plan_destroy(&plan);
}

Test(boot_setup_data, has_the_tree_and_every_pool)
{
	static char dtb[0x40000 - 16] = "device tree";

	check_setup_data(0, dtb, 11);
	check_setup_data(1, dtb, 8);
	check_setup_data(2, dtb, 11);
	check_setup_data(MACHINE_MAX_POOLS, dtb, sizeof(dtb));
}

/* With ACPI tables: pools are reserved all the same. */
Test(boot_setup_data, has_the_pools_without_a_tree)
{
	check_setup_data(1, NULL, 0);
	check_setup_data(MACHINE_MAX_POOLS, NULL, 0);
}

Test(boot_setup_data, is_left_out_when_there_is_nothing_to_say)
{
	struct boot_plan plan = plan_with_dtb(NULL, 0);
	struct machine machine = test_machine();
	uint64_t gpa = 1;

	machine.nr_pools = 0;
	cr_assert_eq(setup_data_add(&plan, &machine, &gpa), 0);
	cr_expect_eq(gpa, 0);
	cr_expect_eq(plan.nr_segments, 0);
	boot_plan_destroy(&plan);
}

/* Linux maps 256 KiB early and no more. */
Test(boot_setup_data, refuses_a_tree_that_linux_cannot_map)
{
	static char dtb[0x40000 - 15];
	struct boot_plan plan = plan_with_dtb(dtb, sizeof(dtb));
	struct machine machine = test_machine();
	uint64_t gpa;
	int ret = setup_data_add(&plan, &machine, &gpa);

	cr_expect_eq(ret, -ENOSPC);
	test_expect_error(&plan, ret, "device tree: setup_data: 262129 bytes", "long tree");
	boot_plan_destroy(&plan);
}

Test(boot_setup_data, wants_ram_above_the_pools)
{
	struct boot_plan plan = plan_with_dtb("dtb", 4);
	struct machine machine = test_machine();
	uint64_t gpa;
	int ret;

	machine.nr_ram = 1;
	ret = setup_data_add(&plan, &machine, &gpa);
	cr_expect_eq(ret, -EINVAL);
	test_expect_error(&plan, ret, "memory: pools: no RAM above them", "pool above RAM");
	machine.ram[1] = (struct machine_range){ 4 * GIB, GIB };
	machine.nr_ram = 2;
	cr_expect_eq(setup_data_add(&plan, &machine, &gpa), 0);
	boot_plan_destroy(&plan);
}
