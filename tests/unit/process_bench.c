/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/unit/process_bench.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_MS   20000
#define ORPHANS_MS 2000

static char directory[] = "/tmp/minivmm-process-XXXXXX";

void process_bench_enter(void)
{
	cr_assert_not_null(mkdtemp(directory));
	cr_assert_eq(chdir(directory), 0);
	cr_assert_eq(chmod(".", 0777), 0);
	/* Whatever outlives its parent becomes our child, and is found. */
	cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
}

void process_bench_leave(void)
{
	DIR *dir = opendir(".");
	struct dirent *entry;

	cr_assert_not_null(dir);
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    unlink(entry->d_name))
			rmdir(entry->d_name);
	closedir(dir);
	cr_expect_eq(rmdir(directory), 0);
}

void process_bench_file(const char *name, const void *data, size_t len, off_t size)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	cr_assert_geq(fd, 0, "%s", name);
	cr_assert_eq(write(fd, data, len), (ssize_t)len);
	cr_assert_eq(ftruncate(fd, size), 0);
	close(fd);
}

/* FNV-1a of a file of a reasonable size; of another one, nothing. */
static unsigned long long hash_file(const char *name, const struct stat *st)
{
	unsigned long long hash = 0xcbf29ce484222325ull;
	unsigned char data[65536];
	ssize_t n;
	int fd;

	if (!S_ISREG(st->st_mode) || st->st_size > 4 << 20)
		return 0;
	fd = open(name, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && (n = read(fd, data, sizeof(data))) > 0)
		for (ssize_t i = 0; i < n; i++)
			hash = (hash ^ data[i]) * 0x100000001b3ull;
	if (fd >= 0)
		close(fd);
	return hash;
}

char *process_bench_snapshot(void)
{
	struct dirent **entries;
	int count = scandir(".", &entries, NULL, alphasort);
	size_t size;
	char *text;
	FILE *file = open_memstream(&text, &size);

	cr_assert_geq(count, 0);
	for (int i = 0; i < count; i++) {
		struct stat st;

		/* Of the directory itself the time changes when something was there meanwhile. */
		if (entries[i]->d_name[0] != '.' || strlen(entries[i]->d_name) > 2) {
			cr_assert_eq(lstat(entries[i]->d_name, &st), 0);
			fprintf(file, "%s %o %lld %llx\n", entries[i]->d_name, st.st_mode,
				(long long)st.st_size, hash_file(entries[i]->d_name, &st));
		}
		free(entries[i]);
	}
	free(entries);
	fclose(file);
	return text;
}

static const char *name_of(enum process_program program)
{
	return program == MINIVMM ? "minivmm" : "minivmm-device";
}

static void find_executable(enum process_program program, char path[PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 32);
	char *slash;

	cr_assert_gt(len, 0);
	path[len] = '\0';
	slash = strrchr(path, '/');
	snprintf(slash + 1, (size_t)(path + PATH_MAX - slash - 1), "%s", name_of(program));
}

/* Output goes to @out and @err; input is empty. */
static pid_t start(const struct process *process, int out, int err)
{
	char path[PATH_MAX];
	const char **argv;
	size_t count = 0;
	int exe;
	pid_t pid;

	find_executable(process->program, path);
	/* Who becomes another user may not get to it by its path. */
	exe = open(path, O_PATH | O_CLOEXEC);
	cr_assert_geq(exe, 0, "%s", path);
	while (process->args[count])
		count++;
	argv = calloc(count + 2, sizeof(*argv));
	argv[0] = path;
	memcpy(argv + 1, process->args, count * sizeof(*argv));
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDIN_FILENO);
		dup2(out >= 0 ? out : null, STDOUT_FILENO);
		dup2(err >= 0 ? err : null, STDERR_FILENO);
		close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
		signal(SIGPIPE, SIG_DFL);
		if (process->prepare)
			process->prepare(process->opaque);
		syscall(SYS_execveat, exe, "", argv, environ, AT_EMPTY_PATH);
		_exit(126);
	}
	close(exe);
	free(argv);
	return pid;
}

pid_t process_bench_start(const struct process *process, int *err)
{
	int pair[2] = { -1, -1 };
	pid_t pid;

	cr_assert_eq(err ? pipe2(pair, O_CLOEXEC) : 0, 0);
	pid = start(process, -1, pair[1]);
	if (err) {
		close(pair[1]);
		*err = pair[0];
	}
	return pid;
}

static int now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

/* Reads both until they end. False: it takes too long. */
static bool read_both(const int fds[2], struct process_end *end)
{
	char *texts[] = { end->out, end->err };
	struct pollfd polled[] = { { .fd = fds[0], .events = POLLIN },
				   { .fd = fds[1], .events = POLLIN } };
	size_t len[2] = { 0 };
	const int limit = now_ms() + LIMIT_MS;

	while (polled[0].fd >= 0 || polled[1].fd >= 0) {
		const int left = limit - now_ms();

		if (left <= 0 || poll(polled, 2, left) <= 0)
			return false;
		for (int i = 0; i < 2; i++) {
			ssize_t n;

			if (polled[i].fd < 0 || !polled[i].revents)
				continue;
			n = read(polled[i].fd, texts[i] + len[i], PROCESS_TEXT_MAX - 1 - len[i]);
			if (n <= 0)
				polled[i].fd = -1;
			else
				len[i] += (size_t)n;
		}
	}
	return true;
}

/* No process is left, or will be in a moment. */
static void expect_no_orphans(const char *what)
{
	for (int ms = 0; ms < ORPHANS_MS; ms += 10) {
		if (waitpid(-1, NULL, WNOHANG) < 0)
			return;
		usleep(10000);
	}
	cr_expect_fail("%s: a process is left", what);
}

void process_bench_run(const struct process *process, struct process_end *end)
{
	const char *what = process->args[0] ? process->args[0] : "no argument";
	struct rusage usage;
	int out[2], err[2], fds[2], status;
	bool in_time;
	pid_t pid;

	memset(end, 0, sizeof(*end));
	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(err, O_CLOEXEC), 0);
	pid = start(process, out[1], err[1]);
	close(out[1]);
	close(err[1]);
	fds[0] = out[0];
	fds[1] = err[0];
	in_time = read_both(fds, end);
	if (!in_time)
		kill(pid, SIGKILL);
	cr_expect(in_time, "%s: it does not end", what);
	cr_assert_eq(wait4(pid, &status, 0, &usage), pid);
	close(out[0]);
	close(err[0]);
	end->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	end->cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	expect_no_orphans(what);
}

static void expect_line(const struct process_end *end, enum process_program program,
			const char *part, const char *what)
{
	const char *newline = strchr(end->err, '\n');

	cr_expect(newline && newline[1] == '\0', "%s: not one line: %s", what, end->err);
	/* The other one's lines are for minivmm, which puts the device's name before them. */
	if (program == MINIVMM)
		cr_expect_eq(strncmp(end->err, "minivmm: ", 9), 0, "%s: %s", what, end->err);
	cr_expect_not_null(strstr(end->err, part), "%s: \"%s\" is not in: %s", what, part,
			   end->err);
	for (const char *c = end->err; c < newline; c++)
		cr_expect(*c >= ' ' && *c <= '~', "%s: byte %#x", what, (unsigned char)*c);
}

void process_bench_expect_refused(const struct process *process, int status, const char *part)
{
	const char *what = process->args[0] ? process->args[0] : "no argument";
	char *before = process_bench_snapshot();
	struct process_end end;
	char *after;

	process_bench_run(process, &end);
	cr_expect_eq(end.status, status, "%s: status %d: %s", what, end.status, end.err);
	cr_expect_str_empty(end.out, "%s", what);
	cr_expect_lt(end.cpu_seconds, 2.0, "%s: %f s", what, end.cpu_seconds);
	expect_line(&end, process->program, part, what);
	after = process_bench_snapshot();
	cr_expect_str_eq(after, before, "%s: before:\n%safter:\n%s", what, before, after);
	free(before);
	free(after);
}

void process_bench_expect_words_refused(enum process_program program, const char *words, int status,
					const char *part)
{
	const char *args[PROCESS_MAX_ARGS + 1] = { NULL };
	const struct process process = { .program = program, .args = args };
	char *text = strdup(words);
	char *rest = text;
	size_t count = 0;

	while (rest && count < PROCESS_MAX_ARGS)
		args[count++] = strsep(&rest, " ");
	process_bench_expect_refused(&process, status, part);
	free(text);
}
