/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/proto/evil.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	unsigned int flags;
} known[EVIL_NR_TRICKS] = {
#define EVIL_TRICK(identifier, text, bits) [EVIL_##identifier] = { text, bits },
	EVIL_TRICKS(EVIL_TRICK)
#undef EVIL_TRICK
};

const char *evil_trick_name(unsigned int trick)
{
	return trick < EVIL_NR_TRICKS ? known[trick].name : "unknown";
}

uint32_t evil_tricks_with(unsigned int flags)
{
	uint32_t found = 0;

	for (unsigned int i = 0; i < EVIL_NR_TRICKS; i++) {
		if ((known[i].flags & flags) == flags)
			found |= EVIL_BIT(i);
	}
	return found;
}

uint32_t evil_default_tricks(bool own_pool)
{
	uint32_t all = evil_tricks_with(0) & ~evil_tricks_with(EVIL_ENDS);

	return own_pool ? all : all & ~evil_tricks_with(EVIL_NEEDS_OWN_POOL);
}

/* The bit of the trick whose name are these @len bytes, or 0. */
static uint32_t find_trick(const char *name, size_t len)
{
	for (unsigned int i = 0; i < EVIL_NR_TRICKS; i++) {
		if (strlen(known[i].name) == len && memcmp(known[i].name, name, len) == 0)
			return EVIL_BIT(i);
	}
	return 0;
}

int evil_parse_tricks(const char *text, uint32_t *tricks)
{
	uint32_t found = 0;

	for (;;) {
		size_t len = strcspn(text, "+");
		uint32_t bit = find_trick(text, len);

		if (!bit)
			return -EINVAL;
		found |= bit;
		if (text[len] == '\0')
			break;
		text += len + 1;
	}
	*tricks = found;
	return 0;
}

void evil_format(const struct evil_settings *settings, char text[EVIL_SETTING_MAX])
{
	const char *separator = ",tricks=";
	size_t len =
		snprintf(text, EVIL_SETTING_MAX, "seed=%" PRIu32 ",rate=%" PRIu32 ",after=%" PRIu64,
			 settings->seed, settings->rate, settings->after);

	for (unsigned int i = 0; i < EVIL_NR_TRICKS && len < EVIL_SETTING_MAX; i++) {
		if (!(settings->tricks & EVIL_BIT(i)))
			continue;
		len += snprintf(text + len, EVIL_SETTING_MAX - len, "%s%s", separator,
				known[i].name);
		separator = "+";
	}
}

static int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	/* strtoull() takes signs and blanks as well. */
	if (errno || text[0] < '0' || text[0] > '9' || *end || value < min || value > max)
		return -EINVAL;
	*number = value;
	return 0;
}

static int parse_part(const char *part, struct evil_settings *settings)
{
	uint64_t number = 0;
	int rc = -EINVAL;

	if (strncmp(part, "tricks=", 7) == 0)
		return evil_parse_tricks(part + 7, &settings->tricks);
	if (strncmp(part, "after=", 6) == 0)
		return parse_number(part + 6, 0, UINT32_MAX, &settings->after);
	if (strncmp(part, "seed=", 5) == 0) {
		rc = parse_number(part + 5, 0, UINT32_MAX, &number);
		settings->seed = (uint32_t)number;
	} else if (strncmp(part, "rate=", 5) == 0) {
		rc = parse_number(part + 5, 1, EVIL_RATE_MAX, &number);
		settings->rate = (uint32_t)number;
	}
	return rc;
}

int evil_parse(const char *text, struct evil_settings *settings)
{
	char copy[EVIL_SETTING_MAX];
	char *rest = copy, *part;
	int rc = 0;

	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, strlen(text) + 1);
	while (*text && !rc && (part = strsep(&rest, ",")) != NULL)
		rc = parse_part(part, settings);
	return rc;
}
