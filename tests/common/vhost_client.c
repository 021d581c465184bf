/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/common/vhost_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int vhost_client_connect(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = 0;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (sock < 0 || connect(sock, (const struct sockaddr *)&addr, sizeof(addr)))
		rc = -errno;
	if (!rc)
		return sock;
	fprintf(stderr, "vhost: %s: %s\n", path, strerror(-rc));
	if (sock >= 0)
		close(sock);
	return rc;
}

int vhost_client_transact(int sock, struct vhost_user_msg *msg, bool has_reply)
{
	uint32_t request = msg->hdr.request;
	int rc;

	msg->hdr.flags = VHOST_USER_VERSION;
	rc = vhost_user_send(sock, msg);
	if (!rc && has_reply) {
		rc = vhost_user_recv(sock, msg, VHOST_CLIENT_TIMEOUT);
		rc = rc == 1 ? 0 : rc ? rc : -ECONNRESET;
	}
	if (rc)
		fprintf(stderr, "vhost: %s: %s\n", vhost_user_request_name(request), strerror(-rc));
	return rc;
}

int vhost_client_get_u64(int sock, uint32_t request, uint64_t *value)
{
	struct vhost_user_msg msg = { .hdr.request = request };
	int rc = vhost_client_transact(sock, &msg, true);

	*value = msg.payload.u64;
	return rc;
}

int vhost_client_set_u64(int sock, uint32_t request, uint64_t value, int fd)
{
	struct vhost_user_msg msg = {
		.hdr = { .request = request, .size = sizeof(value) },
		.payload.u64 = value,
		.fds = { fd },
		.nr_fds = fd >= 0,
	};

	return vhost_client_transact(sock, &msg, false);
}

int vhost_client_set_state(int sock, uint32_t request, uint32_t index, uint32_t num)
{
	struct vhost_user_msg msg = {
		.hdr = { .request = request, .size = sizeof(msg.payload.state) },
		.payload.state = { .index = index, .num = num },
	};

	return vhost_client_transact(sock, &msg, false);
}

int vhost_client_share(int sock, int fd, uint64_t dma, uint64_t bytes)
{
	struct vhost_user_msg msg = {
		.hdr = { .request = VHOST_USER_SET_MEM_TABLE,
			 .size = 8 + sizeof(struct vhost_user_memory_region) },
		.payload.memory = { .nregions = 1, .regions = { { dma, bytes, dma, 0 } } },
		.fds = { fd },
		.nr_fds = 1,
	};

	return vhost_client_transact(sock, &msg, false);
}

int vhost_client_start(int sock, const struct vhost_client_queue *queue)
{
	const uint32_t index = queue->index;
	struct vhost_user_msg addr = {
		.hdr = { .request = VHOST_USER_SET_VRING_ADDR, .size = sizeof(addr.payload.addr) },
		.payload.addr = { .index = index,
				  .descriptor = queue->desc,
				  .available = queue->avail,
				  .used = queue->used },
	};
	int rc = vhost_client_set_state(sock, VHOST_USER_SET_VRING_NUM, index, queue->size);

	if (!rc)
		rc = vhost_client_set_state(sock, VHOST_USER_SET_VRING_BASE, index, queue->base);
	if (!rc)
		rc = vhost_client_transact(sock, &addr, false);
	if (!rc)
		rc = vhost_client_set_u64(sock, VHOST_USER_SET_VRING_CALL, index, queue->call);
	if (!rc)
		rc = vhost_client_set_u64(sock, VHOST_USER_SET_VRING_KICK, index, queue->kick);
	return rc ? rc : vhost_client_set_state(sock, VHOST_USER_SET_VRING_ENABLE, index, 1);
}

int vhost_client_sync(int sock)
{
	uint64_t features;

	return vhost_client_get_u64(sock, VHOST_USER_GET_FEATURES, &features);
}
