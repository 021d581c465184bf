/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* One attack, from its beginning to what is left of it. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attack/attack.h"
#include "tests/attack/layers.h"

#define SURVIVES_MS 1000

static char cgroups[64];
static pid_t *survivor; /* shared with the process that stands for minivmm */

static void cgroup_folder(char path[96])
{
	snprintf(path, 96, "%s/minivmm-attack", cgroups);
}

void trial_folder_template(char *path, size_t size)
{
	const char *dir = getenv("TMPDIR");

	snprintf(path, size, "%s/minivmm-attack.XXXXXX", dir ? dir : "/tmp");
}

void trial_setup(void)
{
	char path[96];

	survivor = mmap(NULL, sizeof(*survivor), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (survivor == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1)) {
		perror("attack");
		exit(EXIT_FAILURE);
	}
	if (geteuid() != 0)
		return;
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		perror("attack: namespaces");
		exit(EXIT_FAILURE);
	}
	trial_folder_template(cgroups, sizeof(cgroups));
	if (mkdtemp(cgroups) && mount("none", cgroups, "cgroup2", 0, NULL) == 0) {
		cgroup_folder(path);
		(void)mkdir(path, 0755);
	}
}

void trial_teardown(void)
{
	char path[96];

	if (geteuid() != 0)
		return;
	cgroup_folder(path);
	rmdir(path);
	(void)umount2(cgroups, MNT_DETACH);
	rmdir(cgroups);
}

/* Whether @pid, a child of ours now, is there after a while; not any more when we return. */
static bool outlives(pid_t pid)
{
	for (int ms = 0; ms < SURVIVES_MS; ms += 10) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return false;
		usleep(10000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return true;
}

enum trial_result trial_run(const struct trial *trial)
{
	struct trial closed = *trial;
	int status;
	pid_t pid;

	closed.removed = layers_closure(trial->removed);
	*survivor = 0;
	pid = fork();
	if (pid == 0)
		_exit(victim_run(&closed, cgroups, survivor));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return TRIAL_BROKEN;
	/* minivmm lost memory that it has mapped. */
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS)
		return TRIAL_SUCCEEDED;
	if (!WIFEXITED(status)) {
		fprintf(stderr, "attack: %s: minivmm's part ended with status %#x\n",
			trial->attack->name, status);
		return TRIAL_BROKEN;
	}
	if (*survivor && !outlives(*survivor))
		return TRIAL_DENIED;
	/* What a broken trial left behind. */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return (enum trial_result)WEXITSTATUS(status);
}
