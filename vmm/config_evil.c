/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The option --evil-device. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "vmm/config_option.h"

#define DEVICE_NAME_MAX 32

static struct config_evil *last_evil(struct config_parser *parser)
{
	return &parser->evils[parser->nr_evils - 1];
}

static const char *set_number(const char *text, uint64_t min, uint64_t max, const char *range,
			      uint64_t *number)
{
	const int err = config_parse_number(text, number);

	if (err)
		return config_number_problem(err);
	return *number < min || *number > max ? range : NULL;
}

static const char *set_seed(struct config_parser *parser, const char *text)
{
	uint64_t seed = 0;
	const char *problem = set_number(text, 0, UINT32_MAX, "not in 0 to 4294967295", &seed);

	last_evil(parser)->settings.seed = (uint32_t)seed;
	last_evil(parser)->has_seed = true;
	return problem;
}

static const char *set_rate(struct config_parser *parser, const char *text)
{
	uint64_t rate = 0;
	const char *problem =
		set_number(text, 1, EVIL_RATE_MAX, "not in 1 to 1000, of 1000 completions", &rate);

	last_evil(parser)->settings.rate = (uint32_t)rate;
	return problem;
}

static const char *set_after(struct config_parser *parser, const char *text)
{
	return set_number(text, 0, UINT32_MAX, "not in 0 to 4294967295",
			  &last_evil(parser)->settings.after);
}

static const char *set_tricks(struct config_parser *parser, const char *text)
{
	last_evil(parser)->has_tricks = true;
	if (evil_parse_tricks(text, &last_evil(parser)->settings.tricks))
		return "no such trick, see docs/evil-device.md";
	return NULL;
}

enum config_result config_set_evil(struct config_parser *parser, const char *value)
{
	static const struct config_item items[] = {
		{ "seed", .set = set_seed },
		{ "rate", .set = set_rate },
		{ "after", .set = set_after },
		{ "tricks", .set = set_tricks },
		{ .name = NULL },
	};
	static const struct config_items list = { items,
						  "expected seed=, rate=, after= or tricks=" };
	const char *rest = value;
	char name[CONFIG_ITEM_MAX];
	enum config_result result;
	struct config_evil *evil;

	if (parser->nr_evils == MACHINE_MAX_DEVICES)
		return config_refuse(parser, value, "more than %d of them", MACHINE_MAX_DEVICES);
	result = config_take_first(parser, value, &rest, name, "no device named, as blk or blk0");
	if (result != CONFIG_RUN)
		return result;
	if (strlen(name) >= sizeof(evil->name))
		return config_refuse_item(parser, value, name, "no such device");
	evil = &parser->evils[parser->nr_evils++];
	*evil = (struct config_evil){ .value = value, .settings.rate = EVIL_DEFAULT_RATE };
	memcpy(evil->name, name, strlen(name) + 1);
	return config_set_items(parser, value, rest, &list);
}

/* Type of a device, which with a number makes its name (vmm/device_start.c). */
static const char *type_of(const struct config_device *device)
{
	switch (device->kind) {
	case CONFIG_DISK:
		return "blk";
	case CONFIG_NET:
		return "net";
	case CONFIG_PLAIN:
		return device->plain.kind;
	case CONFIG_VSOCK:
		return "vsock";
	case CONFIG_VHOST_USER:
		return device->vhost_user.kind;
	case CONFIG_CONSOLE:
		return "console";
	}
	return "";
}

/* Whether @name means device number @index of the configuration. */
static bool is_named(const struct config *config, size_t index, const char *name)
{
	const char *type = type_of(&config->devices[index]);
	char full[DEVICE_NAME_MAX];
	unsigned int number = 0;

	for (size_t i = 0; i < index; i++)
		number += strcmp(type_of(&config->devices[i]), type) == 0;
	snprintf(full, sizeof(full), "%s%u", type, number);
	return strcmp(name, type) == 0 || strcmp(name, full) == 0;
}

/* What it changes of its memory must not be what another device, or a disk, is about to write. */
static bool has_own_pool(const struct config *config, const struct config_device *device)
{
	return config->restricted && config->share == CONFIG_SHARE_DEVICE &&
	       (device->kind != CONFIG_DISK || device->disk.read_only);
}

static const char *make_evil(const struct config *config, struct config_device *device,
			     const struct config_evil *evil)
{
	const bool own_pool = has_own_pool(config, device);

	if (device->evil)
		return "made evil twice";
	if (!own_pool && evil->settings.tricks & evil_tricks_with(EVIL_NEEDS_OWN_POOL))
		return "data-late and request need a pool that no other device has, and a disk that "
		       "is ro";
	device->evil = true;
	device->evil_settings = evil->settings;
	if (!evil->has_tricks)
		device->evil_settings.tricks = evil_default_tricks(own_pool);
	return NULL;
}

static enum config_result settle_one(struct config_parser *parser, struct config_evil *evil)
{
	struct config *config = parser->config;
	const char *missing = "the guest has no such device";
	bool found = false;

	if (!evil->has_seed && getrandom(&evil->settings.seed, sizeof(evil->settings.seed), 0) < 0)
		return config_refuse(parser, evil->value, "no seed: %s", strerror(errno));
	for (size_t i = 0; i < config->nr_devices; i++) {
		const char *problem;

		if (!is_named(config, i, evil->name))
			continue;
		if (config->devices[i].kind == CONFIG_VHOST_USER) {
			missing = "its back-end is somebody else's";
			continue;
		}
		found = true;
		problem = make_evil(config, &config->devices[i], evil);
		if (problem)
			return config_refuse(parser, evil->value, "%s", problem);
	}
	if (!found)
		return config_refuse(parser, evil->value, "%s", missing);
	return CONFIG_RUN;
}

enum config_result config_settle_evil(struct config_parser *parser)
{
	enum config_result result = CONFIG_RUN;

	for (size_t i = 0; i < parser->nr_evils && result == CONFIG_RUN; i++) {
		config_blame(parser, "evil-device");
		result = settle_one(parser, &parser->evils[i]);
	}
	return result;
}
