/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The two options whose values are lists: --disk and --restricted-dma. */
#include <limits.h>
#include <string.h>

#include "vmm/config_option.h"
#include "vmm/log.h"

#define ITEM_MAX  PATH_MAX /* bytes, with the NUL */
#define QUOTE_MAX 41

/* The value of "NAME=value", or NULL when @item is something else. */
static const char *item_value(const char *item, const char *name)
{
	const size_t len = strlen(name);

	if (strncmp(item, name, len) != 0 || item[len] != '=')
		return NULL;
	return item + len + 1;
}

static enum config_result refuse_item(const struct config_parser *parser, const char *value,
				      const char *item, const char *why)
{
	char quote[QUOTE_MAX] = "\"\"";

	if (*item != '\0')
		log_escape(quote, sizeof(quote), item, strlen(item));
	return config_refuse(parser, value, "%s: %s", quote, why);
}

static const char *serial_problem(const char *serial)
{
	const size_t len = strlen(serial);

	if (len == 0)
		return "empty serial";
	if (len > CONFIG_SERIAL_MAX)
		return "serial longer than 20 bytes";
	for (size_t i = 0; i < len; i++) {
		if (serial[i] < 0x20 || serial[i] > 0x7e)
			return "serial not printable ASCII";
	}
	return NULL;
}

static const char *set_serial(struct config_disk *disk, const char *serial)
{
	const char *problem;

	if (disk->serial[0] != '\0')
		return "given twice";
	problem = serial_problem(serial);
	if (!problem)
		memcpy(disk->serial, serial, strlen(serial) + 1);
	return problem;
}

/* One of the items after the file name; NULL, or what is wrong with it. */
static const char *set_disk_item(struct config_disk *disk, bool *says_transport, const char *item)
{
	const char *serial = item_value(item, "serial");
	const char *transport = item_value(item, "transport");

	if (strcmp(item, "ro") == 0) {
		if (disk->read_only)
			return "given twice";
		disk->read_only = true;
		return NULL;
	}
	if (serial)
		return set_serial(disk, serial);
	if (transport) {
		if (*says_transport)
			return "given twice";
		*says_transport = true;
		return config_parse_transport(transport, &disk->transport);
	}
	return "expected ro, serial=S or transport=KIND (a comma in a name is written ,,)";
}

enum config_result config_set_disk(struct config_parser *parser, const char *value)
{
	struct config *config = parser->config;
	const size_t index = config->nr_disks;
	struct config_disk *disk = &config->disks[index];
	const char *rest = value;
	char item[ITEM_MAX];
	int more;

	if (index == CONFIG_MAX_DISKS)
		return config_refuse(parser, value, "more than %d devices", MACHINE_MAX_DEVICES);
	more = config_next_item(&rest, item, sizeof(item));
	if (more > 0 && item[0] == '\0')
		return config_refuse(parser, value, "empty file name");
	if (more > 0) {
		disk->path = strdup(item);
		if (!disk->path)
			return config_refuse(parser, value, "out of memory");
		config->nr_disks++; /* from here on config_destroy() knows the path */
		more = config_next_item(&rest, item, sizeof(item));
	}
	while (more > 0) {
		const char *problem =
			set_disk_item(disk, &parser->disk_says_transport[index], item);

		if (problem)
			return refuse_item(parser, value, item, problem);
		more = config_next_item(&rest, item, sizeof(item));
	}
	if (more < 0)
		return config_refuse(parser, value, "longer than %d bytes", ITEM_MAX - 1);
	return CONFIG_RUN;
}

static const char *set_pool_size(struct config *config, const char *text)
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
	config->pool_size = size;
	return NULL;
}

static const char *set_policy(struct config *config, const char *text)
{
	if (strcmp(text, "require") == 0)
		config->policy = CONFIG_POLICY_REQUIRE;
	else if (strcmp(text, "hope") == 0)
		config->policy = CONFIG_POLICY_HOPE;
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

static const char *set_share(struct config *config, const char *text)
{
	const char *group = item_value(text, "group");

	if (group)
		return set_group(config, group);
	if (strcmp(text, "device") == 0)
		config->share = CONFIG_SHARE_DEVICE;
	else if (strcmp(text, "all") == 0)
		config->share = CONFIG_SHARE_ALL;
	else
		return "expected device, all or group=UUID";
	return NULL;
}

static const char *set_via(struct config *config, const char *text)
{
	/* The device tree is what an unpatched Linux knows, on either transport. */
	if (strcmp(text, "auto") == 0) {
		config->via = MECHANISM_DT;
		return NULL;
	}
	for (enum mechanism via = MECHANISM_DT; via < NR_MECHANISMS; via++) {
		if (strcmp(text, mechanism_name(via)) == 0) {
			config->via = via;
			return NULL;
		}
	}
	return "expected auto, dt, cap, config or dmb";
}

static const char *set_place(struct config *config, const char *text)
{
	if (strcmp(text, "memory") == 0)
		config->place = POOL_IN_MEMORY;
	else if (strcmp(text, "bar") == 0)
		config->place = POOL_IN_BAR;
	else
		return "expected memory or bar";
	return NULL;
}

enum { ITEM_SIZE, ITEM_POLICY, ITEM_SHARE, ITEM_VIA, ITEM_PLACE, NR_RESTRICTED_ITEMS };

static const struct {
	const char *name;
	const char *(*set)(struct config *config, const char *text);
} restricted_items[NR_RESTRICTED_ITEMS] = {
	[ITEM_SIZE] = { "size", set_pool_size }, [ITEM_POLICY] = { "policy", set_policy },
	[ITEM_SHARE] = { "share", set_share },	 [ITEM_VIA] = { "via", set_via },
	[ITEM_PLACE] = { "place", set_place },
};

/* One item of the list; NULL, or what is wrong with it. */
static const char *set_restricted_item(struct config *config, const char *item,
				       bool seen[NR_RESTRICTED_ITEMS])
{
	for (size_t i = 0; i < NR_RESTRICTED_ITEMS; i++) {
		const char *text = item_value(item, restricted_items[i].name);

		if (!text)
			continue;
		if (seen[i])
			return "given twice";
		seen[i] = true;
		return restricted_items[i].set(config, text);
	}
	return "expected size=, policy=, share=, via= or place=";
}

enum config_result config_set_restricted(struct config_parser *parser, const char *value)
{
	struct config *config = parser->config;
	bool seen[NR_RESTRICTED_ITEMS] = { false };
	const char *rest = value;
	char item[ITEM_MAX];
	int more;

	config->restricted = true;
	config->via = MECHANISM_DT;
	while ((more = config_next_item(&rest, item, sizeof(item))) > 0) {
		const char *problem = set_restricted_item(config, item, seen);

		if (problem)
			return refuse_item(parser, value, item, problem);
	}
	if (more < 0)
		return config_refuse(parser, value, "longer than %d bytes", ITEM_MAX - 1);
	if (!seen[ITEM_PLACE] && config->via == MECHANISM_DMB)
		config->place = POOL_IN_BAR;
	return CONFIG_RUN;
}
