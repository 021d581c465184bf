/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/exit_status.h"

#include <signal.h>
#include <stddef.h>

static const struct {
	int status;
	const char *name;
} names[] = {
	{ EXIT_STATUS_OK, "ok" },
	{ EXIT_STATUS_REBOOT, "reboot" },
	{ EXIT_STATUS_HALT, "halt" },
	{ EXIT_STATUS_PANIC, "panic" },
	{ EXIT_STATUS_TRIPLE_FAULT, "triple-fault" },
	{ EXIT_STATUS_TIMEOUT, "timeout" },
	{ EXIT_STATUS_VIOLATION, "violation" },
	{ EXIT_STATUS_DEVICE, "device" },
	{ EXIT_STATUS_VCPU, "vcpu" },
	{ EXIT_STATUS_NO_CODE, "no-code" },
	{ EXIT_STATUS_USAGE, "usage" },
	{ EXIT_STATUS_INPUT, "input" },
	{ EXIT_STATUS_HOST, "host" },
};

const char *exit_status_name(int status)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].status == status)
			return names[i].name;
	}
	if (status > EXIT_STATUS_OK && status <= EXIT_STATUS_GUEST_MAX)
		return "guest";
	if (status > EXIT_STATUS_SIGNAL && status < EXIT_STATUS_SIGNAL + NSIG)
		return "signal";
	return "unknown";
}
