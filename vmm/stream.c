/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/log.h"

/* Further peers wait in connect(2); the ones behind them do so until these are served. */
#define BACKLOG 1

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* O_APPEND: who empties the file while the guest runs gets no hole at its start. */
static int open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);

	return fd < 0 ? -errno : fd;
}

/* @suffix is what follows the user's path. Returns a descriptor or -errno, told on stderr. */
static int open_fifo(const char *path, const char *suffix, const char *option)
{
	char name[PATH_MAX];
	struct stat st = { 0 };
	int len = snprintf(name, sizeof(name), "%s%s", path, suffix);
	int fd, ret = 0;

	if (len < 0 || (size_t)len >= sizeof(name)) {
		log_error("%s: %s: %s", option, path, strerror(ENAMETOOLONG));
		return -ENAMETOOLONG;
	}
	fd = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st))
		ret = -errno;
	if (!ret && S_ISFIFO(st.st_mode))
		return fd;
	log_error("%s: %s: %s", option, name, ret ? strerror(-ret) : "not a FIFO");
	close_fd(&fd);
	return ret ? ret : -EINVAL;
}

static int open_pipe(struct stream *stream, const char *path, const char *option)
{
	stream->fd = open_fifo(path, ".out", option);
	if (stream->fd < 0)
		return stream->fd;
	stream->input_fd = open_fifo(path, ".in", option);
	return stream->input_fd < 0 ? stream->input_fd : 0;
}

/* Removes a socket that nobody listens at any more. 0; -EADDRINUSE, -EEXIST or another -errno. */
static int remove_stale(const struct sockaddr_un *address)
{
	struct stat st;
	int fd, ret;

	if (lstat(address->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	ret = connect(fd, (const struct sockaddr *)address, sizeof(*address)) ? -errno : 0;
	close(fd);
	/* A listener whose backlog is full says EAGAIN, a socket of another type EPROTOTYPE. */
	if (ret != -ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(address->sun_path) ? -errno : 0;
}

static int bind_socket(struct stream *stream, const struct sockaddr_un *address, const char *path)
{
	struct stat st;

	if (bind(stream->fd, (const struct sockaddr *)address, sizeof(*address)))
		return -errno;
	/* From here on it is ours to remove. */
	if (lstat(path, &st))
		return -errno;
	stream->path = path;
	stream->dev = st.st_dev;
	stream->ino = st.st_ino;
	return listen(stream->fd, BACKLOG) ? -errno : 0;
}

static int open_socket(struct stream *stream, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int ret;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	ret = remove_stale(&address);
	if (ret)
		return ret;
	stream->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return stream->fd < 0 ? -errno : bind_socket(stream, &address, path);
}

static int open_pair(struct stream *stream)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return -errno;
	stream->fd = pair[0];
	stream->near_fd = pair[1];
	return 0;
}

/* What strerror() would say less well. */
static const char *explain(int error)
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

int stream_open(struct stream *stream, const struct config_stream *config, const char *option)
{
	bool told = config->kind == CONFIG_STREAM_PIPE;
	int ret = -EINVAL;

	*stream = (struct stream){ .fd = -1, .input_fd = -1, .near_fd = -1 };
	switch (config->kind) {
	case CONFIG_STREAM_FILE:
		stream->fd = open_file(config->path);
		ret = stream->fd < 0 ? stream->fd : 0;
		break;
	case CONFIG_STREAM_PIPE:
		ret = open_pipe(stream, config->path, option);
		break;
	case CONFIG_STREAM_SOCKET:
		ret = open_socket(stream, config->path);
		break;
	case CONFIG_STREAM_EXIT:
		ret = open_pair(stream);
		break;
	case CONFIG_STREAM_STDIO:
		break;
	}
	if (ret && !told)
		log_error("%s: %s: %s", option, config->path ? config->path : "socket pair",
			  explain(ret));
	if (ret)
		stream_close(stream);
	return ret;
}

void stream_hand_over(struct stream *stream)
{
	close_fd(&stream->fd);
	close_fd(&stream->input_fd);
}

void stream_close(struct stream *stream)
{
	struct stat st;

	stream_hand_over(stream);
	close_fd(&stream->near_fd);
	if (stream->path && lstat(stream->path, &st) == 0 && st.st_dev == stream->dev &&
	    st.st_ino == stream->ino)
		unlink(stream->path);
	stream->path = NULL;
}
