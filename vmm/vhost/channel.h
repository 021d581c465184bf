/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a back-end says unasked, on a socket of its own (vhost-user specification, "Back-end
 * communication"). Of all that it could say we know one message: its configuration space has
 * changed. Others are read and dropped, and refused where an answer is wanted.
 *
 * The back-end is not trusted: nothing here ever waits for it, descriptors that it sends are
 * dropped by the kernel, and one that says nonsense, or too much, is listened to no more.
 */
#ifndef VMM_VHOST_CHANNEL_H
#define VMM_VHOST_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "devices/proto/vhost_user.h"

/* A resized disk says one thing; who says so much more has something else in mind. */
#define VHOST_CHANNEL_MAX_MESSAGES 64 /* per second */

struct vhost_channel {
	int fd; /* our end; owned; -1: none */
	struct vhost_user_header hdr;
	size_t have;   /* bytes of hdr that came */
	uint32_t skip; /* bytes of payload that are still to come */
	time_t second; /* in which so many messages were read: */
	unsigned int count;
};

/* Makes the channel. Returns the back-end's end, the caller's to send and close, or -errno. */
int vhost_channel_open(struct vhost_channel *channel);
void vhost_channel_close(struct vhost_channel *channel);

/*
 * To be called when the descriptor is readable; reads one message at most. Returns 1 when the
 * back-end says that its configuration space has changed, 0 otherwise. -errno: the channel is of no
 * more use (-ECONNRESET: hung up, -EPROTO: nonsense, -EDQUOT: too much).
 */
int vhost_channel_read(struct vhost_channel *channel);

#endif
