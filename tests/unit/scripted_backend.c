/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/unit/scripted_backend.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MANY_FDS 253 /* as many as the kernel lets through at once */

/* The good answer to @request, in place; false when none is due. */
static bool make_answer(const struct scripted_backend *backend, struct vhost_user_msg *msg)
{
	const bool wanted = msg->hdr.flags & VHOST_USER_NEED_REPLY;
	const uint32_t index = msg->payload.state.index;

	msg->hdr.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	msg->nr_fds = 0;
	switch (msg->hdr.request) {
	case VHOST_USER_GET_FEATURES:
		msg->hdr.size = sizeof(msg->payload.u64);
		msg->payload.u64 = backend->features;
		return true;
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		msg->hdr.size = sizeof(msg->payload.u64);
		msg->payload.u64 = backend->protocol_features;
		return true;
	case VHOST_USER_GET_QUEUE_NUM:
		msg->hdr.size = sizeof(msg->payload.u64);
		msg->payload.u64 = backend->queue_num;
		return true;
	case VHOST_USER_GET_CONFIG:
		if (msg->payload.config.size > backend->config_len)
			msg->hdr.size = 0;
		for (uint32_t i = 0; i < msg->payload.config.size; i++)
			msg->payload.config.region[i] = (uint8_t)(0x40 + i);
		return true;
	case VHOST_USER_GET_VRING_BASE:
		msg->payload.state = (struct vhost_user_vring_state){ index, 7 };
		return true;
	case VHOST_USER_MINIVMM_GET_REPORT:
		msg->hdr.size = sizeof(backend->report);
		memcpy(msg->payload.bytes, &backend->report, sizeof(backend->report));
		return true;
	default:
		msg->hdr.size = sizeof(msg->payload.u64);
		msg->payload.u64 = 0;
		return wanted;
	}
}

/* Sends @len bytes with @nr descriptors, whatever the rules say. */
static void send_raw(int sock, const void *data, size_t len, unsigned int nr)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * MANY_FDS)];
	} control = { 0 };
	struct iovec iov = { (void *)data, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nr > 0) {
		struct cmsghdr *cmsg = &control.align;

		mh.msg_control = control.bytes;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nr);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nr);
		for (unsigned int i = 0; i < nr; i++)
			memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &sock, sizeof(int));
	}
	(void)sendmsg(sock, &mh, MSG_NOSIGNAL);
}

/* Byte by byte, until the other end has had enough, and never the last one: a front-end that looks late must not find all of it. */
static void trickle(const struct scripted_backend *backend, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++) {
		usleep(backend->trickle_us);
		if (send(backend->sock, data + i, 1, MSG_NOSIGNAL) < 0)
			return;
	}
}

/* Spoils the good answer @msg as it is sent. */
static void send_fault(const struct scripted_backend *backend, struct vhost_user_msg *msg)
{
	size_t len = sizeof(msg->hdr) + msg->hdr.size;
	unsigned int nr_fds = 0;

	switch (backend->fault) {
	case FAULT_OTHER_REQUEST:
		msg->hdr.request++;
		break;
	case FAULT_SHORT:
		msg->hdr.size -= 4;
		len -= 4;
		break;
	case FAULT_LONG:
		msg->hdr.size += 4;
		len += 4;
		break;
	case FAULT_EMPTY:
		msg->hdr.size = 0;
		len = sizeof(msg->hdr);
		break;
	case FAULT_HUGE:
		msg->hdr.size = VHOST_USER_MAX_PAYLOAD + 1;
		break;
	case FAULT_NO_REPLY_FLAG:
		msg->hdr.flags &= ~VHOST_USER_REPLY;
		break;
	case FAULT_NEED_REPLY:
		msg->hdr.flags |= VHOST_USER_NEED_REPLY;
		break;
	case FAULT_VERSION:
		msg->hdr.flags ^= VHOST_USER_VERSION_MASK;
		break;
	case FAULT_ONE_FD:
		nr_fds = 1;
		break;
	case FAULT_MANY_FDS:
		nr_fds = MANY_FDS;
		break;
	case FAULT_PAYLOAD_FD:
		send_raw(backend->sock, &msg->hdr, sizeof(msg->hdr), 0);
		send_raw(backend->sock, msg->payload.bytes, msg->hdr.size, 1);
		return;
	case FAULT_TRICKLE:
		trickle(backend, (const uint8_t *)msg, len);
		return;
	case FAULT_CLOSE_IN_HALF:
		len = sizeof(msg->hdr) + msg->hdr.size / 2;
		break;
	case FAULT_REFUSE:
		msg->payload.u64 = 1;
		break;
	default: /* nothing is sent */
		return;
	}
	send_raw(backend->sock, msg, len, nr_fds);
}

static void *serve(void *opaque)
{
	struct scripted_backend *backend = opaque;
	bool faulty = false;

	while (backend->nr_messages < SCRIPT_MAX_MESSAGES) {
		struct vhost_user_msg *received = &backend->messages[backend->nr_messages];
		struct vhost_user_msg msg;

		if (vhost_user_recv(backend->sock, received, -1) != 1)
			break;
		backend->nr_messages++;
		if (received->hdr.request == backend->hang_up_at)
			break;
		msg = *received;
		if (!make_answer(backend, &msg))
			continue;
		usleep(backend->think_us);
		if (backend->fault == FAULT_NONE || faulty ||
		    msg.hdr.request != backend->fault_at) {
			(void)vhost_user_send(backend->sock, &msg);
			if (msg.hdr.request == backend->twice_at)
				(void)vhost_user_send(backend->sock, &msg);
			continue;
		}
		faulty = true;
		send_fault(backend, &msg);
		if (backend->fault == FAULT_CLOSE || backend->fault == FAULT_CLOSE_IN_HALF)
			break;
	}
	close(backend->sock);
	return NULL;
}

void scripted_backend_init(struct scripted_backend *backend)
{
	*backend = (struct scripted_backend){
		.features = 1ull << 32 | 1ull << VHOST_USER_F_PROTOCOL_FEATURES | 1ull << 9,
		.protocol_features = 1ull << VHOST_USER_PROTOCOL_F_MQ |
				     1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK |
				     1ull << VHOST_USER_PROTOCOL_F_BACKEND_REQ |
				     1ull << VHOST_USER_PROTOCOL_F_CONFIG |
				     1ull << VHOST_USER_PROTOCOL_F_MINIVMM_REPORT |
				     1ull << VHOST_USER_PROTOCOL_F_MINIVMM_KEPT,
		.queue_num = 4,
		.config_len = VHOST_USER_MAX_CONFIG,
		.report = { .requests = 1234, .nr_violations = 1 },
		.trickle_us = 5000,
	};
}

int scripted_backend_start(struct scripted_backend *backend)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	backend->sock = pair[1];
	cr_assert_eq(pthread_create(&backend->thread, NULL, serve, backend), 0);
	return pair[0];
}

void scripted_backend_join(struct scripted_backend *backend)
{
	pthread_join(backend->thread, NULL);
}

void scripted_backend_destroy(struct scripted_backend *backend)
{
	for (unsigned int i = 0; i < backend->nr_messages; i++)
		vhost_user_close_fds(&backend->messages[i]);
}
