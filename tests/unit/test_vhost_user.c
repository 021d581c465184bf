/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* vhost-user messages: what is let through, and how they travel. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/proto/vhost_user.h"
#include "tests/unit/fd_count.h"

#define TIMEOUT_MS 2000

static int sock[2] = { -1, -1 };

static void set_up(void)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock), 0);
}

static void tear_down(void)
{
	for (int i = 0; i < 2; i++) {
		if (sock[i] >= 0)
			close(sock[i]);
	}
}

TestSuite(vhost_user, .init = set_up, .fini = tear_down);

/* Every request of the subset, well-formed. */
static const struct request {
	uint32_t request;
	const char *name;
	uint32_t size;
	unsigned int nr_fds;
} requests[] = {
	{ VHOST_USER_GET_FEATURES, "GET_FEATURES", 0, 0 },
	{ VHOST_USER_SET_FEATURES, "SET_FEATURES", 8, 0 },
	{ VHOST_USER_SET_OWNER, "SET_OWNER", 0, 0 },
	{ VHOST_USER_SET_MEM_TABLE, "SET_MEM_TABLE", 8 + 2 * 32, 2 },
	{ VHOST_USER_SET_VRING_NUM, "SET_VRING_NUM", 8, 0 },
	{ VHOST_USER_SET_VRING_ADDR, "SET_VRING_ADDR", 40, 0 },
	{ VHOST_USER_SET_VRING_BASE, "SET_VRING_BASE", 8, 0 },
	{ VHOST_USER_GET_VRING_BASE, "GET_VRING_BASE", 8, 0 },
	{ VHOST_USER_SET_VRING_KICK, "SET_VRING_KICK", 8, 1 },
	{ VHOST_USER_SET_VRING_CALL, "SET_VRING_CALL", 8, 1 },
	{ VHOST_USER_SET_VRING_ERR, "SET_VRING_ERR", 8, 1 },
	{ VHOST_USER_GET_PROTOCOL_FEATURES, "GET_PROTOCOL_FEATURES", 0, 0 },
	{ VHOST_USER_SET_PROTOCOL_FEATURES, "SET_PROTOCOL_FEATURES", 8, 0 },
	{ VHOST_USER_GET_QUEUE_NUM, "GET_QUEUE_NUM", 0, 0 },
	{ VHOST_USER_SET_VRING_ENABLE, "SET_VRING_ENABLE", 8, 0 },
	{ VHOST_USER_SET_BACKEND_REQ_FD, "SET_BACKEND_REQ_FD", 0, 1 },
	{ VHOST_USER_GET_CONFIG, "GET_CONFIG", 12 + 24, 0 },
	{ VHOST_USER_SET_CONFIG, "SET_CONFIG", 12 + 24, 0 },
	{ VHOST_USER_MINIVMM_GET_REPORT, "MINIVMM_GET_REPORT", 0, 0 },
	{ VHOST_USER_MINIVMM_SET_KEPT, "MINIVMM_SET_KEPT", 0, 1 },
	{ VHOST_USER_MINIVMM_RESUME, "MINIVMM_RESUME", 8, 0 },
};

#define NR_REQUESTS (sizeof(requests) / sizeof(requests[0]))

static struct vhost_user_msg well_formed(const struct request *request)
{
	struct vhost_user_msg msg = { .hdr = { request->request, VHOST_USER_VERSION,
					       request->size },
				      .nr_fds = request->nr_fds };

	if (request->request == VHOST_USER_SET_MEM_TABLE)
		msg.payload.memory.nregions = 2;
	if (request->request == VHOST_USER_GET_CONFIG || request->request == VHOST_USER_SET_CONFIG)
		msg.payload.config.size = 24;
	return msg;
}

Test(vhost_user, the_subset_is_let_through)
{
	for (size_t i = 0; i < NR_REQUESTS; i++) {
		struct vhost_user_msg msg = well_formed(&requests[i]);

		cr_expect_eq(vhost_user_check_request(&msg), 0, "%s", requests[i].name);
		cr_expect_str_eq(vhost_user_request_name(msg.hdr.request), requests[i].name);
		msg.hdr.flags |= VHOST_USER_NEED_REPLY;
		cr_expect_eq(vhost_user_check_request(&msg), 0, "%s", requests[i].name);
	}
}

Test(vhost_user, other_sizes_are_refused)
{
	for (size_t i = 0; i < NR_REQUESTS; i++) {
		static const int differences[] = { -8, -1, 1, 8, 1000 };

		for (size_t d = 0; d < 5; d++) {
			struct vhost_user_msg msg = well_formed(&requests[i]);

			if ((int)msg.hdr.size + differences[d] < 0)
				continue;
			msg.hdr.size += differences[d];
			cr_expect_eq(vhost_user_check_request(&msg), -EMSGSIZE, "%s %+d",
				     requests[i].name, differences[d]);
		}
	}
}

Test(vhost_user, other_numbers_of_descriptors_are_refused)
{
	for (size_t i = 0; i < NR_REQUESTS; i++) {
		for (unsigned int n = 0; n <= VHOST_USER_MAX_FDS; n++) {
			struct vhost_user_msg msg = well_formed(&requests[i]);

			msg.nr_fds = n;
			cr_expect_eq(vhost_user_check_request(&msg),
				     n == requests[i].nr_fds ? 0 : -EBADMSG, "%s with %u",
				     requests[i].name, n);
		}
	}
}

Test(vhost_user, other_requests_and_flags_are_refused)
{
	for (size_t i = 0; i < NR_REQUESTS; i++) {
		static const uint32_t flags[] = { 0,
						  2,
						  3,
						  VHOST_USER_VERSION | VHOST_USER_REPLY,
						  VHOST_USER_VERSION | 0x10,
						  0x80000001 };

		for (size_t f = 0; f < sizeof(flags) / sizeof(flags[0]); f++) {
			struct vhost_user_msg msg = well_formed(&requests[i]);

			msg.hdr.flags = flags[f];
			cr_expect_eq(vhost_user_check_request(&msg), -EPROTO, "%s, flags %#x",
				     requests[i].name, flags[f]);
		}
	}
	for (uint32_t number = 0; number < 0x10000; number++) {
		struct vhost_user_msg msg = { .hdr = { number, VHOST_USER_VERSION, 0 } };
		bool known = false;

		for (size_t i = 0; i < NR_REQUESTS; i++)
			known |= requests[i].request == number;
		if (known)
			continue;
		cr_assert_eq(vhost_user_check_request(&msg), -EPROTO, "%u", number);
		cr_assert_str_eq(vhost_user_request_name(number), "unknown");
	}
}

Test(vhost_user, memory_tables)
{
	static const struct {
		uint32_t nregions, size;
		unsigned int nr_fds;
		int rc;
	} cases[] = {
		{ 1, 40, 1, 0 },
		{ 8, 264, 8, 0 },
		{ 0, 8, 0, -EBADMSG },
		{ 9, 296, 8, -EBADMSG },
		{ 8, 264, 7, -EBADMSG },
		{ 1, 40, 0, -EBADMSG },
		{ 2, 40, 2, -EMSGSIZE },
		{ 1, 72, 1, -EMSGSIZE },
		{ 1, 7, 1, -EMSGSIZE },
		{ 0x8000001, 40, 1, -EBADMSG },
		{ 0xffffffff, 40, 1, -EBADMSG },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vhost_user_msg msg = {
			.hdr = { VHOST_USER_SET_MEM_TABLE, VHOST_USER_VERSION, cases[i].size },
			.nr_fds = cases[i].nr_fds,
		};

		msg.payload.memory.nregions = cases[i].nregions;
		cr_expect_eq(vhost_user_check_request(&msg), cases[i].rc, "case %zu", i);
	}
}

Test(vhost_user, configuration_ranges)
{
	static const struct {
		uint32_t offset, config_size, size;
		int rc;
	} cases[] = {
		{ 0, 256, 268, 0 },
		{ 255, 1, 13, 0 },
		{ 0, 0, 12, -EBADMSG },
		{ 0, 257, 269, -EBADMSG },
		{ 1, 256, 268, -EBADMSG },
		{ 0xffffffff, 1, 13, -EBADMSG },
		{ 0, 0xffffffff, 11, -EMSGSIZE },
		{ 0, 0xffffffff, 12, -EBADMSG },
		{ 0, 8, 12, -EMSGSIZE },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vhost_user_msg msg = {
			.hdr = { VHOST_USER_GET_CONFIG, VHOST_USER_VERSION, cases[i].size },
		};

		msg.payload.config.offset = cases[i].offset;
		msg.payload.config.size = cases[i].config_size;
		cr_expect_eq(vhost_user_check_request(&msg), cases[i].rc, "case %zu", i);
	}
}

Test(vhost_user, ring_messages_say_whether_a_descriptor_comes)
{
	static const struct {
		uint64_t u64;
		unsigned int nr_fds;
		int rc;
	} cases[] = {
		{ 0, 1, 0 },
		{ 255, 1, 0 },
		{ VHOST_USER_VRING_NOFD, 0, 0 },
		{ 0, 0, -EBADMSG },
		{ VHOST_USER_VRING_NOFD, 1, -EBADMSG },
		{ 0x200, 1, -EBADMSG },
		{ 1ull << 63, 1, -EBADMSG },
		{ 0, 2, -EBADMSG },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vhost_user_msg msg = {
			.hdr = { VHOST_USER_SET_VRING_CALL, VHOST_USER_VERSION, 8 },
			.payload.u64 = cases[i].u64,
			.nr_fds = cases[i].nr_fds,
		};

		cr_expect_eq(vhost_user_check_request(&msg), cases[i].rc, "case %zu", i);
	}
}

Test(vhost_user, every_request_arrives_as_it_was_sent)
{
	unsigned int before = fd_count();

	for (size_t i = 0; i < NR_REQUESTS; i++) {
		struct vhost_user_msg out = well_formed(&requests[i]);
		struct vhost_user_msg in;

		memset(out.payload.bytes + 16, 0x5a, sizeof(out.payload) - 16);
		for (unsigned int f = 0; f < out.nr_fds; f++)
			out.fds[f] = eventfd(10 + f, EFD_CLOEXEC);
		cr_assert_eq(vhost_user_send(sock[0], &out), 0, "%s", requests[i].name);
		vhost_user_close_fds(&out);
		cr_assert_eq(vhost_user_recv(sock[1], &in, TIMEOUT_MS), 1, "%s", requests[i].name);
		cr_expect_eq(memcmp(&in.hdr, &out.hdr, sizeof(in.hdr)), 0);
		cr_expect_eq(memcmp(in.payload.bytes, out.payload.bytes, in.hdr.size), 0);
		cr_assert_eq(in.nr_fds, requests[i].nr_fds);
		for (unsigned int f = 0; f < in.nr_fds; f++) {
			uint64_t value = 0;

			cr_expect_eq(read(in.fds[f], &value, sizeof(value)), sizeof(value));
			cr_expect_eq(value, 10 + f, "in order");
			cr_expect(fcntl(in.fds[f], F_GETFD) & FD_CLOEXEC);
		}
		vhost_user_close_fds(&in);
	}
	cr_expect_eq(fd_count(), before);
}

Test(vhost_user, messages_behind_each_other_stay_apart)
{
	struct vhost_user_msg in;

	for (size_t i = 0; i < NR_REQUESTS; i++) {
		struct vhost_user_msg out = well_formed(&requests[i]);

		for (unsigned int f = 0; f < out.nr_fds; f++)
			out.fds[f] = STDERR_FILENO;
		cr_assert_eq(vhost_user_send(sock[0], &out), 0);
	}
	for (size_t i = 0; i < NR_REQUESTS; i++) {
		cr_assert_eq(vhost_user_recv(sock[1], &in, TIMEOUT_MS), 1);
		cr_expect_eq(in.hdr.request, requests[i].request);
		cr_expect_eq(in.nr_fds, requests[i].nr_fds, "%s", requests[i].name);
		vhost_user_close_fds(&in);
	}
}

Test(vhost_user, end_of_file)
{
	static const uint8_t bytes[20] = { VHOST_USER_SET_FEATURES, 0, 0, 0, 1, 0, 0, 0, 8 };

	for (size_t len = 0; len <= sizeof(bytes); len++) {
		struct vhost_user_msg in;
		int pair[2];

		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		cr_assert_eq(write(pair[0], bytes, len), (ssize_t)len);
		close(pair[0]);
		cr_expect_eq(vhost_user_recv(pair[1], &in, TIMEOUT_MS),
			     len == 0		    ? 0
			     : len == sizeof(bytes) ? 1
						    : -EPROTO,
			     "%zu bytes", len);
		close(pair[1]);
	}
}

/* Sends @len bytes with @nr_fds descriptors attached. */
static void send_raw(const void *bytes, size_t len, unsigned int nr_fds)
{
	char control[CMSG_SPACE(sizeof(int) * 32)] = { 0 };
	struct iovec iov = { (void *)bytes, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nr_fds) {
		struct cmsghdr *cmsg = (struct cmsghdr *)control;

		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nr_fds);
		for (unsigned int i = 0; i < nr_fds; i++)
			memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &(int){ STDERR_FILENO },
			       sizeof(int));
		mh.msg_control = control;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nr_fds);
	}
	cr_assert_eq(sendmsg(sock[0], &mh, 0), (ssize_t)len);
}

Test(vhost_user, descriptors_never_leak)
{
	static const struct {
		const char *what;
		uint32_t size;	     /* of the payload, as announced */
		unsigned int fds[2]; /* with the header, with the payload */
		bool eof;
		int rc;
	} cases[] = {
		{ "too many", 8, { 9, 0 }, false, -EPROTO },
		{ "far too many", 8, { 32, 0 }, false, -EPROTO },
		{ "with the payload", 8, { 0, 1 }, false, -EPROTO },
		{ "with both", 8, { 2, 1 }, false, -EPROTO },
		{ "payload too large", VHOST_USER_MAX_PAYLOAD + 1, { 3, 0 }, false, -EMSGSIZE },
		{ "payload of 4 GiB", 0xffffffff, { 8, 0 }, false, -EMSGSIZE },
		{ "payload never comes", 8, { 8, 0 }, true, -EPROTO },
		{ "payload is late", 9, { 8, 0 }, false, -ETIMEDOUT },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vhost_user_header hdr = { VHOST_USER_SET_FEATURES, 1, cases[i].size };
		struct vhost_user_msg in;
		unsigned int before;

		tear_down();
		set_up();
		before = fd_count();
		send_raw(&hdr, sizeof(hdr), cases[i].fds[0]);
		if (cases[i].eof)
			shutdown(sock[0], SHUT_WR);
		else
			send_raw("12345678", 8, cases[i].fds[1]);
		cr_expect_eq(vhost_user_recv(sock[1], &in, 50), cases[i].rc, "%s", cases[i].what);
		cr_expect_eq(in.nr_fds, 0, "%s", cases[i].what);
		cr_expect_eq(fd_count(), before, "%s", cases[i].what);
	}
}
