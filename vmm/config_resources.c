/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Files, sockets and addresses that two options cannot both have. */
#include <string.h>

#include "vmm/config_option.h"

#define MAX_USES (8 + CONFIG_MAX_PORTS + MACHINE_MAX_DEVICES)

/* One option's use of a file. */
struct use {
	const char *option;
	const char *path;
	bool output; /* is written over, or is a meeting point: nobody else may have it */
};

static const char *device_path(const struct config_device *device)
{
	switch (device->kind) {
	case CONFIG_DISK:
		return device->disk.path;
	case CONFIG_NET:
		return device->net.kind == CONFIG_NET_SOCKET ? device->net.name : NULL;
	case CONFIG_VSOCK:
		return device->vsock.path;
	case CONFIG_VHOST_USER:
		return device->vhost_user.path;
	default:
		return NULL;
	}
}

static const char *device_option(enum config_device_kind kind)
{
	static const char *const names[] = {
		[CONFIG_DISK] = "disk",
		[CONFIG_NET] = "net",
		[CONFIG_VSOCK] = "vsock",
		[CONFIG_VHOST_USER] = "vhost-user",
	};

	return names[kind];
}

/* Fills @uses, MAX_USES of them; returns how many. */
static size_t list_uses(const struct config *config, struct use *uses)
{
	const struct use plain[] = {
		{ "kernel", config->kernel, false },	{ "initrd", config->initrd, false },
		{ "dump-dtb", config->dump_dtb, true }, { "report", config->report, true },
		{ "events", config->events, true },	{ "console", config->console.path, true },
	};
	size_t count = 0;

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (plain[i].path)
			uses[count++] = plain[i];
	}
	/* The first port repeats the console. */
	for (size_t i = config->virtio_console; i < config->nr_ports; i++) {
		if (config->ports[i].stream.path)
			uses[count++] = (struct use){ "port", config->ports[i].stream.path, true };
	}
	for (size_t i = 0; i < config->nr_devices; i++) {
		const struct config_device *device = &config->devices[i];
		const char *path = device_path(device);

		if (path)
			uses[count++] = (struct use){ device_option(device->kind), path,
						      device->kind != CONFIG_DISK };
	}
	return count;
}

/* A typing error would cost a disk image, or two would meet at one socket. */
static enum config_result check_outputs(struct config_parser *parser)
{
	struct use uses[MAX_USES];
	const size_t count = list_uses(parser->config, uses);

	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < count && uses[i].output; j++) {
			if (j == i || strcmp(uses[i].path, uses[j].path) != 0)
				continue;
			config_blame(parser, uses[i].option);
			return config_refuse(parser, uses[i].path, "the same file as --%s",
					     uses[j].option);
		}
	}
	return CONFIG_RUN;
}

/* Whether @a and @b, two of the same kind, cannot both be; NULL, or why. */
static const char *find_clash(const struct config_device *a, const struct config_device *b)
{
	switch (a->kind) {
	case CONFIG_DISK:
		/* They would destroy each other's data, unless nobody writes. */
		if (strcmp(a->disk.path, b->disk.path) == 0 &&
		    !(a->disk.read_only && b->disk.read_only))
			return "given twice, and not ro both times";
		return NULL;
	case CONFIG_NET:
		if (a->net.kind == CONFIG_NET_TAP && b->net.kind == CONFIG_NET_TAP &&
		    strcmp(a->net.name, b->net.name) == 0)
			return "given twice";
		if (a->net.has_mac && b->net.has_mac && memcmp(a->net.mac, b->net.mac, 6) == 0)
			return "two devices with the same MAC address";
		return NULL;
	case CONFIG_VHOST_USER:
		return a->vhost_user.tag[0] != '\0' &&
				       strcmp(a->vhost_user.tag, b->vhost_user.tag) == 0
			       ? "two devices with the same tag"
			       : NULL;
	default:
		return NULL;
	}
}

static enum config_result check_pairs(struct config_parser *parser)
{
	const struct config *config = parser->config;

	for (size_t i = 0; i < config->nr_devices; i++) {
		const struct config_device *a = &config->devices[i];

		for (size_t j = 0; j < i; j++) {
			const struct config_device *b = &config->devices[j];
			const char *why = a->kind == b->kind ? find_clash(b, a) : NULL;
			const char *name = a->kind == CONFIG_NET ? a->net.name : device_path(a);

			if (!why)
				continue;
			config_blame(parser, device_option(a->kind));
			return config_refuse(parser, name ? name : "user", "%s", why);
		}
	}
	return CONFIG_RUN;
}

enum config_result config_check_resources(struct config_parser *parser)
{
	const enum config_result result = check_pairs(parser);

	return result == CONFIG_RUN ? check_outputs(parser) : result;
}
