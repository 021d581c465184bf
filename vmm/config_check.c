/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What no single option can tell: whether they fit together. */
#include <string.h>

#include "vmm/config_option.h"

static enum config_result check_devices(struct config_parser *parser)
{
	const struct config *config = parser->config;

	if (config_device_count(config) <= MACHINE_MAX_DEVICES)
		return CONFIG_RUN;
	config_blame(parser, "disk");
	return config_refuse(parser, config->disks[config->nr_disks - 1].path,
			     "more than %d devices with --rng and --console virtio",
			     MACHINE_MAX_DEVICES);
}

/* Two disks on one file would destroy each other's data, unless nobody writes. */
static enum config_result check_disks(struct config_parser *parser)
{
	const struct config *config = parser->config;

	config_blame(parser, "disk");
	for (size_t i = 0; i < config->nr_disks; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct config_disk *a = &config->disks[i];
			const struct config_disk *b = &config->disks[j];

			if (strcmp(a->path, b->path) == 0 && !(a->read_only && b->read_only))
				return config_refuse(parser, a->path,
						     "given twice, and not ro both times");
		}
	}
	return CONFIG_RUN;
}

/* The option that reads @path or writes it, other than @except; or NULL. */
static const char *other_user(const struct config *config, const char *path, const char *except)
{
	const struct {
		const char *name;
		const char *path;
	} users[] = {
		{ "kernel", config->kernel },
		{ "initrd", config->initrd },
		{ "dump-dtb", config->dump_dtb },
		{ "report", config->report },
	};

	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		if (users[i].path && strcmp(users[i].name, except) != 0 &&
		    strcmp(users[i].path, path) == 0)
			return users[i].name;
	}
	for (size_t i = 0; i < config->nr_disks; i++) {
		if (strcmp(config->disks[i].path, path) == 0)
			return "disk";
	}
	return NULL;
}

/* A file to be written must not be one of the others: a typing error would cost a disk image. */
static enum config_result check_output(struct config_parser *parser, const char *name,
				       const char *path)
{
	const char *user = path ? other_user(parser->config, path, name) : NULL;

	if (!user)
		return CONFIG_RUN;
	config_blame(parser, name);
	return config_refuse(parser, path, "the same file as --%s", user);
}

static enum config_result check_kernel(struct config_parser *parser)
{
	if (parser->config->kernel)
		return CONFIG_RUN;
	config_blame(parser, "kernel");
	return config_refuse(parser, "not given", "a kernel is required, see --help");
}

enum config_result config_check(struct config_parser *parser)
{
	enum config_result result = check_kernel(parser);

	if (result == CONFIG_RUN)
		result = check_devices(parser);
	if (result == CONFIG_RUN)
		result = config_check_machine(parser);
	if (result == CONFIG_RUN)
		result = check_disks(parser);
	if (result == CONFIG_RUN)
		result = check_output(parser, "dump-dtb", parser->config->dump_dtb);
	if (result == CONFIG_RUN)
		result = check_output(parser, "report", parser->config->report);
	return result;
}
