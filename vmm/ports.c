/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/ports.h"

#include <stdio.h>
#include <string.h>

#include "vmm/exit_status.h"

_Static_assert(CONFIG_MAX_PORTS <= 10, "a port is one digit in a list of inputs");
_Static_assert(2 * CONFIG_MAX_PORTS <= DEVICE_MAX_BACKENDS, "an input of its own for each port");
_Static_assert(sizeof("names=") + CONFIG_MAX_PORTS * (CONFIG_PORT_NAME_MAX + 1) <=
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

/* Starts another setting; returns its text. */
static char *next_setting(struct device_parts *parts)
{
	char *text = parts->texts[parts->nr_settings];

	parts->settings[parts->nr_settings++] = text;
	return text;
}

/* "names=:a:b" */
static void list_names(const struct config *config, struct device_parts *parts)
{
	char *text = next_setting(parts);

	strcpy(text, "names=");
	for (size_t i = 0; i < config->nr_ports; i++) {
		if (i > 0)
			strcat(text, ":");
		strcat(text, config->ports[i].name);
	}
}

/* "inputs=1:2", and their descriptors behind all others. */
static void list_inputs(const struct device_host *host, const struct config *config,
			struct device_parts *parts)
{
	const struct stream *stream = host->ports;
	char *text = NULL;
	size_t len = 0;

	for (size_t i = 0; i < config->nr_ports; i++) {
		if (config->ports[i].stream.kind == CONFIG_STREAM_STDIO)
			continue;
		if (stream->input_fd >= 0) {
			if (!text)
				text = next_setting(parts);
			len += (size_t)snprintf(text + len, DEVICE_SETTING_MAX - len, "%s%zu",
						len ? ":" : "inputs=", i);
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
