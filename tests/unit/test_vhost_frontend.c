/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What crosses to a back-end: a subset of requests, the windows, and nothing else of the guest. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tests/unit/vhost_session.h"

Test(vhost_frontend, requests_in_their_order)
{
	struct session session;
	struct scripted_backend backend;

	session_run_good(&session, &backend);
	cr_assert_eq(backend.nr_messages, NR_REQUESTS);
	for (size_t i = 0; i < NR_REQUESTS; i++) {
		const struct vhost_user_msg *msg = &backend.messages[i];

		cr_expect_eq(msg->hdr.request, session_requests[i], "%zu: %s", i,
			     vhost_user_request_name(msg->hdr.request));
		cr_expect_eq(vhost_user_check_request(msg), 0, "%s is in the subset",
			     vhost_user_request_name(msg->hdr.request));
	}
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}

static ino_t inode(int fd)
{
	struct stat st;

	cr_assert_eq(fstat(fd, &st), 0);
	return st.st_ino;
}

/* No address of ours, no memory but the windows'. */
Test(vhost_frontend, windows_are_all_that_the_backend_sees)
{
	struct session session;
	struct scripted_backend backend;
	const struct vhost_user_msg *msg;

	session_run_good(&session, &backend);
	msg = session_find(&backend, VHOST_USER_SET_MEM_TABLE);
	cr_assert_eq(msg->payload.memory.nregions, NR_WINDOWS);
	cr_assert_eq(msg->nr_fds, NR_WINDOWS);
	for (size_t i = 0; i < NR_WINDOWS; i++) {
		const struct vhost_user_memory_region *region = &msg->payload.memory.regions[i];

		cr_expect_eq(region->guest_phys_addr, session.windows[i].range.base);
		cr_expect_eq(region->userspace_addr, session.windows[i].range.base);
		cr_expect_eq(region->memory_size, session.windows[i].range.size);
		cr_expect_eq(region->mmap_offset, session.windows[i].offset);
		cr_expect_eq(inode(msg->fds[i]), inode(session.windows[i].fd));
	}
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}

Test(vhost_frontend, no_other_request_carries_descriptors)
{
	struct session session;
	struct scripted_backend backend;

	session_run_good(&session, &backend);
	for (unsigned int i = 0; i < backend.nr_messages; i++) {
		const uint32_t request = backend.messages[i].hdr.request;
		const bool one = request == VHOST_USER_SET_VRING_KICK ||
				 request == VHOST_USER_SET_VRING_CALL ||
				 request == VHOST_USER_SET_VRING_ERR ||
				 request == VHOST_USER_SET_BACKEND_REQ_FD;

		if (request != VHOST_USER_SET_MEM_TABLE)
			cr_expect_eq(backend.messages[i].nr_fds, one, "%s",
				     vhost_user_request_name(request));
	}
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}

Test(vhost_frontend, eventfds_are_those_of_the_queue)
{
	struct session session;
	struct scripted_backend backend;
	const struct {
		uint32_t request;
		const int *fd;
	} cases[] = {
		{ VHOST_USER_SET_VRING_KICK, &session.fds.kick },
		{ VHOST_USER_SET_VRING_CALL, &session.fds.call },
		{ VHOST_USER_SET_VRING_ERR, &session.fds.err },
	};

	session_run_good(&session, &backend);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct vhost_user_msg *msg = session_find(&backend, cases[i].request);
		eventfd_t value = 0;

		cr_expect_eq(msg->payload.u64, QUEUE);
		eventfd_write(msg->fds[0], 10 + i);
		cr_expect_eq(eventfd_read(*cases[i].fd, &value), 0);
		cr_expect_eq(value, 10 + i);
	}
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}

Test(vhost_frontend, features_as_a_backend_may_see_them)
{
	struct session session;
	struct scripted_backend backend;

	session_run_good(&session, &backend);
	cr_expect_eq(session.fe.features, backend.features);
	cr_expect_eq(session_find(&backend, VHOST_USER_SET_FEATURES)->payload.u64,
		     VIRTIO_F_VERSION_1 | 1u << 9 | 1ull << VHOST_USER_F_PROTOCOL_FEATURES,
		     "ACCESS_PLATFORM would make it wait for IOTLB messages");
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}

/* How the guest learned of its pool is none of the back-end's business. */
Test(vhost_frontend, features_that_the_backend_did_not_offer_are_kept_from_it)
{
	static const uint64_t ours[] = { 1ull << 27, 1ull << 44, 1ull << 63, ~(1ull << 32) };

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		struct session session;
		struct scripted_backend backend;
		uint64_t told;

		session_init(&session);
		session.accepted = VIRTIO_F_VERSION_1 | ours[i];
		scripted_backend_init(&backend);
		cr_assert_eq(session_run(&session, scripted_backend_start(&backend)), 0);
		vhost_frontend_close(&session.fe);
		scripted_backend_join(&backend);
		told = session_find(&backend, VHOST_USER_SET_FEATURES)->payload.u64;
		cr_expect_eq(told & ~backend.features, 0, "case %zu: %#lx", i, (unsigned long)told);
		cr_expect(told & VIRTIO_F_VERSION_1, "case %zu", i);
		scripted_backend_destroy(&backend);
		session_destroy(&session);
	}
}

/* ... even of a back-end that offers everything. */
Test(vhost_frontend, access_platform_is_never_told)
{
	struct session session;
	struct scripted_backend backend;

	session_init(&session);
	scripted_backend_init(&backend);
	backend.features = UINT64_MAX;
	cr_assert_eq(session_run(&session, scripted_backend_start(&backend)), 0);
	vhost_frontend_close(&session.fe);
	scripted_backend_join(&backend);
	cr_expect_eq(session_find(&backend, VHOST_USER_SET_FEATURES)->payload.u64,
		     VIRTIO_F_VERSION_1 | 1u << 9 | 1ull << VHOST_USER_F_PROTOCOL_FEATURES);
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}

Test(vhost_frontend, the_queue_starts_from_an_empty_ring)
{
	struct session session;
	struct scripted_backend backend;
	const struct vhost_user_vring_addr *addr;

	session_run_good(&session, &backend);
	addr = &session_find(&backend, VHOST_USER_SET_VRING_ADDR)->payload.addr;
	cr_expect_eq(addr->index, QUEUE);
	cr_expect_eq(addr->flags, 0);
	cr_expect_eq(addr->descriptor, session_queue.addr[VIRTIO_RING_DESC]);
	cr_expect_eq(addr->available, session_queue.addr[VIRTIO_RING_AVAIL]);
	cr_expect_eq(addr->used, session_queue.addr[VIRTIO_RING_USED]);
	cr_expect_eq(addr->log, 0);
	cr_expect_eq(session_find(&backend, VHOST_USER_SET_VRING_NUM)->payload.state.index, QUEUE);
	cr_expect_eq(session_find(&backend, VHOST_USER_SET_VRING_NUM)->payload.state.num, 128);
	cr_expect_eq(session_find(&backend, VHOST_USER_SET_VRING_BASE)->payload.state.num, 0);
	cr_expect_eq(session_find(&backend, VHOST_USER_SET_VRING_ENABLE)->payload.state.num, 1);
	cr_expect_eq(session_find(&backend, VHOST_USER_GET_VRING_BASE)->payload.state.index, QUEUE);
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}

Test(vhost_frontend, what_the_backend_tells)
{
	struct session session;
	struct scripted_backend backend;

	session_run_good(&session, &backend);
	for (uint8_t i = 0; i < CONFIG_LEN; i++)
		cr_expect_eq(session.config[i], 0x40 + i);
	cr_expect_eq(session.report.requests, 1234);
	cr_expect_eq(session.report.nr_violations, 1);
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}

Test(vhost_frontend, only_known_protocol_features_are_taken)
{
	struct session session;
	struct scripted_backend backend;
	uint64_t known;

	session_init(&session);
	scripted_backend_init(&backend);
	known = backend.protocol_features;
	backend.protocol_features = UINT64_MAX;
	cr_assert_eq(session_run(&session, scripted_backend_start(&backend)), 0);
	vhost_frontend_close(&session.fe);
	scripted_backend_join(&backend);
	cr_expect_eq(session_find(&backend, VHOST_USER_SET_PROTOCOL_FEATURES)->payload.u64, known);
	cr_expect_eq(session.fe.protocol_features, known);
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}

/* The same windows and descriptors, elsewhere. */
Test(vhost_frontend, windows_move)
{
	struct session session;
	struct scripted_backend backend;
	const struct vhost_user_msg *msg;

	session_init(&session);
	scripted_backend_init(&backend);
	cr_assert_eq(session_run(&session, scripted_backend_start(&backend)), 0);
	session.windows[0].range.base = 0x5000000000;
	cr_expect_eq(vhost_frontend_set_windows(&session.fe, session.windows, NR_WINDOWS), 0);
	vhost_frontend_close(&session.fe);
	scripted_backend_join(&backend);
	cr_assert_eq(backend.nr_messages, NR_REQUESTS + 1);
	msg = &backend.messages[NR_REQUESTS];
	cr_assert_eq(msg->hdr.request, VHOST_USER_SET_MEM_TABLE);
	cr_expect_eq(vhost_user_check_request(msg), 0);
	cr_assert_eq(msg->payload.memory.nregions, NR_WINDOWS);
	cr_expect_eq(msg->payload.memory.regions[0].guest_phys_addr, 0x5000000000);
	cr_expect_eq(msg->payload.memory.regions[0].userspace_addr, 0x40000000,
		     "where a back-end remembers its rings to be");
	cr_expect_eq(msg->payload.memory.regions[0].memory_size, 0x200000);
	cr_expect_eq(msg->payload.memory.regions[1].guest_phys_addr, 1);
	cr_expect_eq(msg->payload.memory.regions[1].mmap_offset, 1);
	for (size_t i = 0; i < NR_WINDOWS; i++)
		cr_expect_eq(inode(msg->fds[i]), inode(session.windows[i].fd));
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}

/* A back-end that does not move with the BAR would serve addresses that are another's by now. */
Test(vhost_frontend, a_refused_move_is_an_error)
{
	static const enum fault faults[] = { FAULT_REFUSE, FAULT_CLOSE, FAULT_SHORT };

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct session session;
		struct scripted_backend backend;

		session_init(&session);
		scripted_backend_init(&backend);
		cr_assert_eq(vhost_frontend_open(&session.fe, scripted_backend_start(&backend),
						 session.deadline_ms, -1, session.windows,
						 NR_WINDOWS),
			     0);
		backend.fault_at = VHOST_USER_SET_MEM_TABLE;
		backend.fault = faults[i];
		cr_expect_lt(vhost_frontend_set_windows(&session.fe, session.windows, NR_WINDOWS),
			     0, "fault %d", faults[i]);
		vhost_frontend_close(&session.fe);
		scripted_backend_join(&backend);
		scripted_backend_destroy(&backend);
		session_destroy(&session);
	}
}

/* A back-end remembers where its rings are, also over a later table. */
Test(vhost_frontend, rings_keep_their_addresses_when_windows_move)
{
	struct session session;
	struct scripted_backend backend;
	struct virtio_queue queue = session_queue;
	const struct vhost_user_vring_addr *addr = NULL;

	session_init(&session);
	scripted_backend_init(&backend);
	cr_assert_eq(session_run(&session, scripted_backend_start(&backend)), 0);
	session.windows[0].range.base = 0x5000000000;
	cr_assert_eq(vhost_frontend_set_windows(&session.fe, session.windows, NR_WINDOWS), 0);
	cr_expect_eq(vhost_frontend_start_queue(&session.fe, QUEUE, &queue, &session.fds), -EFAULT,
		     "where the window is no more");
	for (size_t i = 0; i < VIRTIO_RING_PARTS; i++)
		queue.addr[i] += 0x5000000000 - 0x40000000;
	cr_assert_eq(vhost_frontend_start_queue(&session.fe, QUEUE, &queue, &session.fds), 0);
	vhost_frontend_close(&session.fe);
	scripted_backend_join(&backend);
	for (unsigned int i = 0; i < backend.nr_messages; i++)
		if (backend.messages[i].hdr.request == VHOST_USER_SET_VRING_ADDR)
			addr = &backend.messages[i].payload.addr;
	cr_assert_not_null(addr);
	cr_expect_eq(addr->descriptor, session_queue.addr[VIRTIO_RING_DESC]);
	cr_expect_eq(addr->available, session_queue.addr[VIRTIO_RING_AVAIL]);
	cr_expect_eq(addr->used, session_queue.addr[VIRTIO_RING_USED]);
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}

Test(vhost_frontend, the_driver_writes_configuration)
{
	struct session session;
	struct scripted_backend backend;
	const struct vhost_user_config *config;

	session_run_good(&session, &backend);
	config = &session_find(&backend, VHOST_USER_SET_CONFIG)->payload.config;
	cr_expect_eq(config->offset, 8);
	cr_expect_eq(config->size, 2);
	cr_expect_eq(config->flags, 0, "of a driver, not of a migration");
	cr_expect_arr_eq(config->region, "wx", 2);
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}

Test(vhost_frontend, the_channel_is_one_of_both_ends)
{
	struct session session;
	struct scripted_backend backend;
	const struct vhost_user_header change = { VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
						  VHOST_USER_VERSION, 0 };
	const struct vhost_user_msg *msg;

	session_init(&session);
	scripted_backend_init(&backend);
	cr_assert_eq(session_run(&session, scripted_backend_start(&backend)), 0);
	msg = session_find(&backend, VHOST_USER_SET_BACKEND_REQ_FD);
	cr_assert_eq(write(msg->fds[0], &change, sizeof(change)), sizeof(change));
	cr_expect_eq(vhost_frontend_read_channel(&session.fe), 1);
	vhost_frontend_close(&session.fe);
	cr_expect_geq(vhost_frontend_channel_fd(&session.fe), 0, "somebody may be watching it");
	cr_expect_eq(vhost_frontend_read_channel(&session.fe), -ECONNRESET);
	vhost_frontend_close_channel(&session.fe);
	cr_expect_eq(vhost_frontend_channel_fd(&session.fe), -1);
	scripted_backend_join(&backend);
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}

/* Who holds a copy of the descriptor, to notice a hang-up, is no reason for the back-end to wait. */
Test(vhost_frontend, the_connection_ends_for_copies_too)
{
	struct session session;
	struct scripted_backend backend;
	int copy;

	session_init(&session);
	scripted_backend_init(&backend);
	cr_assert_eq(session_run(&session, scripted_backend_start(&backend)), 0);
	copy = dup(session.fe.sock);
	vhost_frontend_close(&session.fe);
	scripted_backend_join(&backend);
	close(copy);
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}

/* The question is asked once, the answer looked for the next time; other questions go between. */
Test(vhost_frontend, a_back_end_that_answers_is_alive)
{
	struct session session;
	struct scripted_backend backend;
	uint64_t number;

	session_init(&session);
	scripted_backend_init(&backend);
	cr_assert_eq(session_run(&session, scripted_backend_start(&backend)), 0);
	for (uint64_t now = 1; now < 10; now++)
		cr_expect_eq(vhost_frontend_ping(&session.fe, now, 1000), 0);
	cr_expect_eq(vhost_frontend_get_queue_num(&session.fe, &number), 0);
	cr_expect_eq(number, 4);
	cr_expect_eq(session.fe.pinged_ms, 0, "its answer was taken before");
	vhost_frontend_close(&session.fe);
	scripted_backend_join(&backend);
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}

Test(vhost_frontend, a_silent_back_end_is_found_out)
{
	struct vhost_frontend fe = { .sock = -1, .deadline_ms = 100, .channel = { .fd = -1 } };
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	fe.sock = pair[0];
	cr_expect_eq(vhost_frontend_ping(&fe, 1000, 30), 0, "asked");
	cr_expect_eq(vhost_frontend_ping(&fe, 1030, 30), 0, "still in time");
	cr_expect_eq(vhost_frontend_ping(&fe, 1031, 30), -ETIMEDOUT);
	cr_expect_eq(fe.sock, -1);
	close(pair[1]);
}

/* Each answer is in time; seven of them, to start a queue, take longer than one may. */
Test(vhost_frontend, a_step_has_the_deadline_of_one_request)
{
	struct session session;
	struct scripted_backend backend;

	session_init(&session);
	scripted_backend_init(&backend);
	backend.think_us = 100000;
	session.deadline_ms = 400;
	cr_assert_eq(session_run(&session, scripted_backend_start(&backend)), 0, "without a step");
	vhost_frontend_begin_step(&session.fe);
	cr_expect_eq(vhost_frontend_start_queue(&session.fe, QUEUE, &session_queue, &session.fds),
		     -ETIMEDOUT);
	cr_expect_eq(session.fe.sock, -1);
	vhost_frontend_close(&session.fe);
	scripted_backend_join(&backend);
	scripted_backend_destroy(&backend);
	session_destroy(&session);
}
