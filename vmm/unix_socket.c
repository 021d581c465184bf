/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int stream_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

static int fill_address(struct sockaddr_un *addr, const char *path)
{
	size_t len = strlen(path);

	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (len >= sizeof(addr->sun_path))
		return -ENAMETOOLONG;
	memcpy(addr->sun_path, path, len);
	return 0;
}

static int connect_to(const struct sockaddr_un *addr)
{
	int fd = stream_socket();
	int rc;

	if (fd < 0 || connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

int unix_connect(const char *path)
{
	struct sockaddr_un addr;
	int rc = fill_address(&addr, path);

	return rc ? rc : connect_to(&addr);
}

/* Removes what an earlier run has left at the path. */
static int remove_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd;

	if (lstat(addr->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = connect_to(addr);
	if (fd >= 0)
		close(fd);
	/* A full backlog says EAGAIN, a socket of another type EPROTOTYPE: somebody is there. */
	if (fd != -ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(addr->sun_path) ? -errno : 0;
}

static int bind_at(struct unix_listener *listener, const struct sockaddr_un *addr)
{
	if (bind(listener->fd, (const struct sockaddr *)addr, sizeof(*addr)))
		return -errno;
	listener->file = open(addr->sun_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return listener->file < 0 ? -errno : 0;
}

int unix_listener_open(struct unix_listener *listener, const char *path, int backlog)
{
	struct sockaddr_un addr;
	int rc = fill_address(&addr, path);

	*listener = (struct unix_listener){ .fd = -1, .file = -1, .path = path };
	if (!rc)
		rc = remove_stale(&addr);
	if (rc)
		return rc;
	listener->fd = stream_socket();
	if (listener->fd < 0)
		return listener->fd;
	rc = bind_at(listener, &addr);
	if (!rc && listen(listener->fd, backlog))
		rc = -errno;
	if (rc)
		unix_listener_close(listener);
	return rc;
}

const char *unix_listener_problem(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return "somebody listens there already";
	case -EEXIST:
		return "exists, and is not a socket";
	default:
		return strerror(-error);
	}
}

void unix_listener_hand_over(struct unix_listener *listener)
{
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
}

/* As long as it is open, no other file has its number. */
static bool is_ours(const struct unix_listener *listener)
{
	struct stat ours, there;

	return !fstat(listener->file, &ours) && !lstat(listener->path, &there) &&
	       ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

void unix_listener_close(struct unix_listener *listener)
{
	unix_listener_hand_over(listener);
	if (listener->file < 0)
		return;
	if (is_ours(listener))
		unlink(listener->path);
	close(listener->file);
	listener->file = -1;
}
