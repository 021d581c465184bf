/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/config_parse.h"
#include "vmm/config.h"
#include "vmm/virtio/mechanism.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void write_words(char *words, size_t size, const char *via, const char *proposals)
{
	snprintf(words, size, "-k k -d a --transport pci --restricted-dma=via=%s %s", via,
		 proposals);
}

Test(config_proposal, defaults)
{
	struct proposal initial;
	struct parse p;

	proposal_init(&initial);
	expect_run(&p, "-k k");
	cr_expect_arr_eq(p.config.proposal.value, initial.value, sizeof(initial.value));
	finish(&p);
}

Test(config_proposal, accepted)
{
	static const struct {
		const char *via, *proposals;
		enum proposal_key key;
		uint32_t value;
	} cases[] = {
		{ "cap", "--proposal swiotlb-feature=26", PROPOSAL_SWIOTLB_FEATURE, 26 },
		{ "cap", "--proposal=swiotlb-feature=0x1b", PROPOSAL_SWIOTLB_FEATURE, 27 },
		{ "cap", "--proposal swiotlb-feature=0x2A", PROPOSAL_SWIOTLB_FEATURE, 42 },
		{ "cap", "--proposal swiotlb-feature=024", PROPOSAL_SWIOTLB_FEATURE, 24 },
		{ "cap", "--proposal swiotlb-cfg-type=11", PROPOSAL_SWIOTLB_CFG_TYPE, 11 },
		{ "config", "--proposal swiotlb-feature=49", PROPOSAL_SWIOTLB_FEATURE, 49 },
		{ "config", "--proposal swiotlb-config=0x48", PROPOSAL_SWIOTLB_CONFIG, 72 },
		{ "dmb", "--proposal dmb-feature=49", PROPOSAL_DMB_FEATURE, 49 },
		{ "dmb", "--proposal dmb-config=68", PROPOSAL_DMB_CONFIG, 68 },
		{ "dmb", "--proposal dmb-shm-id=0", PROPOSAL_DMB_SHM_ID, 0 },
		{ "dmb", "--proposal dmb-shm-id=0x00000000000000000ff", PROPOSAL_DMB_SHM_ID, 255 },
	};
	char words[256];
	struct parse p;

	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct proposal want;

		proposal_init(&want);
		want.value[cases[i].key] = cases[i].value;
		write_words(words, sizeof(words), cases[i].via, cases[i].proposals);
		expect_run(&p, words);
		cr_expect_arr_eq(p.config.proposal.value, want.value, sizeof(want.value), "%s",
				 words);
		finish(&p);
	}
}

Test(config_proposal, each_key_once_and_in_any_order)
{
	struct parse p;

	expect_run(&p, "-k k --proposal dmb-shm-id=1 --proposal dmb-feature=45 --rng "
		       "--transport pci --restricted-dma=via=dmb --proposal dmb-config=128");
	cr_expect_eq(p.config.proposal.value[PROPOSAL_DMB_SHM_ID], 1);
	cr_expect_eq(p.config.proposal.value[PROPOSAL_DMB_FEATURE], 45);
	cr_expect_eq(p.config.proposal.value[PROPOSAL_DMB_CONFIG], 128);
	finish(&p);
}

#define UNKNOWN                                                                                  \
	"unknown key, expected swiotlb-feature, swiotlb-cfg-type, swiotlb-config, dmb-feature, " \
	"dmb-config or dmb-shm-id"
#define NO_NUMBER "expected a decimal number or one with 0x"

/* The mechanism, the value of the last --proposal, and what is said of it. */
static const struct {
	const char *via, *before, *value, *why;
} refusals[] = {
	{ "cap", "", "swiotlb-feature", "expected KEY=NUMBER" },
	{ "cap", "", "27", "expected KEY=NUMBER" },
	{ "cap", "", "bit=27", UNKNOWN },
	{ "cap", "", "=27", UNKNOWN },
	{ "cap", "", "swiotlb-featur=27", UNKNOWN },
	{ "cap", "", "swiotlb-features=27", UNKNOWN },
	{ "cap", "", "SWIOTLB-FEATURE=27", UNKNOWN },
	{ "cap", "", "swiotlb-feature-and-more-than-any-key-is-long=27", UNKNOWN },
	{ "cap", "", "swiotlb-feature=", NO_NUMBER },
	{ "cap", "", "swiotlb-feature==27", NO_NUMBER },
	{ "cap", "", "swiotlb-feature=x", NO_NUMBER },
	{ "cap", "", "swiotlb-feature=1b", NO_NUMBER },
	{ "cap", "", "swiotlb-feature=-1", NO_NUMBER },
	{ "cap", "", "swiotlb-feature=+27", NO_NUMBER },
	{ "cap", "", "swiotlb-feature=27K", NO_NUMBER },
	{ "cap", "", "swiotlb-feature=0x", NO_NUMBER },
	{ "cap", "", "swiotlb-feature=0X1b", NO_NUMBER },
	{ "cap", "", "swiotlb-feature=0x1g", NO_NUMBER },
	{ "cap", "", "swiotlb-feature=0x-1", NO_NUMBER },
	{ "cap", "", "swiotlb-feature=18446744073709551643", "too large" },
	{ "cap", "", "swiotlb-feature=0x1000000000000001b", "too large" },
	{ "cap", "", "swiotlb-feature=4294967323", "not in 0 to 63" },
	{ "cap", "", "swiotlb-feature=64", "not in 0 to 63" },
	{ "cap", "", "swiotlb-feature=0", "feature bit 0 is something else's in virtio 1.3" },
	{ "cap", "", "swiotlb-feature=0x21", "feature bit 33 is something else's in virtio 1.3" },
	{ "cap", "", "swiotlb-cfg-type=0", "not in 1 to 255" },
	{ "cap", "", "swiotlb-cfg-type=256", "not in 1 to 255" },
	{ "cap", "", "swiotlb-cfg-type=9", "cfg_type 9 is something else's in virtio 1.3" },
	{ "config", "", "swiotlb-config=56", "not in 64 to 1024" },
	{ "config", "", "swiotlb-config=68", "not a multiple of 8" },
	{ "config", "", "swiotlb-config=1032", "not in 64 to 1024" },
	{ "dmb", "", "dmb-feature=28", "feature bit 28 is something else's in virtio 1.3" },
	{ "dmb", "", "dmb-config=66", "not a multiple of 4" },
	{ "dmb", "", "dmb-shm-id=256", "not in 0 to 255" },
	{ "dmb", "--proposal dmb-shm-id=1", "dmb-shm-id=1", "given twice" },
	{ "dmb", "--proposal dmb-shm-id=1 --proposal dmb-feature=45", "dmb-shm-id=x",
	  "given twice" },
};

Test(config_proposal, refusals)
{
	char proposals[160], words[256], line[256];

	for (size_t i = 0; i < LENGTH(refusals); i++) {
		const char *before = refusals[i].before;

		snprintf(proposals, sizeof(proposals), "%s%s--proposal %s", before,
			 *before ? " " : "", refusals[i].value);
		write_words(words, sizeof(words), refusals[i].via, proposals);
		snprintf(line, sizeof(line), "--proposal: %s: %s", refusals[i].value,
			 refusals[i].why);
		expect_refused(words, line);
	}
}

/* Each key with each mechanism: which uses it. */
Test(config_proposal, a_number_that_is_not_used_is_refused)
{
	static const enum mechanism all[] = { MECHANISM_DT, MECHANISM_CAP, MECHANISM_CONFIG,
					      MECHANISM_DMB };
	static const bool used[NR_PROPOSAL_KEYS][NR_MECHANISMS] = {
		[PROPOSAL_SWIOTLB_FEATURE] = { [MECHANISM_CAP] = true, [MECHANISM_CONFIG] = true },
		[PROPOSAL_SWIOTLB_CFG_TYPE] = { [MECHANISM_CAP] = true },
		[PROPOSAL_SWIOTLB_CONFIG] = { [MECHANISM_CONFIG] = true },
		[PROPOSAL_DMB_FEATURE] = { [MECHANISM_DMB] = true },
		[PROPOSAL_DMB_CONFIG] = { [MECHANISM_DMB] = true },
		[PROPOSAL_DMB_SHM_ID] = { [MECHANISM_DMB] = true },
	};
	char proposal[64], words[256], line[128];
	struct parse p;

	for (int key = 0; key < NR_PROPOSAL_KEYS; key++) {
		const struct proposal_number *row = &proposal_numbers[key];

		snprintf(proposal, sizeof(proposal), "--proposal %s=%u", row->name, row->initial);
		for (size_t i = 0; i < LENGTH(all); i++) {
			write_words(words, sizeof(words), mechanism_name(all[i]), proposal);
			snprintf(line, sizeof(line),
				 "minivmm: --proposal: %s: not used by via=%s\n", row->name,
				 mechanism_name(all[i]));
			run(&p, words);
			cr_expect_eq(p.result, used[key][all[i]] ? CONFIG_RUN : CONFIG_ERROR, "%s",
				     words);
			cr_expect_str_eq(p.err, used[key][all[i]] ? "" : line);
			finish(&p);
		}
		snprintf(words, sizeof(words), "-k k %s", proposal);
		snprintf(line, sizeof(line),
			 "minivmm: --proposal: %s: not used without --restricted-dma\n", row->name);
		run(&p, words);
		cr_expect_str_eq(p.err, line);
		finish(&p);
	}
}
