/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/server.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/core/log.h"
#include "devices/core/sandbox.h"

/* Removes a socket at which nobody listens any more. 0, also where there is none, or -errno. */
static int remove_stale(int sock, const struct sockaddr_un *addr)
{
	struct stat st;

	if (lstat(addr->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EADDRINUSE;
	/* A connection, a full backlog, a socket of another type: somebody is there. */
	if (!connect(sock, (const struct sockaddr *)addr, sizeof(*addr)) || errno != ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(addr->sun_path) ? -errno : 0;
}

static int bind_at(int sock, const struct sockaddr_un *addr)
{
	if (bind(sock, (const struct sockaddr *)addr, sizeof(*addr)))
		return -errno;
	if (!listen(sock, 1) && fcntl(sock, F_SETFL, 0) == 0)
		return 0;
	return -errno;
}

static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int rc, sock;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path));
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	rc = remove_stale(sock, &addr);
	if (!rc)
		rc = bind_at(sock, &addr);
	if (rc)
		close(sock);
	return rc ? rc : sock;
}

/* fork(), into namespaces if wanted: without a stack of its own a clone is a fork. */
static pid_t start_process(bool namespaces)
{
	unsigned long flags = namespaces ? SANDBOX_NAMESPACES : 0;

	return syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
}

static int serve_next(int listener, bool namespaces, server_connection serve, const void *opaque)
{
	int sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	int rc = 0;
	pid_t pid;

	if (sock < 0 && (errno == EINTR || errno == ECONNABORTED))
		return 0;
	if (sock < 0) {
		rc = -errno;
		device_log("accept: %s", strerror(-rc));
		return rc;
	}
	pid = start_process(namespaces);
	if (pid == 0) {
		close(listener);
		_exit(serve(sock, opaque));
	}
	if (pid < 0) {
		rc = -errno;
		device_log("%s%s", namespaces ? "sandbox: namespaces: " : "device process: ",
			   strerror(-rc));
	}
	close(sock);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return rc;
}

int server_run(const char *path, bool namespaces, server_connection serve, const void *opaque)
{
	int listener = listen_at(path);
	int rc = listener < 0 ? listener : 0;

	if (rc)
		device_log("%s: %s", path, strerror(-rc));
	while (!rc)
		rc = serve_next(listener, namespaces, serve, opaque);
	if (listener >= 0) {
		close(listener);
		unlink(path);
	}
	return rc;
}
