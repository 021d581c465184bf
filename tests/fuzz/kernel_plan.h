/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What both targets with kernel images share: a plan of the image, and what must be so of it. */
#ifndef TESTS_FUZZ_KERNEL_PLAN_H
#define TESTS_FUZZ_KERNEL_PLAN_H

#include "tests/fuzz/fuzz.h"

/* Changes bytes of @file as the input says: fields of @fields (offset, bytes), or any. */
struct kernel_field {
	uint16_t offset;
	uint8_t bytes;
};

void kernel_patch(struct fuzz_input *in, uint8_t *file, size_t size,
		  const struct kernel_field *fields, size_t nr_fields);

/* Plans the @size bytes behind @fd for a machine that the input chooses. */
void kernel_plan(struct fuzz_input *in, int fd, uint64_t size);

#endif
