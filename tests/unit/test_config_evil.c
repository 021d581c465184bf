/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* --evil-device: which devices it makes what of, and what is refused; and the setting it becomes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/config_parse.h"
#include "tests/unit/document.h"
#include "vmm/config.h"

#define OWN_POOL (EVIL_BIT(EVIL_DATA_LATE) | EVIL_BIT(EVIL_REQUEST))
#define ENDS                                                                         \
	(EVIL_BIT(EVIL_LOST) | EVIL_BIT(EVIL_HANG) | EVIL_BIT(EVIL_INTERRUPT_LOST) | \
	 EVIL_BIT(EVIL_NEEDS_RESET))
#define ALL (EVIL_BIT(EVIL_NR_TRICKS) - 1)

Test(config_evil, everything_said)
{
	struct parse p;

	expect_run(&p, "-k k --rng --evil-device rng,seed=7,rate=10,after=300,tricks=delay+hang");
	cr_expect(p.config.devices[0].evil);
	cr_expect_eq(p.config.devices[0].evil_settings.seed, 7);
	cr_expect_eq(p.config.devices[0].evil_settings.rate, 10);
	cr_expect_eq(p.config.devices[0].evil_settings.after, 300);
	cr_expect_eq(p.config.devices[0].evil_settings.tricks,
		     EVIL_BIT(EVIL_DELAY) | EVIL_BIT(EVIL_HANG));
	finish(&p);
}

Test(config_evil, all_of_a_kind_or_one)
{
	struct parse p;

	expect_run(&p, "-k k -d a --rng -d b --evil-device blk");
	cr_expect(p.config.devices[0].evil && p.config.devices[2].evil);
	cr_expect_not(p.config.devices[1].evil);
	cr_expect_eq(p.config.devices[0].evil_settings.seed,
		     p.config.devices[2].evil_settings.seed);
	cr_expect_eq(p.config.devices[0].evil_settings.rate, EVIL_DEFAULT_RATE);
	cr_expect_eq(p.config.devices[0].evil_settings.after, 0);
	finish(&p);
	/* Before the devices or behind them. */
	expect_run(&p, "-k k --evil-device blk1,seed=1 -d a --rng -d b --evil-device rng0,seed=2");
	cr_expect_not(p.config.devices[0].evil);
	cr_expect_eq(p.config.devices[1].evil_settings.seed, 2);
	cr_expect_eq(p.config.devices[2].evil_settings.seed, 1);
	finish(&p);
	expect_run(&p, "-k k --port a=file:b --net user --vsock cid=3,path=v --evil-device console "
		       "--evil-device net --evil-device vsock0");
	for (size_t i = 0; i < 3; i++)
		cr_expect(p.config.devices[i].evil, "%zu", i);
	finish(&p);
}

/* Two runs that do not say what they want are two runs. */
Test(config_evil, seeds_differ_unless_given)
{
	bool differ = false;
	uint32_t first = 0;
	struct parse p;

	for (int i = 0; i < 4; i++) {
		expect_run(&p, "-k k --rng --evil-device rng");
		if (i == 0)
			first = p.config.devices[0].evil_settings.seed;
		differ |= p.config.devices[0].evil_settings.seed != first;
		finish(&p);
	}
	cr_expect(differ);
}

/* Tricks that could reach what somebody writes are not played where they could. */
Test(config_evil, tricks_unless_given)
{
	static const struct {
		const char *words;
		uint32_t tricks;
	} rows[] = {
		{ "-k k -d a --evil-device blk", ALL & ~ENDS & ~OWN_POOL },
		{ "-k k -d a --evil-device blk --restricted-dma", ALL & ~ENDS & ~OWN_POOL },
		{ "-k k -d a,ro --evil-device blk", ALL & ~ENDS & ~OWN_POOL },
		{ "-k k -d a,ro --evil-device blk --restricted-dma", ALL & ~ENDS },
		{ "-k k --rng --evil-device rng", ALL & ~ENDS & ~OWN_POOL },
		{ "-k k --rng --evil-device rng --restricted-dma", ALL & ~ENDS },
		{ "-k k --rng --evil-device rng --restricted-dma=share=all",
		  ALL & ~ENDS & ~OWN_POOL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct parse p;

		expect_run(&p, rows[i].words);
		cr_expect_eq(p.config.devices[0].evil_settings.tricks, rows[i].tricks, "%s: %#x",
			     rows[i].words, p.config.devices[0].evil_settings.tricks);
		finish(&p);
	}
}

#define OWN "data-late and request need a pool that no other device has, and a disk that is ro"

Test(config_evil, refusals)
{
	static const struct {
		const char *words, *value, *why;
	} rows[] = {
		{ "", "blk", "the guest has no such device" },
		{ "--rng", "blk,seed=1", "the guest has no such device" },
		{ "-d a", "blk1", "the guest has no such device" },
		{ "-d a", "blk00", "the guest has no such device" },
		{ "-d a", "BLK", "the guest has no such device" },
		{ "-d a", "disk", "the guest has no such device" },
		{ "-d a", "a-name-longer-than-any-device-has",
		  "a-name-longer-than-any-device-has: no such device" },
		{ "-d a", "''", "no device named, as blk or blk0" },
		{ "-d a", ",seed=1", "no device named, as blk or blk0" },
		{ "-d a", "blk,seed", "seed: expected seed=, rate=, after= or tricks=" },
		{ "-d a", "blk,colour=red",
		  "colour=red: expected seed=, rate=, after= or tricks=" },
		{ "-d a", "blk,seed=", "seed=: expected a decimal number" },
		{ "-d a", "blk,seed=-1", "seed=-1: expected a decimal number" },
		{ "-d a", "blk,seed=4294967296", "seed=4294967296: not in 0 to 4294967295" },
		{ "-d a", "blk,seed=1,seed=1", "seed=1: given twice" },
		{ "-d a", "blk,rate=0", "rate=0: not in 1 to 1000, of 1000 completions" },
		{ "-d a", "blk,rate=1001", "rate=1001: not in 1 to 1000, of 1000 completions" },
		{ "-d a", "blk,after=4294967296", "after=4294967296: not in 0 to 4294967295" },
		{ "-d a", "blk,tricks=", "tricks=: no such trick, see docs/evil-device.md" },
		{ "-d a", "blk,tricks=delay+",
		  "tricks=delay+: no such trick, see docs/evil-device.md" },
		{ "-d a", "blk,tricks=dela",
		  "tricks=dela: no such trick, see docs/evil-device.md" },
		{ "-d a", "blk,tricks=request", OWN },
		{ "-d a --restricted-dma", "blk,tricks=data-late", OWN },
		{ "-d a,ro", "blk,tricks=data-late+delay", OWN },
		{ "--rng --restricted-dma=share=all", "rng,tricks=data-late", OWN },
		{ "--rng --evil-device rng", "rng0", "made evil twice" },
		{ "--vhost-user blk,socket=s", "blk", "its back-end is somebody else's" },
		{ "--vhost-user blk,socket=s", "blk0", "its back-end is somebody else's" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const bool empty = strcmp(rows[i].value, "''") == 0;
		char words[512], line[512];

		snprintf(words, sizeof(words), "-k k%s%s --evil-device %s",
			 *rows[i].words ? " " : "", rows[i].words, rows[i].value);
		snprintf(line, sizeof(line), "--evil-device: %s: %s",
			 empty ? "\"\"" : rows[i].value, rows[i].why);
		expect_refused(words, line);
	}
	expect_refused("-k k --evil-device", "--evil-device: no value: expected KIND");
}

/* A kind of which some back-ends are ours is that of ours. */
Test(config_evil, beside_a_foreign_one)
{
	struct parse p;

	expect_run(&p, "-k k --vhost-user blk,socket=s -d a --evil-device blk");
	cr_expect_not(p.config.devices[0].evil);
	cr_expect(p.config.devices[1].evil);
	finish(&p);
	expect_run(&p, "-k k --vhost-user blk,socket=s -d a --evil-device blk1");
	cr_expect(p.config.devices[1].evil);
	finish(&p);
}

Test(config_evil, setting_and_back)
{
	const struct evil_settings all = { UINT32_MAX, EVIL_RATE_MAX, UINT32_MAX, ALL };
	struct evil_settings read = { 0 }, kept = all;
	char text[EVIL_SETTING_MAX];

	evil_format(&all, text);
	cr_expect_lt(strlen(text), EVIL_SETTING_MAX - 1);
	cr_expect_eq(evil_parse(text, &read), 0);
	cr_expect_eq(read.seed, all.seed);
	cr_expect_eq(read.rate, all.rate);
	cr_expect_eq(read.after, all.after);
	cr_expect_eq(read.tricks, all.tricks);
	for (unsigned int i = 0; i < EVIL_NR_TRICKS; i++) {
		uint32_t tricks = 0;

		cr_expect_eq(evil_parse_tricks(evil_trick_name(i), &tricks), 0);
		cr_expect_eq(tricks, EVIL_BIT(i));
	}
	cr_expect_str_eq(evil_trick_name(EVIL_NR_TRICKS), "unknown");
	cr_expect_eq(evil_parse("", &kept), 0);
	cr_expect_eq(evil_parse("rate=3", &kept), 0);
	cr_expect_eq(kept.rate, 3);
	cr_expect_eq(kept.tricks, ALL, "what is not named stays");
	cr_expect_eq(evil_parse("rate=3,", &kept), -EINVAL);
	cr_expect_eq(evil_parse("rate= 3", &kept), -EINVAL);
}

Test(config_evil, every_trick_is_documented)
{
	char *document = document_read("docs/evil-device.md"),
	     *page = document_read("docs/minivmm.1");

	for (unsigned int i = 0; i < EVIL_NR_TRICKS; i++) {
		char text[64];

		snprintf(text, sizeof(text), "\n| `%s` |", evil_trick_name(i));
		cr_expect_not_null(strstr(document, text), "%s", text);
		snprintf(text, sizeof(text), "\n.Cm %s", evil_trick_name(i));
		cr_expect_not_null(strstr(page, text), "%s", text);
	}
	free(document);
	free(page);
}
