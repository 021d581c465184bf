/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Figures over time, and how much they grow. */
#ifndef TESTS_ENDURANCE_SERIES_H
#define TESTS_ENDURANCE_SERIES_H

#define SERIES_MAX 256

struct series {
	unsigned int count;
	double values[SERIES_MAX];
};

/* Full ones take no more. */
void series_add(struct series *series, double value);

/*
 * What a straight line through the values, by least squares, grows from the first to the last. The first
 * tenth does not count: there buffers are touched for the first time.
 */
double series_growth(const struct series *series);

/*
 * How far the least of the second half lies above the least of the first: what stays when everything that comes
 * and goes is away. For counts, of which a few too many in a single look mean nothing.
 */
double series_rise(const struct series *series);

#endif
