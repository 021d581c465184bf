/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Addresses, and lengths that a guest chose, are strings in hexadecimal: a JSON number is exact
 * only up to 2^53. Counters are numbers and stop there.
 */
#include "vmm/report_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "devices/proto/version.h"
#include "vmm/exit_status.h"
#include "vmm/log.h"

#define JSON_EXACT_MAX ((UINT64_C(1) << 53) - 1)

/* Room for a text whose every byte is escaped as \xNN. */
#define ESCAPED_MAX (4 * REPORT_TEXT_MAX)

static const char *const purpose_names[] = {
	[DMA_RING] = "ring",
	[DMA_INDIRECT_TABLE] = "indirect_table",
	[DMA_BUFFER] = "buffer",
};

static const char *const direction_names[] = {
	[DMA_TO_DEVICE] = "to_device",
	[DMA_FROM_DEVICE] = "from_device",
	[DMA_BIDIRECTIONAL] = "both",
};

#define NAME_OF(names, index) \
	((index) < sizeof(names) / sizeof((names)[0]) ? (names)[index] : "unknown")

int report_find_window(const struct report_device *device, uint64_t addr)
{
	for (size_t i = 0; i < device->nr_windows && i < REPORT_MAX_WINDOWS; i++) {
		if (addr - device->windows[i].base < device->windows[i].size)
			return (int)i;
	}
	return -1;
}

/* Like all that follow: a new reference, or NULL when memory ran out, which json_pack() passes on.
 */
static json_t *json_hex(uint64_t value)
{
	return json_sprintf("0x%" PRIx64, value);
}

static json_t *json_count(uint64_t value)
{
	return json_integer((json_int_t)(value < JSON_EXACT_MAX ? value : JSON_EXACT_MAX));
}

/* A text of @size bytes at most, parts of which came from a guest or a device process. */
static json_t *json_text(const char *text, size_t size)
{
	char escaped[ESCAPED_MAX];

	log_escape(escaped, sizeof(escaped), text, strnlen(text, size));
	return json_string(escaped);
}

/* An array that lost an element must not be taken for whole: *@array becomes NULL. */
static void append(json_t **array, json_t *value)
{
	if (json_array_append_new(*array, value) == 0)
		return;
	json_decref(*array);
	*array = NULL;
}

static json_t *json_feature_name(const struct report_device *device, unsigned int bit)
{
	const char *name = report_feature_name(device->type, bit);

	if (device->proposed_feature == 1ull << bit)
		name = device->proposed_name;

	return name ? json_sprintf("VIRTIO_%s", name) : json_sprintf("bit %u", bit);
}

static json_t *json_features(const struct report_device *device, uint64_t features)
{
	json_t *names = json_array();

	for (unsigned int bit = 0; bit < 64; bit++) {
		if ((features >> bit) & 1)
			append(&names, json_feature_name(device, bit));
	}
	return json_pack("{s:o, s:o}", "bits", json_hex(features), "names", names);
}

static json_t *json_windows(const struct report_device *device)
{
	json_t *windows = json_array();

	for (size_t i = 0; i < device->nr_windows && i < REPORT_MAX_WINDOWS; i++)
		append(&windows, json_pack("{s:o, s:o}", "base", json_hex(device->windows[i].base),
					   "size", json_count(device->windows[i].size)));
	return windows;
}

static json_t *json_refusals(const struct report_device *device)
{
	json_t *first = json_array();

	for (size_t i = 0; i < device->nr_refusals && i < REPORT_MAX_REFUSALS; i++)
		append(&first, json_text(device->refusals[i], REPORT_TEXT_MAX));
	return json_pack("{s:o, s:o}", "total", json_count(device->nr_refusals), "first", first);
}

static json_t *json_window_index(const struct report_device *device, uint64_t addr)
{
	const int index = report_find_window(device, addr);

	return index < 0 ? json_null() : json_integer(index);
}

json_t *report_json_violation(const struct dma_violation *v)
{
	return json_pack(
		"{s:o, s:o, s:s, s:s, s:o, s:o}", "address", json_hex(v->dma_addr), "length",
		json_hex(v->length), "purpose", NAME_OF(purpose_names, v->purpose), "direction",
		NAME_OF(direction_names, v->direction), "queue", json_count(v->queue), "descriptor",
		v->descriptor == UINT32_MAX ? json_null() : json_count(v->descriptor));
}

/* With the windows that its ends are in. */
static json_t *json_violation(const struct report_device *device, const struct dma_violation *v)
{
	json_t *violation = report_json_violation(v);
	uint64_t last = v->dma_addr;
	const bool has_end =
		v->length > 0 && !__builtin_add_overflow(v->dma_addr, v->length - 1, &last);

	if (json_object_set_new(violation, "starts_in_window",
				json_window_index(device, v->dma_addr)) == 0 &&
	    json_object_set_new(violation, "ends_in_window",
				has_end ? json_window_index(device, last) : json_null()) == 0)
		return violation;
	json_decref(violation);
	return NULL;
}

static json_t *json_violations(const struct report_device *device)
{
	json_t *first = json_array();

	for (size_t i = 0; i < device->nr_violations && i < DEVICE_REPORT_VIOLATIONS; i++)
		append(&first, json_violation(device, &device->violations[i]));
	return json_pack("{s:o, s:o}", "total", json_count(device->nr_violations), "first", first);
}

static json_t *json_addresses(const struct device_report_wire *counters)
{
	json_t *addresses = json_object();

	for (unsigned int i = 0; i < DMA_NR_PURPOSES; i++) {
		json_t *pair =
			json_pack("{s:o, s:o}", "inside", json_count(counters->addresses_inside[i]),
				  "outside", json_count(counters->addresses_outside[i]));

		if (json_object_set_new(addresses, purpose_names[i], pair) != 0) {
			json_decref(addresses);
			return NULL;
		}
	}
	return addresses;
}

static json_t *json_counters(const struct report_device *device)
{
	const struct device_report_wire *c = &device->counters;

	if (!device->counters_valid)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "requests",
			 json_count(c->requests), "request_errors", json_count(c->request_errors),
			 "bytes_to_device", json_count(c->bytes_to_device), "bytes_from_device",
			 json_count(c->bytes_from_device), "addresses", json_addresses(c),
			 "malformed_chains", json_count(c->malformed_chains), "broken_queues",
			 json_count(c->broken_queues), "kicks", json_count(c->kicks), "calls",
			 json_count(c->calls), "pool_high_water", json_count(c->pool_high_water));
}

/* What an evil device was told, and by its own account did. */
static json_t *json_evil(const struct report_device *device)
{
	const struct device_report_wire *c = device->counters_valid ? &device->counters : NULL;

	return device->evil ? report_json_evil(device->name, &device->evil_settings, c)
			    : json_null();
}

static json_t *json_device(const struct report_device *device, bool restricted)
{
	const enum report_verdict verdict = report_device_verdict(device, restricted);
	json_t *failure = device->failure[0] == '\0' ? json_null()
						     : json_text(device->failure, REPORT_TEXT_MAX);

	return json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:{s:o, s:o}, s:o, "
		"s:o, s:o, s:o, s:o, s:o}",
		"name", device->name, "type", device->type, "verdict", report_verdict_name(verdict),
		"transport", device->transport, "mechanism", device->mechanism, "place",
		device->place, "policy", device->policy, "sandbox", device->sandbox, "driven",
		device->driven, "resets", json_count(device->resets), "restarts",
		json_count(device->restarts), "longest_restart_ms",
		json_count(device->longest_restart_ms), "features", "offered",
		json_features(device, device->features_offered), "negotiated",
		json_features(device, device->features_negotiated), "windows", json_windows(device),
		"refusals", json_refusals(device), "violations", json_violations(device), "failure",
		failure, "evil", json_evil(device), "counters", json_counters(device));
}

/* The worst verdict of all devices, or null when there is none. */
static json_t *json_verdict(const struct report *report)
{
	enum report_verdict worst = REPORT_UNUSED;

	if (report->nr_devices == 0)
		return json_null();
	for (size_t i = 0; i < report->nr_devices; i++) {
		const enum report_verdict verdict =
			report_device_verdict(&report->devices[i], report->restricted);

		if (verdict < worst)
			worst = verdict;
	}
	return json_string(report_verdict_name(worst));
}

static json_t *json_devices(const struct report *report)
{
	json_t *devices = json_array();

	for (size_t i = 0; i < report->nr_devices; i++)
		append(&devices, json_device(&report->devices[i], report->restricted));
	return devices;
}

json_t *report_json(const struct report *report)
{
	return json_pack("{s:i, s:s, s:b, s:o, s:{s:i, s:s, s:o}, s:{s:i, s:o}, s:o}",
			 "format_version", REPORT_FORMAT_VERSION, "minivmm", MINIVMM_VERSION,
			 "restricted", report->restricted, "verdict", json_verdict(report), "exit",
			 "status", report->exit_status, "name",
			 exit_status_name(report->exit_status), "reason",
			 json_text(report->exit_reason, REPORT_TEXT_MAX), "guest", "cpus",
			 (int)report->nr_cpus, "memory", json_count(report->memory), "devices",
			 json_devices(report));
}
