/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/ports.h"

#include <stdio.h>

#include "vmm/exit_status.h"

_Static_assert(CONFIG_MAX_PORTS <= 10, "a port is one digit in a list of inputs");
_Static_assert(2 * CONFIG_MAX_PORTS <= DEVICE_MAX_BACKENDS, "an input of its own for each port");
_Static_assert(sizeof("names=") + (size_t)CONFIG_MAX_PORTS * (CONFIG_PORT_NAME_MAX + 1) <=
		       DEVICE_SETTING_MAX,
	       "all names fit");

static int open_streams(struct device_host *host, const struct config *config, int console_fd,
			struct device_parts *parts)
{
	for (size_t i = 0; i < config->nr_ports; i++) {
		const struct config_port *port = &config->ports[i];
		int fd = console_fd;

		if (port->stream.kind != CONFIG_STREAM_STDIO) {
			struct stream *stream = &host->ports[host->nr_ports];

			if (stream_open(stream, &port->stream,
					port->name[0] ? "--port" : "--console"))
				return EXIT_STATUS_INPUT;
			host->nr_ports++;
			fd = stream->fd;
		}
		parts->fds[parts->nr_fds++] = fd;
	}
	return 0;
}

/* A setting in the making: the list "NAME=a:b". */
struct list {
	char *text; /* of a setting; NULL: nothing is in it yet */
	size_t len;
};

static void append(struct list *list, const char *text)
{
	list->len += (size_t)snprintf(list->text + list->len, DEVICE_SETTING_MAX - list->len, "%s",
				      text);
}

/* The first part makes the setting, with its @name. */
static void append_part(struct list *list, struct device_parts *parts, const char *name,
			const char *text)
{
	if (list->text) {
		append(list, ":");
	} else {
		list->text = parts->texts[parts->nr_settings];
		parts->settings[parts->nr_settings++] = list->text;
		append(list, name);
		append(list, "=");
	}
	append(list, text);
}

static void list_names(const struct config *config, struct device_parts *parts)
{
	struct list names = { 0 };

	for (size_t i = 0; i < config->nr_ports; i++)
		append_part(&names, parts, "names", config->ports[i].name);
}

/* Ports with an input of their own; its descriptor goes behind all others. */
static void list_inputs(const struct device_host *host, const struct config *config,
			struct device_parts *parts)
{
	const struct stream *stream = host->ports;
	struct list inputs = { 0 };

	for (size_t i = 0; i < config->nr_ports; i++) {
		const char digit[] = { (char)('0' + i), '\0' };

		if (config->ports[i].stream.kind == CONFIG_STREAM_STDIO)
			continue;
		if (stream->input_fd >= 0) {
			append_part(&inputs, parts, "inputs", digit);
			parts->fds[parts->nr_fds++] = stream->input_fd;
		}
		stream++;
	}
}

int ports_open(struct device_host *host, const struct config *config, int console_fd,
	       struct device_parts *parts)
{
	int ret = open_streams(host, config, console_fd, parts);

	if (ret)
		return ret;
	list_names(config, parts);
	list_inputs(host, config, parts);
	return 0;
}
