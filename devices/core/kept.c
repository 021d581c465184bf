/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/core/kept.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

int kept_map(struct device_kept **kept, int fd)
{
	struct device_kept *shared =
		mmap(NULL, VHOST_USER_KEPT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (shared == MAP_FAILED)
		return -errno;
	if (!shared->in_use) {
		*shared = **kept;
		shared->in_use = 1;
	}
	/* An index into an array; all else that is kept is checked by its users. */
	if (shared->report.nr_violations > DEVICE_REPORT_VIOLATIONS)
		shared->report.nr_violations = DEVICE_REPORT_VIOLATIONS;
	free(*kept);
	*kept = shared;
	return 0;
}
