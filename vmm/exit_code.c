/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/exit_code.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vmm/exit_status.h"
#include "vmm/log.h"

#define CHUNK	  256  /* bytes read at once */
#define MAX_DRAIN 4096 /* chunks: more than a socket can hold */

void exit_code_init(struct exit_code *exit_code, struct main_loop *loop)
{
	*exit_code = (struct exit_code){ .loop = loop };
	for (size_t i = 0; i < EXIT_CODE_MAX_STREAMS; i++)
		exit_code->streams[i].fd = -1;
}

static void complain(struct exit_code *exit_code)
{
	if (!exit_code->complained)
		log_error("--exit-code-from: the guest wrote something else than a number from 0 "
			  "to %d",
			  EXIT_CODE_MAX);
	exit_code->complained = true;
}

static void end_line(struct exit_code_stream *stream)
{
	struct exit_code *exit_code = stream->owner;
	unsigned int code = 0;

	/* At most sizeof(digits) of them: no overflow. */
	for (size_t i = 0; i < stream->len; i++)
		code = code * 10 + (unsigned int)(stream->digits[i] - '0');
	if (stream->garbage || stream->len == 0 || code > EXIT_CODE_MAX) {
		complain(exit_code);
	} else {
		exit_code->code = code;
		exit_code->told = true;
	}
	stream->len = 0;
	stream->garbage = false;
}

static void take_byte(struct exit_code_stream *stream, char byte)
{
	if (byte == '\n')
		end_line(stream);
	else if (byte < '0' || byte > '9' || stream->len == sizeof(stream->digits))
		stream->garbage = true;
	else
		stream->digits[stream->len++] = byte;
}

static void close_stream(struct exit_code_stream *stream)
{
	if (stream->len > 0 || stream->garbage)
		end_line(stream);
	main_loop_remove(stream->owner->loop, stream->fd);
	close(stream->fd);
	stream->fd = -1;
}

/* Returns whether there may be more. */
static bool read_chunk(struct exit_code_stream *stream)
{
	char data[CHUNK];
	const ssize_t n = read(stream->fd, data, sizeof(data));
	bool ended = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);

	for (ssize_t i = 0; i < n && !ended; i++) {
		take_byte(stream, data[i]);
		ended = stream->one_line && data[i] == '\n';
	}
	if (ended)
		close_stream(stream);
	return !ended && (n > 0 || errno == EINTR);
}

static void handle_data(void *opaque, uint32_t events)
{
	(void)events;
	(void)read_chunk(opaque);
}

static int watch_stream(struct exit_code *exit_code, int fd, bool one_line)
{
	struct exit_code_stream *stream = NULL;
	int ret;

	for (size_t i = 0; i < EXIT_CODE_MAX_STREAMS && !stream; i++) {
		if (exit_code->streams[i].fd < 0)
			stream = &exit_code->streams[i];
	}
	if (!stream)
		ret = -EMFILE;
	else if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		ret = -errno;
	else
		ret = main_loop_add(exit_code->loop, fd, EPOLLIN, handle_data, stream);
	if (ret)
		close(fd);
	else
		*stream = (struct exit_code_stream){ .owner = exit_code,
						     .fd = fd,
						     .one_line = one_line };
	return ret;
}

int exit_code_watch(struct exit_code *exit_code, int fd)
{
	return watch_stream(exit_code, fd, false);
}

/* A connection too many is closed, which its maker sees. */
void exit_code_connected(void *exit_code, int fd)
{
	(void)watch_stream(exit_code, fd, true);
}

void exit_code_drain(struct exit_code *exit_code)
{
	for (size_t i = 0; i < EXIT_CODE_MAX_STREAMS; i++) {
		struct exit_code_stream *stream = &exit_code->streams[i];

		if (stream->fd < 0)
			continue;
		for (int chunks = 0; chunks < MAX_DRAIN && read_chunk(stream); chunks++)
			continue;
		/* The end of the run ends a line, too. */
		if (stream->fd >= 0)
			close_stream(stream);
	}
}

/* Whether the guest got to the end of what it was to do. */
static bool has_ended_well(int status)
{
	return status == EXIT_STATUS_OK || status == EXIT_STATUS_REBOOT;
}

int exit_code_apply(const struct exit_code *exit_code, int status)
{
	if (!has_ended_well(status))
		return status;
	if (!exit_code->told)
		return EXIT_STATUS_NO_CODE;
	return exit_code->code < EXIT_STATUS_GUEST_MAX ? (int)exit_code->code
						       : EXIT_STATUS_GUEST_MAX;
}

void exit_code_explain(const struct exit_code *exit_code, int status, char *reason, size_t size)
{
	const size_t len = strlen(reason);

	if (!has_ended_well(status))
		return;
	if (exit_code->told)
		snprintf(reason + len, size - len, ", exit code %u", exit_code->code);
	else
		snprintf(reason + len, size - len, ", and told no exit code");
}
