/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/unit/mock_process.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "devices/core/backend.h"
#include "devices/core/log.h"
#include "devices/core/sandbox.h"
#include "devices/core/sanitizer.h"

#define GROWTH_MAX 4096 /* KiB */
/* Besides what a guest can cause: that the host side has gone, and why the process ends. */
#define LINES_MAX (DEVICE_LOG_GUEST_MAX + 4)

void mock_use_process(void)
{
	char self[PATH_MAX] = "", path[PATH_MAX + 16];

	cr_assert_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
	*strrchr(self, '/') = 0;
	snprintf(path, sizeof(path), "%s/minivmm-device", self);
	setenv("MINIVMM_DEVICE", path, 0);
	setenv("MINIVMM_DEVICE_SANDBOX", "full", 1);
}

bool mock_process_wanted(void)
{
	return getenv("MINIVMM_DEVICE") && getenv("MINIVMM_DEVICE_SANDBOX");
}

/* As minivmm has it, the process never waits for a reader. */
int mock_process_log(struct mock_frontend *fe)
{
	int pair[2];

	cr_assert_eq(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
	fe->log = pair[0];
	return pair[1];
}

#define MAX_ARGS (DEVICE_MAX_BACKENDS + 16)

static void run_executable(const char *path, const char *kind, const struct device_options *options,
			   int sock, bool confined)
{
	char control[24], backends[DEVICE_MAX_BACKENDS][24];
	const char *argv[MAX_ARGS + 1] = { path, kind, control };
	int argc = 3;

	fcntl(sock, F_SETFD, 0);
	snprintf(control, sizeof(control), "--control-fd=%d", sock);
	for (unsigned int i = 0; i < options->nr_backends; i++) {
		fcntl(options->backend_fds[i], F_SETFD, 0);
		snprintf(backends[i], sizeof(backends[i]), "--backend-fd=%d",
			 options->backend_fds[i]);
		argv[argc++] = backends[i];
	}
	if (!confined)
		argv[argc++] = "--sandbox=off";
	for (const char *const *setting = options->settings; setting && *setting && argc < MAX_ARGS;
	     setting++)
		argv[argc++] = *setting;
	execv(path, (char **)argv);
	_exit(127);
}

static bool is_backend(const struct device_options *options, int fd)
{
	for (unsigned int i = 0; i < options->nr_backends; i++) {
		if (options->backend_fds[i] == fd)
			return true;
	}
	return false;
}

/* A filter that lets everything through but the call that MOCK_WITHOUT names. */
static void take_call_away(void)
{
	const char *number = getenv(MOCK_WITHOUT);
	struct sandbox_filter filter = {
		.instructions = {
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		},
		.len = 4,
	};

	if (!number)
		return;
	filter.instructions[1].k = (uint32_t)strtoul(number, NULL, 10);
	if (sandbox_load_filter(&filter))
		_exit(1);
}

static int run_here(const char *kind, const struct device_options *options, int sock, bool confined,
		    bool foreign)
{
	struct device device;
	struct sandbox sandbox = { .full = confined, .keeps_mapping = foreign };
	struct backend backend = { .device = &device, .sandbox = &sandbox, .sock = sock };
	int fds[DEVICE_MAX_BACKENDS + 3];

	/* As at an exec: what the test has open is not the device's. */
	for (int fd = STDERR_FILENO + 1; fd < 256; fd++) {
		if (fd != sock && !is_backend(options, fd))
			close(fd);
	}
	if (device_create(&device, device_kind_find(kind), options))
		return 1;
	fds[0] = sock;
	fds[1] = device.loop.epoll_fd;
	for (unsigned int i = 0; i < device.nr_backends; i++)
		fds[2 + i] = device.backends[i].fd;
	fds[2 + device.nr_backends] = -1;
	sandbox.fds = fds;
	sandbox.syscalls = device.ops->syscalls;
	sandbox.ioctls = device.ops->ioctls;
	sandbox.later_fds = 3 * DEVICE_MAX_QUEUES + 2 + device.ops->max_fds +
			    (foreign ? VHOST_USER_MAX_FDS : 0);
	sandbox.writes_files = device.ops->writes_files;
	if (sandbox_enter(&sandbox))
		return 1;
	take_call_away();
	if (backend_run(&backend))
		return 1;
	device_destroy(&device);
	return 0;
}

static void write_file(pid_t pid, const char *name, const char *text)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		perror(path);
	close(fd);
}

/* Our user becomes root of the new user namespace, or exec would take the capabilities away. */
static void map_user(pid_t pid)
{
	char map[32];

	write_file(pid, "setgroups", "deny");
	snprintf(map, sizeof(map), "0 %d 1", geteuid());
	write_file(pid, "uid_map", map);
	snprintf(map, sizeof(map), "0 %d 1", getegid());
	write_file(pid, "gid_map", map);
}

static void run_device(const char *kind, const struct device_options *options, int sock,
		       bool confined, bool foreign, int log)
{
	/* It believes to serve minivmm on any socket that it is given. */
	const char *executable = foreign || getenv(MOCK_WITHOUT) ? NULL : getenv("MINIVMM_DEVICE");

	/* What a device says of bad messages would be all over the results; a missing layer is news. */
	if (log >= 0)
		dup2(log, STDERR_FILENO);
	else if (!confined)
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
	/* An executable has to do this by itself. */
	signal(SIGPIPE, executable ? SIG_DFL : SIG_IGN);
	signal(SIGXFSZ, executable ? SIG_DFL : SIG_IGN);
	if (executable)
		run_executable(executable, kind, options, sock, confined);
	_exit(run_here(kind, options, sock, confined, foreign));
}

void mock_process_start(struct mock_frontend *fe, const char *kind,
			const struct device_options *options, bool confined, bool foreign)
{
	int pair[2], gate[2], log = -1;
	char byte;

	if (!foreign && mock_process_wanted()) {
		confined = true;
		log = mock_process_log(fe);
	}
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(pipe2(gate, O_CLOEXEC), 0);
	fe->sock = pair[0];
	fe->pid = syscall(SYS_clone, (confined ? SANDBOX_NAMESPACES : 0) | SIGCHLD, 0, 0, 0, 0);
	cr_assert_geq(fe->pid, 0, "a process%s", confined ? " in namespaces of its own" : "");
	if (fe->pid == 0) {
		close(pair[0]);
		close(gate[1]);
		if (read(gate[0], &byte, 1) == 0)
			run_device(kind, options, pair[1], confined, foreign, log);
		_exit(126);
	}
	if (confined)
		map_user(fe->pid);
	close(gate[0]);
	close(gate[1]);
	close(pair[1]);
	if (log >= 0)
		close(log);
}

unsigned long mock_process_memory(const struct mock_frontend *fe)
{
	unsigned long kib = 0;
	char path[64], line[256];
	FILE *status;

	/* A sanitizer keeps what was freed. */
	if (fe->log < 0 || HAVE_SANITIZER)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/status", fe->pid);
	status = fopen(path, "re");
	while (status && fgets(line, sizeof(line), status)) {
		if (sscanf(line, "RssAnon: %lu kB", &kib) == 1)
			break;
	}
	if (status)
		fclose(status);
	return kib;
}

void mock_process_check_memory(const struct mock_frontend *fe)
{
	unsigned long now = mock_process_memory(fe);

	if (fe->memory)
		cr_expect_leq(now, fe->memory + GROWTH_MAX, "%lu KiB of memory, then %lu KiB",
			      fe->memory, now);
}

void mock_process_check_log(struct mock_frontend *fe)
{
	unsigned int lines = 0;
	char text[65536];
	ssize_t n;

	if (fe->log < 0)
		return;
	n = read(fe->log, text, sizeof(text));
	for (ssize_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	cr_expect_leq(lines, LINES_MAX, "%u lines: %.*s", lines, (int)n, text);
	close(fe->log);
	fe->log = -1;
}
