/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The option --proposal: numbers of the proposals that this run uses instead of its own. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/config_option.h"
#include "vmm/virtio/mechanism.h"

#define KEY_MAX	 32  /* bytes of the longest key and more, with the NUL */
#define KEYS_MAX 160 /* of a list of all keys */

static enum config_result refuse_key(const struct config_parser *parser, const char *value)
{
	char keys[KEYS_MAX];
	size_t len = 0;

	for (int key = 0; key < NR_PROPOSAL_KEYS; key++) {
		const char *separator = key == 0 ? "" : key < NR_PROPOSAL_KEYS - 1 ? ", " : " or ";

		len += (size_t)snprintf(keys + len, sizeof(keys) - len, "%s%s", separator,
					proposal_numbers[key].name);
	}
	return config_refuse(parser, value, "unknown key, expected %s", keys);
}

/* What proposal_set() returned for @number. */
static enum config_result refuse_number(const struct config_parser *parser, const char *value,
					const struct proposal_number *row, uint64_t number, int err)
{
	switch (err) {
	case -ERANGE:
		return config_refuse(parser, value, "not in %u to %u", row->min, row->max);
	case -EINVAL:
		return config_refuse(parser, value, "not a multiple of %u", row->align);
	default:
		return config_refuse(parser, value, "%s %llu is something else's in virtio 1.3",
				     row->what, (unsigned long long)number);
	}
}

enum config_result config_set_proposal(struct config_parser *parser, const char *value)
{
	const size_t len = strcspn(value, "=");
	char name[KEY_MAX] = "";
	uint64_t number;
	int key, err;

	if (value[len] == '\0')
		return config_refuse(parser, value, "expected KEY=NUMBER");
	if (len < sizeof(name))
		memcpy(name, value, len);
	key = proposal_find(name);
	if (key < 0)
		return refuse_key(parser, value);
	if (parser->proposal_seen[key])
		return config_refuse(parser, value, "given twice");
	parser->proposal_seen[key] = true;
	err = config_parse_code(value + len + 1, &number);
	if (err == -ERANGE)
		return config_refuse(parser, value, "too large");
	if (err)
		return config_refuse(parser, value, "expected a decimal number or one with 0x");
	err = proposal_set(&parser->config->proposal, name, number);
	if (err)
		return refuse_number(parser, value, &proposal_numbers[key], number, err);
	return CONFIG_RUN;
}
