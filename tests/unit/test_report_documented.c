/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* docs/report.md against what report_json() makes: each field named, each example true. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/document.h"
#include "tests/unit/report_example.h"
#include "vmm/report_json.h"

#define DOCUMENT "docs/report.md"

/* The JSON block under the heading "### NAME". */
static json_t *read_example(const char *document, const char *name)
{
	char heading[64];
	const char *start, *end;
	json_error_t error;
	json_t *example;

	snprintf(heading, sizeof(heading), "\n### %s\n", name);
	start = strstr(document, heading);
	cr_assert_not_null(start, "no heading for %s", name);
	start = strstr(start, "```json\n");
	cr_assert_not_null(start);
	start += strlen("```json\n");
	end = strstr(start, "```");
	cr_assert_not_null(end);
	example = json_loadb(start, (size_t)(end - start), 0, &error);
	cr_assert_not_null(example, "%s: line %d: %s", name, error.line, error.text);
	return example;
}

/* NOLINTBEGIN(misc-no-recursion): as deep as the document */
/* Every field that @shown has is in @real with the same value; arrays are shown whole. */
static void expect_shown(json_t *shown, json_t *real, const char *what)
{
	const char *key;
	json_t *value;
	size_t i;

	cr_assert_not_null(real, "%s is not in the report", what);
	if (json_is_object(shown)) {
		json_object_foreach(shown, key, value)
			expect_shown(value, json_object_get(real, key), key);
		return;
	}
	if (!json_is_array(shown)) {
		cr_expect(json_equal(shown, real), "%s differs", what);
		return;
	}
	cr_expect_eq(json_array_size(shown), json_array_size(real), "%s: elements", what);
	json_array_foreach(shown, i, value) expect_shown(value, json_array_get(real, i), what);
}
/* NOLINTEND(misc-no-recursion) */

Test(report_documented, example_of_each_verdict)
{
	char *document = document_read(DOCUMENT);
	struct report_example example;

	report_example_fill(&example);
	for (enum report_verdict v = REPORT_FAILED; v <= REPORT_UNUSED; v++) {
		struct report report = example.report;
		json_t *shown = read_example(document, report_verdict_name(v));
		json_t *whole;

		report.restricted = v != REPORT_UNRESTRICTED;
		report.devices = &example.devices[v];
		report.nr_devices = 1;
		whole = report_json(&report);
		if (json_object_get(shown, "format_version"))
			cr_expect(json_equal(shown, whole), "%s", report_verdict_name(v));
		else
			expect_shown(shown, json_array_get(json_object_get(whole, "devices"), 0),
				     report_verdict_name(v));
		json_decref(whole);
		json_decref(shown);
	}
	free(document);
}

/* NOLINTBEGIN(misc-no-recursion): as deep as the document */
/* Looks for a table row of every field below @value, which is called @path. */
static void expect_named(const char *document, json_t *value, const char *path)
{
	const size_t len = strlen(path);
	char name[256];
	const char *key;
	json_t *child;
	size_t i;

	if (json_is_object(value)) {
		json_object_foreach(value, key, child)
		{
			snprintf(name, sizeof(name), "%s%s%s", path, *path ? "." : "", key);
			expect_named(document, child, name);
		}
		return;
	}
	snprintf(name, sizeof(name), "\n| `%s` |", path);
	/* An element of an array of texts has no name of its own. */
	if (len == 0 || path[len - 1] != ']')
		cr_expect_not_null(strstr(document, name), "no row for %s", path);
	json_array_foreach(value, i, child)
	{
		snprintf(name, sizeof(name), "%s[]", path);
		expect_named(document, child, name);
	}
}
/* NOLINTEND(misc-no-recursion) */

Test(report_documented, every_field_has_its_row)
{
	char *document = document_read(DOCUMENT);
	struct report_example example;
	json_t *whole;

	report_example_fill(&example);
	whole = report_json(&example.report);
	cr_assert_not_null(whole);
	expect_named(document, whole, "");
	json_decref(whole);
	free(document);
}
