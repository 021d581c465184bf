/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/server.h"

#include <errno.h>
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

static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	int sock;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path));
	if (!lstat(path, &st) && S_ISSOCK(st.st_mode) && unlink(path))
		return -errno;
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	if (bind(sock, (const struct sockaddr *)&addr, sizeof(addr)) || listen(sock, 1)) {
		int rc = -errno;

		close(sock);
		return rc;
	}
	return sock;
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

	if (sock < 0)
		return errno == EINTR || errno == ECONNABORTED ? 0 : -errno;
	pid = start_process(namespaces);
	if (pid == 0) {
		close(listener);
		_exit(serve(sock, opaque));
	}
	if (pid < 0)
		rc = -errno;
	close(sock);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return rc;
}

int server_run(const char *path, bool namespaces, server_connection serve, const void *opaque)
{
	int listener = listen_at(path);
	int rc = listener < 0 ? listener : 0;

	while (!rc)
		rc = serve_next(listener, namespaces, serve, opaque);
	device_log("%s: %s", path, strerror(-rc));
	if (listener >= 0)
		close(listener);
	return rc;
}
