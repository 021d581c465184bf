/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * How the loaders put a boot plan together. Only boot/ includes this.
 */
#ifndef BOOT_PLAN_BUILD_H
#define BOOT_PLAN_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot/machine.h"
#include "boot/plan.h"

struct image;

/*
 * Sets plan->error to "@what: @which: why", one line without control characters, of a long @which
 * only the end. Returns @err, a negative errno, for the caller to pass on.
 */
int boot_plan_fail(struct boot_plan *plan, int err, const char *what, const char *which,
		   const char *format, ...) __attribute__((format(printf, 5, 6)));

/*
 * Adds a segment of @len zero bytes at @gpa for the caller to fill in through @data, which stays
 * the plan's. Returns 0, -ENOSPC when the plan is full, -EINVAL when the range wraps, or -ENOMEM.
 */
int boot_plan_add_data(struct boot_plan *plan, const char *what, uint64_t gpa, uint64_t len,
		       void **data);

/* Adds @len bytes of @image from @offset on, which occupy @mem_len bytes at @gpa. Errors as above.
 */
int boot_plan_add_file(struct boot_plan *plan, const struct image *image, uint64_t gpa,
		       uint64_t mem_len, uint64_t offset, uint64_t len);

/*
 * Whether the plan can be carried out: every segment lies inside one range of @ram and no two
 * segments share a byte. Returns 0, or -ENOSPC with the error set.
 */
int boot_plan_check(struct boot_plan *plan, const struct machine_range *ram, size_t nr_ram);

/* Whether the ranges share a byte. Neither may be empty or wrap. */
bool boot_range_overlaps(struct machine_range a, struct machine_range b);

#endif
