/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Whether transports, mechanism, pools and tables fit together. */
#include <stdio.h>
#include <string.h>

#include "vmm/config_option.h"
#include "vmm/log.h"

#define NR_SHARES  (CONFIG_SHARE_GROUP + 1)
#define VALUE_MAX  32 /* bytes of "size=262144K" and its like */
#define PATH_SHOWN 81 /* bytes of a path in a message, with the NUL */
#define MMIO_MAX   (PATH_SHOWN + 64)

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

/* A disk is on the transport of all devices unless it says otherwise. */
static void settle_transports(struct config_parser *parser)
{
	struct config *config = parser->config;

	for (size_t i = 0; i < config->nr_disks; i++) {
		if (!parser->disk_says_transport[i])
			config->disks[i].transport = config->transport;
	}
}

/* Whether a device is on virtio-mmio; @text becomes words about the first one that is. */
static bool find_mmio(const struct config_parser *parser, char text[MMIO_MAX])
{
	const struct config *config = parser->config;
	char path[PATH_SHOWN];

	for (size_t i = 0; i < config->nr_disks; i++) {
		const struct config_disk *disk = &config->disks[i];

		if (disk->transport == MACHINE_TRANSPORT_PCI)
			continue;
		log_escape(path, sizeof(path), disk->path, strlen(disk->path));
		snprintf(text, MMIO_MAX, "--disk %s %s", path,
			 parser->disk_says_transport[i] ? "has transport=mmio"
							: "is on mmio, use --transport pci");
		return true;
	}
	if (config->transport == MACHINE_TRANSPORT_PCI ||
	    (!config->rng && config->console != CONFIG_CONSOLE_VIRTIO))
		return false;
	snprintf(text, MMIO_MAX, "%s is on mmio, use --transport pci",
		 config->rng ? "--rng" : "--console virtio");
	return true;
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

static enum config_result check_pools_size(struct config_parser *parser)
{
	const struct config *config = parser->config;
	const size_t devices = config_device_count(config);
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
		const bool dt =
			mmio || config_device_count(config) == 0 || config->via == MECHANISM_DT;

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
	result = check_mechanism_transport(parser);
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
