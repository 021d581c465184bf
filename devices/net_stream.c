/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/net_stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Frames up to here are gathered, and no more than this goes out in one write with several frames:
 * a Unix socket takes 32 KiB as one piece or not at all. passt of Debian 12 loses step when what
 * it reads ends within a length.
 */
#define GATHER_FRAME 2048
#define GATHER_BYTES (32u << 10)

int net_stream_init(struct net_stream *stream)
{
	*stream = (struct net_stream){
		.in = malloc(NET_STREAM_IN),
		.out = malloc(NET_STREAM_OUT),
	};
	return stream->in && stream->out ? 0 : -ENOMEM;
}

void net_stream_destroy(struct net_stream *stream)
{
	free(stream->in);
	free(stream->out);
	*stream = (struct net_stream){ 0 };
}

static size_t next_length(const struct net_stream *stream)
{
	uint32_t be;

	memcpy(&be, stream->in + stream->in_start, sizeof(be));
	return ntohl(be);
}

int net_stream_next(const struct net_stream *stream, const uint8_t **frame, size_t *len)
{
	size_t there = stream->in_end - stream->in_start;
	size_t wanted;

	if (there < NET_STREAM_LENGTH)
		return 0;
	wanted = next_length(stream);
	if (!wanted || wanted > NET_FRAME_MAX)
		return -EPROTO;
	if (there - NET_STREAM_LENGTH < wanted)
		return 0;
	*frame = stream->in + stream->in_start + NET_STREAM_LENGTH;
	*len = wanted;
	return 1;
}

void net_stream_take(struct net_stream *stream)
{
	stream->in_start += NET_STREAM_LENGTH + next_length(stream);
}

int net_stream_fill(struct net_stream *stream, int fd)
{
	struct iovec iov;
	ssize_t n;

	/* Less than a whole frame is left: it moves, and there is room for the rest of it. */
	memmove(stream->in, stream->in + stream->in_start, stream->in_end - stream->in_start);
	stream->in_end -= stream->in_start;
	stream->in_start = 0;
	iov.iov_base = stream->in + stream->in_end;
	iov.iov_len = NET_STREAM_IN - stream->in_end;
	do
		n = readv(fd, &iov, 1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	stream->in_end += n;
	return n ? 0 : -EPIPE;
}

int net_stream_flush(struct net_stream *stream, int fd)
{
	while (stream->out_start < stream->out_end) {
		const struct iovec iov = { stream->out + stream->out_start,
					   stream->out_end - stream->out_start };
		ssize_t n = writev(fd, &iov, 1);

		if (n >= 0)
			stream->out_start += n;
		else if (errno != EINTR)
			return -errno;
	}
	stream->out_start = 0;
	stream->out_end = 0;
	return 0;
}

/* Copies the bytes behind the first @skip of @iov into out[], where there is room for them. */
static void keep(struct net_stream *stream, const struct iovec *iov, unsigned int count,
		 size_t skip)
{
	for (unsigned int i = 0; i < count; i++) {
		size_t n = iov[i].iov_len;

		if (skip >= n) {
			skip -= n;
			continue;
		}
		memcpy(stream->out + stream->out_end, (const uint8_t *)iov[i].iov_base + skip,
		       n - skip);
		stream->out_end += n - skip;
		skip = 0;
	}
}

/* Large frames go from where they are. */
static int send_directly(struct net_stream *stream, int fd, const struct iovec *iov,
			 unsigned int count, size_t bytes)
{
	int rc = net_stream_flush(stream, fd);
	ssize_t n;

	if (rc)
		return rc;
	do
		n = writev(fd, iov, (int)count);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if ((size_t)n < bytes)
		keep(stream, iov, count, n);
	return 0;
}

int net_stream_send(struct net_stream *stream, int fd, struct iovec *iov, unsigned int count,
		    size_t len)
{
	size_t bytes = NET_STREAM_LENGTH + len;
	int rc = 0;

	stream->length = htonl((uint32_t)len);
	iov[0].iov_base = &stream->length;
	iov[0].iov_len = sizeof(stream->length);
	if (len > GATHER_FRAME)
		return send_directly(stream, fd, iov, count, bytes);
	if (stream->out_start || stream->out_end + bytes > GATHER_BYTES)
		rc = net_stream_flush(stream, fd);
	if (!rc)
		keep(stream, iov, count, 0);
	return rc;
}
