/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/config_parse.h"
#include "vmm/config.h"

/* The words, and the line without "minivmm: ". */
static const struct {
	const char *words, *line;
} refusals[] = {
	/* The command line itself */
	{ "--rng", "--kernel: not given: a kernel is required, see --help" },
	{ "-k k --bogus", "--bogus: unknown option: see --help" },
	{ "-k k --bogus=1", "--bogus: unknown option: see --help" },
	{ "-k k --=1", "--: unknown option: see --help" },
	{ "--kern k", "--kern: unknown option: see --help" },
	{ "--kernelx k", "--kernelx: unknown option: see --help" },
	{ "-k k --verb", "--verb: unknown option: see --help" },
	{ "-k k --restricted", "--restricted: unknown option: see --help" },
	{ "-k k -z", "-z: unknown option: see --help" },
	{ "-k k -vz", "-z: unknown option: see --help" },
	{ "-k k -v--", "--: unknown option: see --help" },
	{ "-k k stray", "stray: unexpected argument: see --help" },
	{ "stray --help", "stray: unexpected argument: see --help" },
	{ "-k k ''", "\"\": unexpected argument: see --help" },
	{ "-k k -", "-: unexpected argument: see --help" },
	{ "-k k -- stray", "stray: unexpected argument: see --help" },
	{ "-k k --restricted-dma size=4M", "size=4M: unexpected argument: see --help" },
	{ "-k k --\x1b[2J\n", "--\\x1b[2J\\x0a: unknown option: see --help" },
	{ "-k k -\xff", "-\\xff: unknown option: see --help" },
	{ "-k k --verbose=yes", "--verbose: yes: takes no value" },
	{ "-k k --verbose=", "--verbose: \"\": takes no value" },
	{ "--help=x", "--help: x: takes no value" },
	{ "-k k --cpus", "--cpus: no value: expected N" },
	{ "-k k -c", "--cpus: no value: expected N" },
	{ "--kernel", "--kernel: no value: expected FILE" },
	/* Duplicates */
	{ "-k k --kernel l", "--kernel: l: given twice" },
	{ "-k k -i i -i i", "--initrd: i: given twice" },
	{ "-k k --cmdline a --cmdline b", "--cmdline: b: given twice" },
	{ "-k k -c 1 --cpus=1", "--cpus: 1: given twice" },
	{ "-k k -m 1G -m 1G", "--memory: 1G: given twice" },
	{ "-k k --rng --rng", "--rng: given twice" },
	{ "-k k --console serial --console virtio", "--console: virtio: given twice" },
	{ "-k k --transport mmio --transport mmio", "--transport: mmio: given twice" },
	{ "-k k --tables dt --tables dt", "--tables: dt: given twice" },
	{ "-k k --restricted-dma --restricted-dma", "--restricted-dma: given twice" },
	{ "-k k --sandbox off --sandbox full", "--sandbox: full: given twice" },
	{ "-k k --dump-dtb a --dump-dtb b", "--dump-dtb: b: given twice" },
	{ "-k k --report a --report b", "--report: b: given twice" },
	{ "-k k --timeout 1 --timeout 2", "--timeout: 2: given twice" },
	{ "-k k -v --verbose", "--verbose: given twice" },
	/* Values */
	{ "-k ''", "--kernel: \"\": empty file name" },
	{ "-k k --initrd=", "--initrd: \"\": empty file name" },
	{ "-k k --report ''", "--report: \"\": empty file name" },
	{ "-k k --dump-dtb ''", "--dump-dtb: \"\": empty file name" },
	{ "-k k -c 0", "--cpus: 0: not in 1 to 64" },
	{ "-k k -c 65", "--cpus: 65: not in 1 to 64" },
	{ "-k k -c 4294967297", "--cpus: 4294967297: not in 1 to 64" },
	{ "-k k -c 18446744073709551617", "--cpus: 18446744073709551617: too large" },
	{ "-k k -c -1", "--cpus: -1: expected a decimal number" },
	{ "-k k -c +1", "--cpus: +1: expected a decimal number" },
	{ "-k k -c 0x10", "--cpus: 0x10: expected a decimal number" },
	{ "-k k -c 1e9", "--cpus: 1e9: expected a decimal number" },
	{ "-k k -c 2K", "--cpus: 2K: expected a decimal number" },
	{ "-k k -c=2", "--cpus: =2: expected a decimal number" },
	{ "-k k -c ''", "--cpus: \"\": expected a decimal number" },
	{ "-k k -m 31M", "--memory: 31M: less than 32M" },
	{ "-k k -m 0", "--memory: 0: less than 32M" },
	{ "-k k -m 512", "--memory: 512: less than 32M" },
	{ "-k k -m 33554433", "--memory: 33554433: not a multiple of 4K" },
	{ "-k k -m 65534G", "--memory: 65534G: more than 65533G" },
	{ "-k k -m 18446744073709551616", "--memory: 18446744073709551616: too large" },
	{ "-k k -m 17179869184G", "--memory: 17179869184G: too large" },
	{ "-k k -m 512m", "--memory: 512m: expected a decimal number, with K, M or G" },
	{ "-k k -m 512MB", "--memory: 512MB: expected a decimal number, with K, M or G" },
	{ "-k k -m -1", "--memory: -1: expected a decimal number, with K, M or G" },
	{ "-k k -m G", "--memory: G: expected a decimal number, with K, M or G" },
	{ "-k k --timeout 0", "--timeout: 0: not in 1 to 31536000" },
	{ "-k k --timeout 31536001", "--timeout: 31536001: not in 1 to 31536000" },
	{ "-k k --timeout 1.5", "--timeout: 1.5: expected a decimal number" },
	{ "-k k --restart-limit on", "--restart-limit: on: expected off or N/SECONDS" },
	{ "-k k --restart-limit 5", "--restart-limit: 5: expected off or N/SECONDS" },
	{ "-k k --restart-limit /5", "--restart-limit: /5: N: not in 1 to 100" },
	{ "-k k --restart-limit 0/5", "--restart-limit: 0/5: N: not in 1 to 100" },
	{ "-k k --restart-limit 101/5", "--restart-limit: 101/5: N: not in 1 to 100" },
	{ "-k k --restart-limit 111111111111111111111111/5",
	  "--restart-limit: 111111111111111111111111/5: expected off or N/SECONDS" },
	{ "-k k --restart-limit 5/", "--restart-limit: 5/: SECONDS: not in 1 to 86400" },
	{ "-k k --restart-limit 5/0", "--restart-limit: 5/0: SECONDS: not in 1 to 86400" },
	{ "-k k --restart-limit 5/86401", "--restart-limit: 5/86401: SECONDS: not in 1 to 86400" },
	{ "-k k --restart-limit 5/10/20", "--restart-limit: 5/10/20: SECONDS: not in 1 to 86400" },
	{ "-k k --transport isa", "--transport: isa: expected mmio or pci" },
	{ "-k k --transport ''", "--transport: \"\": expected mmio or pci" },
	{ "-k k --tables fdt", "--tables: fdt: expected dt or acpi" },
	{ "-k k --tables ''", "--tables: \"\": expected dt or acpi" },
	{ "-k k --sandbox on", "--sandbox: on: expected full or off" },
	/* Lists */
	{ "-k k -d ''", "--disk: \"\": empty file name" },
	{ "-k k -d ,ro", "--disk: ,ro: empty file name" },
	{ "-k k -d a,",
	  "--disk: a,: \"\": expected ro, serial=, queues=, queue-size=, cache= or transport= (a comma in a name is written ,,)" },
	{ "-k k -d a,rw",
	  "--disk: a,rw: rw: expected ro, serial=, queues=, queue-size=, cache= or transport= (a comma in a name is written ,,)" },
	{ "-k k -d a,ro=1",
	  "--disk: a,ro=1: ro=1: expected ro, serial=, queues=, queue-size=, cache= or transport= (a comma in a name is written ,,)" },
	{ "-k k -d a,ro,ro", "--disk: a,ro,ro: ro: given twice" },
	{ "-k k -d a,serial=1,serial=1", "--disk: a,serial=1,serial=1: serial=1: given twice" },
	{ "-k k -d a,serial=", "--disk: a,serial=: serial=: empty serial" },
	{ "-k k -d a,transport=mmio,transport=pci",
	  "--disk: a,transport=mmio,transport=pci: transport=pci: given twice" },
	{ "-k k -d a,transport=", "--disk: a,transport=: transport=: expected mmio or pci" },
	{ "-k k -d a,transport=isa",
	  "--disk: a,transport=isa: transport=isa: expected mmio or pci" },
	{ "-k k -d a,serial=123456789012345678901",
	  "--disk: a,serial=123456789012345678901: serial=123456789012345678901: serial longer "
	  "than 20 bytes" },
	{ "-k k -d a,serial=a\tb",
	  "--disk: a,serial=a\\x09b: serial=a\\x09b: serial not printable ASCII" },
	{ "-k k -d a,serial=\xc3\xa9",
	  "--disk: a,serial=\\xc3\\xa9: serial=\\xc3\\xa9: serial not printable ASCII" },
	{ "-k k --restricted-dma=",
	  "--restricted-dma: \"\": \"\": expected size=, policy=, share=, via= or place=" },
	{ "-k k --restricted-dma=size",
	  "--restricted-dma: size: size: expected size=, policy=, share=, via= or place=" },
	{ "-k k --restricted-dma=size=4M,",
	  "--restricted-dma: size=4M,: \"\": expected size=, policy=, share=, via= or place=" },
	{ "-k k --restricted-dma=size=4M,size=4M",
	  "--restricted-dma: size=4M,size=4M: size=4M: given twice" },
	{ "-k k --restricted-dma=policy=hope,policy=require",
	  "--restricted-dma: policy=hope,policy=require: policy=require: given twice" },
	{ "-k k --restricted-dma=share=all,share=all",
	  "--restricted-dma: share=all,share=all: share=all: given twice" },
	{ "-k k --restricted-dma=size=1M", "--restricted-dma: size=1M: size=1M: smaller than 2M" },
	{ "-k k --restricted-dma=size=257M",
	  "--restricted-dma: size=257M: size=257M: larger than 256M" },
	{ "-k k --restricted-dma=size=2100K",
	  "--restricted-dma: size=2100K: size=2100K: not a multiple of 256K" },
	{ "-k k --restricted-dma=size=x",
	  "--restricted-dma: size=x: size=x: expected a decimal number, with K, M or G" },
	{ "-k k --restricted-dma=size=18014398509481984K",
	  "--restricted-dma: size=18014398509481984K: size=18014398509481984K: too large" },
	{ "-k k --restricted-dma=policy=off",
	  "--restricted-dma: policy=off: policy=off: expected require or hope" },
	{ "-k k --restricted-dma=share=none",
	  "--restricted-dma: share=none: share=none: expected device, all or group=UUID" },
	{ "-k k --restricted-dma=share=group",
	  "--restricted-dma: share=group: share=group: expected device, all or group=UUID" },
	{ "-k k --restricted-dma=share=group=",
	  "--restricted-dma: share=group=: share=group=: expected a UUID such as 6ba7b810-9dad-11d1-80b4-00c04fd430c8" },
	{ "-k k --restricted-dma=share=group=00000000-0000-0000-0000-000000000000",
	  "--restricted-dma: share=group=00000000-0000-0000-0000-000000000000: share=group=00000000-0000-0000-0000-0...: the nil UUID names nothing" },
	{ "-k k --restricted-dma=share=group={6ba7b810-9dad-11d1-80b4-00c04fd430c8}",
	  "--restricted-dma: share=group={6ba7b810-9dad-11d1-80b4-00c04fd430c8}: share=group={6ba7b810-9dad-11d1-80b4-...: expected a UUID such as 6ba7b810-9dad-11d1-80b4-00c04fd430c8" },
	{ "-k k --restricted-dma=share=group=6ba7b8109dad11d180b400c04fd430c8",
	  "--restricted-dma: share=group=6ba7b8109dad11d180b400c04fd430c8: share=group=6ba7b8109dad11d180b400c04...: expected a UUID such as 6ba7b810-9dad-11d1-80b4-00c04fd430c8" },
	{ "-k k --restricted-dma=share=group=6ba7b810-9dad-11d1-80b4-00c04fd430c",
	  "--restricted-dma: share=group=6ba7b810-9dad-11d1-80b4-00c04fd430c: share=group=6ba7b810-9dad-11d1-80b4-0...: expected a UUID such as 6ba7b810-9dad-11d1-80b4-00c04fd430c8" },
	{ "-k k --restricted-dma=share=group=6ba7b810-9dad-11d1-80b4-00c04fd430c81",
	  "--restricted-dma: share=group=6ba7b810-9dad-11d1-80b4-00c04fd430c81: share=group=6ba7b810-9dad-11d1-80b4-0...: expected a UUID such as 6ba7b810-9dad-11d1-80b4-00c04fd430c8" },
	{ "-k k --restricted-dma=share=group=6ba7b810-9dad-11d1-80b400-c04fd430c8",
	  "--restricted-dma: share=group=6ba7b810-9dad-11d1-80b400-c04fd430c8: share=group=6ba7b810-9dad-11d1-80b400...: expected a UUID such as 6ba7b810-9dad-11d1-80b4-00c04fd430c8" },
	{ "-k k --restricted-dma=share=group=6ba7b810-9dad-11d1-80b4-00c04fd430cg",
	  "--restricted-dma: share=group=6ba7b810-9dad-11d1-80b4-00c04fd430cg: share=group=6ba7b810-9dad-11d1-80b4-0...: expected a UUID such as 6ba7b810-9dad-11d1-80b4-00c04fd430c8" },
	{ "-k k --restricted-dma=share=group=urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8",
	  "--restricted-dma: share=group=urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8: share=group=urn:uuid:6ba7b810-9dad-11...: expected a UUID such as 6ba7b810-9dad-11d1-80b4-00c04fd430c8" },
	{ "-k k --restricted-dma=via=mmio",
	  "--restricted-dma: via=mmio: via=mmio: expected auto, dt, cap, config or dmb" },
	{ "-k k --restricted-dma=via=none",
	  "--restricted-dma: via=none: via=none: expected auto, dt, cap, config or dmb" },
	{ "-k k --restricted-dma=via=",
	  "--restricted-dma: via=: via=: expected auto, dt, cap, config or dmb" },
	{ "-k k --restricted-dma=place=ram",
	  "--restricted-dma: place=ram: place=ram: expected memory or bar" },
	{ "-k k --restricted-dma=place=",
	  "--restricted-dma: place=: place=: expected memory or bar" },
	{ "-k k --restricted-dma=via=cap,via=cap",
	  "--restricted-dma: via=cap,via=cap: via=cap: given twice" },
	{ "-k k --restricted-dma=place=bar,place=memory",
	  "--restricted-dma: place=bar,place=memory: place=memory: given twice" },
	/* Together */
	{ "-k k -d 1 -d 2 -d 3 -d 4 -d 5 -d 6 -d 7 -d 8 -d 9 -d 10 -d 11 -d 12 -d 13 -d 14 -d 15 "
	  "-d 16 -d 17",
	  "--disk: 17: more than 16 devices" },
	{ "-k k -d 1 -d 2 -d 3 -d 4 -d 5 -d 6 -d 7 -d 8 -d 9 -d 10 -d 11 -d 12 -d 13 -d 14 -d 15 "
	  "--rng --console virtio",
	  "--console: virtio: more than 16 devices" },
	{ "-k k -d 1 -d 2 -d 3 -d 4 -d 5 -d 6 -d 7 -d 8 --rng --restricted-dma=size=256M",
	  "--restricted-dma: size=262144K: 9 pools, together more than 1G" },
	{ "-k k -d a -d b -d a,ro", "--disk: a: given twice, and not ro both times" },
	{ "-k k -d r --report r", "--report: r: the same file as --disk" },
	{ "-k k --report k", "--report: k: the same file as --kernel" },
	{ "-k k -i i --dump-dtb i", "--dump-dtb: i: the same file as --initrd" },
	{ "-k k --dump-dtb o --report o", "--dump-dtb: o: the same file as --report" },
};

Test(config_refusals, refusals_are_one_line_that_names_the_option)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		expect_refused(refusals[i].words, refusals[i].line);
}

Test(config_refusals, trailing_space_is_garbage)
{
	static char *const values[] = { "12 ", " 12", "12\n", "12\t" };
	struct parse p;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char *argv[] = { "minivmm", "-k", "k", "--cpus", values[i], NULL };

		run_argv(&p, 5, argv);
		cr_expect_eq(p.result, CONFIG_ERROR);
		cr_expect_eq(strncmp(p.err, "minivmm: --cpus: ", 17), 0);
		cr_expect_eq(strchr(p.err, '\n'), p.err + strlen(p.err) - 1);
		finish(&p);
	}
}

/* Returns a text of @len times @c after @prefix, to be freed. */
static char *long_text(const char *prefix, char c, size_t len)
{
	const size_t start = strlen(prefix);
	char *text = malloc(start + len + 1);

	memcpy(text, prefix, start);
	memset(text + start, c, len);
	text[start + len] = '\0';
	return text;
}

Test(config_refusals, lengths)
{
	static const struct {
		const char *prefix;
		size_t longest;
	} cases[] = {
		{ "--kernel=", PATH_MAX - 1 }, { "--initrd=", PATH_MAX - 1 },
		{ "--report=", PATH_MAX - 1 }, { "--dump-dtb=", PATH_MAX - 1 },
		{ "--disk=", PATH_MAX - 1 },   { "--cmdline=", CONFIG_MAX_CMDLINE },
		{ "--events=", PATH_MAX - 1 },
	};
	struct parse p;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t over = 0; over < 2; over++) {
			char *arg = long_text(cases[i].prefix, 'x', cases[i].longest + over);
			char *argv[] = { "minivmm", arg, "-k", "k", NULL };

			/* --kernel itself cannot be given twice. */
			run_argv(&p, i == 0 ? 2 : 4, argv);
			cr_expect_eq(p.result, over ? CONFIG_ERROR : CONFIG_RUN, "%s: %s",
				     cases[i].prefix, p.err);
			cr_expect_lt(strlen(p.err), 200);
			if (over)
				cr_expect_not_null(strstr(p.err, "...: longer than "));
			finish(&p);
			free(arg);
		}
	}
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A MiB in one argument, wherever it stands: a short answer, soon. */
Test(config_refusals, huge_arguments_are_refused_quickly)
{
	static const char *const prefixes[] = {
		"--kernel=",
		"--cmdline=",
		"--cpus=",
		"--memory=",
		"--disk=",
		"--disk=a,",
		"--disk=a,serial=",
		"--restricted-dma=",
		"--console=",
		"--sandbox=",
		"--restricted-dma=size=",
		"--restricted-dma=share=group=",
		"--proposal=",
		"--proposal=dmb-feature=",
		"--proposal=dmb-feature=0x",
		"--",
		"-",
		"",
		"--rng=",
		"--verbose=",
		"--net=tap=",
		"--net=user,hostfwd=",
		"--net=user,mac=",
		"--vsock=cid=",
		"--vsock=path=",
		"--vhost-user=",
		"--vhost-user=generic:",
		"--vhost-user=fs,tag=",
		"--port=",
		"--port=a=",
		"--port=a=file:",
		"--console=file:",
		"--events=",
		"--events=fd:",
		"--exit-code-from=",
	};
	const double start = seconds_now();
	struct parse p;

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		for (const char *c = "9,\n"; *c; c++) {
			char *arg = long_text(prefixes[i], *c, 1 << 20);
			char *argv[] = { "minivmm", arg, NULL };

			run_argv(&p, 2, argv);
			cr_expect_eq(p.result, CONFIG_ERROR, "%s%c", prefixes[i], *c);
			cr_expect_lt(strlen(p.err), 300);
			cr_expect_eq(strchr(p.err, '\n'), p.err + strlen(p.err) - 1);
			finish(&p);
			free(arg);
		}
	}
	cr_expect_lt(seconds_now() - start, 5.0);
}

Test(config_refusals, very_many_arguments_are_refused_quickly)
{
	static char *const words[] = { "--rng", "-v", "--disk=x", "x", "--", "-", "--bogus" };
	const int argc = 100000;
	char **argv = calloc((size_t)argc + 1, sizeof(*argv));
	const double start = seconds_now();
	struct parse p;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		for (int j = 0; j < argc; j++)
			argv[j] = words[i];
		run_argv(&p, argc, argv);
		cr_expect_eq(p.result, CONFIG_ERROR);
		finish(&p);
	}
	free(argv);
	cr_expect_lt(seconds_now() - start, 2.0);
}
