/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
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

static int open_socket(struct stream *stream, const char *path)
{
	int ret = unix_listener_open(&stream->listener, path, BACKLOG);

	if (ret)
		return ret;
	stream->listens = true;
	stream->fd = stream->listener.fd;
	stream->listener.fd = -1;
	return 0;
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
			  unix_listener_problem(ret));
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
	stream_hand_over(stream);
	close_fd(&stream->near_fd);
	if (stream->listens)
		unix_listener_close(&stream->listener);
	stream->listens = false;
}
