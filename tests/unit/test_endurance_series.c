/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* How the long run tells what grows from what comes and goes. */
#include <criterion/criterion.h>

#include "tests/endurance/series.h"

static struct series series;

static void add(const double *values, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		series_add(&series, values[i]);
}

Test(endurance_series, a_line_grows_by_its_slope_whatever_the_first_tenth_says)
{
	series_add(&series, 500);
	for (unsigned int i = 1; i < 10; i++)
		series_add(&series, 100 + 3 * i);
	cr_expect_float_eq(series_growth(&series), 24, 1e-9);
}

Test(endurance_series, what_swings_does_not_grow)
{
	for (unsigned int i = 0; i < 100; i++)
		series_add(&series, i % 2 ? 10 : 20);
	cr_expect_lt(series_growth(&series), 1);
	cr_expect_float_eq(series_rise(&series), 0, 1e-9);
}

Test(endurance_series, one_more_in_a_single_look_is_no_rise)
{
	static const double late[] = { 11, 11, 11, 12 };

	add(late, 4);
	cr_expect_float_eq(series_rise(&series), 0, 1e-9);
}

Test(endurance_series, one_that_stays_is_a_rise)
{
	static const double leak[] = { 11, 12, 11, 12, 13, 12 };

	add(leak, 6);
	cr_expect_float_eq(series_rise(&series), 1, 1e-9);
}

Test(endurance_series, too_few_say_nothing)
{
	cr_expect_float_eq(series_growth(&series), 0, 1e-9);
	cr_expect_float_eq(series_rise(&series), 0, 1e-9);
	series_add(&series, 7);
	cr_expect_float_eq(series_growth(&series), 0, 1e-9);
	cr_expect_float_eq(series_rise(&series), 0, 1e-9);
}

Test(endurance_series, a_full_one_takes_no_more)
{
	for (unsigned int i = 0; i < SERIES_MAX + 10; i++)
		series_add(&series, 1);
	cr_expect_eq(series.count, SERIES_MAX);
}
