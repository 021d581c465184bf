/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The option --restricted-dma. */
#include <string.h>

#include "vmm/config_option.h"

static const char *set_pool_size(struct config_parser *parser, const char *text)
{
	uint64_t size;
	const int err = config_parse_size(text, &size);

	if (err)
		return config_size_problem(err);
	if (size < CONFIG_MIN_POOL)
		return "smaller than 2M";
	if (size > CONFIG_MAX_POOL)
		return "larger than 256M";
	if (size % CONFIG_POOL_GRANULE != 0)
		return "not a multiple of 256K";
	parser->config->pool_size = size;
	parser->says_pool_size = true;
	return NULL;
}

static const char *set_policy(struct config_parser *parser, const char *text)
{
	if (strcmp(text, "require") == 0)
		parser->config->policy = CONFIG_POLICY_REQUIRE;
	else if (strcmp(text, "hope") == 0)
		parser->config->policy = CONFIG_POLICY_HOPE;
	else
		return "expected require or hope";
	return NULL;
}

static const char *set_group(struct config *config, const char *text)
{
	static const uint8_t nil[CONFIG_GROUP_SIZE];

	if (config_parse_uuid(text, config->group))
		return "expected a UUID such as 6ba7b810-9dad-11d1-80b4-00c04fd430c8";
	if (memcmp(config->group, nil, sizeof(nil)) == 0)
		return "the nil UUID names nothing";
	config->share = CONFIG_SHARE_GROUP;
	return NULL;
}

static const char *set_share(struct config_parser *parser, const char *text)
{
	const char *group = config_item_text(text, "group");

	if (group)
		return set_group(parser->config, group);
	if (strcmp(text, "device") == 0)
		parser->config->share = CONFIG_SHARE_DEVICE;
	else if (strcmp(text, "all") == 0)
		parser->config->share = CONFIG_SHARE_ALL;
	else
		return "expected device, all or group=UUID";
	return NULL;
}

static const char *set_via(struct config_parser *parser, const char *text)
{
	/* The device tree is what an unpatched Linux knows, on either transport. */
	if (strcmp(text, "auto") == 0) {
		parser->config->via = MECHANISM_DT;
		return NULL;
	}
	for (enum mechanism via = MECHANISM_DT; via < NR_MECHANISMS; via++) {
		if (strcmp(text, mechanism_name(via)) == 0) {
			parser->config->via = via;
			return NULL;
		}
	}
	return "expected auto, dt, cap, config or dmb";
}

static const char *set_place(struct config_parser *parser, const char *text)
{
	parser->says_place = true;
	if (strcmp(text, "memory") == 0)
		parser->config->place = POOL_IN_MEMORY;
	else if (strcmp(text, "bar") == 0)
		parser->config->place = POOL_IN_BAR;
	else
		return "expected memory or bar";
	return NULL;
}

enum config_result config_set_restricted(struct config_parser *parser, const char *value)
{
	static const struct config_item items[] = {
		{ "size", .set = set_pool_size }, { "policy", .set = set_policy },
		{ "share", .set = set_share },	  { "via", .set = set_via },
		{ "place", .set = set_place },	  { .name = NULL },
	};
	static const struct config_items list = {
		items, "expected size=, policy=, share=, via= or place="
	};
	struct config *config = parser->config;
	enum config_result result;

	config->restricted = true;
	config->via = MECHANISM_DT;
	result = config_set_items(parser, value, value, &list);
	if (result == CONFIG_RUN && !parser->says_place && config->via == MECHANISM_DMB)
		config->place = POOL_IN_BAR;
	return result;
}
