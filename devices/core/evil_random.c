/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/core/evil_random.h"

#define GOLDEN 0x9e3779b97f4a7c15ull /* 2^64 / golden ratio, odd */

/* Each bit of the result depends on each bit of @x (the finalizer of SplitMix64). */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

struct evil_random evil_random_at(uint32_t seed, unsigned int stream, uint64_t position)
{
	uint64_t start = mix(((uint64_t)stream << 32 | seed) + GOLDEN);

	return (struct evil_random){ mix(start ^ position * GOLDEN) };
}

uint64_t evil_random_next(struct evil_random *random)
{
	random->state += GOLDEN;
	return mix(random->state);
}

uint64_t evil_random_below(struct evil_random *random, uint64_t limit)
{
	return evil_random_next(random) % limit;
}
