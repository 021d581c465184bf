/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The executables themselves where something is missing that every process has, or too much is there:
 * standard descriptors, descriptors at all, memory, processes.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/core/sanitizer.h"
#include "devices/proto/vhost_user.h"
#include "tests/unit/fd_count.h"
#include "tests/unit/process_bench.h"
#include "tests/unit/test_boot_support.h"

#define INPUT	     111
#define DEVICE_ERROR 1
#define MANY_FDS     10000
#define DISK_SIZE    65536

TestSuite(refused_surroundings, .init = process_bench_enter, .fini = process_bench_leave,
	  .timeout = 120);

static const char *const dump[] = { "-k", "kernel", "--dump-dtb", "dtb", NULL };
static const char *const no_kernel[] = { "-k", "absent", "--dump-dtb", "dtb", NULL };
static const char *const serve_disk[] = {
	"blk", "--socket-path", "socket", "--file", "disk", NULL
};

static void make_kernel(void)
{
	uint8_t file[TEST_BZIMAGE_SIZE];

	test_bzimage_init(file);
	process_bench_file("kernel", file, sizeof(file), sizeof(file));
}

static void make_disk(void)
{
	static uint8_t bytes[DISK_SIZE];

	memset(bytes, 0xa5, sizeof(bytes));
	process_bench_file("disk", bytes, sizeof(bytes), sizeof(bytes));
}

static void expect_disk_unchanged(const char *what)
{
	static uint8_t bytes[DISK_SIZE + 1];
	int fd = open("disk", O_RDONLY | O_CLOEXEC);

	cr_assert_eq(read(fd, bytes, sizeof(bytes)), DISK_SIZE, "%s", what);
	close(fd);
	for (size_t i = 0; i < DISK_SIZE; i++)
		cr_assert_eq(bytes[i], 0xa5, "%s: byte %zu", what, i);
}

/* @opaque: a mask of the descriptors 0 to 2. */
static void close_some(const void *opaque)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (*(const unsigned int *)opaque & 1u << fd)
			close(fd);
}

/* Line 160. What is opened next must not become standard output, or the log. */
Test(refused_surroundings, standard_descriptors_that_are_closed)
{
	make_kernel();
	for (unsigned int mask = 0; mask < 8; mask++) {
		struct process process = { MINIVMM, dump, close_some, &mask };
		char *before = process_bench_snapshot();
		struct process_end end;
		char *after;

		process_bench_run(&process, &end);
		cr_expect_eq(end.status, 0, "mask %u: %s", mask, end.err);
		cr_expect_eq(unlink("dtb"), 0);
		process.args = no_kernel;
		process_bench_run(&process, &end);
		cr_expect_eq(end.status, INPUT, "mask %u: %s", mask, end.err);
		cr_expect_eq(end.err[0] == '\0', mask >> STDERR_FILENO & 1);
		after = process_bench_snapshot();
		cr_expect_str_eq(after, before);
		free(before);
		free(after);
	}
}

/* Connects to "socket" as soon as somebody listens there, or gives up. */
static int connect_to_server(void)
{
	const struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "socket" };

	for (int ms = 0; ms < 5000; ms += 10) {
		int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (connect(sock, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
			return sock;
		close(sock);
		usleep(10000);
	}
	return -1;
}

/* A question that it answers, and a message that it has to complain of. */
static void ask_and_annoy(int sock, const char *what)
{
	struct vhost_user_msg msg = { .hdr = { VHOST_USER_GET_FEATURES, VHOST_USER_VERSION, 0 } };
	struct vhost_user_msg bad = { .hdr = { 0, VHOST_USER_VERSION, 0 } };

	cr_expect_eq(vhost_user_send(sock, &msg), 0, "%s", what);
	cr_expect_eq(vhost_user_recv(sock, &msg, 10000), 1, "%s", what);
	cr_expect_eq(vhost_user_send(sock, &bad), 0, "%s", what);
	cr_expect_eq(vhost_user_recv(sock, &bad, 10000), 0, "%s", what);
}

static void end_server(pid_t pid)
{
	int status;

	kill(pid, SIGTERM);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "status %#x", status);
	/* Those of its children that outlived it are ours now. */
	while (waitpid(-1, NULL, 0) > 0)
		;
}

/* The log would go into the image. */
Test(refused_surroundings, a_device_process_without_standard_descriptors)
{
	make_disk();
	for (unsigned int mask = 0; mask < 8; mask++) {
		const struct process process = { MINIVMM_DEVICE, serve_disk, close_some, &mask };
		pid_t pid = process_bench_start(&process, NULL);
		char what[32];
		int sock = connect_to_server();

		snprintf(what, sizeof(what), "mask %u", mask);
		cr_assert_geq(sock, 0, "%s", what);
		ask_and_annoy(sock, what);
		close(sock);
		end_server(pid);
		expect_disk_unchanged(what);
	}
}

#if !HAVE_SANITIZER /* whose run-time needs descriptors, too */

/* @opaque: how many descriptors there may be. */
static void limit_fds(const void *opaque)
{
	const rlim_t number = *(const rlim_t *)opaque;
	const struct rlimit limit = { number, number };

	if (setrlimit(RLIMIT_NOFILE, &limit))
		_exit(125);
}

/* One line, and a status of ours; or the dynamic linker's, which cannot open a library. */
static void expect_one_line(const struct process_end *end, rlim_t number)
{
	const char *newline = strchr(end->err, '\n');

	cr_expect(newline && !newline[1], "limit %lu: %s", number, end->err);
	cr_expect(end->status == INPUT || end->status == 127, "limit %lu: %d: %s", number,
		  end->status, end->err);
}

Test(refused_surroundings, too_few_descriptors)
{
	bool good = false;

	make_kernel();
	for (rlim_t number = 3; number <= 8; number++) {
		const struct process process = { MINIVMM, dump, limit_fds, &number };
		struct process_end end;

		process_bench_run(&process, &end);
		/* Once there are enough there are. */
		cr_expect(end.status == 0 || !good, "limit %lu: %s", number, end.err);
		good = end.status == 0;
		if (!good)
			expect_one_line(&end, number);
	}
	cr_expect(good, "8 descriptors are enough");
}

/* It listens, or says in one line why not; and leaves a socket only where it listens. */
static bool serves(const struct process *process, const char *what)
{
	char line[512];
	int err, sock, status;
	ssize_t n;
	pid_t pid = process_bench_start(process, &err);
	struct stat st;

	for (int ms = 0; ms < 5000; ms += 10) {
		if (waitpid(pid, &status, WNOHANG) == pid) {
			n = read(err, line, sizeof(line) - 1);
			close(err);
			line[n > 0 ? n : 0] = '\0';
			cr_expect_eq(strchr(line, '\n'), line + strlen(line) - 1, "%s: %s", what,
				     line);
			cr_expect(WIFEXITED(status), "%s: %#x", what, status);
			cr_expect_lt(lstat("socket", &st), 0, "%s: a socket is left", what);
			return false;
		}
		if (lstat("socket", &st) == 0)
			break;
		usleep(10000);
	}
	sock = connect_to_server();
	cr_expect_geq(sock, 0, "%s", what);
	close(sock);
	/* Without descriptors for the connection it ends by itself. */
	for (int ms = 0; ms < 100 && waitpid(pid, &status, WNOHANG) == 0; ms += 10)
		usleep(10000);
	if (kill(pid, SIGTERM) == 0)
		waitpid(pid, NULL, 0);
	while (waitpid(-1, NULL, 0) > 0)
		;
	close(err);
	unlink("socket");
	return true;
}

Test(refused_surroundings, too_few_descriptors_for_a_device_process)
{
	bool good = false;

	make_disk();
	for (rlim_t number = 4; number <= 8; number++) {
		const struct process process = { MINIVMM_DEVICE, serve_disk, limit_fds, &number };
		char what[32];

		snprintf(what, sizeof(what), "limit %lu", number);
		good = serves(&process, what);
		expect_disk_unchanged(what);
	}
	cr_expect(good, "8 descriptors are enough to listen");
}

#endif

static void inherit_many(const void *opaque)
{
	struct rlimit limit;

	(void)opaque;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		_exit(125);
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		_exit(125);
	for (int i = 0; i < MANY_FDS; i++)
		if (dup(STDIN_FILENO) < 0)
			break;
}

static unsigned int count_fds_of(pid_t pid)
{
	char path[64];
	unsigned int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count ? count - 2 : 0;
}

/* The first child of @pid, or 0. */
static pid_t child_of(pid_t pid)
{
	char path[64];
	int child = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	file = fopen(path, "re");
	if (file && fscanf(file, "%d", &child) != 1)
		child = 0;
	if (file)
		fclose(file);
	return child;
}

/* They do no harm, and no device process has one of them. */
Test(refused_surroundings, very_many_inherited_descriptors)
{
	const struct process dumping = { MINIVMM, dump, inherit_many, NULL };
	const struct process serving = { MINIVMM_DEVICE, serve_disk, inherit_many, NULL };
	struct process_end end;
	pid_t pid, child;
	int sock;

	make_kernel();
	make_disk();
	process_bench_run(&dumping, &end);
	cr_expect_eq(end.status, 0, "%s", end.err);
	pid = process_bench_start(&serving, NULL);
	sock = connect_to_server();
	cr_assert_geq(sock, 0);
	{
		struct vhost_user_msg msg = {
			.hdr = { VHOST_USER_GET_FEATURES, VHOST_USER_VERSION, 0 },
		};

		cr_expect_eq(vhost_user_send(sock, &msg), 0);
		cr_expect_eq(vhost_user_recv(sock, &msg, 10000), 1);
	}
	child = child_of(pid);
	cr_expect_gt(count_fds_of(pid), 100, "the test has given it some");
	/* Three standard ones, the disk, the connection and the event loop. */
	cr_expect_leq(count_fds_of(child), 6, "%u descriptors", count_fds_of(child));
	close(sock);
	end_server(pid);
}

static void few_processes(const void *opaque)
{
	const struct rlimit limit = { 0, 0 };

	(void)opaque;
	/* A sanitizer looks for leaks in a process of its own, and cannot have one either. */
	setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
	if (setgid(65533) || setuid(65533) || setrlimit(RLIMIT_NPROC, &limit))
		_exit(125);
}

/* As an ordinary user, because the limit does not count for root. */
Test(refused_surroundings, no_more_processes)
{
	static const char *const args[] = { "rng", "--socket-path", "socket", NULL };
	const struct process process = { MINIVMM_DEVICE, args, few_processes, NULL };

	if (geteuid() != 0)
		cr_skip_test("only root can become another user");
	process_bench_expect_refused(&process, DEVICE_ERROR,
				     "fork: Resource temporarily unavailable");
}

static void full_stderr(const void *opaque)
{
	static char text[PIPE_BUF];
	int pair[2];

	(void)opaque;
	if (pipe2(pair, O_NONBLOCK))
		_exit(125);
	while (write(pair[1], text, sizeof(text)) > 0)
		;
	fcntl(pair[1], F_SETFL, 0);
	dup2(pair[1], STDERR_FILENO);
	close(pair[1]);
}

/* The reading end is open, and nobody reads. */
Test(refused_surroundings, a_full_pipe_for_stderr)
{
	const struct process process = { MINIVMM, no_kernel, full_stderr, NULL };
	struct process_end end;

	process_bench_run(&process, &end);
	cr_expect_eq(end.status, INPUT);
}

/* A file that can take nothing: no tree, no success. */
Test(refused_surroundings, a_full_device_for_the_tree)
{
	make_kernel();
	process_bench_expect_words_refused(MINIVMM, "-k kernel --dump-dtb /dev/full", INPUT,
					   "--dump-dtb: /dev/full: No space left on device");
	process_bench_expect_words_refused(MINIVMM, "-k kernel --dump-dtb /", INPUT,
					   "--dump-dtb: /: Is a directory");
	process_bench_expect_words_refused(MINIVMM, "-k kernel --events nowhere/e --dump-dtb dtb",
					   INPUT, "--events: nowhere/e: No such file");
}
