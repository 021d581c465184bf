/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/fuzz/fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t take(struct fuzz_input *in, size_t bytes)
{
	size_t n = in->left < bytes ? in->left : bytes;
	uint64_t value = 0;

	memcpy(&value, in->at, n);
	in->at += n;
	in->left -= n;
	return value;
}

/* Asked most of all. */
uint8_t fuzz_u8(struct fuzz_input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

uint16_t fuzz_u16(struct fuzz_input *in)
{
	return (uint16_t)take(in, 2);
}

uint32_t fuzz_u32(struct fuzz_input *in)
{
	return (uint32_t)take(in, 4);
}

uint64_t fuzz_u64(struct fuzz_input *in)
{
	return take(in, 8);
}

const uint8_t *fuzz_bytes(struct fuzz_input *in, size_t want, size_t *got)
{
	const uint8_t *bytes = in->at;

	*got = in->left < want ? in->left : want;
	in->at += *got;
	in->left -= *got;
	return bytes;
}

uint64_t fuzz_number(struct fuzz_input *in)
{
	const uint8_t how = fuzz_u8(in);

	switch (how >> 6) {
	case 0:
		return how & 0x3f;
	case 1:
		return (UINT64_C(1) << (how & 0x3f)) + (uint64_t)(int8_t)fuzz_u8(in);
	case 2:
		return how & 1 ? fuzz_u16(in) : fuzz_u32(in);
	default:
		return how & 1 ? UINT64_MAX >> (how >> 1 & 0x1f) : fuzz_u64(in);
	}
}

void fuzz_fail(const char *file, int line, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "%s:%d: an invariant does not hold: ", file, line);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\n");
	abort();
}
