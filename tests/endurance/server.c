/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/endurance/server.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Until it listens: what is bound does not yet. */
static int wait_listening(const char *path)
{
	for (int i = 0; i < 1000; i++) {
		char line[256];
		FILE *file = fopen("/proc/net/unix", "re");

		while (file && fgets(line, sizeof(line), file)) {
			unsigned int flags = 0;
			char name[128] = "";

			/* Num RefCount Protocol Flags Type St Inode Path; 0x10000: it listens */
			if (sscanf(line, "%*s %*x %*x %x %*x %*x %*u %127s", &flags, name) == 2 &&
			    flags & 0x10000 && strcmp(name, path) == 0) {
				fclose(file);
				return 0;
			}
		}
		if (file)
			fclose(file);
		usleep(10000);
	}
	fprintf(stderr, "endurance: %s: nobody listens\n", path);
	return -1;
}

pid_t server_start(const char *path, char *const *argv)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execv(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	if (pid > 0 && wait_listening(path)) {
		server_end(pid);
		return -1;
	}
	return pid;
}

void server_end(pid_t server)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

pid_t server_device(pid_t server)
{
	char path[64];
	pid_t child = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", server, server);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%d", &child) != 1)
		child = 0;
	fclose(file);
	return child;
}

static long count_fds(pid_t pid)
{
	long count = 0;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return -1;
	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 2; /* . and .. */
}

int usage_read(pid_t pid, struct usage *usage)
{
	char path[64];
	long pages = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	file = fopen(path, "re");
	if (file) {
		if (fscanf(file, "%*d %ld", &pages) != 1)
			pages = -1;
		fclose(file);
	}
	*usage = (struct usage){ pages * (sysconf(_SC_PAGESIZE) / 1024), count_fds(pid) };
	if (pages >= 0 && usage->fds >= 0)
		return 0;
	fprintf(stderr, "endurance: process %d cannot be looked at\n", pid);
	return -ESRCH;
}
