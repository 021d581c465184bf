/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Which files --disk takes; a refusal is one line that names the file. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/blk_bench.h"
#include "tests/unit/fd_count.h"
#include "vmm/disk.h"

static char directory[] = "/tmp/minivmm-disk-XXXXXX";

static void enter(void)
{
	cr_redirect_stderr();
	cr_assert_not_null(mkdtemp(directory));
	cr_assert_eq(chdir(directory), 0);
}

static void leave(void)
{
	static const char *const files[] = { "file", "fifo", "socket", "link", "loop" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(files[i]);
	cr_expect_eq(rmdir(directory), 0);
}

TestSuite(disk, .init = enter, .fini = leave);

static void make_file(off_t size)
{
	const int fd = open("file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert_eq(ftruncate(fd, size), 0);
	close(fd);
}

static void expect_line(const char *path, const char *why)
{
	char line[256] = "";

	cr_assert_not_null(fgets(line, sizeof(line), cr_get_redirected_stderr()));
	cr_expect_not_null(strstr(line, "--disk: "), "%s", line);
	cr_expect_not_null(strstr(line, path), "%s", line);
	cr_expect_not_null(strstr(line, why), "%s", line);
}

/* Refused for reading and writing, in either mode, with nothing left open. */
static void expect_refused(const char *path, const char *why)
{
	const unsigned int fds = fd_count();

	cr_expect_lt(disk_open(path, true, false), 0, "%s", path);
	expect_line(path, why);
	cr_expect_lt(disk_open(path, false, false), 0, "%s", path);
	expect_line(path, "");
	cr_expect_eq(fd_count(), fds);
}

Test(disk, size_is_a_sector_at_least)
{
	static const struct {
		off_t size;
		bool good;
	} cases[] = {
		{ 0, false },  { 1, false },	{ 511, false },	     { 512, true },
		{ 513, true }, { 65536, true }, { 1ll << 40, true }, /* sparse */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int fd;

		make_file(cases[i].size);
		if (!cases[i].good) {
			expect_refused("file", "smaller than one sector");
			continue;
		}
		fd = disk_open("file", false, false);
		cr_assert_geq(fd, 0, "size %lld", (long long)cases[i].size);
		close(fd);
	}
}

Test(disk, mode_is_the_one_asked_for)
{
	int fd;

	make_file(4096);
	fd = disk_open("file", false, false);
	cr_expect_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	fd = disk_open("file", true, false);
	cr_expect_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	cr_expect_lt(write(fd, "x", 1), 0);
	close(fd);
}

Test(disk, a_link_to_a_file_is_a_file)
{
	int fd;

	make_file(4096);
	cr_assert_eq(symlink("file", "link"), 0);
	fd = disk_open("link", false, false);
	cr_expect_geq(fd, 0);
	close(fd);
}

static void make_socket(void)
{
	const struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "socket" };
	const int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(bind(sock, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	close(sock);
}

Test(disk, what_is_no_disk_is_refused)
{
	cr_assert_eq(mkfifo("fifo", 0600), 0);
	cr_assert_eq(symlink("loop", "loop"), 0);
	make_socket();
	expect_refused("absent", "No such file");
	expect_refused(".", "neither a regular file nor a block device");
	expect_refused("fifo", "neither a regular file nor a block device");
	expect_refused("/dev/null", "neither a regular file nor a block device");
	expect_refused("loop", "symbolic links");
	expect_refused("socket", "");
}

/* As an ordinary user, because root may write everything. */
Test(disk, a_file_that_must_not_be_written)
{
	const uid_t user = geteuid();
	int fd;

	make_file(4096);
	cr_assert_eq(chmod("file", 0444), 0);
	cr_assert_eq(chmod(".", 0755), 0);
	cr_assert_eq(seteuid(user ? user : 65534), 0);
	cr_expect_eq(disk_open("file", false, false), -EACCES);
	fd = disk_open("file", true, false);
	cr_expect_geq(fd, 0);
	close(fd);
	cr_assert_eq(seteuid(user), 0);
	expect_line("file", "Permission denied");
}

Test(disk, one_writer_or_any_number_of_readers)
{
	static const struct {
		bool first_read_only, second_read_only, both;
	} cases[] = {
		{ false, false, false },
		{ false, true, false },
		{ true, false, false },
		{ true, true, true },
	};

	make_file(4096);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int first = disk_open("file", cases[i].first_read_only, false);
		int second = disk_open("file", cases[i].second_read_only, false);

		cr_assert_geq(first, 0);
		cr_expect_eq(second >= 0, cases[i].both, "case %zu", i);
		if (second < 0)
			expect_line("file", "in use by another process");
		else
			close(second);
		close(first);
	}
}

/* The device process has a duplicate of our descriptor, which outlives it. */
Test(disk, the_lock_lives_as_long_as_its_last_descriptor)
{
	int first, copy;

	make_file(4096);
	first = disk_open("file", false, false);
	copy = dup(first);
	close(first);
	cr_expect_lt(disk_open("file", false, false), 0);
	close(copy);
	first = disk_open("file", false, false);
	cr_expect_geq(first, 0);
	close(first);
}

Test(disk, direct_where_it_is_asked_for)
{
	int file = blk_bench_direct_file(8);
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	for (int direct = 0; direct < 2; direct++) {
		int fd = disk_open(path, false, direct);

		cr_assert_geq(fd, 0);
		cr_expect_eq(fcntl(fd, F_GETFL) & O_DIRECT, direct ? O_DIRECT : 0);
		close(fd);
	}
	close(file);
}

Test(disk, direct_where_there_is_none)
{
	cr_expect_eq(disk_open("/proc/self/status", true, true), -EINVAL);
	expect_line("/proc/self/status", "cache=none: the file system has no direct I/O");
}
