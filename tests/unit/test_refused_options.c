/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The executables themselves and command lines that they have to refuse. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/process_bench.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define USAGE	     110
#define DEVICE_USAGE 2
#define DEVICE_ERROR 1

#define DIGITS_96 \
	"123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456"

TestSuite(refused_options, .init = process_bench_enter, .fini = process_bench_leave,
	  .timeout = 120);

/* What each kind of mistake leads to; config_refusals and config_device_refusals have them all. */
Test(refused_options, mistakes_of_every_kind)
{
	static const char *const cases[][2] = {
		{ "", "\"\": unexpected argument" },
		{ "--bogus", "--bogus: unknown option" },
		{ "-k k -z", "-z: unknown option" },
		{ "-k k --kern x", "--kern: unknown option" },
		{ "-k", "--kernel: no value" },
		{ "-k k -k k", "--kernel: k: given twice" },
		{ "-k k stray", "stray: unexpected argument" },
		{ "-k k -m 18446744073709551616", "--memory: 18446744073709551616: too large" },
		{ "-k k -m 1e9", "--memory: 1e9: expected a decimal number" },
		{ "-k k -m 0x", "--memory: 0x: expected a decimal number" },
		{ "-k k -m -1", "--memory: -1: expected a decimal number" },
		{ "-k k -m 12\t", "--memory: 12\\x09: expected a decimal number" },
		{ "-k k --cpus 0", "--cpus: 0: not in 1 to 64" },
		{ "-k k --cpus 65", "--cpus: 65: not in 1 to 64" },
		{ "-k k --cpus 256", "--cpus: 256: not in 1 to 64" },
		{ "-k k --cpus 65536", "--cpus: 65536: not in 1 to 64" },
		{ "-k k --cpus 4294967297", "--cpus: 4294967297: not in 1 to 64" },
		{ "-k k -d a,,b,", "--disk: a,,b,: \"\": expected" },
		{ "-k k -d a,=", "--disk: a,=: =: expected" },
		{ "-k k -d a,\\", "--disk: a,\\: \\: expected" },
		{ "-k k -d a,serial=\xc3\xa9", "serial=\\xc3\\xa9: serial not printable ASCII" },
		{ "-k k --\x1b[2J\n", "--\\x1b[2J\\x0a: unknown option" },
		{ "-k k --timeout \xff", "--timeout: \\xff: expected" },
		{ "-k k --net tap=a,mac=52:54:00:12:34", "expected a MAC address" },
		{ "-k k --net user,mac=01:00:5e:00:00:01", "a multicast address" },
		{ "-k k --net user,mac=00:00:00:00:00:00", "all zero" },
		{ "-k k --net tap=a --net tap=a", "--net: a: given twice" },
		{ "-k k --net user,mac=52:54:00:00:00:01 --net tap=t,mac=52:54:00:00:00:01",
		  "--net: t: two devices with the same MAC address" },
		{ "-k k --vsock cid=0,path=s", "cid=0: not in 3 to 4294967294" },
		{ "-k k --vsock cid=1,path=s", "cid=1: not in 3 to 4294967294" },
		{ "-k k --vsock cid=2,path=s", "cid=2: not in 3 to 4294967294" },
		{ "-k k --vsock cid=4294967296,path=s", "cid=4294967296: not in 3 to 4294967294" },
		{ "-k k --vsock cid=3,path=s --vsock cid=4,path=t",
		  "--vsock: cid=4,path=t: given twice" },
		{ "-k k --vsock cid=3,path=" DIGITS_96 "7", "longer than 96 bytes" },
		{ "-k k --port a=socket:" DIGITS_96 "789012345678", "longer than 107 bytes" },
		{ "-k k -d d --report d", "--report: d: the same file as --disk" },
		{ "-k k -d d -d d", "--disk: d: given twice, and not ro both times" },
		{ "-k k --events fd:99", "--events: fd:99: no such descriptor is open" },
	};

	/* What is in the way of nobody stays as it is. */
	process_bench_file("k", "kernel", 6, 6);
	process_bench_file("d", "disk", 4, 4096);
	for (size_t i = 0; i < LENGTH(cases); i++)
		process_bench_expect_words_refused(MINIVMM, cases[i][0], USAGE, cases[i][1]);
}

Test(refused_options, no_argument_at_all)
{
	static const char *const none[] = { NULL };

	process_bench_expect_refused(&(struct process){ MINIVMM, none, NULL, NULL }, USAGE,
				     "--kernel: not given: a kernel is required");
	process_bench_expect_refused(&(struct process){ MINIVMM_DEVICE, none, NULL, NULL },
				     DEVICE_USAGE, "KIND");
}

/* Line 157: the bus is full, and it is said how much fits. */
Test(refused_options, more_devices_than_there_is_room_for)
{
	static const size_t counts[] = { 17, 33, 10000 };
	static const char *args[2 * 10000 + 3];

	for (size_t i = 0; i < LENGTH(counts); i++) {
		const struct process process = { .program = MINIVMM, .args = args };
		char(*names)[32] = calloc(counts[i], sizeof(*names));
		size_t n = 0;

		args[n++] = "-k";
		args[n++] = "k";
		for (size_t disk = 0; disk < counts[i]; disk++) {
			snprintf(names[disk], sizeof(*names), "disk%zu", disk);
			args[n++] = "-d";
			args[n++] = names[disk];
		}
		args[n] = NULL;
		process_bench_expect_refused(&process, USAGE,
					     "--disk: disk16: more than 16 devices");
		free(names);
	}
}

/* Line 156: as many and as long as the kernel of the host lets through. */
Test(refused_options, very_many_and_very_long_arguments)
{
	static const char *args[100001];
	static char text[131071];
	static const struct {
		enum process_program program;
		const char *word, *part;
		int status;
	} many[] = {
		{ MINIVMM, "-v", "--verbose: given twice", USAGE },
		{ MINIVMM, "x", "x: unexpected argument", USAGE },
		{ MINIVMM, "--", "--: unexpected argument", USAGE },
		{ MINIVMM_DEVICE, "x", "KIND: x: unknown", DEVICE_USAGE },
		{ MINIVMM_DEVICE, "-x", "unknown", DEVICE_USAGE },
	};
	static const struct {
		enum process_program program;
		const char *prefix;
		int status;
	} longs[] = {
		{ MINIVMM, "--kernel=", USAGE },
		{ MINIVMM, "--cmdline=", USAGE },
		{ MINIVMM, "--disk=", USAGE },
		{ MINIVMM, "--net=user,mac=", USAGE },
		{ MINIVMM, "--", USAGE },
		{ MINIVMM, "", USAGE },
		{ MINIVMM_DEVICE, "--backend-fd=", DEVICE_USAGE },
		{ MINIVMM_DEVICE, "--", DEVICE_USAGE },
		{ MINIVMM_DEVICE, "", DEVICE_USAGE },
	};

	for (size_t i = 0; i < LENGTH(many); i++) {
		for (size_t n = 0; n < LENGTH(args) - 1; n++)
			args[n] = many[i].word;
		process_bench_expect_refused(
			&(struct process){ .program = many[i].program, .args = args },
			many[i].status, many[i].part);
	}
	for (size_t i = 0; i < LENGTH(longs); i++) {
		const char *one[] = { text, NULL };

		memset(text, '9', sizeof(text) - 1);
		memcpy(text, longs[i].prefix, strlen(longs[i].prefix));
		process_bench_expect_refused(
			&(struct process){ .program = longs[i].program, .args = one },
			longs[i].status, "999...: ");
	}
}

Test(refused_options, mistakes_with_a_device)
{
	static const struct {
		const char *words, *part;
		int status;
	} cases[] = {
		{ "rng --bogus", "option: --bogus: unknown", DEVICE_USAGE },
		{ "rng --socket-path", "option: --socket-path: needs a value", DEVICE_USAGE },
		{ "rng --help=x", "option: --help=x: unknown, or takes no value", DEVICE_USAGE },
		{ "rng -x", "option: -x: unknown", DEVICE_USAGE },
		{ "\x1b[2J\n\xff", "KIND: ?[2J??: unknown", DEVICE_USAGE },
		{ "rng --\x1b[2J", "option: --?[2J: unknown", DEVICE_USAGE },
		{ "blk queue-size=3 --socket-path s --file d", "queue-size: 3: ", DEVICE_ERROR },
		{ "blk --socket-path s --file /dev/null", "blk: cannot be created: Block device",
		  DEVICE_ERROR },
		{ "blk ro --socket-path s --file fifo", "blk: cannot be created: Block device",
		  DEVICE_ERROR },
		{ "blk ro --socket-path s --file .", "blk: cannot be created: Block device",
		  DEVICE_ERROR },
		{ "blk --socket-path s --file absent", "absent: No such file", DEVICE_ERROR },
		{ "blk --socket-path s --file \x1b[2J", "?[2J: No such file", DEVICE_ERROR },
		{ "rng --socket-path d", "d: Address already in use", DEVICE_ERROR },
		{ "rng --socket-path dangling", "dangling: Address already in use", DEVICE_ERROR },
		{ "rng --socket-path nowhere/s", "nowhere/s: No such file", DEVICE_ERROR },
		{ "rng --socket-path /proc/s", "/proc/s: No such file", DEVICE_ERROR },
		{ "rng --socket-path " DIGITS_96 "789012345678", "678: File name too long",
		  DEVICE_ERROR },
	};

	process_bench_file("d", "disk", 4, 4096);
	cr_assert_eq(symlink("absent", "dangling"), 0);
	cr_assert_eq(mkfifo("fifo", 0600), 0);
	for (size_t i = 0; i < LENGTH(cases); i++)
		process_bench_expect_words_refused(MINIVMM_DEVICE, cases[i].words, cases[i].status,
						   cases[i].part);
}

static void full_stdout(const void *opaque)
{
	(void)opaque;
	dup2(open("/dev/full", O_RDWR), STDOUT_FILENO);
}

static void unread_stdout(const void *opaque)
{
	int pair[2];

	(void)opaque;
	if (pipe(pair))
		_exit(125);
	close(pair[0]);
	dup2(pair[1], STDOUT_FILENO);
	close(pair[1]);
}

/* Line 160: a text that the user asked for and does not get. */
Test(refused_options, texts_that_cannot_be_printed)
{
	static const char *const words[] = { "--help", "--version" };

	for (size_t i = 0; i < LENGTH(words); i++) {
		const char *args[] = { words[i], NULL };

		for (int device = 0; device < 2; device++) {
			struct process process = { device ? MINIVMM_DEVICE : MINIVMM, args,
						   full_stdout, NULL };
			int status = device ? DEVICE_USAGE : USAGE;

			process_bench_expect_refused(&process, status, "No space left on device");
			process.prepare = unread_stdout;
			process_bench_expect_refused(&process, status, "Broken pipe");
		}
	}
}
