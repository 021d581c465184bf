/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <criterion/criterion.h>

#include "vmm/exit_status.h"

Test(exit_status, names)
{
	static const struct {
		int status;
		const char *name;
	} cases[] = {
		{ 0, "ok" },
		{ 1, "guest" },
		{ 99, "guest" },
		{ 100, "reboot" },
		{ 101, "halt" },
		{ 102, "panic" },
		{ 103, "triple-fault" },
		{ 104, "timeout" },
		{ 105, "violation" },
		{ 106, "device" },
		{ 107, "vcpu" },
		{ 108, "no-code" },
		{ 109, "unknown" },
		{ 110, "usage" },
		{ 111, "input" },
		{ 112, "host" },
		{ 113, "unknown" },
		{ 128, "unknown" },
		{ 128 + 1, "signal" },
		{ 128 + 15, "signal" },
		{ 128 + 64, "signal" },
		{ 128 + 65, "unknown" },
		{ -1, "unknown" },
		{ 256, "unknown" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_str_eq(exit_status_name(cases[i].status), cases[i].name, "status %d",
				 cases[i].status);
}
