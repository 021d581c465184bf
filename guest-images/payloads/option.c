/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "payload.h"

#define CMD_LINE_PTR 0x228 /* Linux boot protocol */

/* Length of @name if the word at @text begins with "NAME=", else 0. */
static size_t match(const char *text, const char *name)
{
	size_t n = 0;

	while (name[n] && text[n] == name[n])
		n++;
	return name[n] == '\0' && text[n] == '=' ? n + 1 : 0;
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

uint64_t payload_option(const uint8_t *boot_params, const char *name)
{
	const char *text =
		(const char *)(uint64_t) * (const uint32_t *)(boot_params + CMD_LINE_PTR);
	bool word_start = true;

	for (; *text; text++) {
		if (word_start && match(text, name))
			return parse_hex(text + match(text, name));
		word_start = *text == ' ';
	}
	return 0;
}
