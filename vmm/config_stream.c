/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The options --console and --port, and the device that they need together. */
#include <string.h>

#include "vmm/config_option.h"

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

static const struct {
	const char *prefix;
	enum config_stream_kind kind;
} stream_kinds[] = {
	{ "file:", CONFIG_STREAM_FILE },
	{ "pipe:", CONFIG_STREAM_PIPE },
	{ "socket:", CONFIG_STREAM_SOCKET },
};

/* "file:PATH" and its like; NULL, or what is wrong with it. */
static const char *parse_stream(struct config_stream *stream, const char *text)
{
	for (size_t i = 0; i < sizeof(stream_kinds) / sizeof(stream_kinds[0]); i++) {
		const size_t len = strlen(stream_kinds[i].prefix);
		const char *path = text + len, *problem = NULL;

		if (strncmp(text, stream_kinds[i].prefix, len) != 0)
			continue;
		stream->kind = stream_kinds[i].kind;
		if (*path == '\0')
			return "empty file name";
		if (stream->kind == CONFIG_STREAM_SOCKET)
			problem = config_check_socket_path(path, 0);
		return problem ? problem : config_copy_text(&stream->path, path);
	}
	return "expected file:PATH, pipe:PATH or socket:PATH";
}

/* The part of the list with that index. */
static const char *set_console_part(struct config *config, const char *item, size_t index)
{
	const bool virtio = strcmp(item, "virtio") == 0;

	if (index == 0 && (virtio || strcmp(item, "serial") == 0)) {
		config->virtio_console = virtio;
		return NULL;
	}
	if (config->console.path)
		return "nothing can follow file:PATH (a comma in a name is written ,,)";
	if (strncmp(item, "file:", strlen("file:")) != 0)
		return index == 0 ? "expected serial, virtio or file:PATH" : "expected file:PATH";
	return parse_stream(&config->console, item);
}

enum config_result config_set_console(struct config_parser *parser, const char *value)
{
	const char *rest = value;
	char item[CONFIG_ITEM_MAX];
	size_t index = 0;
	int more;

	while ((more = config_next_item(&rest, item, sizeof(item))) > 0) {
		const char *problem = set_console_part(parser->config, item, index++);

		if (problem)
			return config_refuse_item(parser, value, item, problem);
	}
	if (more < 0)
		return config_refuse(parser, value, "longer than %d bytes", CONFIG_ITEM_MAX - 1);
	return CONFIG_RUN;
}

static const struct config_port *find_port(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->nr_ports; i++) {
		if (strcmp(config->ports[i].name, name) == 0)
			return &config->ports[i];
	}
	return NULL;
}

static const char *add_port(struct config *config, const char *text)
{
	const size_t len = strcspn(text, "=");
	char name[CONFIG_PORT_NAME_MAX + 1] = "";
	struct config_port *port;

	if (text[len] == '\0')
		return "expected NAME=file:PATH, NAME=pipe:PATH or NAME=socket:PATH";
	if (len == 0)
		return "empty name";
	if (len > CONFIG_PORT_NAME_MAX)
		return "name longer than 31 bytes";
	if (strspn(text, NAME_CHARACTERS) < len)
		return "a name has letters, digits, dots, underlines and hyphens only";
	memcpy(name, text, len);
	if (find_port(config, name))
		return "a port with that name was given before";
	if (config->nr_ports == CONFIG_MAX_PORTS)
		return "more than 8 ports";
	port = &config->ports[config->nr_ports++];
	memcpy(port->name, name, sizeof(name));
	return parse_stream(&port->stream, text + len + 1);
}

enum config_result config_set_port(struct config_parser *parser, const char *value)
{
	const char *rest = value, *problem;
	char item[CONFIG_ITEM_MAX];
	enum config_result result;

	result = config_take_first(parser, value, &rest, item, "empty name");
	if (result != CONFIG_RUN)
		return result;
	problem = add_port(parser->config, item);
	if (problem)
		return config_refuse(parser, value, "%s", problem);
	if (rest)
		return config_refuse(parser, value,
				     "nothing can follow PATH (a comma in a name is written ,,)");
	return CONFIG_RUN;
}

/* The port that --exit-code-from asks for. */
static enum config_result add_exit_port(struct config_parser *parser)
{
	struct config *config = parser->config;
	struct config_port *port;

	if (config->exit_code_from != CONFIG_EXIT_CODE_PORT)
		return CONFIG_RUN;
	config_blame(parser, "exit-code-from");
	if (find_port(config, CONFIG_EXIT_CODE_PORT_NAME))
		return config_refuse(parser, "port", "there is a --port %s already",
				     CONFIG_EXIT_CODE_PORT_NAME);
	if (config->nr_ports == CONFIG_MAX_PORTS)
		return config_refuse(parser, "port", "more than %d ports with its own",
				     CONFIG_MAX_PORTS);
	port = &config->ports[config->nr_ports++];
	*port = (struct config_port){ .name = CONFIG_EXIT_CODE_PORT_NAME,
				      .stream = { .kind = CONFIG_STREAM_EXIT } };
	return CONFIG_RUN;
}

/* The console is the first port (virtio 1.3, 5.3.5: port 0). */
static enum config_result add_console_port(struct config_parser *parser)
{
	struct config *config = parser->config;
	const char *problem = NULL;

	if (!config->virtio_console)
		return CONFIG_RUN;
	config_blame(parser, "console");
	if (config->nr_ports == CONFIG_MAX_PORTS)
		return config_refuse(parser, "virtio", "more than %d ports with its own",
				     CONFIG_MAX_PORTS);
	memmove(&config->ports[1], &config->ports[0], config->nr_ports * sizeof(config->ports[0]));
	config->ports[0] = (struct config_port){ .stream.kind = config->console.kind };
	config->nr_ports++;
	if (config->console.path)
		problem = config_copy_text(&config->ports[0].stream.path, config->console.path);
	return problem ? config_refuse(parser, "virtio", "%s", problem) : CONFIG_RUN;
}

enum config_result config_settle_console(struct config_parser *parser)
{
	struct config *config = parser->config;
	enum config_result result = add_exit_port(parser);

	if (result == CONFIG_RUN)
		result = add_console_port(parser);
	if (result != CONFIG_RUN || config->nr_ports == 0)
		return result;
	config_blame(parser, config->virtio_console		   ? "console"
			     : config_option_given(parser, "port") ? "port"
								   : "exit-code-from");
	return config_add_device(parser, CONFIG_CONSOLE,
				 config->virtio_console ? "virtio" : config->ports[0].name);
}
