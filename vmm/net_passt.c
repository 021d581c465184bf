/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/net_passt.h"

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
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/exit_status.h"

#define READY_TIMEOUT_MS 30000 /* it takes about 15 ms */
#define SOCKET_BUFFER	 (128 * 65536)
#define END_TIMEOUT_MS	 500 /* from SIGTERM to SIGKILL */

/* passt's descriptors, see net_passt.h. */
enum { PASST_STDIN, PASST_STDOUT, PASST_SAID, PASST_STREAM, PASST_READY, PASST_FDS };

/* All that is needed to start it: none of it outlives net_passt_start(). */
struct start {
	int null;
	int stream[2]; /* the device's end, passt's end */
	int said[2], ready[2];
	char path[PATH_MAX];
	struct net_passt_args args;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The first executable called passt in $PATH. */
static bool find_executable(char path[PATH_MAX])
{
	const char *dirs = getenv("PATH");

	if (!dirs)
		dirs = "/usr/local/bin:/usr/bin:/bin";
	for (;;) {
		size_t len = strcspn(dirs, ":");

		/* An empty entry means the working directory, which is no place for programs. */
		if (len > 0 && snprintf(path, PATH_MAX, "%.*s/passt", (int)len, dirs) < PATH_MAX &&
		    access(path, X_OK) == 0)
			return true;
		if (!dirs[len])
			return false;
		dirs += len + 1;
	}
}

/*
 * passt writes up to 128 frames at once and drops what does not fit, then waits two seconds for an
 * acknowledgement of the last one: so all of them are to fit. Who may not ask for that much gets what
 * net.core.wmem_max allows.
 */
static void enlarge(int sock)
{
	const int bytes = SOCKET_BUFFER;

	if (setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static int open_start(struct start *start)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, start->stream) < 0 ||
	    pipe2(start->said, O_CLOEXEC) < 0 || pipe2(start->ready, O_CLOEXEC) < 0)
		return -errno;
	enlarge(start->stream[0]);
	enlarge(start->stream[1]);
	start->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (start->null < 0)
		return -errno;
	/*
	 * Each end of the pair is a file of its own: passt's stays blocking. It opens the ready pipe
	 * by its name, as nobody when we are root.
	 */
	if (fcntl(start->stream[0], F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(start->said[0], F_SETFL, O_NONBLOCK) < 0 || fchmod(start->ready[1], 0622) < 0)
		return -errno;
	return 0;
}

static void close_start(struct start *start)
{
	close_fd(&start->null);
	for (int i = 0; i < 2; i++) {
		close_fd(&start->stream[i]);
		close_fd(&start->said[i]);
		close_fd(&start->ready[i]);
	}
}

/* Only system calls from here to exec: other threads may have held locks when we were cloned. */
__attribute__((noreturn)) static void run_child(const struct start *start)
{
	static char *const no_environment[] = { NULL };
	const int fds[PASST_FDS] = { start->null, start->null, start->said[1], start->stream[1],
				     start->ready[1] };
	int saved[PASST_FDS];
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* No Ctrl-C, no hang-up and no job control of our terminal. */
	setsid();
	/* First out of the way, then to their places: none may overwrite another. */
	for (int i = 0; i < PASST_FDS; i++) {
		saved[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, PASST_FDS);
		if (saved[i] < 0)
			_exit(1);
	}
	for (int i = 0; i < PASST_FDS; i++)
		if (dup2(saved[i], i) < 0)
			_exit(1);
	if (close_range(PASST_FDS, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		_exit(1);
	execve(start->path, (char *const *)start->args.argv, no_environment);
	_exit(127);
}

/* fork(2), with a pidfd. */
static int clone_passt(struct net_passt *passt, const struct start *start)
{
	const unsigned long flags = CLONE_PIDFD | SIGCHLD;

	passt->pid = (pid_t)syscall(SYS_clone, flags, 0, &passt->pidfd, 0, 0);
	if (passt->pid == 0)
		run_child(start);
	if (passt->pid < 0) {
		passt->pid = 0;
		return -errno;
	}
	return 0;
}

static void take_fd(int *to, int *from)
{
	*to = *from;
	*from = -1;
}

int net_passt_start(struct net_passt *passt, const struct config_net *net, int *stream)
{
	struct start start = {
		.null = -1, .stream = { -1, -1 }, .said = { -1, -1 }, .ready = { -1, -1 }
	};
	bool alone = !net_passt_has_route("/proc/net");
	int ret;

	*passt = (struct net_passt){ .pidfd = -1, .said = -1, .ready = -1 };
	if (!find_executable(start.path)) {
		log_error("--net: user: passt: not found; apt install passt");
		return EXIT_STATUS_HOST;
	}
	if (alone)
		log_info("--net: user: no default route: the guest sees nothing but this host");
	ret = net_passt_build_args(&start.args, net, alone);
	if (!ret)
		ret = open_start(&start);
	if (!ret)
		ret = clone_passt(passt, &start);
	if (!ret) {
		take_fd(stream, &start.stream[0]);
		take_fd(&passt->said, &start.said[0]);
		take_fd(&passt->ready, &start.ready[0]);
	} else {
		log_error("--net: user: passt: %s", strerror(-ret));
	}
	close_start(&start);
	return ret ? EXIT_STATUS_HOST : 0;
}

/* Lines that mean nothing here: it runs as nobody on purpose, and without a system log. */
static bool is_chatter(const char *line)
{
	static const char *const chatter[] = { "Don't run as root.", "Failed to send " };

	for (size_t i = 0; i < sizeof(chatter) / sizeof(chatter[0]); i++)
		if (strncmp(line, chatter[i], strlen(chatter[i])) == 0)
			return true;
	return false;
}

static void handle_line(struct net_passt *passt, const char *line)
{
	size_t used = strlen(passt->why);

	if (!*line || is_chatter(line))
		return;
	if (passt->loop)
		log_limited(&passt->limit, "--net: user: passt: %s", line);
	else
		snprintf(passt->why + used, sizeof(passt->why) - used, "%s%s", used ? "; " : "",
			 line);
}

/* Takes in what it has said by now. False: it will say no more. */
static bool read_lines(struct net_passt *passt)
{
	char data[NET_PASST_TEXT_MAX];
	ssize_t n;

	while ((n = read(passt->said, data, sizeof(data))) > 0)
		for (ssize_t i = 0; i < n; i++) {
			if (data[i] != '\n' && passt->line_len < sizeof(passt->line) - 1) {
				passt->line[passt->line_len++] = data[i];
				continue;
			}
			passt->line[passt->line_len] = '\0';
			handle_line(passt, passt->line);
			passt->line_len = 0;
		}
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void handle_said(void *opaque, uint32_t events)
{
	struct net_passt *passt = opaque;

	(void)events;
	if (!read_lines(passt))
		main_loop_remove(passt->loop, passt->said);
}

/* How it ended, without reaping it. */
static void describe_end(const struct net_passt *passt, char *text, size_t size)
{
	siginfo_t info = { 0 };

	if (waitid(P_PIDFD, (id_t)passt->pidfd, &info, WEXITED | WNOWAIT | WNOHANG) < 0 ||
	    !info.si_pid)
		snprintf(text, size, "does not get ready");
	else
		snprintf(text, size, "%s %d",
			 info.si_code == CLD_EXITED ? "exit status" : "killed by signal",
			 info.si_status);
}

static void handle_end(void *opaque, uint32_t events)
{
	struct net_passt *passt = opaque;
	char how[64];

	(void)events;
	main_loop_remove(passt->loop, passt->pidfd);
	(void)read_lines(passt);
	describe_end(passt, how, sizeof(how));
	log_error("--net: user: passt: %s: no more network", how);
}

/* The pipe has a byte when it is ready, and ends without one when it has ended instead. */
static int wait_until_ready(struct net_passt *passt)
{
	struct pollfd ready = { .fd = passt->ready, .events = POLLIN };
	struct pollfd ended = { .fd = passt->pidfd, .events = POLLIN };
	bool is_ready = poll(&ready, 1, READY_TIMEOUT_MS) > 0 && (ready.revents & POLLIN);
	char how[64];

	(void)read_lines(passt);
	if (is_ready) {
		if (passt->why[0])
			log_info("--net: user: passt: %s", passt->why);
		return 0;
	}
	/* Its descriptors are closed a moment before it is a zombie. */
	if (ready.revents)
		(void)poll(&ended, 1, END_TIMEOUT_MS);
	describe_end(passt, how, sizeof(how));
	log_error("--net: user: passt: %s", passt->why[0] ? passt->why : how);
	return -ECHILD;
}

int net_passt_watch(struct net_passt *passt, struct main_loop *loop)
{
	int ret = wait_until_ready(passt);

	if (ret)
		return ret;
	close_fd(&passt->ready);
	passt->loop = loop;
	ret = main_loop_add(loop, passt->said, EPOLLIN, handle_said, passt);
	if (!ret)
		ret = main_loop_add(loop, passt->pidfd, EPOLLIN, handle_end, passt);
	if (ret)
		log_error("--net: user: event loop: %s", strerror(-ret));
	return ret;
}

void net_passt_end(struct net_passt *passt)
{
	struct pollfd ended = { .fd = passt->pidfd, .events = POLLIN };

	if (passt->pid == 0)
		return;
	if (passt->loop) {
		main_loop_remove(passt->loop, passt->said);
		main_loop_remove(passt->loop, passt->pidfd);
	}
	kill(passt->pid, SIGTERM);
	if (poll(&ended, 1, END_TIMEOUT_MS) <= 0)
		kill(passt->pid, SIGKILL);
	while (waitpid(passt->pid, NULL, 0) < 0 && errno == EINTR)
		;
	close_fd(&passt->pidfd);
	close_fd(&passt->said);
	close_fd(&passt->ready);
	*passt = (struct net_passt){ .pidfd = -1, .said = -1, .ready = -1 };
}
