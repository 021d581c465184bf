/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Whole device processes inside the cage: what is seen of them, and that everything works. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/blk_bench.h"

static const struct device_options no_options = { 0 };
static struct mock_frontend fe;

/* The value of a line in /proc/PID/NAME that starts with @key. */
static void proc_value(const char *name, const char *key, char *value, size_t size)
{
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/%s", fe.pid, name);
	file = fopen(path, "r");
	cr_assert_not_null(file, "%s", path);
	value[0] = 0;
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, key, strlen(key)))
			snprintf(value, size, "%s", line + strlen(key));
	}
	fclose(file);
}

Test(device_confined, the_process_as_its_status_shows_it)
{
	static const struct {
		const char *key, *value;
	} lines[] = {
		{ "CapInh:\t", "0000000000000000\n" },
		{ "CapPrm:\t", "0000000000000000\n" },
		{ "CapEff:\t", "0000000000000000\n" },
		{ "CapBnd:\t", "0000000000000000\n" },
		{ "CapAmb:\t", "0000000000000000\n" },
		{ "NoNewPrivs:\t", "1\n" },
		{ "Seccomp:\t", "2\n" },
		{ "Threads:\t", "1\n" },
	};

	mock_start(&fe, "rng", &no_options, true);
	mock_connect(&fe, 1, 64);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char value[64];

		proc_value("status", lines[i].key, value, sizeof(value));
		cr_expect_str_eq(value, lines[i].value, "%s", lines[i].key);
	}
	cr_expect_eq(mock_stop(&fe), 0);
}

static unsigned int count_lines(const char *name, const char *needle)
{
	char path[64], line[256];
	unsigned int n = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/%s", fe.pid, name);
	file = fopen(path, "r");
	cr_assert_not_null(file, "%s", path);
	while (fgets(line, sizeof(line), file))
		n += strstr(line, needle) != NULL;
	fclose(file);
	return n;
}

static unsigned int count_entries(const char *name)
{
	unsigned int n = 0;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/%s", fe.pid, name);
	dir = opendir(path);
	cr_assert_not_null(dir, "%s", path);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

Test(device_confined, the_process_as_root_sees_it)
{
	if (geteuid() != 0)
		return; /* a process that cannot be dumped shows this to nobody else */
	mock_start(&fe, "rng", &no_options, true);
	mock_connect(&fe, 1, 64);
	cr_expect_eq(count_lines("maps", "rw-s"), 1, "one shared mapping");
	cr_expect_eq(count_lines("maps", "memfd:pool"), 1, "which is the pool");
	cr_expect_eq(count_lines("mounts", " "), 1);
	cr_expect_eq(count_entries("root"), 0);
	cr_expect_eq(count_entries("fd"), 3 + 2 + 3, "std, socket and epoll, kick, call and err");
	cr_expect_eq(mock_stop(&fe), 0);
}

static void work_inside(const char *kind, const struct device_options *options,
			unsigned int nr_queues)
{
	mock_start(&fe, kind, options, true);
	mock_connect(&fe, nr_queues, 64);
	/* Descriptors come and go at the limit. */
	for (int reset = 0; reset < 5; reset++) {
		for (unsigned int q = 0; q < nr_queues; q++) {
			mock_stop_queue(&fe, q);
			mock_start_queue(&fe, q, 64);
		}
	}
	mock_report(&fe);
	cr_expect_eq(mock_stop(&fe), 0, "%s", kind);
}

static int open_file(void)
{
	return open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

static int open_socket(void)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	return pair[1];
}

Test(device_confined, every_device_works_inside)
{
	static const struct {
		const char *kind;
		int (*open_backend)(void);
		unsigned int nr_backends;
		unsigned int nr_queues;
		const char *settings[3];
	} cases[] = {
		{ "blk", open_file, 1, 16, { "queues=16", "queue-size=1024" } },
		{ "console", open_socket, 1, 2, { NULL } },
		{ "net", open_socket, 1, 3, { NULL } },
		{ "rng", NULL, 0, 1, { NULL } },
		{ "vsock", open_socket, 2, 3, { "cid=3" } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int fds[DEVICE_MAX_BACKENDS];
		const struct device_options options = { fds, cases[i].nr_backends,
							cases[i].settings };

		for (unsigned int n = 0; n < cases[i].nr_backends; n++)
			fds[n] = cases[i].open_backend();
		work_inside(cases[i].kind, &options, cases[i].nr_queues);
	}
}

/* Its heap is larger than glibc keeps by itself, and may not be given back in the sandbox. */
Test(device_confined, the_executable_ends_in_good_order)
{
	const int fd = open_socket();
	const struct device_options options = { .backend_fds = &fd, .nr_backends = 1 };

	setenv("MINIVMM_DEVICE", "build/minivmm-device", 0);
	work_inside("net", &options, 3);
}

/* A request of @type in so many pieces; what has ranges as its data gets one of eight sectors. */
static void request_inside(uint32_t type, uint16_t pieces)
{
	struct mock_driver *driver = &fe.queues[0];
	struct virtq_desc *table = mock_desc_table(driver);
	uint64_t at = mock_alloc(driver, 2048);
	uint32_t len = (type == 13 ? 16 : 1024) / pieces;
	uint16_t flags = type == 1 || type >= 11 ? 1 : 1 | VIRTQ_DESC_F_WRITE;

	memcpy(mock_ptr(driver, at), &type, 4);
	memcpy(mock_ptr(driver, at + 512 + 8), &(uint32_t){ 8 }, 4);
	mock_set_desc(table, 0, (struct virtq_desc){ at, 16, 1, 1 });
	for (uint16_t i = 0; i < pieces; i++)
		mock_set_desc(table, 1 + i,
			      (struct virtq_desc){ at + 512 + i * len, len, flags, 2 + i });
	mock_set_desc(table, 1 + pieces, (struct virtq_desc){ at + 16, 1, VIRTQ_DESC_F_WRITE, 0 });
	mock_submit(driver, 0);
	mock_complete(&fe, 0);
}

/* One request of each type: no system call may be missing. */
Test(device_confined, blk_requests_inside)
{
	static const char *const settings[][2] = { { "cache=writeback" }, { "cache=none" } };

	for (size_t i = 0; i < 2; i++) {
		int file = blk_bench_direct_file(128);
		const struct device_options options = { &file, 1, settings[i] };
		struct vhost_user_config config = { .size = 8 };

		mock_start(&fe, "blk", &options, true);
		mock_connect(&fe, 1, 64);
		for (uint32_t type = 0; type < 15; type++) {
			for (uint16_t pieces = 1; pieces <= 2; pieces++)
				request_inside(type, pieces);
		}
		mock_send(&fe, VHOST_USER_GET_CONFIG, 0, &config, 12 + 8, -1);
		cr_assert(mock_reply(&fe, VHOST_USER_GET_CONFIG, &config, 12 + 8));
		cr_expect_eq(mock_stop(&fe), 0);
		close(file);
	}
}

Test(device_confined, console_works_inside)
{
	int pair[2];
	char got[8] = "";
	uint64_t addr;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	const struct device_options options = { &pair[1], 1, NULL };

	mock_start(&fe, "console", &options, true);
	mock_connect(&fe, 2, 64);
	mock_submit_buffer(&fe.queues[0], 0, 64, VIRTQ_DESC_F_WRITE);
	mock_kick(&fe, 0);
	cr_assert_eq(write(pair[0], "in", 2), 2);
	cr_expect_eq(mock_wait_used(&fe, 0).len, 2);
	addr = mock_submit_buffer(&fe.queues[1], 0, 3, 0);
	memcpy(mock_ptr(&fe.queues[1], addr), "out", 3);
	mock_complete(&fe, 1);
	cr_expect_eq(read(pair[0], got, 3), 3);
	cr_expect_str_eq(got, "out");
	cr_expect_eq(mock_stop(&fe), 0);
}

/* Saying why and ending needs system calls, too. */
Test(device_confined, a_bad_message_inside)
{
	int status;

	mock_start(&fe, "rng", &no_options, true);
	mock_connect(&fe, 1, 64);
	mock_send(&fe, VHOST_USER_SET_VRING_NUM, 0, "\0\0\0\0\3\0\0\0", 8, -1);
	status = mock_wait(&fe);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1, "%#x", status);
}

Test(device_confined, a_violation_inside)
{
	mock_start(&fe, "rng", &no_options, true);
	mock_connect(&fe, 1, 64);
	mock_set_desc(mock_desc_table(&fe.queues[0]), 0,
		      (struct virtq_desc){ 0, 16, VIRTQ_DESC_F_WRITE, 0 });
	mock_submit(&fe.queues[0], 0);
	mock_kick(&fe, 0);
	cr_expect(mock_signalled(fe.err[0], MOCK_TIMEOUT));
	cr_expect_eq(mock_report(&fe).nr_violations, 1);
	cr_expect_eq(mock_stop(&fe), 0);
}

Test(device_confined, dies_with_its_parent)
{
	struct vhost_user_msg msg = { .hdr = { VHOST_USER_SET_OWNER, VHOST_USER_VERSION, 0 } };
	uint64_t features = 0;
	pid_t parent;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	parent = fork();
	if (parent == 0) {
		mock_start(&fe, "rng", &no_options, true);
		msg.fds[0] = fe.sock;
		msg.nr_fds = 1;
		vhost_user_send(pair[1], &msg);
		for (;;)
			pause();
	}
	close(pair[1]);
	cr_assert_eq(vhost_user_recv(pair[0], &msg, MOCK_TIMEOUT), 1);
	cr_assert_eq(msg.nr_fds, 1);
	fe.sock = msg.fds[0];
	features = mock_get_u64(&fe, VHOST_USER_GET_FEATURES);
	cr_expect_neq(features, 0, "it lives");
	kill(parent, SIGKILL);
	waitpid(parent, NULL, 0);
	/* We hold the connection open, so it is no end of file that ends the device. */
	cr_expect_eq(vhost_user_recv(fe.sock, &msg, MOCK_TIMEOUT), 0);
}
