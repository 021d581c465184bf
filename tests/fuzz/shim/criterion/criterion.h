/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the benches of tests/unit use of Criterion, for fuzz targets: what fails there is a crash. */
#ifndef TESTS_FUZZ_SHIM_CRITERION_H
#define TESTS_FUZZ_SHIM_CRITERION_H

#include <string.h>

#include "tests/fuzz/fuzz.h"

#define cr_assert			   fuzz_check
#define cr_assert_not(condition, ...)	   fuzz_check(!(condition), "" __VA_ARGS__)
#define cr_assert_eq(a, b, ...)		   fuzz_check((a) == (b), "" __VA_ARGS__)
#define cr_assert_neq(a, b, ...)	   fuzz_check((a) != (b), "" __VA_ARGS__)
#define cr_assert_lt(a, b, ...)		   fuzz_check((a) < (b), "" __VA_ARGS__)
#define cr_assert_gt(a, b, ...)		   fuzz_check((a) > (b), "" __VA_ARGS__)
#define cr_assert_leq(a, b, ...)	   fuzz_check((a) <= (b), "" __VA_ARGS__)
#define cr_assert_geq(a, b, ...)	   fuzz_check((a) >= (b), "" __VA_ARGS__)
#define cr_assert_not_null(a, ...)	   fuzz_check((a) != NULL, "" __VA_ARGS__)
#define cr_expect			   cr_assert
#define cr_expect_eq			   cr_assert_eq
#define cr_expect_lt			   cr_assert_lt
#define cr_expect_not_null		   cr_assert_not_null
#define cr_expect_arr_eq(a, b, bytes, ...) fuzz_check(!memcmp(a, b, bytes), "" __VA_ARGS__)

#endif
