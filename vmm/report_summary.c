/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vmm/exit_status.h"
#include "vmm/log.h"
#include "vmm/report.h"

#define CUT "...\n"

/* A text that is built up piece by piece; what does not fit is cut. */
struct summary {
	char *text;
	size_t size;
	size_t len;
	bool cut;
};

__attribute__((format(printf, 2, 3))) static void add(struct summary *s, const char *fmt, ...)
{
	const size_t room = s->size - s->len;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(s->text + s->len, room, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room) {
		s->cut = true;
		s->len = s->size - 1;
	} else {
		s->len += (size_t)n;
	}
}

/* A text of ours that may quote a guest or a device process. */
static void add_text(struct summary *s, const char *text, size_t size)
{
	char escaped[4 * REPORT_TEXT_MAX];

	log_escape(escaped, sizeof(escaped), text, strnlen(text, size));
	add(s, "%s", escaped);
}

/* In the largest unit that leaves a number of at least 1. */
static void add_bytes(struct summary *s, uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB" };
	uint64_t scaled = bytes;
	size_t unit = 0;

	if (bytes < 1024) {
		add(s, "%" PRIu64 " B", bytes);
		return;
	}
	while (scaled >= UINT64_C(1024) * 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		scaled /= 1024;
		unit++;
	}
	add(s, "%" PRIu64 ".%" PRIu64 " %s", scaled / 1024, scaled % 1024 * 10 / 1024, units[unit]);
}

static uint64_t sum(const uint64_t counts[DMA_NR_PURPOSES])
{
	uint64_t total = 0;

	/* A device process can report anything; a wrapped sum must not look like none. */
	for (unsigned int i = 0; i < DMA_NR_PURPOSES; i++) {
		if (__builtin_add_overflow(total, counts[i], &total))
			return UINT64_MAX;
	}
	return total;
}

static void add_windows(struct summary *s, const struct report_device *device)
{
	for (size_t i = 0; i < device->nr_windows && i < REPORT_MAX_WINDOWS; i++) {
		add(s, "%s0x%" PRIx64 "+", i == 0 ? ", window " : " ", device->windows[i].base);
		add_bytes(s, device->windows[i].size);
	}
}

static void add_counters(struct summary *s, const struct device_report_wire *counters)
{
	add(s, "  %" PRIu64 " requests (%" PRIu64 " failed), ", counters->requests,
	    counters->request_errors);
	add_bytes(s, counters->bytes_to_device);
	add(s, " to the device, ");
	add_bytes(s, counters->bytes_from_device);
	add(s, " from it; addresses: %" PRIu64 " inside, %" PRIu64 " outside; pool used up to ",
	    sum(counters->addresses_inside), sum(counters->addresses_outside));
	add_bytes(s, counters->pool_high_water);
	add(s, "\n");
}

static void add_device(struct summary *s, const struct report_device *device, bool restricted)
{
	const enum report_verdict verdict = report_device_verdict(device, restricted);

	add(s, "%s: %s (%s, ", device->name, report_verdict_name(verdict), device->transport);
	if (restricted)
		add(s, "pool by %s in %s, ", device->mechanism, device->place);
	add(s, "sandbox %s)", device->sandbox);
	add_windows(s, device);
	add(s, "\n");
	if (device->counters_valid)
		add_counters(s, &device->counters);
	if (device->restarts > 0)
		add(s, "  process restarted %u times, in %" PRIu64 " ms at most\n",
		    device->restarts, device->longest_restart_ms);
	if (device->evil)
		add(s, "  evil on purpose, seed %" PRIu32 ": %" PRIu64 " tricks\n",
		    device->evil_settings.seed,
		    device->counters_valid ? device->counters.plays : 0);
	if (device->failure[0] != '\0') {
		add(s, "  failed: ");
		add_text(s, device->failure, REPORT_TEXT_MAX);
		add(s, "\n");
	}
	if (device->nr_violations > 0)
		add(s, "  violations: %zu, the first: 0x%" PRIx64 "+0x%" PRIx64 " in queue %u\n",
		    device->nr_violations, device->violations[0].dma_addr,
		    device->violations[0].length, device->violations[0].queue);
	if (device->nr_refusals > 0) {
		add(s, "  refusals: %zu, the first: ", device->nr_refusals);
		add_text(s, device->refusals[0], REPORT_TEXT_MAX);
		add(s, "\n");
	}
}

size_t report_summary(const struct report *report, char *text, size_t size)
{
	struct summary s = { .text = text, .size = size };

	add(&s, "exit: %d (%s): ", report->exit_status, exit_status_name(report->exit_status));
	add_text(&s, report->exit_reason, REPORT_TEXT_MAX);
	add(&s, "\n");
	for (size_t i = 0; i < report->nr_devices; i++)
		add_device(&s, &report->devices[i], report->restricted);
	if (s.cut)
		memcpy(text + size - sizeof(CUT), CUT, sizeof(CUT));
	return s.len;
}
