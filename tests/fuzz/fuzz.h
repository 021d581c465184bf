/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What all fuzz targets share. An input is a small program: its bytes are read one after the other as
 * operations and their operands, so that a change of one byte changes one step. Behind its end
 * everything reads as 0.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

uint8_t fuzz_u8(struct fuzz_input *in);
uint16_t fuzz_u16(struct fuzz_input *in);
uint32_t fuzz_u32(struct fuzz_input *in);
uint64_t fuzz_u64(struct fuzz_input *in);

/* Up to @want bytes of the input itself; *@got tells how many. */
const uint8_t *fuzz_bytes(struct fuzz_input *in, size_t want, size_t *got);

/* A number that is often near a power of two, or all ones. */
uint64_t fuzz_number(struct fuzz_input *in);

/* Ends the process with a line, as a crash of the target: an invariant does not hold. */
#define fuzz_check(condition, ...)                                     \
	do {                                                           \
		if (!(condition))                                      \
			fuzz_fail(__FILE__, __LINE__, "" __VA_ARGS__); \
	} while (0)

__attribute__((noreturn, format(printf, 3, 4))) void fuzz_fail(const char *file, int line,
							       const char *fmt, ...);

/*
 * Functions that stand before others, by the linker's --wrap: what the code under test calls as @name,
 * and how to call the one that it means. WRAPPED_NAMES of the Makefile has the list.
 */
#define WRAP_OF(name) __asm__("__wrap_" #name)
#define WRAPPED(name) __asm__("__real_" #name)

/* What libFuzzer calls. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
