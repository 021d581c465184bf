/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/config.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/config_option.h"

#define LONG_BASE 256 /* getopt's value of the first option of the table: no letter */

/* The table in the two forms that getopt_long() reads. */
struct getopt_tables {
	char letters[2 + 3 * CONFIG_MAX_OPTIONS + 1];
	struct option longs[CONFIG_MAX_OPTIONS + 1];
};

static void build_getopt_tables(struct getopt_tables *tables)
{
	static const int has_arg[] = {
		[CONFIG_ARGUMENT_NONE] = no_argument,
		[CONFIG_ARGUMENT_REQUIRED] = required_argument,
		[CONFIG_ARGUMENT_OPTIONAL] = optional_argument,
	};
	size_t len = 0;

	memset(tables, 0, sizeof(*tables));
	tables->letters[len++] = '+'; /* stop at the first word that is no option */
	tables->letters[len++] = ':'; /* tell a missing value from an unknown option */
	for (size_t i = 0; i < config_nr_options; i++) {
		const struct config_option *option = &config_options[i];

		tables->longs[i] = (struct option){ .name = option->name,
						    .has_arg = has_arg[option->takes],
						    .val = LONG_BASE + (int)i };
		if (!option->letter)
			continue;
		tables->letters[len++] = (char)option->letter;
		for (int colons = has_arg[option->takes]; colons > 0; colons--)
			tables->letters[len++] = ':';
	}
}

static const struct config_option *option_of(int value)
{
	if (value >= LONG_BASE)
		return &config_options[value - LONG_BASE];
	return config_option_find_letter(value);
}

/*
 * Looks at the word that getopt_long() will read next. It would accept any unambiguous beginning of
 * a long option, so that a new option could change what an old command line means.
 */
static enum config_result check_long(struct config_parser *parser, const char *word)
{
	size_t len;

	if (!word || strncmp(word, "--", 2) != 0 || word[2] == '\0')
		return CONFIG_RUN;
	len = strcspn(word + 2, "=");
	parser->option = config_option_find(word + 2, len);
	if (!parser->option)
		return config_refuse_word(parser, word, 2 + len, "unknown option");
	if (parser->option->takes == CONFIG_ARGUMENT_NONE && word[2 + len] == '=')
		return config_refuse(parser, word + 2 + len + 1, "takes no value");
	return CONFIG_RUN;
}

static enum config_result handle_option(struct config_parser *parser, const char *value)
{
	bool *seen = &parser->seen[parser->option - config_options];

	if (*seen && !parser->option->repeatable)
		return config_refuse(parser, value, "given twice");
	*seen = true;
	return parser->option->set(parser, value);
}

/* What getopt_long() returned, other than the end. */
static enum config_result handle_value(struct config_parser *parser, int value)
{
	const char letter[] = { '-', (char)optopt };

	switch (value) {
	case ':':
		parser->option = option_of(optopt);
		return config_refuse(parser, "no value", "expected%s", parser->option->argument);
	case '?':
		return config_refuse_word(parser, letter, sizeof(letter), "unknown option");
	default:
		parser->option = option_of(value);
		return handle_option(parser, optarg);
	}
}

static enum config_result parse_options(struct config_parser *parser, int argc, char **argv)
{
	struct getopt_tables tables;
	enum config_result result = CONFIG_RUN;

	build_getopt_tables(&tables);
	opterr = 0;
	optind = 0; /* glibc: forget everything about an earlier argv */
	while (result == CONFIG_RUN) {
		const int next = optind > 0 ? optind : 1;
		int value;

		result = check_long(parser, next < argc ? argv[next] : NULL);
		if (result != CONFIG_RUN)
			break;
		value = getopt_long(argc, argv, tables.letters, tables.longs, NULL);
		if (value == -1)
			break;
		result = handle_value(parser, value);
	}
	if (result == CONFIG_RUN && optind < argc)
		return config_refuse_word(parser, argv[optind], strlen(argv[optind]),
					  "unexpected argument");
	return result;
}

enum config_result config_parse(struct config *config, int argc, char **argv, FILE *out, FILE *err)
{
	struct config_parser parser = { .config = config, .out = out, .err = err };
	enum config_result result;

	*config = (struct config){
		.cpus = 1,
		.memory = CONFIG_DEFAULT_MEMORY,
		.pool_size = CONFIG_DEFAULT_POOL,
		.policy = CONFIG_POLICY_REQUIRE,
		.share = CONFIG_SHARE_DEVICE,
		.sandbox = true,
		.restart_crashes = CONFIG_DEFAULT_CRASHES,
		.restart_seconds = CONFIG_DEFAULT_CRASH_TIME,
	};
	proposal_init(&config->proposal);
	result = parse_options(&parser, argc, argv);
	if (result == CONFIG_RUN)
		result = config_check(&parser);
	if (result != CONFIG_RUN)
		config_destroy(config);
	return result;
}

static void device_destroy(struct config_device *device)
{
	switch (device->kind) {
	case CONFIG_DISK:
		free(device->disk.path);
		break;
	case CONFIG_NET:
		free(device->net.name);
		for (size_t i = 0; i < device->net.nr_forwards; i++)
			free(device->net.forwards[i]);
		break;
	case CONFIG_VSOCK:
		free(device->vsock.path);
		break;
	case CONFIG_VHOST_USER:
		free(device->vhost_user.path);
		break;
	case CONFIG_PLAIN:
	case CONFIG_CONSOLE:
		break;
	}
}

void config_destroy(struct config *config)
{
	for (size_t i = 0; i < config->nr_devices; i++)
		device_destroy(&config->devices[i]);
	config->nr_devices = 0;
	for (size_t i = 0; i < config->nr_ports; i++)
		free(config->ports[i].stream.path);
	config->nr_ports = 0;
	free(config->console.path);
	config->console.path = NULL;
}
