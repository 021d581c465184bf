/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What no single option can tell: whether they fit together. */
#include <string.h>

#include "vmm/config_option.h"

static enum config_result check_kernel(struct config_parser *parser)
{
	if (parser->config->kernel)
		return CONFIG_RUN;
	config_blame(parser, "kernel");
	return config_refuse(parser, "not given", "a kernel is required, see --help");
}

/* An option that people look for deserves an answer. */
static enum config_result check_balloon(struct config_parser *parser)
{
	if (!config_option_given(parser, "balloon"))
		return CONFIG_RUN;
	config_blame(parser, "balloon");
	if (parser->config->restricted)
		return config_refuse(parser, NULL, CONFIG_NO_BALLOON);
	return config_refuse(parser, NULL,
			     "there is none, connect one by --vhost-user generic:5,socket=PATH");
}

static enum config_result check_exit_code(struct config_parser *parser)
{
	const struct config *config = parser->config;

	if (config->exit_code_from != CONFIG_EXIT_CODE_VSOCK)
		return CONFIG_RUN;
	for (size_t i = 0; i < config->nr_devices; i++) {
		if (config->devices[i].kind == CONFIG_VSOCK)
			return CONFIG_RUN;
	}
	config_blame(parser, "exit-code-from");
	return config_refuse(parser, "vsock", "needs --vsock");
}

enum config_result config_check(struct config_parser *parser)
{
	enum config_result result = check_kernel(parser);

	if (result == CONFIG_RUN)
		result = check_balloon(parser);
	if (result == CONFIG_RUN)
		result = config_settle_console(parser);
	if (result == CONFIG_RUN)
		result = check_exit_code(parser);
	if (result == CONFIG_RUN)
		result = config_check_machine(parser);
	if (result == CONFIG_RUN)
		result = config_settle_evil(parser);
	if (result == CONFIG_RUN)
		result = config_check_resources(parser);
	return result;
}
