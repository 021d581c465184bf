/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/vhost/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/registry.h"
#include "vmm/log.h"

#define DEVICE_EXECUTABLE "minivmm-device"

#define NAMESPACES                                                                                 \
	(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | \
	 CLONE_NEWCGROUP)

/* Who a device process of root's is outside its user namespace. */
#define NOBODY 65534

/* The child's descriptors, see worker.h. */
enum {
	CHILD_STDIN,
	CHILD_STDOUT,
	CHILD_LOG,
	CHILD_CONTROL,
	CHILD_BACKEND, /* the first of them */
	CHILD_FDS = CHILD_BACKEND + DEVICE_MAX_BACKENDS,
};

/* Of -1000 to 1000. */
#define OOM_SCORE_ADJ "1000"

/* Room for "--backend-fd=N". */
#define BACKEND_ARG_MAX 24

int worker_open_executable(void)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - sizeof(DEVICE_EXECUTABLE));
	char *slash;
	int fd;

	if (len < 0)
		len = 0;
	path[len] = '\0';
	slash = strrchr(path, '/');
	memcpy(slash ? slash + 1 : path, DEVICE_EXECUTABLE, sizeof(DEVICE_EXECUTABLE));
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0) {
		int err = errno;

		log_error("%s: open: %s", path, strerror(err));
		return -err;
	}
	return fd;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;
	int err;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	err = n < 0 ? -errno : 0;
	close(fd);
	return err;
}

/*
 * Maps uid and gid 0 of the child's namespace to nobody when we are root, else to ourselves: the
 * only map that an ordinary user may write.
 */
static int map_ids(pid_t pid)
{
	bool root = geteuid() == 0;
	char path[64], map[64];
	int ret = 0;

	if (!root) {
		snprintf(path, sizeof(path), "/proc/%d/setgroups", pid);
		ret = write_file(path, "deny");
	}
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	snprintf(map, sizeof(map), "0 %u 1", root ? NOBODY : geteuid());
	if (!ret)
		ret = write_file(path, map);
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	snprintf(map, sizeof(map), "0 %u 1", root ? NOBODY : getegid());
	if (!ret)
		ret = write_file(path, map);
	return ret;
}

/* What a starting child needs; filled before the clone, because afterwards it must not allocate. */
struct child {
	int exe_fd;
	int fds[CHILD_FDS];
	int ready[2]; /* socket pair: a byte asks for ids, a byte answers once they are mapped */
	bool sandbox;
	char backends[DEVICE_MAX_BACKENDS][BACKEND_ARG_MAX];
	char *argv[WORKER_MAX_SETTINGS + DEVICE_MAX_BACKENDS + 5];
};

/*
 * Where memory runs out, a device process is the one to go: it will be started again. Who may not
 * write this goes without.
 */
static void offer_to_oom_killer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)!write(fd, OOM_SCORE_ADJ, sizeof(OOM_SCORE_ADJ) - 1);
	close(fd);
}

static bool ask_for_ids(const struct child *child)
{
	char byte = 0;

	/* Our own copy of the other end would keep us waiting if our parent died now. */
	close(child->ready[1]);
	return write(child->ready[0], &byte, 1) == 1 && read(child->ready[0], &byte, 1) == 1;
}

/* The last words of a child that comes to nothing, for its log. */
__attribute__((noreturn)) static void give_up(const struct child *child, const char *why)
{
	size_t len = strlen(why);

	_exit(write(child->fds[CHILD_LOG], why, len) == (ssize_t)len ? 1 : 2);
}

/* Only system calls from here to exec. */
__attribute__((noreturn)) static void run_child(struct child *child)
{
	static char *const no_environment[] = { NULL };
	static const char no_fds[] = "device process: it may open too few descriptors\n";
	int saved[CHILD_FDS];
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/*
	 * Once minivmm's memory is closed to its own user, so are the files of its children in /proc,
	 * uid_map among them. What they have of that memory is the copy that exec takes away.
	 */
	(void)prctl(PR_SET_DUMPABLE, 1);
	offer_to_oom_killer();
	if (child->sandbox) {
		if (!ask_for_ids(child))
			_exit(1);
		/*
		 * From nobody outside to root inside; supplementary groups go where that is allowed.
		 * Not through glibc: it would look for the other threads of our parent, to change
		 * them as well.
		 */
		(void)syscall(SYS_setgroups, 0, NULL);
		if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
			give_up(child, "sandbox: it cannot become root of its user namespace\n");
	}
	/* First out of the way, then to their places: none may overwrite another. */
	for (int i = 0; i < CHILD_FDS; i++) {
		saved[i] = -1;
		if (child->fds[i] >= 0) {
			saved[i] = fcntl(child->fds[i], F_DUPFD_CLOEXEC, CHILD_FDS);
			if (saved[i] < 0)
				give_up(child, no_fds);
		}
	}
	child->exe_fd = fcntl(child->exe_fd, F_DUPFD_CLOEXEC, CHILD_FDS);
	if (child->exe_fd < 0)
		give_up(child, no_fds);
	child->fds[CHILD_LOG] = saved[CHILD_LOG];
	for (int i = 0; i < CHILD_FDS; i++) {
		if (saved[i] < 0)
			close(i);
		else if (dup2(saved[i], i) < 0)
			give_up(child, no_fds);
	}
	/* Whatever our own parent left open ends here as well. */
	if (close_range(CHILD_FDS, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		give_up(child, "device process: it cannot close what it inherited\n");
	syscall(SYS_execveat, child->exe_fd, "", child->argv, no_environment, AT_EMPTY_PATH);
	give_up(child, "device process: it cannot execute " DEVICE_EXECUTABLE "\n");
}

/* fork(2) into new namespaces, with a pidfd. */
static pid_t clone_child(bool sandbox, int *pidfd)
{
	unsigned long flags = CLONE_PIDFD | SIGCHLD;

	if (sandbox)
		flags |= NAMESPACES;
	return (pid_t)syscall(SYS_clone, flags, 0, pidfd, 0, 0);
}

static void build_argv(struct child *child, const struct worker_request *request)
{
	static char program[] = DEVICE_EXECUTABLE;
	static char control[] = "--control-fd=3";
	static char sandbox_off[] = "--sandbox=off";
	size_t n = 0;

	child->argv[n++] = program;
	child->argv[n++] = (char *)request->kind;
	for (size_t i = 0; i < WORKER_MAX_SETTINGS && request->settings[i]; i++)
		child->argv[n++] = (char *)request->settings[i];
	child->argv[n++] = control;
	for (unsigned int i = 0; i < request->nr_backends; i++) {
		snprintf(child->backends[i], BACKEND_ARG_MAX, "--backend-fd=%u", CHILD_BACKEND + i);
		child->argv[n++] = child->backends[i];
	}
	if (!request->sandbox)
		child->argv[n++] = sandbox_off;
	child->argv[n] = NULL;
}

static void close_pair(int pair[2])
{
	for (int i = 0; i < 2; i++)
		if (pair[i] >= 0)
			close(pair[i]);
}

/* The clone itself, with all descriptors at hand. */
static int start_child(struct worker *worker, struct child *child, const char *name)
{
	char byte;
	int ret;

	worker->pid = clone_child(child->sandbox, &worker->pidfd);
	if (worker->pid == 0)
		run_child(child);
	if (worker->pid < 0) {
		ret = -errno;
		worker->pid = 0;
		worker->pidfd = -1;
		log_error("%s: sandbox: user and other namespaces: %s; --sandbox=off runs without",
			  name, strerror(-ret));
		return ret;
	}
	if (!child->sandbox)
		return 0;
	/* Its end of the pair closes with it, so we do not wait for one that has died. */
	close(child->ready[0]);
	child->ready[0] = -1;
	ret = read(child->ready[1], &byte, 1) == 1 ? map_ids(worker->pid) : -ECHILD;
	if (ret) {
		log_error("%s: sandbox: user namespace id map: %s; --sandbox=off runs without",
			  name, strerror(-ret));
		return ret;
	}
	return send(child->ready[1], "", 1, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

int worker_start(struct worker *worker, int exe_fd, const struct worker_request *request)
{
	int control[2] = { -1, -1 }, log[2] = { -1, -1 };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct child child = { .exe_fd = exe_fd, .ready = { -1, -1 }, .sandbox = request->sandbox };
	int ret;

	*worker = (struct worker){ .pidfd = -1, .control = -1, .log = -1 };
	if (null < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) < 0 ||
	    pipe2(log, O_CLOEXEC | O_NONBLOCK) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, child.ready) < 0) {
		ret = -errno;
		log_error("%s: device process: %s", request->name, strerror(-ret));
	} else {
		child.fds[CHILD_STDIN] = null;
		child.fds[CHILD_STDOUT] = null;
		child.fds[CHILD_LOG] = log[1];
		child.fds[CHILD_CONTROL] = control[1];
		for (unsigned int i = 0; i < DEVICE_MAX_BACKENDS; i++)
			child.fds[CHILD_BACKEND + i] =
				i < request->nr_backends ? request->backend_fds[i] : -1;
		build_argv(&child, request);
		ret = start_child(worker, &child, request->name);
	}
	if (!ret) {
		worker->control = control[0];
		worker->log = log[0];
		control[0] = -1;
		log[0] = -1;
	} else {
		worker_end(worker, 0);
	}
	close_pair(control);
	close_pair(log);
	close_pair(child.ready);
	if (null >= 0)
		close(null);
	return ret;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int worker_end(struct worker *worker, int timeout_ms)
{
	struct pollfd ended = { .fd = worker->pidfd, .events = POLLIN };
	int status = -1;

	if (worker->pid > 0) {
		if (poll(&ended, 1, timeout_ms) <= 0)
			kill(worker->pid, SIGKILL);
		while (waitpid(worker->pid, &status, 0) < 0 && errno == EINTR)
			;
		worker->pid = 0;
	}
	close_fd(&worker->pidfd);
	close_fd(&worker->control);
	close_fd(&worker->log);
	return status;
}
