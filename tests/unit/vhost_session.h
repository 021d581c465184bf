/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* One life of a vhost-user front-end: every request that it can send, to a scripted back-end. */
#ifndef TESTS_UNIT_VHOST_SESSION_H
#define TESTS_UNIT_VHOST_SESSION_H

#include <criterion/criterion.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/scripted_backend.h"
#include "vmm/vhost/frontend.h"
#include "vmm/virtio/device.h"

#define PATIENCE_MS 5000 /* where no deadline is meant to pass */
#define NR_WINDOWS  2
#define CONFIG_LEN  24
#define QUEUE	    1

static const struct virtio_queue session_queue = {
	.size = 128,
	.enabled = true,
	.addr = { 0x40001000, 0x40002000, 0x40003000 },
};

/* The front-end's side of the bench: what it hands out, and the connection. */
struct session {
	int deadline_ms;
	struct vhost_frontend fe;
	struct dma_window windows[NR_WINDOWS];
	uint64_t accepted; /* features, as the driver did */
	struct vhost_queue_fds fds;
	uint64_t queue_num;
	uint8_t config[CONFIG_LEN];
	struct device_report_wire report;
};

static inline void session_init(struct session *session)
{
	*session = (struct session){
		.deadline_ms = PATIENCE_MS,
		.fe = { .sock = -1, .channel = { .fd = -1 } },
		.windows = {
			{ { 0x40000000, 0x200000 }, memfd_create("a", MFD_CLOEXEC), 0 },
			{ { 1, 0xfff }, memfd_create("b", MFD_CLOEXEC), 1 },
		},
		.fds = {
			.kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
			.call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
			.err = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
		},
		.accepted = VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM | 1u << 9,
	};
}

static inline void session_destroy(struct session *session)
{
	vhost_frontend_close(&session->fe);
	vhost_frontend_close_channel(&session->fe);
	for (size_t i = 0; i < NR_WINDOWS; i++)
		close(session->windows[i].fd);
	close(session->fds.kick);
	close(session->fds.call);
	close(session->fds.err);
}

/* Every request that there is, until one fails. */
static inline int session_run(struct session *session, int sock)
{
	struct vhost_frontend *fe = &session->fe;
	int ret = vhost_frontend_open(fe, sock, session->deadline_ms, -1, session->windows,
				      NR_WINDOWS);

	if (!ret)
		ret = vhost_frontend_get_queue_num(fe, &session->queue_num);
	if (!ret)
		ret = vhost_frontend_get_config(fe, session->config, CONFIG_LEN);
	if (!ret)
		ret = vhost_frontend_set_config(fe, 8, "wx", 2);
	if (!ret)
		ret = vhost_frontend_set_features(fe, session->accepted);
	if (!ret)
		ret = vhost_frontend_start_queue(fe, QUEUE, &session_queue, &session->fds);
	if (!ret)
		ret = vhost_frontend_stop_queue(fe, QUEUE);
	if (!ret)
		ret = vhost_frontend_get_report(fe, &session->report);
	return ret;
}

/* A whole good session; @backend has what crossed. */
static inline void session_run_good(struct session *session, struct scripted_backend *backend)
{
	session_init(session);
	scripted_backend_init(backend);
	cr_assert_eq(session_run(session, scripted_backend_start(backend)), 0);
	vhost_frontend_close(&session->fe);
	scripted_backend_join(backend);
}

static inline const struct vhost_user_msg *session_find(const struct scripted_backend *backend,
							uint32_t request)
{
	for (unsigned int i = 0; i < backend->nr_messages; i++)
		if (backend->messages[i].hdr.request == request)
			return &backend->messages[i];
	cr_assert_fail("no %s", vhost_user_request_name(request));
	return NULL;
}

/* What session_run() makes the front-end send, in this order. */
static const uint32_t session_requests[] = {
	VHOST_USER_GET_FEATURES,
	VHOST_USER_GET_PROTOCOL_FEATURES,
	VHOST_USER_SET_PROTOCOL_FEATURES,
	VHOST_USER_SET_BACKEND_REQ_FD,
	VHOST_USER_SET_OWNER,
	VHOST_USER_SET_MEM_TABLE,
	VHOST_USER_GET_QUEUE_NUM,
	VHOST_USER_GET_CONFIG,
	VHOST_USER_SET_CONFIG,
	VHOST_USER_SET_FEATURES,
	VHOST_USER_SET_VRING_NUM,
	VHOST_USER_SET_VRING_BASE,
	VHOST_USER_SET_VRING_ADDR,
	VHOST_USER_SET_VRING_CALL,
	VHOST_USER_SET_VRING_ERR,
	VHOST_USER_SET_VRING_KICK,
	VHOST_USER_SET_VRING_ENABLE,
	VHOST_USER_GET_VRING_BASE,
	VHOST_USER_MINIVMM_GET_REPORT,
};

#define NR_REQUESTS (sizeof(session_requests) / sizeof(session_requests[0]))

#endif
