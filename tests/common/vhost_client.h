/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The messages of a vhost-user front-end, for programs that load a back-end. Functions return 0 or
 * -errno after a line on standard error.
 */
#ifndef TESTS_COMMON_VHOST_CLIENT_H
#define TESTS_COMMON_VHOST_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/proto/vhost_user.h"

#define VHOST_CLIENT_TIMEOUT 10000 /* milliseconds; any answer comes sooner */

/* A split virtqueue: DMA addresses of its parts, the first available index, eventfds. */
struct vhost_client_queue {
	uint32_t index;
	uint16_t size;
	uint16_t base;
	uint64_t desc;
	uint64_t avail;
	uint64_t used;
	int kick;
	int call;
};

/* The socket, or -errno. */
int vhost_client_connect(const char *path);

/* Sends a request and, if it has a reply, replaces @msg by it. */
int vhost_client_transact(int sock, struct vhost_user_msg *msg, bool has_reply);
int vhost_client_get_u64(int sock, uint32_t request, uint64_t *value);
/* With a descriptor if @fd is one. */
int vhost_client_set_u64(int sock, uint32_t request, uint64_t value, int fd);
int vhost_client_set_state(int sock, uint32_t request, uint32_t index, uint32_t num);

/* All of the memory file @fd, @bytes, as the only region, at DMA address @dma. */
int vhost_client_share(int sock, int fd, uint64_t dma, uint64_t bytes);

int vhost_client_start(int sock, const struct vhost_client_queue *queue);

/* Waits until all that was sent before is done. */
int vhost_client_sync(int sock);

#endif
