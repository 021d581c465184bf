/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest-images/payloads/payload.h"

#define CMD_LINE_PTR 0x228 /* Linux boot protocol */

/* What follows @name at the beginning of @text, or NULL if @text begins otherwise. */
static const char *match(const char *text, const char *name)
{
	while (*name && *text == *name) {
		text++;
		name++;
	}
	return *name == '\0' ? text : NULL;
}

static uint64_t parse_hex(const char *text)
{
	uint64_t value = 0;

	for (;; text++) {
		if (*text >= '0' && *text <= '9')
			value = value * 16 + (uint64_t)(*text - '0');
		else if (*text >= 'a' && *text <= 'f')
			value = value * 16 + (uint64_t)(*text - 'a' + 10);
		else
			return value;
	}
}

/* What follows the word @name, which ends with @terminator or, if that is 0, with the word. */
static const char *find(const uint8_t *boot_params, const char *name, char terminator)
{
	const char *text =
		(const char *)(uint64_t) * (const uint32_t *)(boot_params + CMD_LINE_PTR);
	bool word_start = true;

	for (; *text; text++) {
		const char *rest = word_start ? match(text, name) : NULL;

		if (rest && (*rest == terminator || (terminator == '\0' && *rest == ' ')))
			return rest;
		word_start = *text == ' ';
	}
	return NULL;
}

uint64_t payload_option(const uint8_t *boot_params, const char *name)
{
	const char *rest = find(boot_params, name, '=');

	return rest ? parse_hex(rest + 1) : 0;
}

bool payload_has_word(const uint8_t *boot_params, const char *name)
{
	return find(boot_params, name, '\0') != NULL;
}
