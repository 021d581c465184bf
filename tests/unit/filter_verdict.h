/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a filter for system calls says to one, without making it: a small interpreter of classic BPF,
 * with which every number of every ABI can be tried.
 */
#ifndef TESTS_UNIT_FILTER_VERDICT_H
#define TESTS_UNIT_FILTER_VERDICT_H

#include <criterion/criterion.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <string.h>

#include "devices/core/sandbox.h"

static inline bool filter_jumps(const struct sock_filter *at, uint32_t value)
{
	switch (BPF_OP(at->code)) {
	case BPF_JEQ:
		return value == at->k;
	case BPF_JGT:
		return value > at->k;
	case BPF_JGE:
		return value >= at->k;
	case BPF_JSET:
		return (value & at->k) != 0;
	default:
		cr_assert_fail("jump %#x", at->code);
		return false;
	}
}

/* SECCOMP_RET_... of @filter for @call. */
static inline uint32_t filter_verdict(const struct sandbox_filter *filter,
				      const struct seccomp_data *call)
{
	uint32_t value = 0;

	for (unsigned int pc = 0; pc < filter->len; pc++) {
		const struct sock_filter *at = &filter->instructions[pc];

		switch (at->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			cr_assert_leq(at->k, sizeof(*call) - sizeof(value));
			memcpy(&value, (const uint8_t *)call + at->k, sizeof(value));
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			value &= at->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += at->k;
			break;
		case BPF_RET | BPF_K:
			return at->k;
		default:
			cr_assert_eq(BPF_CLASS(at->code), BPF_JMP, "instruction %#x", at->code);
			pc += filter_jumps(at, value) ? at->jt : at->jf;
		}
	}
	cr_assert_fail("the filter ends without a verdict");
	return 0;
}

#endif
