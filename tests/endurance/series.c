/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/endurance/series.h"

void series_add(struct series *series, double value)
{
	if (series->count < SERIES_MAX)
		series->values[series->count++] = value;
}

double series_growth(const struct series *series)
{
	const unsigned int first = (series->count + 9) / 10;
	const double n = series->count > first ? series->count - first : 0;
	double sum_x = 0, sum_y = 0, sum_xx = 0, sum_xy = 0, divisor;

	for (unsigned int i = first; i < series->count; i++) {
		const double x = i - first;

		sum_x += x;
		sum_y += series->values[i];
		sum_xx += x * x;
		sum_xy += x * series->values[i];
	}
	divisor = n * sum_xx - sum_x * sum_x;
	if (n < 2 || divisor == 0)
		return 0;
	return (n * sum_xy - sum_x * sum_y) / divisor * (n - 1);
}

static double least(const double *values, unsigned int count)
{
	double value = values[0];

	for (unsigned int i = 1; i < count; i++)
		if (values[i] < value)
			value = values[i];
	return value;
}

double series_rise(const struct series *series)
{
	const unsigned int half = series->count / 2;

	if (!half)
		return 0;
	return least(series->values + half, series->count - half) - least(series->values, half);
}
