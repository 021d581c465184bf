/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the process of the console device is started with. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/fd_count.h"
#include "vmm/exit_status.h"
#include "vmm/ports.h"

#define CONSOLE_FD 1000

static char folder[] = "/tmp/ports-XXXXXX";
static char file_path[] = "file", pipe_path[] = "pipe", socket_path[] = "socket";
static char no_path[] = "none/file";
static struct config config;
static struct device_host host;
static struct device_parts parts;

static void set_up(void)
{
	cr_assert_not_null(mkdtemp(folder));
	cr_assert_eq(chdir(folder), 0);
	cr_assert_eq(mkfifo("pipe.in", 0600), 0);
	cr_assert_eq(mkfifo("pipe.out", 0600), 0);
}

static void tear_down(void)
{
	unlink("pipe.in");
	unlink("pipe.out");
	unlink("file");
	cr_expect_eq(rmdir(folder), 0, "something was left behind");
}

TestSuite(ports, .init = set_up, .fini = tear_down);

static void add(const char *name, enum config_stream_kind kind, char *path)
{
	struct config_port *port = &config.ports[config.nr_ports++];

	snprintf(port->name, sizeof(port->name), "%s", name);
	port->stream = (struct config_stream){ .kind = kind, .path = path };
}

static void close_all(void)
{
	for (size_t i = 0; i < host.nr_ports; i++)
		stream_close(&host.ports[i]);
}

static void expect_settings(const char *names, const char *inputs)
{
	cr_expect_str_eq(parts.settings[0], names);
	if (inputs)
		cr_expect_str_eq(parts.settings[1], inputs);
	cr_expect_eq(parts.nr_settings, inputs ? 2 : 1);
	cr_expect_null(parts.settings[parts.nr_settings]);
}

Test(ports, the_console_alone)
{
	add("", CONFIG_STREAM_STDIO, NULL);
	cr_expect_eq(ports_open(&host, &config, CONSOLE_FD, &parts), 0);
	cr_expect_eq(parts.nr_fds, 1);
	cr_expect_eq(parts.fds[0], CONSOLE_FD);
	cr_expect_eq(host.nr_ports, 0, "nothing is ours");
	expect_settings("names=", NULL);
}

Test(ports, the_console_in_a_file)
{
	add("", CONFIG_STREAM_FILE, file_path);
	cr_expect_eq(ports_open(&host, &config, -1, &parts), 0);
	cr_expect_eq(write(parts.fds[0], "x", 1), 1);
	close_all();
}

Test(ports, all_kinds)
{
	unsigned int before = fd_count();

	add("", CONFIG_STREAM_STDIO, NULL);
	add("log", CONFIG_STREAM_FILE, file_path);
	add("pipe", CONFIG_STREAM_PIPE, pipe_path);
	add("agent", CONFIG_STREAM_SOCKET, socket_path);
	add("org.minivmm.exit", CONFIG_STREAM_EXIT, NULL);
	cr_assert_eq(ports_open(&host, &config, CONSOLE_FD, &parts), 0);
	cr_assert_eq(host.nr_ports, 4);
	cr_assert_eq(parts.nr_fds, 6);
	cr_expect_eq(parts.fds[0], CONSOLE_FD);
	for (size_t i = 0; i < 4; i++)
		cr_expect_eq(parts.fds[1 + i], host.ports[i].fd, "port %zu", 1 + i);
	cr_expect_eq(parts.fds[5], host.ports[1].input_fd);
	expect_settings("names=:log:pipe:agent:org.minivmm.exit", "inputs=2");
	close_all();
	cr_expect_eq(fd_count(), before);
}

Test(ports, as_many_as_there_can_be)
{
	char name[CONFIG_PORT_NAME_MAX + 1] = "";

	memset(name, 'n', CONFIG_PORT_NAME_MAX);
	for (int i = 0; i < CONFIG_MAX_PORTS; i++) {
		name[0] = 'a' + i;
		add(name, CONFIG_STREAM_PIPE, pipe_path);
	}
	cr_assert_eq(ports_open(&host, &config, -1, &parts), 0);
	cr_expect_eq(parts.nr_fds, 2 * CONFIG_MAX_PORTS);
	cr_expect_str_eq(parts.settings[1], "inputs=0:1:2:3:4:5:6:7");
	cr_expect_eq(strlen(parts.settings[0]), strlen("names=") + 8 * 32 - 1);
	close_all();
}

Test(ports, one_that_cannot_be_opened)
{
	unsigned int before = fd_count();
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	dup2(null, STDERR_FILENO);
	close(null);
	add("socket", CONFIG_STREAM_SOCKET, socket_path);
	add("file", CONFIG_STREAM_FILE, no_path);
	cr_expect_eq(ports_open(&host, &config, -1, &parts), EXIT_STATUS_INPUT);
	close_all();
	cr_expect_eq(fd_count(), before);
	cr_expect_eq(access("socket", F_OK), -1);
}
