/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * How minivmm ends, as its exit status; documented in docs/minivmm.1 and mirrored in the report.
 *
 * 0 .. 99 belong to the guest: 0 when it powered off in good order, else the code that it wrote to
 * port 0xf4, or told where --exit-code-from says (larger codes are reported as 99). A violation or a failed device turns a 0 into its
 * own status, so that 0 means: the guest ended well and nothing was wrong.
 */
#ifndef VMM_EXIT_STATUS_H
#define VMM_EXIT_STATUS_H

enum exit_status {
	EXIT_STATUS_OK = 0,
	EXIT_STATUS_GUEST_MAX = 99,
	EXIT_STATUS_REBOOT = 100,	/* guest asked for a reset */
	EXIT_STATUS_HALT = 101,		/* every vCPU halted with interrupts off */
	EXIT_STATUS_PANIC = 102,	/* guest kernel panic, told by pvpanic */
	EXIT_STATUS_TRIPLE_FAULT = 103, /* vCPU shutdown state */
	EXIT_STATUS_TIMEOUT = 104,	/* --timeout ran out */
	EXIT_STATUS_VIOLATION =
		105,		   /* guest ended well, but a DMA violation or a refusal happened */
	EXIT_STATUS_DEVICE = 106,  /* guest ended well, but a device process failed */
	EXIT_STATUS_VCPU = 107,	   /* KVM could not go on running a vCPU */
	EXIT_STATUS_NO_CODE = 108, /* --exit-code-from: the guest ended well, but told no code */
	EXIT_STATUS_USAGE = 110,   /* bad option */
	EXIT_STATUS_INPUT = 111,   /* a file given is unusable */
	EXIT_STATUS_HOST = 112,	   /* the host lacks something: KVM, a sandbox layer, memory */
	EXIT_STATUS_SIGNAL = 128,  /* + N: ended by signal N */
};

/*
 * Short name for messages and the report: "ok", "guest", "reboot", ..., "signal"; "unknown" for a
 * number that minivmm never ends with. A static string.
 */
const char *exit_status_name(int status);

#endif
