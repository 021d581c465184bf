/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What happened, as JSON for --report FILE. docs/report.md describes the form, with an example of
 * each verdict.
 */
#ifndef VMM_REPORT_H
#define VMM_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot/machine.h"
#include "devices/proto/evil.h"
#include "devices/proto/report.h"

#define REPORT_MAX_WINDOWS  8
#define REPORT_TEXT_MAX	    320
#define REPORT_MAX_REFUSALS 4

/* One verdict per device, worst first. */
enum report_verdict {
	REPORT_FAILED,	  /* the device process died, lied or missed a deadline */
	REPORT_VIOLATION, /* an address outside the windows was used, and refused */
	REPORT_REFUSED,	  /* FEATURES_OK was refused: the guest did not promise to use the pool */
	REPORT_EVIL,	  /* as confined or unrestricted, but the device misbehaved on purpose */
	REPORT_CONFINED,  /* every address lay inside the windows */
	REPORT_UNRESTRICTED, /* all guest memory was one window: nothing was enforced */
	REPORT_UNUSED,	     /* the guest never drove the device */
};

struct report_device {
	char name[32];		   /* "blk0" */
	const char *type;	   /* "blk" */
	const char *transport;	   /* "mmio", "pci" */
	const char *mechanism;	   /* "dt", "cap", "config", "dmb", "none" */
	const char *place;	   /* of the pool: "memory", "bar", "none" */
	const char *policy;	   /* "require", "hope", "none" */
	const char *sandbox;	   /* "full", "off" */
	uint64_t proposed_feature; /* mask of a bit that virtio 1.3 does not name so; 0: none */
	const char *proposed_name; /* "F_SWIOTLB" */
	uint64_t features_offered;
	uint64_t features_negotiated; /* of the last FEATURES_OK that was accepted */
	bool driven;		      /* DRIVER_OK was reached at least once */
	unsigned int resets;	      /* by the guest */
	unsigned int restarts;	      /* of its process, which had ended */
	uint64_t longest_restart_ms;  /* from the end of one process to queues that run again */
	struct machine_range windows[REPORT_MAX_WINDOWS];
	size_t nr_windows;
	/* "reason; what to check in the guest" */
	char refusals[REPORT_MAX_REFUSALS][REPORT_TEXT_MAX];
	size_t nr_refusals; /* may exceed REPORT_MAX_REFUSALS: only the first are kept */
	/* Found by the device or by us. */
	struct dma_violation violations[DEVICE_REPORT_VIOLATIONS];
	size_t nr_violations;	       /* may exceed DEVICE_REPORT_VIOLATIONS likewise */
	char failure[REPORT_TEXT_MAX]; /* "" unless the device process failed */
	bool evil;		       /* the process misbehaves on purpose: */
	struct evil_settings evil_settings;
	bool counters_valid; /* false: the back-end does not report, or is gone */
	struct device_report_wire counters;
};

struct report {
	bool restricted;
	int exit_status;
	char exit_reason[REPORT_TEXT_MAX];
	unsigned int nr_cpus;
	uint64_t memory;	       /* bytes, without pools */
	struct report_device *devices; /* owned by the caller */
	size_t nr_devices;
};

/* Also a violation: an address outside that only the counters tell of. */
enum report_verdict report_device_verdict(const struct report_device *device, bool restricted);
/* "failed", "violation", ...: a static string. */
const char *report_verdict_name(enum report_verdict verdict);

/*
 * Whether report_write() could write to @path, found by creating its temporary file: a run of hours
 * must not end in "no such directory". 0 or -errno.
 */
int report_check(const char *path);

/*
 * Writes the report to @path ("-": standard output), complete or not at all: through a temporary
 * file beside it and rename(2), except where @path exists and is no regular file. 0 or -errno.
 */
int report_write(const struct report *report, const char *path);

/*
 * A few lines for a person, on stderr with --verbose and in `make run`: printable ASCII, each line
 * with its '\n', and a terminating NUL. Returns their length; what does not fit into the @size
 * bytes (at least 8) at @text is cut, and "...\n" put in its place. A device takes about 500 bytes,
 * and REPORT_TEXT_MAX more for a failure or a refusal.
 */
size_t report_summary(const struct report *report, char *text, size_t size);

#endif
