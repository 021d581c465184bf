/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/report_example.h"
#include "vmm/report.h"

static struct report_example example;
static char dir[] = "/tmp/minivmm-report-XXXXXX";
static char path[PATH_MAX]; /* of a report in it */

static void set_up(void)
{
	report_example_fill(&example);
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/report.json", dir);
}

static void tear_down(void)
{
	unlink(path);
	cr_expect_eq(rmdir(dir), 0, "something was left behind in %s", dir);
}

TestSuite(report_write, .init = set_up, .fini = tear_down);

static json_t *load(const char *file)
{
	json_error_t error;
	json_t *root = json_load_file(file, 0, &error);

	cr_assert_not_null(root, "%s: %s", file, error.text);
	return root;
}

Test(report_write, check_leaves_everything_as_it_was)
{
	struct stat st;

	cr_expect_eq(report_check(path), 0);
	cr_expect(lstat(path, &st) < 0, "nothing was made");
	cr_assert_eq(report_write(&example.report, path), 0);
	cr_expect_eq(report_check(path), 0);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_gt(st.st_size, 0, "the old report is still there");
	cr_expect_eq(report_check("-"), 0);
	cr_expect_eq(report_check("/dev/null"), 0);
}

Test(report_write, check_finds_what_cannot_be_written)
{
	char longer[PATH_MAX + 8];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	cr_expect_eq(report_check("/nonexistent/report.json"), -ENOENT);
	cr_expect_eq(report_check(dir), -EISDIR);
	cr_expect_eq(report_check(longer), -ENAMETOOLONG);
}

Test(report_write, written_whole_and_replacing)
{
	struct stat before, after;
	json_t *root;

	cr_assert_eq(report_write(&example.report, path), 0);
	root = load(path);
	cr_expect_eq(json_array_size(json_object_get(root, "devices")), EXAMPLE_DEVICES);
	json_decref(root);

	cr_assert_eq(chmod(path, 0640), 0);
	cr_assert_eq(stat(path, &before), 0);
	example.report.nr_devices = 1;
	cr_assert_eq(report_write(&example.report, path), 0);
	cr_assert_eq(stat(path, &after), 0);
	cr_expect_neq(before.st_ino, after.st_ino, "who has the old one open keeps it whole");
	cr_expect_eq(after.st_mode & 07777, 0640);
	root = load(path);
	cr_expect_eq(json_array_size(json_object_get(root, "devices")), 1);
	json_decref(root);
}

Test(report_write, file_without_a_directory_part)
{
	cr_assert_eq(chdir(dir), 0);
	cr_assert_eq(report_write(&example.report, "report.json"), 0);
	json_decref(load("report.json"));
}

Test(report_write, longest_file_name)
{
	char name[NAME_MAX + 2];

	memset(name, 'n', sizeof(name));
	name[NAME_MAX] = '\0';
	cr_assert_eq(chdir(dir), 0);
	cr_expect_eq(report_write(&example.report, name), 0);
	cr_expect_eq(unlink(name), 0);
	name[NAME_MAX] = 'n';
	name[NAME_MAX + 1] = '\0';
	cr_expect_eq(report_write(&example.report, name), -ENAMETOOLONG);
}

Test(report_write, failures_leave_nothing_behind)
{
	char missing[PATH_MAX + 16];

	snprintf(missing, sizeof(missing), "%s/missing/report.json", dir);
	cr_expect_eq(report_write(&example.report, missing), -ENOENT);
	cr_expect_eq(report_write(&example.report, dir), -EISDIR);
	memset(missing, '/', sizeof(missing));
	missing[sizeof(missing) - 1] = '\0';
	cr_expect_eq(report_write(&example.report, missing), -ENAMETOOLONG);
}

Test(report_write, unfinished_file_is_removed)
{
	const struct rlimit small = { .rlim_cur = 100, .rlim_max = RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	cr_expect_eq(report_write(&example.report, path), -EFBIG);
	cr_expect_eq(access(path, F_OK), -1);
}

/* Through a link of ours: a mistake made as root must not replace the device itself. */
Test(report_write, full_device)
{
	cr_assert_eq(symlink("/dev/full", path), 0);
	cr_expect_eq(report_write(&example.report, path), -ENOSPC);
}

Test(report_write, temporary_names_in_the_way)
{
	char taken[PATH_MAX];

	snprintf(taken, sizeof(taken), "%s/.minivmm-report.%ld.0", dir, (long)getpid());
	cr_assert_eq(symlink("/nonexistent/elsewhere", taken), 0);
	cr_expect_eq(report_write(&example.report, path), 0);
	json_decref(load(path));
	unlink(taken);
}

/* /dev/stdout is one: replacing it would be a surprise. */
Test(report_write, symbolic_links_are_written_through)
{
	char target[PATH_MAX];
	struct stat st;

	snprintf(target, sizeof(target), "%s/target", dir);
	close(open(target, O_CREAT | O_WRONLY, 0600));
	cr_assert_eq(symlink(target, path), 0);
	cr_expect_eq(report_write(&example.report, path), 0);
	cr_assert_eq(lstat(path, &st), 0);
	cr_expect(S_ISLNK(st.st_mode));
	json_decref(load(target));
	unlink(target);
}

Test(report_write, standard_output)
{
	const int fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);
	const int saved = dup(STDOUT_FILENO);

	dup2(fd, STDOUT_FILENO);
	cr_expect_eq(report_write(&example.report, "-"), 0);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(fd);
	json_decref(load(path));
}
