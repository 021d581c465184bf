/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "boot/plan_build.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot/image.h"

/* Leaves room for the reason behind a path of any length. */
#define WHICH_MAX 120

int boot_plan_fail(struct boot_plan *plan, int err, const char *what, const char *which,
		   const char *format, ...)
{
	size_t which_len = strlen(which);
	bool cut = which_len > WHICH_MAX;
	int used;

	if (cut)
		which += which_len - WHICH_MAX;
	used = snprintf(plan->error, sizeof(plan->error), "%s: %s%s: ", what, cut ? "..." : "",
			which);
	if (used > 0 && (size_t)used < sizeof(plan->error)) {
		va_list args;

		va_start(args, format);
		vsnprintf(plan->error + used, sizeof(plan->error) - (size_t)used, format, args);
		va_end(args);
	}
	for (char *c = plan->error; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	return err;
}

static int add_segment(struct boot_plan *plan, const struct boot_segment *segment)
{
	char which[32];
	uint64_t end;

	snprintf(which, sizeof(which), "0x%" PRIx64, segment->gpa);
	if (!segment->mem_len || segment->len > segment->mem_len ||
	    __builtin_add_overflow(segment->gpa, segment->mem_len, &end))
		return boot_plan_fail(plan, -EINVAL, segment->what, which,
				      "0x%" PRIx64 " bytes do not fit the address space",
				      segment->mem_len);
	if (plan->nr_segments == BOOT_MAX_SEGMENTS)
		return boot_plan_fail(plan, -ENOSPC, segment->what, which,
				      "more than %d segments to load", BOOT_MAX_SEGMENTS);
	plan->segments[plan->nr_segments++] = *segment;
	return 0;
}

int boot_plan_add_data(struct boot_plan *plan, const char *what, uint64_t gpa, uint64_t len,
		       void **data)
{
	struct boot_segment segment = {
		.what = what,
		.gpa = gpa,
		.len = len,
		.mem_len = len,
		.fd = -1,
	};
	int ret;

	segment.data = calloc(1, len);
	if (!segment.data)
		return boot_plan_fail(plan, -ENOMEM, what, "memory", "%s", strerror(ENOMEM));
	ret = add_segment(plan, &segment);
	if (ret) {
		free(segment.data);
		return ret;
	}
	*data = segment.data;
	return 0;
}

int boot_plan_add_file(struct boot_plan *plan, const struct image *image, uint64_t gpa,
		       uint64_t mem_len, uint64_t offset, uint64_t len)
{
	struct boot_segment segment = {
		.what = image->what,
		.gpa = gpa,
		.len = len,
		.mem_len = mem_len,
		.fd = image->fd,
		.offset = offset,
	};

	return add_segment(plan, &segment);
}

bool boot_range_overlaps(struct machine_range a, struct machine_range b)
{
	return a.base < b.base + b.size && b.base < a.base + a.size;
}

static struct machine_range segment_range(const struct boot_segment *segment)
{
	return (struct machine_range){ segment->gpa, segment->mem_len };
}

static bool is_in_ram(struct machine_range range, const struct machine_range *ram, size_t nr_ram)
{
	for (size_t i = 0; i < nr_ram; i++)
		if (machine_range_contains(&ram[i], range.base, range.size))
			return true;
	return false;
}

int boot_plan_check(struct boot_plan *plan, const struct machine_range *ram, size_t nr_ram)
{
	for (size_t i = 0; i < plan->nr_segments; i++) {
		const struct boot_segment *segment = &plan->segments[i];
		struct machine_range range = segment_range(segment);
		char which[64];

		snprintf(which, sizeof(which), "0x%" PRIx64 "-0x%" PRIx64, range.base,
			 range.base + range.size);
		if (!is_in_ram(range, ram, nr_ram))
			return boot_plan_fail(plan, -ENOSPC, segment->what, which,
					      "not inside the guest's RAM");
		for (size_t j = 0; j < i; j++)
			if (boot_range_overlaps(range, segment_range(&plan->segments[j])))
				return boot_plan_fail(plan, -ENOSPC, segment->what, which,
						      "overlaps the %s at 0x%" PRIx64,
						      plan->segments[j].what,
						      plan->segments[j].gpa);
	}
	return 0;
}
