/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A broker that answers with other descriptors than it was asked for: none of them stays open. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/vsock_suite.h"

TestSuite(device_vsock_broker, .init = set_up, .fini = tear_down);

#define TWO 2

/* The first @len bytes of a good answer to @id, with two descriptors: there is just room for those. */
static void answer_with_two(uint32_t id, size_t len)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(TWO * sizeof(int))] = { 0 };
	struct vsock_broker_answer answer = { id, 0 };
	struct iovec iov = { &answer, len };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	const int fds[TWO] = { bench.broker, bench.broker };

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(cmsg), fds, sizeof(fds));
	cr_assert_eq(sendmsg(bench.broker, &msg, 0), (ssize_t)len);
}

Test(device_vsock_broker, two_descriptors_are_no_answer)
{
	const unsigned int before = mock_count_fds(&bench.fe);

	bench_send(&bench, VSOCK_OP_REQUEST, 1025, 80, 0, NULL, 0);
	answer_with_two(bench_asked(&bench, 80).id, sizeof(struct vsock_broker_answer));
	bench_expect(&bench, VSOCK_OP_RST, 1025, 80);
	cr_expect_eq(mock_count_fds(&bench.fe), before);
	bench_expect_alive(&bench);
}

Test(device_vsock_broker, an_answer_that_is_cut_short_leaves_nothing_open)
{
	const unsigned int before = mock_count_fds(&bench.fe);

	bench_send(&bench, VSOCK_OP_REQUEST, 1025, 80, 0, NULL, 0);
	answer_with_two(bench_asked(&bench, 80).id, sizeof(uint32_t));
	/* What the broker says next is not listened to: it has shown that it is none. */
	bench_expect_silence(&bench);
	cr_expect_eq(mock_count_fds(&bench.fe), before);
}
