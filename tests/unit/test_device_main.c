/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The executable's command line, and its life on a socket of its own. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/proto/version.h"
#include "devices/proto/vhost_user.h"

#define MAX_ARGS 8

static const char *executable(void)
{
	const char *path = getenv("MINIVMM_DEVICE");

	return path ? path : "build/minivmm-device";
}

/* Starts it with both output streams on a pipe. */
static pid_t start(const char *const *args, int *output)
{
	const char *argv[MAX_ARGS + 2] = { executable() };
	int pair[2];
	pid_t pid;

	for (int i = 0; i < MAX_ARGS && args[i]; i++)
		argv[i + 1] = args[i];
	cr_assert_eq(pipe(pair), 0);
	pid = fork();
	if (pid == 0) {
		dup2(pair[1], STDOUT_FILENO);
		dup2(pair[1], STDERR_FILENO);
		close(pair[0]);
		close(pair[1]);
		execv(argv[0], (char **)argv);
		_exit(127);
	}
	close(pair[1]);
	*output = pair[0];
	return pid;
}

/* Runs it to its end; returns the exit status and the output. */
static int run(const char *const *args, char *text, size_t size)
{
	size_t done = 0;
	int output, status;
	ssize_t n;
	pid_t pid = start(args, &output);

	while ((n = read(output, text + done, size - 1 - done)) > 0)
		done += n;
	text[done] = 0;
	close(output);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status), "%s", text);
	return WEXITSTATUS(status);
}

Test(device_main, usage_errors_are_one_line_that_names_the_option)
{
	static const struct {
		const char *args[MAX_ARGS];
		const char *named;
	} cases[] = {
		{ { NULL }, "KIND" },
		{ { "floppy", "--socket-path", "/nonexistent/s" }, "floppy" },
		{ { "rng", "blk", "--socket-path", "/nonexistent/s" }, "blk: no such setting" },
		{ { "blk", "r", "--socket-path", "/nonexistent/s" }, "r: no such setting" },
		{ { "blk", "=", "--socket-path", "/nonexistent/s" }, "=: no such setting" },
		{ { "blk", "ro", "ro", "--socket-path", "/nonexistent/s" }, "ro: given twice" },
		{ { "blk", "serial=a", "serial=b", "--socket-path", "/nonexistent/s" },
		  "serial=b: given twice" },
		{ { "rng" }, "--control-fd" },
		{ { "rng", "--control-fd", "0", "--socket-path", "/s" }, "--control-fd" },
		{ { "rng", "--control-fd", "" }, "--control-fd" },
		{ { "rng", "--control-fd", "x" }, "--control-fd" },
		{ { "rng", "--control-fd", "2" }, "--control-fd" },
		{ { "rng", "--control-fd", "-3" }, "--control-fd" },
		{ { "rng", "--control-fd", "1000" }, "--control-fd" },
		{ { "rng", "--control-fd", "4294967296" }, "--control-fd" },
		{ { "rng", "--control-fd", "99999999999999999999" }, "--control-fd" },
		{ { "rng", "--control-fd" }, "control-fd" },
		{ { "rng", "--backend-fd", "1000" }, "--backend-fd" },
		{ { "rng", "--socket-path", "/nonexistent/s", "--file", "/dev/null" }, "--file" },
		{ { "blk", "--socket-path", "/nonexistent/s" }, "--backend-fd" },
		{ { "console", "--socket-path", "/nonexistent/s" }, "--backend-fd" },
		{ { "blk", "--sandbox=on" }, "--sandbox" },
		{ { "blk", "--sandbox" }, "sandbox" },
		{ { "blk", "--bogus" }, "bogus" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[1024];

		cr_expect_eq(run(cases[i].args, text, sizeof(text)), 2, "case %zu: %s", i, text);
		cr_expect_not_null(strstr(text, cases[i].named), "case %zu: %s", i, text);
		cr_expect(strchr(text, '\n') == text + strlen(text) - 1, "case %zu: %s", i, text);
	}
}

Test(device_main, help_and_version)
{
	char text[4096];

	cr_expect_eq(run((const char *[MAX_ARGS]){ "--version" }, text, sizeof(text)), 0);
	cr_expect_str_eq(text, "minivmm-device " MINIVMM_VERSION "\n");
	cr_expect_eq(run((const char *[MAX_ARGS]){ "--help" }, text, sizeof(text)), 0);
	cr_expect_not_null(strstr(text, "--socket-path"));
	cr_expect_not_null(strstr(text, "blk"));
}

Test(device_main, files_that_cannot_be_used)
{
	static const struct {
		const char *args[MAX_ARGS];
		const char *named;
	} cases[] = {
		{ { "blk", "--socket-path", "/nonexistent/s", "--file", "/nonexistent/f" },
		  "/nonexistent/f" },
		{ { "rng", "--socket-path", "/nonexistent/s" }, "/nonexistent/s" },
		{ { "rng", "--socket-path",
		    "/1234567890123456789012345678901234567890123456789012345678901234567890"
		    "1234567890123456789012345678901234567890" },
		  "/1234567890" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[1024];

		cr_expect_eq(run(cases[i].args, text, sizeof(text)), 1, "case %zu: %s", i, text);
		cr_expect_not_null(strstr(text, cases[i].named), "case %zu: %s", i, text);
		cr_expect(strchr(text, '\n') == text + strlen(text) - 1, "case %zu: %s", i, text);
	}
}

static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	for (int ms = 0; ms < 2000; ms += 5) {
		if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) == 0)
			return sock;
		usleep(5000);
	}
	cr_assert_fail("cannot connect: %s", strerror(errno));
	return -1;
}

static void expect_features(int sock)
{
	struct vhost_user_msg msg = { .hdr = { VHOST_USER_GET_FEATURES, VHOST_USER_VERSION, 0 } };

	cr_assert_eq(vhost_user_send(sock, &msg), 0);
	cr_assert_eq(vhost_user_recv(sock, &msg, 2000), 1);
	cr_expect_eq(msg.payload.u64 >> 28, 0x17);
}

/* Serves one after the other, each in a sandbox of its own; a bad one ends only itself. */
static void serve_three(const char *const *args, const char *path)
{
	struct vhost_user_msg bad = { .hdr = { 0, VHOST_USER_VERSION, 0 } };
	int output, sock;
	pid_t pid = start(args, &output);

	sock = connect_to(path);
	expect_features(sock);
	close(sock);
	sock = connect_to(path);
	cr_assert_eq(vhost_user_send(sock, &bad), 0);
	cr_expect_eq(vhost_user_recv(sock, &bad, 2000), 0);
	close(sock);
	sock = connect_to(path);
	expect_features(sock);
	close(sock);
	cr_expect_eq(waitpid(pid, NULL, WNOHANG), 0, "still there");
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	close(output);
}

Test(device_main, serves_one_front_end_after_the_other)
{
	char dir[] = "/tmp/minivmm-device-XXXXXX", path[64], file[64];
	int fd;

	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sock", dir);
	snprintf(file, sizeof(file), "%s/disk", dir);
	fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert_eq(ftruncate(fd, 65536), 0);
	close(fd);
	serve_three((const char *[MAX_ARGS]){ "rng", "--socket-path", path }, path);
	/* The socket is still there: a stale one is no obstacle. */
	serve_three((const char *[MAX_ARGS]){ "blk", "--socket-path", path, "--file", file,
					      "--sandbox=off" },
		    path);
	unlink(path);
	unlink(file);
	rmdir(dir);
}
