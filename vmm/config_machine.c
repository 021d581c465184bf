/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Whether transports, mechanism, pools and tables fit together. */
#include <stdio.h>
#include <string.h>

#include "vmm/config_option.h"
#include "vmm/log.h"

#define NR_SHARES  (CONFIG_SHARE_GROUP + 1)
#define VALUE_MAX  32 /* bytes of "size=262144K" and its like */
#define NAME_SHOWN 81 /* bytes of a path in a message, with the NUL */
#define DEVICE_MAX (NAME_SHOWN + 32)
#define MMIO_MAX   (DEVICE_MAX + 32)

#define VIRTIO_ID_BALLOON 5 /* virtio 1.3, 5.5.1 */

#define ONE_EACH "via=dmb has one region for each device"

/* The pools that can be had; and why some cannot be shared (NULL: they can). */
static const struct pool_kind {
	enum mechanism via;
	enum pool_place place;
	const char *not_shared[NR_SHARES];
} pool_kinds[] = {
	{ MECHANISM_DT,
	  POOL_IN_MEMORY,
	  { [CONFIG_SHARE_GROUP] = "via=dt has no groups, use share=all" } },
	{ MECHANISM_CAP, POOL_IN_MEMORY, { NULL } },
	{ MECHANISM_CAP,
	  POOL_IN_BAR,
	  { [CONFIG_SHARE_ALL] = "a device names no BAR of another one, use share=group=UUID" } },
	{ MECHANISM_CONFIG,
	  POOL_IN_MEMORY,
	  { [CONFIG_SHARE_GROUP] = "via=config has no groups, use share=all" } },
	{ MECHANISM_DMB,
	  POOL_IN_BAR,
	  { [CONFIG_SHARE_ALL] = ONE_EACH, [CONFIG_SHARE_GROUP] = ONE_EACH } },
};

/* A device is on the transport of all of them unless it says otherwise. */
static void settle_transports(struct config_parser *parser)
{
	struct config *config = parser->config;

	for (size_t i = 0; i < config->nr_devices; i++) {
		if (!parser->says_transport[i])
			config->devices[i].transport = config->transport;
	}
}

/* Pairs of queues of a network device, 0 for other devices. */
static unsigned int count_pairs(const struct config_device *device)
{
	if (device->kind == CONFIG_VHOST_USER)
		return strcmp(device->vhost_user.kind, "net") == 0;
	if (device->kind != CONFIG_NET)
		return 0;
	return device->queues > 0 ? device->queues : 1;
}

/*
 * A packet that finds no room in the pool is lost, where a disk would wait. So there is room for
 * all that the transmit queues can hold, 128 packets of 64 KiB each, beside half of the usual size
 * for receiving. One pool for all has that of each network device beside the usual size.
 */
static void settle_pool_size(struct config_parser *parser)
{
	struct config *config = parser->config;
	const bool shared = config->share != CONFIG_SHARE_DEVICE;
	unsigned int pairs = 1;
	uint64_t size, most = CONFIG_MAX_POOL;

	if (parser->says_pool_size)
		return;
	for (size_t i = 0; i < config->nr_devices; i++) {
		const unsigned int own = count_pairs(&config->devices[i]);

		if (shared)
			pairs += own;
		else if (own > pairs)
			pairs = own;
	}
	size = CONFIG_POOL_BASE + pairs * CONFIG_POOL_PER_PAIR;
	/* Nobody asked for more than there is room for. */
	if (!shared && config->nr_devices > 0)
		most = CONFIG_MAX_POOLS_SIZE / config->nr_devices / CONFIG_POOL_GRANULE *
		       CONFIG_POOL_GRANULE;
	if (most > CONFIG_MAX_POOL)
		most = CONFIG_MAX_POOL;
	config->pool_size = size < most ? size : most;
}

/* Puts words for @device, as its option has it, at @text. */
static void describe_device(const struct config *config, const struct config_device *device,
			    char text[DEVICE_MAX])
{
	char name[NAME_SHOWN] = "user";

	switch (device->kind) {
	case CONFIG_DISK:
		log_escape(name, sizeof(name), device->disk.path, strlen(device->disk.path));
		snprintf(text, DEVICE_MAX, "--disk %s", name);
		break;
	case CONFIG_NET:
		if (device->net.name)
			log_escape(name, sizeof(name), device->net.name, strlen(device->net.name));
		snprintf(text, DEVICE_MAX, "--net %s", name);
		break;
	case CONFIG_PLAIN:
		snprintf(text, DEVICE_MAX, "the %s device", device->plain.kind);
		break;
	case CONFIG_VSOCK:
		snprintf(text, DEVICE_MAX, "--vsock");
		break;
	case CONFIG_VHOST_USER:
		snprintf(text, DEVICE_MAX, "--vhost-user %s", device->vhost_user.kind);
		break;
	case CONFIG_CONSOLE:
		snprintf(text, DEVICE_MAX, "%s",
			 config->virtio_console ? "--console virtio" : "the device of the ports");
		break;
	}
}

/* Whether a device is on virtio-mmio; @text becomes words about the first one that is. */
static bool find_mmio(const struct config_parser *parser, char text[MMIO_MAX])
{
	const struct config *config = parser->config;
	char name[DEVICE_MAX];

	for (size_t i = 0; i < config->nr_devices; i++) {
		if (config->devices[i].transport == MACHINE_TRANSPORT_PCI)
			continue;
		describe_device(config, &config->devices[i], name);
		snprintf(text, MMIO_MAX, "%s %s", name,
			 parser->says_transport[i] ? "has transport=mmio"
						   : "is on mmio, use --transport pci");
		return true;
	}
	return false;
}

static enum config_result check_mechanism_transport(struct config_parser *parser)
{
	const enum mechanism via = parser->config->via;
	char value[VALUE_MAX], device[MMIO_MAX];

	if (via == MECHANISM_NONE || via == MECHANISM_DT || !find_mmio(parser, device))
		return CONFIG_RUN;
	config_blame(parser, "restricted-dma");
	snprintf(value, sizeof(value), "via=%s", mechanism_name(via));
	return config_refuse(parser, value, "needs virtio-pci, but %s", device);
}

static enum config_result check_pool_kind(struct config_parser *parser)
{
	static const char *const shares[NR_SHARES] = {
		[CONFIG_SHARE_DEVICE] = "share=device",
		[CONFIG_SHARE_ALL] = "share=all",
		[CONFIG_SHARE_GROUP] = "share=group",
	};
	const struct config *config = parser->config;

	if (!config->restricted)
		return CONFIG_RUN;
	config_blame(parser, "restricted-dma");
	for (size_t i = 0; i < sizeof(pool_kinds) / sizeof(pool_kinds[0]); i++) {
		const struct pool_kind *kind = &pool_kinds[i];
		const char *why = kind->not_shared[config->share];

		if (kind->via != config->via || kind->place != config->place)
			continue;
		return why ? config_refuse(parser, shares[config->share], "%s", why) : CONFIG_RUN;
	}
	if (config->place == POOL_IN_MEMORY)
		return config_refuse(parser, "place=memory", "via=%s has its pools in BARs",
				     mechanism_name(config->via));
	return config_refuse(parser, "place=bar", "via=%s has its pools in memory, use via=cap",
			     mechanism_name(config->via));
}

static enum config_result check_balloons(struct config_parser *parser)
{
	const struct config *config = parser->config;

	for (size_t i = 0; i < config->nr_devices && config->restricted; i++) {
		const struct config_device *device = &config->devices[i];

		if (device->kind != CONFIG_VHOST_USER ||
		    device->vhost_user.virtio_id != VIRTIO_ID_BALLOON)
			continue;
		config_blame(parser, "vhost-user");
		return config_refuse(parser, "generic:5", CONFIG_NO_BALLOON);
	}
	return CONFIG_RUN;
}

static enum config_result check_pools_size(struct config_parser *parser)
{
	const struct config *config = parser->config;
	const size_t devices = config->nr_devices;
	char value[VALUE_MAX];

	/* At most MACHINE_MAX_DEVICES * CONFIG_MAX_POOL: no overflow. */
	if (!config->restricted || config->place == POOL_IN_BAR ||
	    config->share != CONFIG_SHARE_DEVICE ||
	    devices * config->pool_size <= CONFIG_MAX_POOLS_SIZE)
		return CONFIG_RUN;
	config_blame(parser, "restricted-dma");
	snprintf(value, sizeof(value), "size=%lluK", (unsigned long long)config->pool_size >> 10);
	return config_refuse(parser, value, "%zu pools, together more than %lluG", devices,
			     CONFIG_MAX_POOLS_SIZE >> 30);
}

static enum config_result check_proposal(struct config_parser *parser)
{
	const struct config *config = parser->config;

	config_blame(parser, "proposal");
	for (int key = 0; key < NR_PROPOSAL_KEYS; key++) {
		const struct proposal_number *row = &proposal_numbers[key];

		if (!parser->proposal_seen[key])
			continue;
		if (!config->restricted)
			return config_refuse(parser, row->name,
					     "not used without --restricted-dma");
		if (!(row->mechanisms & 1u << config->via))
			return config_refuse(parser, row->name, "not used by via=%s",
					     mechanism_name(config->via));
	}
	return CONFIG_RUN;
}

/* ACPI tables unless something here stands in a device tree only: virtio-mmio, or a pool. */
static enum config_result check_tables(struct config_parser *parser)
{
	struct config *config = parser->config;
	char device[MMIO_MAX];
	const bool mmio = find_mmio(parser, device);

	if (!config_option_given(parser, "tables")) {
		const bool dt = mmio || config->nr_devices == 0 || config->via == MECHANISM_DT;

		config->tables = dt ? MACHINE_TABLES_DEVICE_TREE : MACHINE_TABLES_ACPI;
	}
	if (config->tables == MACHINE_TABLES_DEVICE_TREE)
		return CONFIG_RUN;
	config_blame(parser, "tables");
	if (mmio)
		return config_refuse(parser, "acpi", "cannot describe virtio-mmio, but %s", device);
	if (config->via == MECHANISM_DT)
		return config_refuse(parser, "acpi", "via=dt needs a device tree");
	if (!config->dump_dtb)
		return CONFIG_RUN;
	config_blame(parser, "dump-dtb");
	return config_refuse(parser, config->dump_dtb,
			     "no device tree, the guest gets ACPI tables, see --tables");
}

enum config_result config_check_machine(struct config_parser *parser)
{
	enum config_result result;

	settle_transports(parser);
	settle_pool_size(parser);
	result = check_mechanism_transport(parser);
	if (result == CONFIG_RUN)
		result = check_balloons(parser);
	if (result == CONFIG_RUN)
		result = check_pool_kind(parser);
	if (result == CONFIG_RUN)
		result = check_pools_size(parser);
	if (result == CONFIG_RUN)
		result = check_proposal(parser);
	if (result == CONFIG_RUN)
		result = check_tables(parser);
	return result;
}
