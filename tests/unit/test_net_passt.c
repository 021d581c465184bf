/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* How passt is called, with what, and what becomes of its words; with a script in its place. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/net_passt_bench.h"
#include "vmm/exit_status.h"

/* The command line */

static const struct {
	const char *forward, *option, *spec;
} forwards[] = {
	{ "tcp:127.0.0.1:2222-:22", "-t", "127.0.0.1/2222:22" },
	{ "tcp::2222-:22", "-t", "2222:22" },
	{ "udp:192.0.2.1:53-:5353", "-u", "192.0.2.1/53:5353" },
	{ "tcp:[::1]:80-:8080", "-t", "::1/80:8080" },
};

Test(net_passt, forwards_become_port_specifications)
{
	struct config_net net = { .kind = CONFIG_NET_USER };
	struct net_passt_args args;
	size_t at = 0;

	for (size_t i = 0; i < sizeof(forwards) / sizeof(forwards[0]); i++)
		net.forwards[net.nr_forwards++] = (char *)forwards[i].forward;
	cr_assert_eq(net_passt_build_args(&args, &net, false), 0);
	while (args.argv[at] && strcmp(args.argv[at], forwards[0].option) != 0)
		at++;
	for (size_t i = 0; i < net.nr_forwards; i++) {
		cr_assert_not_null(args.argv[at]);
		cr_expect_str_eq(args.argv[at++], forwards[i].option);
		cr_expect_str_eq(args.argv[at++], forwards[i].spec);
	}
	cr_expect_null(args.argv[at]);
}

Test(net_passt, as_many_forwards_as_there_can_be_fit)
{
	static char longest[] = "tcp:[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535-:65535";
	struct config_net net = { .kind = CONFIG_NET_USER, .nr_forwards = CONFIG_MAX_FORWARDS };
	struct net_passt_args args;

	for (size_t i = 0; i < CONFIG_MAX_FORWARDS; i++)
		net.forwards[i] = longest;
	cr_assert_eq(net_passt_build_args(&args, &net, true), 0);
	cr_expect_str_eq(args.specs[CONFIG_MAX_FORWARDS - 1],
			 "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/65535:65535");
}

Test(net_passt, a_forward_of_another_form_is_refused)
{
	static const char *const bad[] = { "", "tcp", "tcp:", "tcp:-:22", "22", "tcp:22-22" };
	struct config_net net = { .kind = CONFIG_NET_USER, .nr_forwards = 1 };
	struct net_passt_args args;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		net.forwards[0] = (char *)bad[i];
		cr_expect_eq(net_passt_build_args(&args, &net, false), -EINVAL, "%s", bad[i]);
	}
}

/* A script in place of passt, which tells what it was started with. */

static char directory[] = "/tmp/minivmm-passt-XXXXXX";
static char script_path[64];

static void enter_with_script(void)
{
	enter();
	cr_assert_not_null(mkdtemp(directory));
	snprintf(script_path, sizeof(script_path), "%s/passt", directory);
	setenv("PATH", directory, 1);
}

static void leave_script(void)
{
	unlink(script_path);
	cr_expect_eq(rmdir(directory), 0);
}

TestSuite(net_passt_script, .init = enter_with_script, .fini = leave_script, .timeout = 20);

/* What passt does at first; then it waits until it is told to go on. */
#define GET_READY "echo $$ >/proc/self/fd/4; read -r go <&3\n"

static void go_on(const struct bench *bench)
{
	cr_assert_eq(write(bench->host.fds[0], "\n", 1), 1);
}

static void write_script(const char *text)
{
	int fd = open(script_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

	dprintf(fd, "#!/bin/sh\nPATH=/usr/bin:/bin\n%s\n", text);
	close(fd);
}

Test(net_passt_script, a_missing_passt_is_named)
{
	const struct config_net net = { .kind = CONFIG_NET_USER };
	const unsigned int fds = fd_count();
	struct net_host host;

	cr_expect_eq(net_host_open(&host, &net, 1), EXIT_STATUS_HOST);
	expect_line("not found; apt install passt");
	net_host_close(&host);
	/* An empty entry means the working directory: not a place to take programs from. */
	write_script("exit 0");
	cr_assert_eq(chdir(directory), 0);
	setenv("PATH", ":/none", 1);
	cr_expect_eq(net_host_open(&host, &net, 1), EXIT_STATUS_HOST);
	net_host_close(&host);
	cr_expect_eq(fd_count(), fds);
}

#define HEAD   "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
#define ZEROES "00000000000000000000000000000000"

static const struct {
	const char *name, *text;
	bool has_route;
} routes[] = {
	{ "route", "", false },
	{ "route", HEAD, false },
	{ "route", HEAD "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n", true },
	{ "route", HEAD "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n", false },
	{ "route", HEAD "ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n", false },
	{ "route", HEAD "wg0\t00000000\t010200C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n", false },
	{ "ipv6_route",
	  ZEROES " 00 " ZEROES " 00 fd000000000000000000000000000001 00000400 00000001 00000000 "
		 "00000003     eth0\n",
	  true },
	{ "ipv6_route",
	  ZEROES " 00 " ZEROES " 00 " ZEROES " ffffffff 00000001 00000000 00200200       lo\n",
	  false },
	{ "ipv6_route",
	  "fe80" ZEROES " 40 " ZEROES " 00 " ZEROES " 00000100 00000001 00000000 00000003 eth0\n",
	  false },
};

Test(net_passt_script, only_a_default_route_through_a_gateway_will_do)
{
	cr_expect_not(net_passt_has_route(directory));
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		char path[64];
		FILE *file;

		snprintf(path, sizeof(path), "%s/%s", directory, routes[i].name);
		file = fopen(path, "we");
		cr_assert_not_null(file);
		fputs(routes[i].text, file);
		fclose(file);
		cr_expect_eq(net_passt_has_route(directory), routes[i].has_route, "%s",
			     routes[i].text);
		unlink(path);
	}
}

Test(net_passt_script, it_inherits_nothing_but_what_it_needs)
{
	struct bench bench;
	char line[1024];
	int leak = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */

	setenv("SECRET", "environment", 1);
	/* What the shell has for itself is at 10 and above. */
	write_script(GET_READY "env | grep -v -e ^PWD= -e ^_= -e ^PATH= >&2\n"
			       "ls -v /proc/$$/fd >&2\n"
			       "read -r pid comm state parent group session rest < /proc/$$/stat\n"
			       "[ $session = $$ ] && echo own session >&2\n"
			       "echo \"$@\" >&2");
	start_bench(&bench, NULL);
	go_on(&bench);
	run_until_end(&bench);
	for (int fd = 0; fd < 5; fd++) {
		char text[8];

		snprintf(text, sizeof(text), ": %d\n", fd);
		expect_line(text);
	}
	do
		cr_assert_not_null(fgets(line, sizeof(line), cr_get_redirected_stderr()));
	while (strstr(line, ": 1") && strlen(line) == strlen("minivmm: --net: user: passt: 10\n"));
	cr_expect_not_null(strstr(line, ": own session"), "%s", line);
	expect_line(alone ? "--foreground --stderr --quiet --fd 3 --pid /proc/self/fd/4 --ipv4-only"
			  : "--foreground --stderr --quiet --fd 3 --pid /proc/self/fd/4\n");
	expect_line("exit status 0: no more network");
	close_bench(&bench);
	close(leak);
}

/* What a passt that does not get ready says is the reason that we give. */
static void expect_failed_start(const char *script, const char *why)
{
	struct bench bench;

	write_script(script);
	open_bench(&bench, NULL);
	cr_expect_eq(net_host_watch(&bench.host, &bench.loop), -ECHILD);
	expect_line(why);
	close_bench(&bench);
}

Test(net_passt_script, why_it_does_not_start_is_told_in_one_line)
{
	expect_failed_start("echo no interface >&2; echo giving up >&2; exit 1",
			    ": no interface; giving up\n");
	expect_failed_start("exit 3", ": exit status 3\n");
	expect_failed_start("kill -9 $$", ": killed by signal 9\n");
	expect_failed_start("echo \"Don't run as root. Changing to nobody...\" >&2\n"
			    "echo Failed to send 9 bytes to syslog >&2; echo really >&2",
			    ": really\n");
}

/* It is ready, so these are the lines of its later life. */
Test(net_passt_script, what_it_says_is_cut_and_limited)
{
	struct bench bench;
	char line[2048];
	int lines = 0;

	write_script(GET_READY "head -c 3000 /dev/zero | tr '\\0' x >&2\n"
			       "for i in 1 2 3 4 5 6 7 8 9 10; do echo line $i >&2; done; exit 5");
	start_bench(&bench, NULL);
	go_on(&bench);
	run_until_end(&bench);
	while (fgets(line, sizeof(line), cr_get_redirected_stderr()) &&
	       !strstr(line, "exit status 5")) {
		lines++;
		cr_expect_lt(strlen(line), NET_PASST_TEXT_MAX + 40);
	}
	cr_expect_eq(lines, LOG_LIMIT_BURST);
	close_bench(&bench);
}

Test(net_passt_script, one_that_does_not_end_by_itself_is_killed)
{
	struct bench bench;

	write_script("trap '' TERM; echo $$ >/proc/self/fd/4; while :; do sleep 1; done");
	start_bench(&bench, NULL);
	close_bench(&bench);
}
