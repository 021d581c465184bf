/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a back-end says unasked: one message counts, and nothing of it harms or delays us. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/fd_count.h"
#include "vmm/vhost/channel.h"

#define OTHER_MESSAGE 3u /* VHOST_USER_BACKEND_VRING_HOST_NOTIFIER_MSG */

static struct vhost_channel channel = { .fd = -1 };
static int peer = -1;

static void set_up(void)
{
	peer = vhost_channel_open(&channel);
	cr_assert_geq(peer, 0);
}

static void tear_down(void)
{
	vhost_channel_close(&channel);
	close(peer);
}

TestSuite(vhost_channel, .init = set_up, .fini = tear_down);

static void say(uint32_t request, uint32_t flags, uint32_t payload)
{
	const struct vhost_user_header hdr = { request, flags, payload };
	static const uint8_t zeroes[VHOST_USER_MAX_PAYLOAD];

	cr_assert_eq(write(peer, &hdr, sizeof(hdr)), sizeof(hdr));
	cr_assert_eq(write(peer, zeroes, payload), payload);
}

static void say_change(void)
{
	say(VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, VHOST_USER_VERSION, 0);
}

Test(vhost_channel, a_change_is_told_once)
{
	cr_expect_eq(vhost_channel_read(&channel), 0, "silence");
	say_change();
	cr_expect_eq(vhost_channel_read(&channel), 1);
	cr_expect_eq(vhost_channel_read(&channel), 0);
	say_change();
	say_change();
	cr_expect_eq(vhost_channel_read(&channel), 1);
	cr_expect_eq(vhost_channel_read(&channel), 1);
	cr_expect_eq(vhost_channel_read(&channel), 0);
}

/* However slowly it comes: nobody waits for the rest. */
Test(vhost_channel, a_message_in_pieces)
{
	const struct vhost_user_header hdr = { VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
					       VHOST_USER_VERSION, 0 };
	const uint8_t *bytes = (const uint8_t *)&hdr;

	for (size_t i = 0; i < sizeof(hdr); i++) {
		cr_assert_eq(write(peer, bytes + i, 1), 1);
		cr_expect_eq(vhost_channel_read(&channel), i == sizeof(hdr) - 1, "byte %zu", i);
	}
	say(OTHER_MESSAGE, VHOST_USER_VERSION, 0);
	say_change();
	cr_expect_eq(vhost_channel_read(&channel), 0);
	cr_expect_eq(vhost_channel_read(&channel), 1);
}

Test(vhost_channel, other_messages_are_skipped)
{
	static const uint32_t sizes[] = { 0, 1, 8, 255, 256, 257, VHOST_USER_MAX_PAYLOAD };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int ret = 0;

		say(OTHER_MESSAGE, VHOST_USER_VERSION, sizes[i]);
		say_change();
		for (unsigned int reads = 0; reads < 16 && ret == 0; reads++)
			ret = vhost_channel_read(&channel);
		cr_expect_eq(ret, 1, "behind %u bytes", sizes[i]);
	}
}

/* Who wants an answer gets one, and does not hang. */
Test(vhost_channel, answers)
{
	static const struct {
		uint32_t request;
		int expected;
		uint64_t status;
	} cases[] = {
		{ VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 1, 0 },
		{ OTHER_MESSAGE, 0, 1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vhost_user_msg msg;

		say(cases[i].request, VHOST_USER_VERSION | VHOST_USER_NEED_REPLY, 0);
		cr_expect_eq(vhost_channel_read(&channel), cases[i].expected);
		cr_assert_eq(vhost_user_recv(peer, &msg, 1000), 1);
		cr_expect_eq(msg.hdr.request, cases[i].request);
		cr_expect_eq(msg.hdr.flags, VHOST_USER_VERSION | VHOST_USER_REPLY);
		cr_expect_eq(msg.hdr.size, 8);
		cr_expect_eq(msg.payload.u64, cases[i].status);
	}
}

Test(vhost_channel, nonsense_ends_it)
{
	static const struct {
		uint32_t request, flags, payload;
	} cases[] = {
		{ VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, VHOST_USER_VERSION, 8 },
		{ OTHER_MESSAGE, VHOST_USER_VERSION, VHOST_USER_MAX_PAYLOAD + 1 },
		{ OTHER_MESSAGE, VHOST_USER_VERSION, UINT32_MAX },
		{ OTHER_MESSAGE, 0, 0 },
		{ OTHER_MESSAGE, 2, 0 },
		{ OTHER_MESSAGE, VHOST_USER_VERSION | VHOST_USER_REPLY, 8 },
		{ OTHER_MESSAGE, VHOST_USER_VERSION | 0x10, 0 },
		{ 0xffffffff, 0xffffffff, 0xffffffff },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct vhost_user_header hdr = { cases[i].request, cases[i].flags,
						       cases[i].payload };

		cr_assert_eq(write(peer, &hdr, sizeof(hdr)), sizeof(hdr));
		cr_expect_eq(vhost_channel_read(&channel), -EPROTO, "case %zu", i);
		tear_down();
		cr_expect_eq(vhost_channel_read(&channel), -ENOTCONN);
		set_up();
	}
}

Test(vhost_channel, who_says_too_much_is_not_listened_to)
{
	unsigned int heard = 0;
	int ret = 1;

	/* Twice, in case the second ends in between. */
	for (unsigned int i = 0; i < 2 * VHOST_CHANNEL_MAX_MESSAGES + 1 && ret == 1; i++) {
		say_change();
		ret = vhost_channel_read(&channel);
		heard += ret == 1;
	}
	cr_expect_eq(ret, -EDQUOT);
	cr_expect_geq(heard, VHOST_CHANNEL_MAX_MESSAGES);
}

/* One that wants answers and reads none: we would have to wait for it. */
Test(vhost_channel, who_reads_no_answers_is_not_listened_to)
{
	const int small = 1;
	int ret = 1;

	cr_assert_eq(setsockopt(channel.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	for (unsigned int i = 0; i < VHOST_CHANNEL_MAX_MESSAGES && ret == 1; i++) {
		say(VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
		    VHOST_USER_VERSION | VHOST_USER_NEED_REPLY, 0);
		ret = vhost_channel_read(&channel);
	}
	cr_expect_eq(ret, -ECONNRESET);
}

Test(vhost_channel, hanging_up)
{
	const unsigned int fds = fd_count();

	cr_assert_eq(write(peer, "abc", 3), 3);
	cr_assert_eq(shutdown(peer, SHUT_WR), 0);
	cr_expect_eq(vhost_channel_read(&channel), 0);
	cr_expect_eq(vhost_channel_read(&channel), -ECONNRESET, "in the middle of a header");
	vhost_channel_close(&channel);
	vhost_channel_close(&channel);
	cr_expect_eq(fd_count(), fds - 1);
}

Test(vhost_channel, descriptors_are_not_taken)
{
	const struct vhost_user_header hdr = { OTHER_MESSAGE, VHOST_USER_VERSION, 0 };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .align = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec iov = { (void *)&hdr, sizeof(hdr) };
	const struct msghdr mh = { .msg_iov = &iov,
				   .msg_iovlen = 1,
				   .msg_control = control.bytes,
				   .msg_controllen = sizeof(control.bytes) };
	const unsigned int fds = fd_count();

	memcpy(CMSG_DATA(&control.align), &peer, sizeof(int));
	cr_assert_eq(sendmsg(peer, &mh, 0), sizeof(hdr));
	cr_expect_eq(vhost_channel_read(&channel), 0);
	cr_expect_eq(fd_count(), fds);
}
