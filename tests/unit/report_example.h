/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A report with one device of each verdict; docs/report.md shows it. */
#ifndef TESTS_UNIT_REPORT_EXAMPLE_H
#define TESTS_UNIT_REPORT_EXAMPLE_H

#include "vmm/report.h"

#define EXAMPLE_DEVICES (REPORT_UNUSED + 1)

struct report_example {
	struct report report;
	struct report_device devices[EXAMPLE_DEVICES]; /* by verdict */
};

/* All but the REPORT_UNRESTRICTED one are devices of a restricted run. */
void report_example_fill(struct report_example *example);

#endif
