/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/vhost/channel.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

int vhost_channel_open(struct vhost_channel *channel)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	*channel = (struct vhost_channel){ .fd = pair[0] };
	return pair[1];
}

void vhost_channel_close(struct vhost_channel *channel)
{
	if (channel->fd >= 0)
		close(channel->fd);
	channel->fd = -1;
}

/* recv() of what is there. Without room for descriptors the kernel drops them. */
static ssize_t receive(const struct vhost_channel *channel, void *data, size_t len)
{
	ssize_t n = recv(channel->fd, data, len, MSG_DONTWAIT);

	if (n == 0)
		return -ECONNRESET;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return n;
}

/* Goes on reading the header. 1 when it is complete, 0 when not, or -errno. */
static int read_header(struct vhost_channel *channel)
{
	ssize_t n = receive(channel, (char *)&channel->hdr + channel->have,
			    sizeof(channel->hdr) - channel->have);

	if (n < 0)
		return (int)n;
	channel->have += (size_t)n;
	return channel->have == sizeof(channel->hdr);
}

/* Drops payload; no message that we know has any. 0 or -errno. */
static int skip_payload(struct vhost_channel *channel)
{
	uint8_t dropped[256];
	size_t len = channel->skip < sizeof(dropped) ? channel->skip : sizeof(dropped);
	ssize_t n = receive(channel, dropped, len);

	if (n < 0)
		return (int)n;
	channel->skip -= (uint32_t)n;
	return 0;
}

static int check_rate(struct vhost_channel *channel)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec != channel->second) {
		channel->second = now.tv_sec;
		channel->count = 0;
	}
	return ++channel->count > VHOST_CHANNEL_MAX_MESSAGES ? -EDQUOT : 0;
}

/* @status: 0: done. A back-end that reads no answers has no use for a channel. */
static int answer(const struct vhost_channel *channel, uint64_t status)
{
	struct {
		struct vhost_user_header hdr;
		uint64_t status;
	} __attribute__((packed)) reply = {
		{ channel->hdr.request, VHOST_USER_VERSION | VHOST_USER_REPLY, sizeof(status) },
		status,
	};
	ssize_t n = send(channel->fd, &reply, sizeof(reply), MSG_DONTWAIT | MSG_NOSIGNAL);

	return n == (ssize_t)sizeof(reply) ? 0 : -ECONNRESET;
}

int vhost_channel_read(struct vhost_channel *channel)
{
	const struct vhost_user_header *hdr = &channel->hdr;
	bool changed;
	int ret;

	if (channel->fd < 0)
		return -ENOTCONN;
	if (channel->skip)
		return skip_payload(channel);
	ret = read_header(channel);
	if (ret <= 0)
		return ret;
	channel->have = 0;
	changed = hdr->request == VHOST_USER_BACKEND_CONFIG_CHANGE_MSG;
	if ((hdr->flags & ~VHOST_USER_NEED_REPLY) != VHOST_USER_VERSION ||
	    hdr->size > (changed ? 0 : VHOST_USER_MAX_PAYLOAD))
		return -EPROTO;
	channel->skip = hdr->size;
	ret = check_rate(channel);
	if (!ret && hdr->flags & VHOST_USER_NEED_REPLY)
		ret = answer(channel, changed ? 0 : 1);
	return ret ? ret : changed;
}
