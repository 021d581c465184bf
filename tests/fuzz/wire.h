/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* vhost-user messages as they are on a socket: a payload follows its header without a gap. */
#ifndef TESTS_FUZZ_WIRE_H
#define TESTS_FUZZ_WIRE_H

#include <string.h>

#include "devices/proto/vhost_user.h"
#include "tests/fuzz/host.h"

#define WIRE_MESSAGES 64 /* of a run: the host keeps what was sent to it */
#define WIRE_MAX      (sizeof(struct vhost_user_header) + VHOST_USER_MAX_PAYLOAD)

struct wire {
	uint8_t messages[WIRE_MESSAGES][WIRE_MAX];
	unsigned int used;
};

/*
 * Has the other end of @fd write the first @len bytes of @msg, with descriptors. False: there were too
 * many messages.
 */
static inline bool wire_send(struct wire *wire, int fd, const struct vhost_user_msg *msg,
			     size_t len, const enum host_kind *fds, unsigned int nr_fds)
{
	uint8_t *bytes = wire->messages[wire->used];
	const size_t hdr = sizeof(msg->hdr);

	if (wire->used + 1 == WIRE_MESSAGES)
		return false;
	wire->used++;
	len = len < WIRE_MAX ? len : WIRE_MAX;
	memcpy(bytes, &msg->hdr, hdr);
	if (len > hdr)
		memcpy(bytes + hdr, msg->payload.bytes, len - hdr);
	host_feed_fds(fd, bytes, len, fds, nr_fds);
	return true;
}

#endif
