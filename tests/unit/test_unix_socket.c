/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Connecting to a path, and listening at one where something may be already. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/fd_count.h"
#include "tests/unit/unix_peer.h"
#include "vmm/unix_socket.h"

static struct unix_listener listener;
static char dir[64];
static char path[80];
static char elsewhere[80];
static unsigned int fds_before;

static void set_up(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/listener-XXXXXX", tmp ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/x", dir);
	snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", dir);
	fds_before = fd_count();
}

static void tear_down(void)
{
	cr_expect_eq(fd_count(), fds_before, "descriptors");
	unlink(elsewhere);
	cr_expect_eq(rmdir(dir), 0, "something is left behind");
}

TestSuite(unix_listener, .init = set_up, .fini = tear_down);

/* What is at the path; each returns a descriptor to close after the attempt, or -1. */
static int put_nothing(void)
{
	return -1;
}

static int put_stale_socket(void)
{
	close(unix_bind(path, SOCK_STREAM));
	return -1;
}

static int put_server(void)
{
	int fd = unix_bind(path, SOCK_STREAM);

	cr_assert_eq(listen(fd, 1), 0);
	return fd;
}

/* Its backlog is full. */
static int put_busy_server(void)
{
	const struct sockaddr_un addr = unix_address(path);
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = unix_bind(path, SOCK_STREAM);

	cr_assert_eq(listen(fd, 0), 0);
	cr_assert_eq(connect(client, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	close(client);
	return fd;
}

static int put_datagram_socket(void)
{
	return unix_bind(path, SOCK_DGRAM);
}

static int put_file(void)
{
	return open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
}

static int put_directory(void)
{
	cr_assert_eq(mkdir(path, 0700), 0);
	return -1;
}

static int put_symlink_to_stale_socket(void)
{
	close(unix_bind(elsewhere, SOCK_STREAM));
	cr_assert_eq(symlink(elsewhere, path), 0);
	return -1;
}

Test(unix_listener, what_is_there_already)
{
	static const struct {
		int (*put)(void);
		int result;
	} cases[] = {
		{ put_nothing, 0 },
		{ put_stale_socket, 0 },
		{ put_server, -EADDRINUSE },
		{ put_busy_server, -EADDRINUSE },
		{ put_datagram_socket, -EADDRINUSE },
		{ put_file, -EEXIST },
		{ put_directory, -EEXIST },
		{ put_symlink_to_stale_socket, -EEXIST },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int fd = cases[i].put();
		int rc = unix_listener_open(&listener, path, 1);

		cr_expect_eq(rc, cases[i].result, "case %zu: %d", i, rc);
		unix_listener_close(&listener);
		if (fd >= 0)
			close(fd);
		/* What was refused is still there; what was made is not. */
		cr_expect_eq(remove(path), rc ? 0 : -1, "case %zu", i);
	}
}

Test(unix_listener, clients_until_it_is_handed_over)
{
	const struct sockaddr_un addr = unix_address(path);
	int first = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int second = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(unix_listener_open(&listener, path, 4), 0);
	cr_expect(fcntl(listener.fd, F_GETFL) & O_NONBLOCK);
	cr_expect_eq(connect(first, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	unix_listener_hand_over(&listener);
	cr_expect_eq(listener.fd, -1);
	cr_expect_eq(connect(second, (const struct sockaddr *)&addr, sizeof(addr)), -1);
	cr_expect_eq(access(path, F_OK), 0);
	unix_listener_close(&listener);
	cr_expect_eq(access(path, F_OK), -1);
	unix_listener_close(&listener);
	close(first);
	close(second);
}

Test(unix_listener, a_path_that_leads_nowhere)
{
	char missing[96];

	snprintf(missing, sizeof(missing), "%s/none/x", dir);
	cr_expect_eq(unix_listener_open(&listener, missing, 1), -ENOENT);
}

Test(unix_listener, the_longest_path)
{
	char longest[109];

	memset(longest, 'x', sizeof(longest));
	memcpy(longest, path, strlen(path));
	longest[108] = '\0';
	cr_expect_eq(unix_listener_open(&listener, longest, 1), -ENAMETOOLONG);
	longest[107] = '\0';
	cr_expect_eq(unix_listener_open(&listener, longest, 1), 0);
	unix_listener_close(&listener);
}

/* At once, so that it may well have the same inode number, were ours not held. */
Test(unix_listener, a_socket_that_somebody_else_has_put_there)
{
	int fd;

	cr_assert_eq(unix_listener_open(&listener, path, 1), 0);
	unix_listener_hand_over(&listener);
	cr_assert_eq(unlink(path), 0);
	fd = unix_bind(path, SOCK_STREAM);
	unix_listener_close(&listener);
	cr_expect_eq(unlink(path), 0, "it is not ours to remove");
	close(fd);
}

Test(unix_listener, problems_in_words)
{
	cr_expect_str_eq(unix_listener_problem(-EEXIST), "exists, and is not a socket");
	cr_expect_str_eq(unix_listener_problem(-EADDRINUSE), "somebody listens there already");
	cr_expect_str_eq(unix_listener_problem(-ENOENT), strerror(ENOENT));
}

Test(unix_connect, what_is_there_to_connect_to, .init = set_up, .fini = tear_down)
{
	static char too_long[200];
	int server, first;

	memset(too_long, 'x', sizeof(too_long) - 1);
	cr_expect_eq(unix_connect(path), -ENOENT);
	cr_expect_eq(unix_connect(too_long), -ENAMETOOLONG);
	close(open(elsewhere, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	cr_expect_eq(unix_connect(elsewhere), -ECONNREFUSED);

	server = unix_bind(path, SOCK_STREAM);
	cr_expect_eq(unix_connect(path), -ECONNREFUSED, "nobody listens yet");
	cr_assert_eq(listen(server, 0), 0);
	first = unix_connect(path);
	cr_assert_geq(first, 0);
	cr_expect(fcntl(first, F_GETFL) & O_NONBLOCK);
	cr_expect_eq(unix_connect(path), -EAGAIN, "it serves another one: nobody waits");
	close(first);
	close(server);
	cr_expect_eq(unix_connect(path), -ECONNREFUSED, "nobody listens any more");
	unlink(path);
}
