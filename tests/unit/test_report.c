/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/report_example.h"
#include "vmm/report.h"
#include "vmm/report_json.h"

static struct report_example example;

static void set_up(void)
{
	report_example_fill(&example);
}

TestSuite(report, .init = set_up);

static json_t *device_json(const struct report_device *device)
{
	struct report report = example.report;
	json_t *root, *json;

	report.devices = (struct report_device *)device;
	report.nr_devices = 1;
	root = report_json(&report);
	cr_assert_not_null(root);
	json = json_incref(json_array_get(json_object_get(root, "devices"), 0));
	json_decref(root);
	return json;
}

Test(report, verdicts)
{
	for (enum report_verdict v = REPORT_FAILED; v <= REPORT_UNUSED; v++)
		cr_expect_eq(report_device_verdict(&example.devices[v], v != REPORT_UNRESTRICTED),
			     v);
}

/* Everything wrong at once, and one thing after the other taken away. */
Test(report, worst_verdict_first)
{
	struct report_device d = example.devices[REPORT_FAILED];

	d.nr_violations = 1;
	d.nr_refusals = 1;
	d.driven = false;
	cr_expect_eq(report_device_verdict(&d, true), REPORT_FAILED);
	d.failure[0] = '\0';
	cr_expect_eq(report_device_verdict(&d, true), REPORT_VIOLATION);
	cr_expect_eq(report_device_verdict(&d, false), REPORT_VIOLATION);
	d.nr_violations = 0;
	cr_expect_eq(report_device_verdict(&d, true), REPORT_REFUSED);
	d.nr_refusals = 0;
	cr_expect_eq(report_device_verdict(&d, true), REPORT_UNUSED);
	cr_expect_eq(report_device_verdict(&d, false), REPORT_UNUSED);
	d.driven = true;
	cr_expect_eq(report_device_verdict(&d, true), REPORT_CONFINED);
	cr_expect_eq(report_device_verdict(&d, false), REPORT_UNRESTRICTED);
}

Test(report, counters_alone_make_a_violation)
{
	for (unsigned int i = 0; i < DMA_NR_PURPOSES; i++) {
		struct report_device d = example.devices[REPORT_CONFINED];

		d.counters.addresses_outside[i] = 1;
		cr_expect_eq(report_device_verdict(&d, true), REPORT_VIOLATION);
		d.counters_valid = false;
		cr_expect_eq(report_device_verdict(&d, true), REPORT_CONFINED);
	}
}

Test(report, document_has_the_worst_verdict)
{
	json_t *root = report_json(&example.report);

	cr_expect_str_eq(json_string_value(json_object_get(root, "verdict")), "failed");
	json_decref(root);
	example.report.devices = &example.devices[REPORT_CONFINED];
	example.report.nr_devices = 3;
	root = report_json(&example.report);
	cr_expect_str_eq(json_string_value(json_object_get(root, "verdict")), "confined");
	json_decref(root);
	example.report.nr_devices = 0;
	root = report_json(&example.report);
	cr_expect(json_is_null(json_object_get(root, "verdict")));
	cr_expect_eq(json_array_size(json_object_get(root, "devices")), 0);
	json_decref(root);
}

Test(report, feature_names)
{
	static const struct {
		const char *type;
		unsigned int bit;
		const char *name;
	} cases[] = {
		{ "blk", 33, "F_ACCESS_PLATFORM" },
		{ "rng", 40, "F_RING_RESET" },
		{ "blk", 9, "BLK_F_FLUSH" },
		{ "console", 0, "CONSOLE_F_SIZE" },
		{ "blk", 0, NULL },
		{ "rng", 0, NULL },
		{ "blk", 63, NULL },
		{ "blk", 64, NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *name = report_feature_name(cases[i].type, cases[i].bit);

		if (cases[i].name)
			cr_expect_str_eq(name, cases[i].name);
		else
			cr_expect_null(name);
	}
}

Test(report, unknown_features_are_bits)
{
	struct report_device d = example.devices[REPORT_UNUSED];
	json_t *json, *offered, *names;

	d.features_offered = 1ull << 63 | 1ull << 32 | 1;
	json = device_json(&d);
	offered = json_object_get(json_object_get(json, "features"), "offered");
	names = json_object_get(offered, "names");
	cr_expect_str_eq(json_string_value(json_object_get(offered, "bits")), "0x8000000100000001");
	cr_assert_eq(json_array_size(names), 3);
	cr_expect_str_eq(json_string_value(json_array_get(names, 0)), "bit 0");
	cr_expect_str_eq(json_string_value(json_array_get(names, 1)), "VIRTIO_F_VERSION_1");
	cr_expect_str_eq(json_string_value(json_array_get(names, 2)), "bit 63");
	json_decref(json);
}

/* The names that a device of these fields has in the report, joined by spaces. */
static void feature_names(const struct report_device *device, char *text, size_t size)
{
	json_t *json = device_json(device), *name;
	json_t *offered = json_object_get(json_object_get(json, "features"), "offered");
	size_t i, len = 0;

	json_array_foreach(json_object_get(offered, "names"), i, name) len += (size_t)snprintf(
		text + len, size - len, "%s%s", i ? " " : "", json_string_value(name));
	json_decref(json);
}

/* Bits of a proposal, whatever virtio 1.3 or nobody calls them. */
Test(report, proposed_features_have_names)
{
	static const struct {
		uint64_t offered, proposed;
		const char *name, *expected;
	} cases[] = {
		{ 1ull << 27 | 1, 1ull << 27, "F_SWIOTLB", "bit 0 VIRTIO_F_SWIOTLB" },
		{ 1ull << 27 | 1, 0, "F_SWIOTLB", "bit 0 VIRTIO_F_ANY_LAYOUT" },
		{ 1ull << 27 | 1ull << 44, 1ull << 44, "F_DMB",
		  "VIRTIO_F_ANY_LAYOUT VIRTIO_F_DMB" },
		{ 1ull << 63 | 1ull << 33, 1ull << 63, "F_DMB",
		  "VIRTIO_F_ACCESS_PLATFORM VIRTIO_F_DMB" },
		{ 1ull << 63, 0, NULL, "bit 63" },
		{ 1, 1ull << 63, "F_DMB", "bit 0" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct report_device d = example.devices[REPORT_UNUSED];
		char names[256];

		d.features_offered = cases[i].offered;
		d.proposed_feature = cases[i].proposed;
		d.proposed_name = cases[i].name;
		feature_names(&d, names, sizeof(names));
		cr_expect_str_eq(names, cases[i].expected, "case %zu: %s", i, names);
	}
}

/* The same words in the document and in the summary. */
Test(report, where_the_pool_is_and_how_the_guest_learns_of_it)
{
	struct report_device d = example.devices[REPORT_CONFINED];
	struct report report = { .restricted = true, .devices = &d, .nr_devices = 1 };
	static const struct {
		const char *key, *value;
	} fields[] = {
		{ "transport", "pci" }, { "mechanism", "cap" }, { "place", "bar" },
		{ "policy", "hope" },	{ "sandbox", "off" },
	};
	char text[4096];
	json_t *json;

	d.transport = "pci";
	d.mechanism = "cap";
	d.place = "bar";
	d.policy = "hope";
	d.sandbox = "off";
	json = device_json(&d);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		cr_expect_str_eq(json_string_value(json_object_get(json, fields[i].key)),
				 fields[i].value, "%s", fields[i].key);
	json_decref(json);
	report_summary(&report, text, sizeof(text));
	cr_expect_not_null(strstr(text, ": confined (pci, pool by cap in bar, sandbox off), "),
			   "%s", text);
}

static void expect_window(json_t *violation, const char *key, int expected)
{
	json_t *value = json_object_get(violation, key);

	if (expected < 0)
		cr_expect(json_is_null(value), "%s", key);
	else
		cr_expect_eq(json_integer_value(value), expected, "%s", key);
}

Test(report, violations_say_where_they_lie)
{
	static const struct {
		uint64_t addr, length;
		int starts, ends;
	} cases[] = {
		{ 0x1000, 0x1000, 0, 0 }, { 0x0fff, 2, -1, 0 },		 { 0x1fff, 2, 0, -1 },
		{ 0x0fff, 1, -1, -1 },	  { 0x2000, 1, -1, -1 },	 { 0x1800, 0x8000, 0, 1 },
		{ 0x1000, 0, 0, -1 },	  { 0x1000, UINT64_MAX, 0, -1 }, { UINT64_MAX, 1, 2, 2 },
		{ UINT64_MAX, 2, 2, -1 },
	};
	struct report_device d = example.devices[REPORT_VIOLATION];
	json_t *json, *first;

	d.windows[0] = (struct machine_range){ 0x1000, 0x1000 };
	d.windows[1] = (struct machine_range){ 0x9000, 0x1000 };
	d.windows[2] = (struct machine_range){ UINT64_MAX - 0xfff, 0x1000 };
	d.nr_windows = 3;
	d.nr_violations = sizeof(cases) / sizeof(cases[0]);
	for (size_t i = 0; i < d.nr_violations; i++)
		d.violations[i] = (struct dma_violation){ .dma_addr = cases[i].addr,
							  .length = cases[i].length };
	json = device_json(&d);
	first = json_object_get(json_object_get(json, "violations"), "first");
	cr_assert_eq(json_array_size(first), d.nr_violations);
	for (size_t i = 0; i < d.nr_violations; i++) {
		expect_window(json_array_get(first, i), "starts_in_window", cases[i].starts);
		expect_window(json_array_get(first, i), "ends_in_window", cases[i].ends);
	}
	json_decref(json);
}

Test(report, ring_violation_has_no_descriptor)
{
	struct report_device d = example.devices[REPORT_VIOLATION];
	json_t *json, *violation;

	d.violations[0] = (struct dma_violation){ .dma_addr = UINT64_MAX,
						  .length = UINT64_MAX,
						  .purpose = DMA_RING,
						  .direction = DMA_BIDIRECTIONAL,
						  .descriptor = UINT32_MAX };
	json = device_json(&d);
	violation =
		json_array_get(json_object_get(json_object_get(json, "violations"), "first"), 0);
	cr_expect(json_is_null(json_object_get(violation, "descriptor")));
	cr_expect_str_eq(json_string_value(json_object_get(violation, "address")),
			 "0xffffffffffffffff");
	cr_expect_str_eq(json_string_value(json_object_get(violation, "purpose")), "ring");
	cr_expect_str_eq(json_string_value(json_object_get(violation, "direction")), "both");
	json_decref(json);
}

/* A device process can fill its report with anything. */
Test(report, hostile_numbers)
{
	struct report_device d = example.devices[REPORT_VIOLATION];
	struct report report = { .restricted = true, .nr_devices = 1 };
	char text[65536];
	json_t *json, *violations;

	memset(&d.counters, 0xff, sizeof(d.counters));
	memset(d.violations, 0xff, sizeof(d.violations));
	d.nr_violations = SIZE_MAX;
	d.nr_refusals = SIZE_MAX;
	json = device_json(&d);
	violations = json_object_get(json, "violations");
	cr_expect_eq(json_integer_value(json_object_get(violations, "total")), (1ll << 53) - 1);
	cr_expect_eq(json_array_size(json_object_get(violations, "first")),
		     DEVICE_REPORT_VIOLATIONS);
	cr_expect_eq(
		json_integer_value(json_object_get(json_object_get(json, "counters"), "requests")),
		(1ll << 53) - 1);
	json_decref(json);
	report.devices = &d;
	cr_expect_eq(report_summary(&report, text, sizeof(text)), strlen(text));
}

/* Text from a guest may hold any bytes, and no terminating NUL. */
Test(report, hostile_text)
{
	struct report_device d = example.devices[REPORT_FAILED];
	const char *text;
	json_t *json;

	strcpy(d.failure, "a\xff\x80\"\\\n\x1b[2J\xc3\xa9");
	json = device_json(&d);
	cr_expect_str_eq(json_string_value(json_object_get(json, "failure")),
			 "a\\xff\\x80\"\\\\x0a\\x1b[2J\\xc3\\xa9");
	json_decref(json);
	memset(d.failure, 0xee, sizeof(d.failure));
	json = device_json(&d);
	text = json_string_value(json_object_get(json, "failure"));
	cr_expect_gt(strlen(text), 3 * sizeof(d.failure));
	json_decref(json);
}

Test(report, summary_is_readable)
{
	char text[4096];

	example.report.devices = &example.devices[REPORT_VIOLATION];
	example.report.nr_devices = 4;
	cr_expect_eq(report_summary(&example.report, text, sizeof(text)), strlen(text));
	cr_expect_str_eq(
		text,
		"exit: 0 (ok): guest powered off\n"
		"blk1: violation (mmio, pool by dt in memory, sandbox full), window "
		"0x20000000+16.0 MiB\n"
		"  16420 requests (0 failed), 64.2 MiB to the device, 64.0 MiB from it; addresses: "
		"65263 inside, 1 outside; pool used up to 2.0 MiB\n"
		"  violations: 1, the first: 0x20fff000+0x2000 in queue 0\n"
		"blk2: refused (mmio, pool by dt in memory, sandbox full), window "
		"0x20000000+16.0 MiB\n"
		"  0 requests (0 failed), 0 B to the device, 0 B from it; addresses: 0 inside, 0 "
		"outside; pool used up to 0 B\n"
		"  refusals: 1, the first: VIRTIO_F_ACCESS_PLATFORM not accepted; guest kernel "
		"lacks CONFIG_DMA_RESTRICTED_POOL?\n"
		"blk4: evil (mmio, pool by dt in memory, sandbox full), window "
		"0x20000000+16.0 MiB\n"
		"  16420 requests (0 failed), 64.2 MiB to the device, 64.0 MiB from it; addresses: "
		"65263 inside, 0 outside; pool used up to 2.0 MiB\n"
		"  evil on purpose, seed 4294967295: 3 tricks\n"
		"blk0: confined (mmio, pool by dt in memory, sandbox full), window "
		"0x20000000+16.0 MiB\n"
		"  16420 requests (0 failed), 64.2 MiB to the device, 64.0 MiB from it; addresses: "
		"65263 inside, 0 outside; pool used up to 2.0 MiB\n");
}

Test(report, summary_tells_when_it_does_not_fit)
{
	char whole[8192];
	size_t len;

	len = report_summary(&example.report, whole, sizeof(whole));
	cr_expect_eq(len, strlen(whole));
	cr_expect_not_null(strstr(whole, "  failed: device process ended: killed by signal 11\n"));
	for (size_t size = 8; size <= len; size++) {
		char *text = malloc(size); /* ASan sees an overrun */

		cr_expect_eq(report_summary(&example.report, text, size), size - 1);
		cr_expect_eq(strncmp(text, whole, size - 5), 0);
		cr_expect_str_eq(text + size - 5, "...\n");
		free(text);
	}
	cr_expect_eq(report_summary(&example.report, whole, len + 1), len);
	cr_expect_null(strstr(whole, "..."), "it fits exactly");
}
