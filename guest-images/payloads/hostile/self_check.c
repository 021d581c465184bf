/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* That the checks of memory can fail: a byte is changed here and there, and each is noticed. */
#include "guest-images/payloads/hostile/memory.h"
#include "guest-images/payloads/hostile/scenario.h"
#include "guest-images/payloads/payload.h"

static void expect_noticed(uint64_t address, bool exactly)
{
	volatile uint8_t *byte = (volatile uint8_t *)address;
	struct memory_change change;

	*byte ^= 0x10;
	change = memory_check();
	expect(change.what != NULL, "a changed byte is noticed");
	if (exactly)
		expect_equal(change.address, address & ~7ull, "where it is");
	else
		*byte ^= 0x10;
	/* The canary was repaired, the sum was taken anew. */
	change = memory_check();
	expect_equal(change.what != NULL, !exactly, "a change is told once");
	expect(memory_check().what == NULL, "nothing else has changed");
}

static void changes_are_noticed(struct attack *attack)
{
	const struct target *target = attack->target;

	expect_noticed(target->pool - 1, true);
	expect_noticed(target->pool + target->pool_size, true);
	expect_noticed(1, false);
	expect_noticed(target->pool - 0x100000, false);
	expect_noticed(attack->neighbour + 0x5555, false);
	expect_noticed(memory_end() - 1, false);
}

const struct scenario self_check_scenarios[] = {
	{ "changes-are-noticed", changes_are_noticed, GOES_ON },
	{ NULL, NULL, GOES_ON },
};
