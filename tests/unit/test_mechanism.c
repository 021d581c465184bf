/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/virtio/mechanism.h"

#define BIT(number)	(1ull << (number))
#define ACCESS_PLATFORM BIT(33)
#define LENGTH(array)	(sizeof(array) / sizeof((array)[0]))

Test(mechanism, names)
{
	cr_expect_str_eq(mechanism_name(MECHANISM_NONE), "none");
	cr_expect_str_eq(mechanism_name(MECHANISM_DT), "dt");
	cr_expect_str_eq(mechanism_name(MECHANISM_CAP), "cap");
	cr_expect_str_eq(mechanism_name(MECHANISM_CONFIG), "config");
	cr_expect_str_eq(mechanism_name(MECHANISM_DMB), "dmb");
}

/* The numbers that the proposals themselves give, and their keys. */
Test(mechanism, proposed_numbers)
{
	static const struct {
		enum proposal_key key;
		const char *name;
		uint32_t value;
	} cases[NR_PROPOSAL_KEYS] = {
		{ PROPOSAL_SWIOTLB_FEATURE, "swiotlb-feature", 27 },
		{ PROPOSAL_SWIOTLB_CFG_TYPE, "swiotlb-cfg-type", 10 },
		{ PROPOSAL_SWIOTLB_CONFIG, "swiotlb-config", 64 },
		{ PROPOSAL_DMB_FEATURE, "dmb-feature", 44 },
		{ PROPOSAL_DMB_CONFIG, "dmb-config", 64 },
		{ PROPOSAL_DMB_SHM_ID, "dmb-shm-id", 13 },
	};
	struct proposal proposal;

	proposal_init(&proposal);
	for (size_t i = 0; i < LENGTH(cases); i++) {
		cr_expect_eq(proposal_find(cases[i].name), (int)cases[i].key, "%s", cases[i].name);
		cr_expect_eq(proposal.value[cases[i].key], cases[i].value, "%s", cases[i].name);
		/* What is proposed may be written out. */
		cr_expect_eq(proposal_set(&proposal, cases[i].name, cases[i].value), 0);
	}
	cr_expect_eq(proposal_find("feature"), -ENOENT);
	cr_expect_eq(proposal_find(""), -ENOENT);
	cr_expect_eq(proposal_set(&proposal, "feature", 27), -ENOENT);
}

static bool is_free_feature(uint64_t number)
{
	return (number >= 24 && number <= 27) || number == 31 || (number >= 42 && number <= 49);
}

static bool is_free_cfg_type(uint64_t number)
{
	return number == 6 || number == 7 || number >= 10;
}

/* What proposal_set() has to say about @number, from the ranges in words. */
static int expected(enum proposal_key key, uint64_t number)
{
	switch (key) {
	case PROPOSAL_SWIOTLB_FEATURE:
	case PROPOSAL_DMB_FEATURE:
		if (number > 63)
			return -ERANGE;
		return is_free_feature(number) ? 0 : -EEXIST;
	case PROPOSAL_SWIOTLB_CFG_TYPE:
		if (number < 1 || number > 255)
			return -ERANGE;
		return is_free_cfg_type(number) ? 0 : -EEXIST;
	case PROPOSAL_SWIOTLB_CONFIG:
		if (number < 64 || number > 1024)
			return -ERANGE;
		return number % 8 == 0 ? 0 : -EINVAL;
	case PROPOSAL_DMB_CONFIG:
		if (number < 64 || number > 1024)
			return -ERANGE;
		return number % 4 == 0 ? 0 : -EINVAL;
	default:
		return number > 255 ? -ERANGE : 0;
	}
}

static void expect_set(enum proposal_key key, uint64_t number)
{
	const char *name = proposal_numbers[key].name;
	struct proposal proposal;
	const int err = expected(key, number);

	proposal_init(&proposal);
	cr_expect_eq(proposal_set(&proposal, name, number), err, "%s=%llu", name,
		     (unsigned long long)number);
	cr_expect_eq(proposal.value[key], err ? proposal_numbers[key].initial : number, "%s=%llu",
		     name, (unsigned long long)number);
}

Test(mechanism, every_number_of_every_key)
{
	static const uint64_t large[] = { UINT32_MAX, BIT(32) + 27, BIT(32) + 64, UINT64_MAX };

	for (enum proposal_key key = 0; key < NR_PROPOSAL_KEYS; key++) {
		for (uint64_t number = 0; number < 1100; number++)
			expect_set(key, number);
		for (size_t i = 0; i < LENGTH(large); i++)
			expect_set(key, large[i]);
	}
}

Test(mechanism, features)
{
	static const struct {
		enum mechanism mechanism;
		uint64_t offered, promise;
	} cases[] = {
		{ MECHANISM_NONE, 0, 0 },
		{ MECHANISM_DT, ACCESS_PLATFORM, ACCESS_PLATFORM },
		{ MECHANISM_CAP, ACCESS_PLATFORM | BIT(27), BIT(27) },
		{ MECHANISM_CONFIG, ACCESS_PLATFORM | BIT(27), BIT(27) },
		{ MECHANISM_DMB, ACCESS_PLATFORM | BIT(44), ACCESS_PLATFORM | BIT(44) },
	};
	struct proposal proposal;

	proposal_init(&proposal);
	for (size_t i = 0; i < LENGTH(cases); i++) {
		cr_expect_eq(mechanism_features(cases[i].mechanism, &proposal), cases[i].offered,
			     "%s", mechanism_name(cases[i].mechanism));
		cr_expect_eq(mechanism_promise(cases[i].mechanism, &proposal), cases[i].promise,
			     "%s", mechanism_name(cases[i].mechanism));
	}
}

Test(mechanism, features_follow_the_proposal)
{
	struct proposal proposal;

	proposal_init(&proposal);
	cr_assert_eq(proposal_set(&proposal, "swiotlb-feature", 42), 0);
	cr_assert_eq(proposal_set(&proposal, "dmb-feature", 49), 0);
	cr_expect_eq(mechanism_features(MECHANISM_DT, &proposal), ACCESS_PLATFORM);
	cr_expect_eq(mechanism_features(MECHANISM_CAP, &proposal), ACCESS_PLATFORM | BIT(42));
	cr_expect_eq(mechanism_promise(MECHANISM_CONFIG, &proposal), BIT(42));
	cr_expect_eq(mechanism_features(MECHANISM_DMB, &proposal), ACCESS_PLATFORM | BIT(49));
	cr_expect_eq(mechanism_promise(MECHANISM_DMB, &proposal), ACCESS_PLATFORM | BIT(49));
}
