/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Transports, mechanisms, places, sharing and tables: what goes together, and what is refused. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/config_parse.h"
#include "vmm/config.h"
#include "vmm/virtio/mechanism.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define GROUP "6ba7b810-9dad-11d1-80b4-00c04fd430c8"

Test(config_machine, a_disk_may_say_its_own_transport)
{
	static const struct {
		const char *words;
		enum machine_transport all, first, second;
	} cases[] = {
		{ "-k k -d a -d b", MACHINE_TRANSPORT_MMIO, MACHINE_TRANSPORT_MMIO,
		  MACHINE_TRANSPORT_MMIO },
		{ "-k k -d a,transport=pci -d b", MACHINE_TRANSPORT_MMIO, MACHINE_TRANSPORT_PCI,
		  MACHINE_TRANSPORT_MMIO },
		/* Whichever option comes first */
		{ "-k k --transport pci -d a,ro,transport=mmio -d b", MACHINE_TRANSPORT_PCI,
		  MACHINE_TRANSPORT_MMIO, MACHINE_TRANSPORT_PCI },
		{ "-k k -d a -d b,transport=mmio,serial=x --transport pci", MACHINE_TRANSPORT_PCI,
		  MACHINE_TRANSPORT_PCI, MACHINE_TRANSPORT_MMIO },
		{ "-k k -d a,transport=pci -d b,transport=pci", MACHINE_TRANSPORT_MMIO,
		  MACHINE_TRANSPORT_PCI, MACHINE_TRANSPORT_PCI },
	};
	struct parse p;

	for (size_t i = 0; i < LENGTH(cases); i++) {
		expect_run(&p, cases[i].words);
		cr_expect_eq(p.config.transport, cases[i].all, "%s", cases[i].words);
		cr_expect_eq(p.config.devices[0].transport, cases[i].first, "%s", cases[i].words);
		cr_expect_eq(p.config.devices[1].transport, cases[i].second, "%s", cases[i].words);
		finish(&p);
	}
}

Test(config_machine, uuids)
{
	static const uint8_t bytes[CONFIG_GROUP_SIZE] = { 0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad,
							  0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0,
							  0x4f, 0xd4, 0x30, 0xc8 };
	static const char *const texts[] = {
		GROUP,
		"6BA7B810-9DAD-11D1-80B4-00C04FD430C8",
		"6ba7B810-9dAD-11d1-80b4-00C04fd430c8",
	};
	char words[128];
	struct parse p;

	for (size_t i = 0; i < LENGTH(texts); i++) {
		snprintf(words, sizeof(words),
			 "-k k -d a --transport pci --restricted-dma=via=cap,share=group=%s",
			 texts[i]);
		expect_run(&p, words);
		cr_expect_eq(p.config.share, CONFIG_SHARE_GROUP);
		cr_expect_arr_eq(p.config.group, bytes, sizeof(bytes), "%s", texts[i]);
		finish(&p);
	}
}

/* Why a combination is refused; NULL: it is not. */
#define DT_BAR	     "place=bar: via=dt has its pools in memory, use via=cap"
#define DT_GROUP     "share=group: via=dt has no groups, use share=all"
#define CAP_BAR_ALL  "share=all: a device names no BAR of another one, use share=group=UUID"
#define CONFIG_BAR   "place=bar: via=config has its pools in memory, use via=cap"
#define CONFIG_GROUP "share=group: via=config has no groups, use share=all"
#define DMB_MEMORY   "place=memory: via=dmb has its pools in BARs"
#define DMB_ALL	     "share=all: via=dmb has one region for each device"
#define DMB_GROUP    "share=group: via=dmb has one region for each device"

static const struct combination {
	const char *via, *place;  /* "": not given */
	const char *refused[3];	  /* share=device, all, group, on PCI */
	enum mechanism mechanism; /* what comes out when accepted */
	enum pool_place in;
} combinations[] = {
	{ "", "", { NULL, NULL, DT_GROUP }, MECHANISM_DT, POOL_IN_MEMORY },
	{ "", "memory", { NULL, NULL, DT_GROUP }, MECHANISM_DT, POOL_IN_MEMORY },
	{ "", "bar", { DT_BAR, DT_BAR, DT_BAR }, MECHANISM_NONE, POOL_IN_BAR },
	{ "auto", "", { NULL, NULL, DT_GROUP }, MECHANISM_DT, POOL_IN_MEMORY },
	{ "auto", "memory", { NULL, NULL, DT_GROUP }, MECHANISM_DT, POOL_IN_MEMORY },
	{ "auto", "bar", { DT_BAR, DT_BAR, DT_BAR }, MECHANISM_NONE, POOL_IN_BAR },
	{ "dt", "", { NULL, NULL, DT_GROUP }, MECHANISM_DT, POOL_IN_MEMORY },
	{ "dt", "memory", { NULL, NULL, DT_GROUP }, MECHANISM_DT, POOL_IN_MEMORY },
	{ "dt", "bar", { DT_BAR, DT_BAR, DT_BAR }, MECHANISM_NONE, POOL_IN_BAR },
	{ "cap", "", { NULL, NULL, NULL }, MECHANISM_CAP, POOL_IN_MEMORY },
	{ "cap", "memory", { NULL, NULL, NULL }, MECHANISM_CAP, POOL_IN_MEMORY },
	{ "cap", "bar", { NULL, CAP_BAR_ALL, NULL }, MECHANISM_CAP, POOL_IN_BAR },
	{ "config", "", { NULL, NULL, CONFIG_GROUP }, MECHANISM_CONFIG, POOL_IN_MEMORY },
	{ "config", "memory", { NULL, NULL, CONFIG_GROUP }, MECHANISM_CONFIG, POOL_IN_MEMORY },
	{ "config", "bar", { CONFIG_BAR, CONFIG_BAR, CONFIG_BAR }, MECHANISM_NONE, POOL_IN_BAR },
	{ "dmb", "", { NULL, DMB_ALL, DMB_GROUP }, MECHANISM_DMB, POOL_IN_BAR },
	{ "dmb", "memory", { DMB_MEMORY, DMB_MEMORY, DMB_MEMORY }, MECHANISM_NONE, POOL_IN_BAR },
	{ "dmb", "bar", { NULL, DMB_ALL, DMB_GROUP }, MECHANISM_DMB, POOL_IN_BAR },
};

static const struct {
	const char *item;
	enum config_share share;
} shares[3] = {
	{ "share=device", CONFIG_SHARE_DEVICE },
	{ "share=all", CONFIG_SHARE_ALL },
	{ "share=group=" GROUP, CONFIG_SHARE_GROUP },
};

static bool knows_mmio(const struct combination *c)
{
	return strcmp(c->via, "") == 0 || strcmp(c->via, "auto") == 0 || strcmp(c->via, "dt") == 0;
}

/* The words of combination @c, with the items of the list in either order. */
static void write_words(char *words, size_t size, const struct combination *c, size_t share,
			const char *transport, bool backwards)
{
	char via[16] = "", place[16] = "";
	const char *item = shares[share].item;

	if (*c->via)
		snprintf(via, sizeof(via), "via=%s,", c->via);
	if (*c->place)
		snprintf(place, sizeof(place), "place=%s,", c->place);
	snprintf(words, size, "-k k -d a -d b --transport %s --restricted-dma=%s%ssize=2M,%s",
		 transport, backwards ? place : via, backwards ? via : place, item);
}

static void expect_combination(const char *words, const struct combination *c, size_t share)
{
	struct parse p;

	expect_run(&p, words);
	cr_expect(p.config.restricted, "%s", words);
	cr_expect_eq(p.config.via, c->mechanism, "%s", words);
	cr_expect_eq(p.config.place, c->in, "%s", words);
	cr_expect_eq(p.config.share, shares[share].share, "%s", words);
	finish(&p);
}

static void try_combination(const struct combination *c, size_t share, const char *transport,
			    bool backwards)
{
	const char *why = c->refused[share];
	char words[256], line[256];

	write_words(words, sizeof(words), c, share, transport, backwards);
	if (strcmp(transport, "mmio") == 0 && !knows_mmio(c)) {
		snprintf(line, sizeof(line),
			 "--restricted-dma: via=%s: needs virtio-pci, but --disk a is on mmio, "
			 "use --transport pci",
			 c->via);
		expect_refused(words, line);
	} else if (why) {
		snprintf(line, sizeof(line), "--restricted-dma: %s", why);
		expect_refused(words, line);
	} else {
		expect_combination(words, c, share);
	}
}

Test(config_machine, mechanisms_places_sharing_and_transports)
{
	for (size_t i = 0; i < LENGTH(combinations); i++) {
		for (size_t share = 0; share < LENGTH(shares); share++) {
			try_combination(&combinations[i], share, "pci", false);
			try_combination(&combinations[i], share, "pci", true);
			try_combination(&combinations[i], share, "mmio", false);
		}
	}
}

Test(config_machine, the_first_device_that_is_not_on_pci_is_named)
{
	static const struct {
		const char *words, *line;
	} cases[] = {
		{ "-k k --rng --console virtio --restricted-dma=via=cap",
		  "--restricted-dma: via=cap: needs virtio-pci, but the rng device is on mmio, use "
		  "--transport pci" },
		{ "-k k --console virtio --restricted-dma=via=config",
		  "--restricted-dma: via=config: needs virtio-pci, but --console virtio is on "
		  "mmio, use --transport pci" },
		{ "-k k -d a,transport=pci -d b --restricted-dma=via=dmb",
		  "--restricted-dma: via=dmb: needs virtio-pci, but --disk b is on mmio, use "
		  "--transport pci" },
		{ "-k k -d a,transport=pci --rng --restricted-dma=via=cap",
		  "--restricted-dma: via=cap: needs virtio-pci, but the rng device is on mmio, use "
		  "--transport pci" },
		{ "-k k --transport pci -d a -d b,transport=mmio --restricted-dma=via=cap",
		  "--restricted-dma: via=cap: needs virtio-pci, but --disk b has transport=mmio" },
		{ "-k k -d a\x1b --restricted-dma=via=cap",
		  "--restricted-dma: via=cap: needs virtio-pci, but --disk a\\x1b is on mmio, use "
		  "--transport pci" },
	};

	for (size_t i = 0; i < LENGTH(cases); i++)
		expect_refused(cases[i].words, cases[i].line);
}

Test(config_machine, only_virtio_devices_have_a_transport)
{
	static const char *const cases[] = {
		"-k k --restricted-dma=via=cap",
		"-k k --console serial --restricted-dma=via=dmb",
		"-k k -d a,transport=pci --restricted-dma=via=cap",
		"-k k --transport pci --rng --console virtio --restricted-dma=via=config",
	};
	struct parse p;

	for (size_t i = 0; i < LENGTH(cases); i++) {
		expect_run(&p, cases[i]);
		finish(&p);
	}
}

/* 16 pools of 256M: too much below 4 GiB, nothing special in BARs. */
Test(config_machine, the_limit_is_of_pools_in_memory)
{
	static const char *const accepted[] = {
		"via=cap,place=bar",	"via=dmb",
		"via=cap,share=all",	"share=all",
		"via=config,share=all", ("via=cap,share=group=" GROUP),
	};
	static const char *const refused[] = { "via=dt", "via=cap", "via=config" };
	static const char *const devices = "-k k -d 1 -d 2 -d 3 -d 4 -d 5 --transport pci "
					   "--restricted-dma=size=256M,";
	char words[256];
	struct parse p;

	for (size_t i = 0; i < LENGTH(accepted); i++) {
		snprintf(words, sizeof(words), "%s%s", devices, accepted[i]);
		expect_run(&p, words);
		finish(&p);
	}
	for (size_t i = 0; i < LENGTH(refused); i++) {
		snprintf(words, sizeof(words), "%s%s", devices, refused[i]);
		expect_refused(words, "--restricted-dma: size=262144K: 5 pools, together more "
				      "than 1G");
	}
}

Test(config_machine, tables)
{
	static const struct {
		const char *words;
		enum machine_tables tables;
	} cases[] = {
		{ "-k k", MACHINE_TABLES_DEVICE_TREE },
		{ "-k k --transport pci", MACHINE_TABLES_DEVICE_TREE },
		{ "-k k --tables acpi", MACHINE_TABLES_ACPI },
		{ "-k k --transport pci --tables acpi", MACHINE_TABLES_ACPI },
		{ "-k k -d a", MACHINE_TABLES_DEVICE_TREE },
		{ "-k k -d a --transport pci", MACHINE_TABLES_ACPI },
		{ "-k k -d a --transport pci --tables dt", MACHINE_TABLES_DEVICE_TREE },
		{ "-k k -d a --transport pci --tables acpi", MACHINE_TABLES_ACPI },
		{ "-k k -d a,transport=pci", MACHINE_TABLES_ACPI },
		{ "-k k -d a,transport=pci --rng", MACHINE_TABLES_DEVICE_TREE },
		{ "-k k -d a -d b,transport=mmio --transport pci", MACHINE_TABLES_DEVICE_TREE },
		{ "-k k --rng --transport pci", MACHINE_TABLES_ACPI },
		{ "-k k --console virtio --transport pci", MACHINE_TABLES_ACPI },
		{ "-k k --rng --transport pci --restricted-dma", MACHINE_TABLES_DEVICE_TREE },
		{ "-k k --rng --transport pci --restricted-dma=via=auto",
		  MACHINE_TABLES_DEVICE_TREE },
		{ "-k k --rng --transport pci --restricted-dma=via=cap", MACHINE_TABLES_ACPI },
		{ "-k k --rng --transport pci --restricted-dma=via=config", MACHINE_TABLES_ACPI },
		{ "-k k --rng --transport pci --restricted-dma=via=dmb", MACHINE_TABLES_ACPI },
		{ "-k k --rng --transport pci --restricted-dma=via=dmb --tables dt --dump-dtb o",
		  MACHINE_TABLES_DEVICE_TREE },
		{ "-k k --restricted-dma=via=cap", MACHINE_TABLES_DEVICE_TREE },
		{ "-k k --dump-dtb o", MACHINE_TABLES_DEVICE_TREE },
	};
	struct parse p;

	for (size_t i = 0; i < LENGTH(cases); i++) {
		expect_run(&p, cases[i].words);
		cr_expect_eq(p.config.tables, cases[i].tables, "%s", cases[i].words);
		finish(&p);
	}
}

Test(config_machine, tables_that_cannot_be)
{
	static const struct {
		const char *words, *line;
	} cases[] = {
		{ "-k k -d a --tables acpi",
		  "--tables: acpi: cannot describe virtio-mmio, but --disk a is on mmio, use "
		  "--transport pci" },
		{ "-k k --tables acpi --rng -d a,transport=pci",
		  "--tables: acpi: cannot describe virtio-mmio, but the rng device is on mmio, use "
		  "--transport pci" },
		{ "-k k --tables acpi -d a,transport=mmio --transport pci",
		  "--tables: acpi: cannot describe virtio-mmio, but --disk a has transport=mmio" },
		{ "-k k -d a --transport pci --tables acpi --restricted-dma",
		  "--tables: acpi: via=dt needs a device tree" },
		{ "-k k --tables acpi --restricted-dma=via=dt",
		  "--tables: acpi: via=dt needs a device tree" },
		{ "-k k --tables acpi --dump-dtb o",
		  "--dump-dtb: o: no device tree, the guest gets ACPI tables, see --tables" },
		{ "-k k -d a --transport pci --dump-dtb o",
		  "--dump-dtb: o: no device tree, the guest gets ACPI tables, see --tables" },
	};

	for (size_t i = 0; i < LENGTH(cases); i++)
		expect_refused(cases[i].words, cases[i].line);
}
