/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Values that are lists: their parts, and what the lists of devices have in common. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "vmm/config_option.h"
#include "vmm/log.h"

#define QUOTE_MAX      41
#define MIN_QUEUE_SIZE 16 /* a request of each device fits */

_Static_assert(CONFIG_ITEM_MAX == PATH_MAX, "a part of a list is at most a path");

const char *config_item_text(const char *item, const char *name)
{
	const size_t len = strlen(name);

	if (strncmp(item, name, len) != 0 || item[len] != '=')
		return NULL;
	return item + len + 1;
}

enum config_result config_refuse_item(const struct config_parser *parser, const char *value,
				      const char *item, const char *why)
{
	char quote[QUOTE_MAX] = "\"\"";

	if (*item != '\0')
		log_escape(quote, sizeof(quote), item, strlen(item));
	return config_refuse(parser, value, "%s: %s", quote, why);
}

enum config_result config_take_first(const struct config_parser *parser, const char *value,
				     const char **rest, char *item, const char *empty)
{
	const int more = config_next_item(rest, item, CONFIG_ITEM_MAX);

	if (more < 0)
		return config_refuse(parser, value, "longer than %d bytes", CONFIG_ITEM_MAX - 1);
	if (item[0] == '\0')
		return config_refuse(parser, value, "%s", empty);
	return CONFIG_RUN;
}

static const char *set_item(struct config_parser *parser, const struct config_items *list,
			    const char *item, bool seen[CONFIG_MAX_ITEMS])
{
	for (size_t i = 0; list->items[i].name; i++) {
		const struct config_item *part = &list->items[i];
		const char *text = config_item_text(item, part->name);

		if (part->bare)
			text = strcmp(item, part->name) == 0 ? "" : NULL;
		if (!text)
			continue;
		if (seen[i] && !part->repeatable)
			return "given twice";
		seen[i] = true;
		return part->set(parser, text);
	}
	return list->expected;
}

enum config_result config_set_items(struct config_parser *parser, const char *value,
				    const char *rest, const struct config_items *items)
{
	bool seen[CONFIG_MAX_ITEMS] = { false };
	char item[CONFIG_ITEM_MAX];
	int more;

	while ((more = config_next_item(&rest, item, sizeof(item))) > 0) {
		const char *problem = set_item(parser, items, item, seen);

		if (problem)
			return config_refuse_item(parser, value, item, problem);
	}
	if (more < 0)
		return config_refuse(parser, value, "longer than %d bytes", CONFIG_ITEM_MAX - 1);
	return CONFIG_RUN;
}

enum config_result config_add_device(struct config_parser *parser, enum config_device_kind kind,
				     const char *value)
{
	struct config *config = parser->config;

	if (config->nr_devices == MACHINE_MAX_DEVICES)
		return config_refuse(parser, value, "more than %d devices", MACHINE_MAX_DEVICES);
	/* From here on config_destroy() knows what the device owns. */
	parser->device = &config->devices[config->nr_devices++];
	*parser->device = (struct config_device){ .kind = kind };
	return CONFIG_RUN;
}

const char *config_set_device_transport(struct config_parser *parser, const char *text)
{
	parser->says_transport[parser->device - parser->config->devices] = true;
	return config_parse_transport(text, &parser->device->transport);
}

const char *config_set_device_queue_size(struct config_parser *parser, const char *text)
{
	uint64_t size;
	const int err = config_parse_number(text, &size);

	if (err)
		return config_number_problem(err);
	/* virtio 1.3, 2.7: the size of a split queue is a power of two. */
	if (size < MIN_QUEUE_SIZE || size > CONFIG_MAX_QUEUE_SIZE || (size & (size - 1)) != 0)
		return "not a power of two from 16 to 1024";
	parser->device->queue_size = (unsigned int)size;
	return NULL;
}

const char *config_set_device_queues(struct config_parser *parser, const char *text)
{
	return config_parse_count(text, CONFIG_MAX_QUEUES, &parser->device->queues,
				  "not in 1 to 16");
}

const char *config_parse_count(const char *text, unsigned int max, unsigned int *count,
			       const char *range)
{
	uint64_t n;
	const int err = config_parse_number(text, &n);

	if (err)
		return config_number_problem(err);
	if (n < 1 || n > max)
		return range;
	*count = (unsigned int)n;
	return NULL;
}

const char *config_check_socket_path(const char *text, size_t extra)
{
	const struct sockaddr_un *address = NULL;

	if (*text == '\0')
		return "empty path";
	if (strlen(text) + extra < sizeof(address->sun_path))
		return NULL;
	/* The one that has something appended is the one of --vsock. */
	return extra > 0 ? "longer than 96 bytes, and _PORT is put behind it"
			 : "longer than 107 bytes, which no Unix socket can be";
}

const char *config_copy_text(char **copy, const char *text)
{
	free(*copy);
	*copy = strdup(text);
	return *copy ? NULL : "out of memory";
}
