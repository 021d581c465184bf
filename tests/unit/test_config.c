/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/config_parse.h"
#include "vmm/config.h"

Test(config, defaults)
{
	struct parse p;

	expect_run(&p, "--kernel bzImage");
	cr_expect_str_eq(p.config.kernel, "bzImage");
	cr_expect_null(p.config.initrd);
	cr_expect_null(p.config.cmdline);
	cr_expect_eq(p.config.cpus, 1);
	cr_expect_eq(p.config.memory, 512ull << 20);
	cr_expect_eq(p.config.nr_devices, 0);
	cr_expect_not(p.config.virtio_console);
	cr_expect_eq(p.config.console.kind, CONFIG_STREAM_STDIO);
	cr_expect_null(p.config.console.path);
	cr_expect_eq(p.config.nr_ports, 0);
	cr_expect_eq(p.config.exit_code_from, CONFIG_EXIT_CODE_POWER);
	cr_expect_null(p.config.events);
	cr_expect_eq(p.config.transport, MACHINE_TRANSPORT_MMIO);
	cr_expect_eq(p.config.tables, MACHINE_TABLES_DEVICE_TREE);
	cr_expect_not(p.config.restricted);
	cr_expect_eq(p.config.via, MECHANISM_NONE);
	cr_expect(p.config.sandbox);
	cr_expect_null(p.config.dump_dtb);
	cr_expect_null(p.config.report);
	cr_expect_eq(p.config.timeout, 0);
	cr_expect_not(p.config.verbose);
	finish(&p);
}

/* The part of expect_all() about pools and how the guest learns of them. */
static void expect_pools(const struct config *config)
{
	cr_expect(config->restricted);
	cr_expect_eq(config->pool_size, 4ull << 20);
	cr_expect_eq(config->policy, CONFIG_POLICY_HOPE);
	cr_expect_eq(config->share, CONFIG_SHARE_ALL);
	cr_expect_eq(config->via, MECHANISM_DT);
	cr_expect_eq(config->place, POOL_IN_MEMORY);
	cr_expect_eq(config->transport, MACHINE_TRANSPORT_MMIO);
	cr_expect_eq(config->tables, MACHINE_TABLES_DEVICE_TREE);
}

/* The part of it about devices. */
static void expect_devices(const struct config *config)
{
	cr_assert_eq(config->nr_devices, 4);
	cr_expect_eq(config->devices[0].kind, CONFIG_DISK);
	cr_expect_str_eq(config->devices[0].disk.path, "a");
	cr_expect_not(config->devices[0].disk.read_only);
	cr_expect_str_empty(config->devices[0].disk.serial);
	cr_expect_eq(config->devices[1].kind, CONFIG_DISK);
	cr_expect_str_eq(config->devices[1].disk.path, "b");
	cr_expect(config->devices[1].disk.read_only);
	cr_expect_str_eq(config->devices[1].disk.serial, "S1");
	cr_expect_eq(config->devices[2].kind, CONFIG_PLAIN);
	cr_expect_eq(config->devices[3].kind, CONFIG_CONSOLE);
	cr_expect(config->virtio_console);
}

/* Every option that the first guests needed, in each way to write it. */
static void expect_all(const char *words)
{
	struct parse p;

	expect_run(&p, words);
	cr_expect_str_eq(p.config.kernel, "k");
	cr_expect_str_eq(p.config.initrd, "i");
	cr_expect_str_eq(p.config.cmdline, "quiet=1");
	cr_expect_eq(p.config.cpus, 2);
	cr_expect_eq(p.config.memory, 1ull << 30);
	expect_devices(&p.config);
	expect_pools(&p.config);
	cr_expect_not(p.config.sandbox);
	cr_expect_str_eq(p.config.dump_dtb, "dtb");
	cr_expect_str_eq(p.config.report, "-");
	cr_expect_eq(p.config.timeout, 60);
	cr_expect(p.config.verbose);
	finish(&p);
}

Test(config, every_option_in_every_spelling)
{
	expect_all(
		"--kernel k --initrd i --cmdline quiet=1 --cpus 2 --memory 1G --disk a "
		"--disk b,ro,serial=S1 --rng --console virtio --transport mmio "
		"--tables dt --restricted-dma=size=4M,policy=hope,share=all --sandbox off --dump-dtb dtb "
		"--report - --timeout 60 --verbose");
	expect_all("--kernel=k --initrd=i --cmdline=quiet=1 --cpus=2 --memory=1024M --disk=a "
		   "--disk=b,serial=S1,ro --rng --console=virtio --transport=mmio "
		   "--tables=dt --restricted-dma=share=all,policy=hope,size=4096K --sandbox=off "
		   "--dump-dtb=dtb --report=- --timeout=60 --verbose");
	expect_all("-k k -i i --cmdline quiet=1 -c 2 -m 1048576K -d a -d b,ro,serial=S1 --rng "
		   "--console virtio --restricted-dma=size=4M,policy=hope,share=all "
		   "--sandbox off --dump-dtb dtb --report - --timeout 60 -v");
	expect_all("-kk -ii --cmdline quiet=1 -c2 -m1G -da -vdb,ro,serial=S1 --rng "
		   "--console virtio --restricted-dma=size=4M,policy=hope,share=all "
		   "--sandbox off --dump-dtb dtb --report - --timeout 60 --");
}

Test(config, restricted_dma_defaults_and_keywords)
{
	struct parse p;

	expect_run(&p, "-k k --restricted-dma");
	cr_expect(p.config.restricted);
	cr_expect_eq(p.config.pool_size, CONFIG_DEFAULT_POOL);
	cr_expect_eq(p.config.policy, CONFIG_POLICY_REQUIRE);
	cr_expect_eq(p.config.share, CONFIG_SHARE_DEVICE);
	cr_expect_eq(p.config.via, MECHANISM_DT);
	cr_expect_eq(p.config.place, POOL_IN_MEMORY);
	finish(&p);
	expect_run(&p, "-k k --restricted-dma=policy=require,share=device --console serial "
		       "--sandbox full");
	cr_expect_eq(p.config.policy, CONFIG_POLICY_REQUIRE);
	cr_expect_eq(p.config.share, CONFIG_SHARE_DEVICE);
	cr_expect_not(p.config.virtio_console);
	cr_expect(p.config.sandbox);
	finish(&p);
}

Test(config, accepted_limits)
{
	static const char *const cases[] = {
		"-k k -c 1",
		"-k k -c 64",
		"-k k -m 32M",
		"-k k -m 65533G",
		"-k k -m 33558528",
		"-k k --restricted-dma=size=2M",
		"-k k --restricted-dma=size=256M",
		"-k k --restricted-dma=size=2304K",
		"-k k --timeout 1",
		"-k k --timeout 31536000",
		"-k k --cmdline ''",
		"-k k -d d,serial=12345678901234567890",
		"-k k -d a,ro -d a,ro",
		("-k k -d 1 -d 2 -d 3 -d 4 -d 5 -d 6 -d 7 -d 8 -d 9 -d 10 -d 11 -d 12 -d 13 -d 14 "
		 "-d 15 -d 16"),
		("-k k -d 1 -d 2 -d 3 -d 4 -d 5 -d 6 -d 7 -d 8 -d 9 -d 10 -d 11 -d 12 -d 13 -d 14 "
		 "--rng --console virtio --restricted-dma=size=64M"),
		("-k k -d 1 -d 2 -d 3 -d 4 -d 5 -d 6 -d 7 -d 8 -d 9 "
		 "--restricted-dma=size=256M,share=all"),
	};
	struct parse p;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		expect_run(&p, cases[i]);
		finish(&p);
	}
}

Test(config, disk_lists)
{
	static const struct {
		const char *words, *path, *serial;
		bool read_only;
	} cases[] = {
		{ "-k k -d a,,b", "a,b", "", false },
		{ "-k k -d ,,a,,", ",a,", "", false },
		{ "-k k -d a,,,ro", "a,", "", true },
		{ "-k k -d a,,ro", "a,ro", "", false },
		{ "-k k -d a,serial=x,,y=z", "a", "x,y=z", false },
		{ "-k k -d ro", "ro", "", false },
		{ "-k k -d a=b\\c", "a=b\\c", "", false },
		{ "-k k -d \xc3\xa9.img", "\xc3\xa9.img", "", false },
		{ "-k k -d -", "-", "", false },
	};
	struct parse p;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		expect_run(&p, cases[i].words);
		cr_assert_eq(p.config.nr_devices, 1);
		cr_expect_str_eq(p.config.devices[0].disk.path, cases[i].path);
		cr_expect_str_eq(p.config.devices[0].disk.serial, cases[i].serial);
		cr_expect_eq(p.config.devices[0].disk.read_only, cases[i].read_only);
		finish(&p);
	}
}

Test(config, no_arguments_at_all)
{
	char *argv[] = { NULL };
	struct parse p;

	run_argv(&p, 0, argv);
	cr_expect_eq(p.result, CONFIG_ERROR);
	cr_expect_str_eq(p.err, "minivmm: --kernel: not given: a kernel is required, see --help\n");
	finish(&p);
}

Test(config, restart_limit)
{
	static const struct {
		const char *words;
		unsigned int crashes, seconds;
	} rows[] = {
		{ "-k k", 5, 10 },
		{ "-k k --restart-limit off", 0, 10 },
		{ "-k k --restart-limit 1/1", 1, 1 },
		{ "-k k --restart-limit=100/86400", 100, 86400 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct parse p;

		run(&p, rows[i].words);
		cr_assert_eq(p.result, CONFIG_RUN, "%s: %s", rows[i].words, p.err);
		cr_expect_eq(p.config.restart_crashes, rows[i].crashes);
		cr_expect_eq(p.config.restart_seconds, rows[i].seconds);
		finish(&p);
	}
}

Test(config, version)
{
	struct parse p;

	run(&p, "--version");
	cr_expect_eq(p.result, CONFIG_DONE);
	cr_expect_str_eq(p.out, "minivmm 0.1.0\n");
	cr_expect_str_empty(p.err);
	finish(&p);
}

Test(config, help_is_short)
{
	static const char *const spellings[] = { "--help", "-h", "-k k -d a -vh --bogus" };
	struct parse p;

	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
		unsigned int lines = 0;

		run(&p, spellings[i]);
		cr_expect_eq(p.result, CONFIG_DONE);
		cr_expect_str_empty(p.err);
		for (char *line = p.out; *line; line = strchr(line, '\n') + 1, lines++)
			cr_expect_leq(strcspn(line, "\n"), 80, "%.90s", line);
		cr_expect_leq(lines, 36);
		finish(&p);
	}
}

static void expect_same(const struct config *a, const struct config *b, const char *words)
{
	cr_expect_eq(a->cpus, b->cpus, "%s", words);
	cr_expect_eq(a->memory, b->memory, "%s", words);
	cr_expect_eq(a->virtio_console, b->virtio_console, "%s", words);
	cr_expect_eq(a->nr_devices, b->nr_devices, "%s", words);
	cr_expect_eq(a->restricted, b->restricted, "%s", words);
	cr_expect_eq(a->pool_size, b->pool_size, "%s", words);
	cr_expect_eq(a->policy, b->policy, "%s", words);
	cr_expect_eq(a->share, b->share, "%s", words);
	cr_expect_eq(a->via, b->via, "%s", words);
	cr_expect_eq(a->place, b->place, "%s", words);
	cr_expect_eq(a->transport, b->transport, "%s", words);
	cr_expect_eq(a->sandbox, b->sandbox, "%s", words);
}

/* What --help calls a default is what an option given with it changes nothing of. */
Test(config, help_tells_the_defaults)
{
	static const struct {
		const char *help, *words;
	} cases[] = {
		{ "vCPUs, 1 to 64 (default 1)\n", "-k k --cpus 1" },
		{ "(default 512M)\n", "-k k --memory 512M" },
		{ "serial (default) or virtio[,file:PATH]\n", "-k k --console serial" },
		{ "mmio (default) or pci; in a LIST: transport=KIND\n", "-k k --transport mmio" },
		{ "full (default) or off\n", "-k k --sandbox full" },
		{ "size=16M,policy=require|hope,\n",
		  "-k k --restricted-dma=size=16M,policy=require" },
		{ "share=device|all|group=UUID,\n", "-k k --restricted-dma=share=device" },
		{ "via=auto|dt|cap|config|dmb,place=memory|bar\n",
		  "-k k --restricted-dma=via=auto,place=memory" },
	};
	struct parse help, plain, restricted, p;

	run(&help, "--help");
	expect_run(&plain, "-k k");
	expect_run(&restricted, "-k k --restricted-dma");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct config *same = strstr(cases[i].words, "--restricted-dma")
						    ? &restricted.config
						    : &plain.config;

		cr_expect_not_null(strstr(help.out, cases[i].help), "%s", cases[i].help);
		expect_run(&p, cases[i].words);
		expect_same(&p.config, same, cases[i].words);
		finish(&p);
	}
	finish(&help);
	finish(&plain);
	finish(&restricted);
}

Test(config, help_that_cannot_be_printed_is_an_error)
{
	char *argv[] = { "minivmm", "--help", NULL };
	struct parse p;
	size_t len;
	FILE *full = fopen("/dev/full", "w");
	FILE *err = open_memstream(&p.err, &len);

	cr_assert_not_null(full);
	cr_expect_eq(config_parse(&p.config, 2, argv, full, err), CONFIG_ERROR);
	fclose(full);
	fclose(err);
	cr_expect_str_eq(p.err, "minivmm: --help: standard output: No space left on device\n");
	free(p.err);
}

Test(config, sizes)
{
	static const struct {
		const char *text;
		int err;
		uint64_t bytes;
	} cases[] = {
		{ "0", 0, 0 },
		{ "1", 0, 1 },
		{ "007", 0, 7 },
		{ "1K", 0, 1ull << 10 },
		{ "3M", 0, 3ull << 20 },
		{ "4G", 0, 4ull << 30 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "17179869183G", 0, 17179869183ull << 30 },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "99999999999999999999999999", -ERANGE, 0 },
		{ "17179869184G", -ERANGE, 0 },
		{ "18014398509481984K", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "K", -EINVAL, 0 },
		{ "1k", -EINVAL, 0 },
		{ "1T", -EINVAL, 0 },
		{ "1KK", -EINVAL, 0 },
		{ "1K ", -EINVAL, 0 },
		{ " 1K", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "1e9", -EINVAL, 0 },
		{ "1.5G", -EINVAL, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t bytes = 0;

		cr_expect_eq(config_parse_size(cases[i].text, &bytes), cases[i].err, "%s",
			     cases[i].text);
		if (cases[i].err == 0)
			cr_expect_eq(bytes, cases[i].bytes, "%s", cases[i].text);
	}
}
