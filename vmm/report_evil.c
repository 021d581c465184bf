/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the report says of a device that was made to misbehave: enough to have it do so again. */
#include "vmm/report_json.h"

#define JSON_EXACT_MAX ((UINT64_C(1) << 53) - 1)

static json_t *json_count(uint64_t value)
{
	return json_integer((json_int_t)(value < JSON_EXACT_MAX ? value : JSON_EXACT_MAX));
}

/* An array that lost an element must not be taken for whole: *@array becomes NULL. */
static void append(json_t **array, json_t *value)
{
	if (json_array_append_new(*array, value) == 0)
		return;
	json_decref(*array);
	*array = NULL;
}

static json_t *json_names(uint32_t tricks)
{
	json_t *names = json_array();

	for (unsigned int i = 0; i < EVIL_NR_TRICKS; i++) {
		if (tricks & EVIL_BIT(i))
			append(&names, json_string(evil_trick_name(i)));
	}
	return names;
}

static json_t *json_played(const struct device_report_wire *counters)
{
	json_t *played = json_array();

	for (unsigned int i = 0; i < EVIL_NR_TRICKS; i++) {
		if (counters->tricks[i])
			append(&played, json_pack("{s:s, s:I}", "trick", evil_trick_name(i),
						  "times", (json_int_t)counters->tricks[i]));
	}
	return played;
}

static json_t *json_play(const struct evil_play *play)
{
	json_t *queue = play->queue == UINT16_MAX ? json_null() : json_integer(play->queue);

	return json_pack("{s:s, s:o, s:o}", "trick", evil_trick_name(play->trick), "queue", queue,
			 "completion", json_count(play->completion));
}

/* The oldest first. */
static json_t *json_last(const struct device_report_wire *counters)
{
	const uint64_t end = counters->plays;
	const uint64_t start = end > DEVICE_REPORT_PLAYS ? end - DEVICE_REPORT_PLAYS : 0;
	json_t *last = json_array();

	for (uint64_t i = start; i < end; i++)
		append(&last, json_play(&counters->last_plays[i % DEVICE_REPORT_PLAYS]));
	return last;
}

json_t *report_json_evil(const char *name, const struct evil_settings *settings,
			 const struct device_report_wire *counters)
{
	static const struct device_report_wire none;
	char list[EVIL_SETTING_MAX];

	evil_format(settings, list);
	return json_pack("{s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:o}", "option",
			 json_sprintf("%s,%s", name, list), "seed", json_count(settings->seed),
			 "rate", (int)settings->rate, "after", json_count(settings->after),
			 "tricks", json_names(settings->tricks), "plays",
			 counters ? json_count(counters->plays) : json_null(), "played",
			 json_played(counters ? counters : &none), "last",
			 json_last(counters ? counters : &none));
}
