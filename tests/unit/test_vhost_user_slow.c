/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* vhost-user messages between peers that are slow, silent or gone. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "devices/proto/vhost_user.h"

#define TIMEOUT_MS 2000

static const struct vhost_user_msg set_features = {
	.hdr = { VHOST_USER_SET_FEATURES, VHOST_USER_VERSION, 8 },
};

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

TestSuite(vhost_user_slow, .init = set_up, .fini = tear_down);

struct trickle {
	unsigned int pause_us;
	unsigned int bytes;
};

static void *send_slowly(void *opaque)
{
	static const uint8_t bytes[20] = { VHOST_USER_SET_FEATURES, 0, 0, 0, 1, 0, 0, 0, 8 };
	const struct trickle *trickle = opaque;

	for (unsigned int i = 0; i < trickle->bytes; i++) {
		if (send(sock[0], bytes + i, 1, MSG_NOSIGNAL) != 1)
			break;
		usleep(trickle->pause_us);
	}
	return NULL;
}

static double now(void)
{
	struct timeval tv;

	gettimeofday(&tv, NULL);
	return tv.tv_sec + tv.tv_usec / 1e6;
}

Test(vhost_user_slow, a_slow_message_arrives)
{
	struct trickle trickle = { 2000, 20 };
	struct vhost_user_msg in;
	pthread_t sender;

	cr_assert_eq(pthread_create(&sender, NULL, send_slowly, &trickle), 0);
	cr_expect_eq(vhost_user_recv(sock[1], &in, TIMEOUT_MS), 1);
	cr_expect_eq(in.hdr.request, VHOST_USER_SET_FEATURES);
	pthread_join(sender, NULL);
}

Test(vhost_user_slow, the_deadline_covers_the_whole_message)
{
	struct trickle trickle = { 50000, 20 };
	double start = now();
	struct vhost_user_msg in;
	pthread_t sender;

	cr_assert_eq(pthread_create(&sender, NULL, send_slowly, &trickle), 0);
	cr_expect_eq(vhost_user_recv(sock[1], &in, 200), -ETIMEDOUT);
	cr_expect_lt(now() - start, 0.8, "not once per byte");
	close(sock[1]);
	sock[1] = -1;
	pthread_join(sender, NULL);
}

Test(vhost_user_slow, nothing_comes)
{
	struct vhost_user_msg in;
	double start = now();

	cr_expect_eq(vhost_user_recv(sock[1], &in, 100), -ETIMEDOUT);
	cr_expect_geq(now() - start, 0.09);
	cr_expect_eq(vhost_user_recv(sock[1], &in, 0), -ETIMEDOUT);
}

Test(vhost_user_slow, without_a_deadline_it_waits)
{
	struct trickle trickle = { 5000, 20 };
	struct vhost_user_msg in;
	pthread_t sender;

	cr_assert_eq(pthread_create(&sender, NULL, send_slowly, &trickle), 0);
	cr_expect_eq(vhost_user_recv(sock[1], &in, -1), 1);
	pthread_join(sender, NULL);
}

Test(vhost_user_slow, sending_to_nobody_is_an_error_and_no_signal)
{
	struct vhost_user_msg out = set_features;

	close(sock[1]);
	sock[1] = -1;
	cr_expect_eq(vhost_user_send(sock[0], &out), -EPIPE);
}

Test(vhost_user_slow, sending_to_a_peer_that_does_not_read_ends)
{
	struct vhost_user_msg out = { .hdr = { VHOST_USER_SET_FEATURES, VHOST_USER_VERSION,
					       VHOST_USER_MAX_PAYLOAD } };
	double start = now();
	int rc = 0;

	for (int i = 0; i < 10000 && !rc; i++)
		rc = vhost_user_send(sock[0], &out);
	cr_expect_eq(rc, -ETIMEDOUT);
	cr_expect_lt(now() - start, 5);
}

Test(vhost_user_slow, messages_out_of_bounds_are_not_sent)
{
	struct vhost_user_msg out = set_features;

	out.hdr.size = VHOST_USER_MAX_PAYLOAD + 1;
	cr_expect_eq(vhost_user_send(sock[0], &out), -EMSGSIZE);
	out.hdr.size = 8;
	out.nr_fds = VHOST_USER_MAX_FDS + 1;
	cr_expect_eq(vhost_user_send(sock[0], &out), -EINVAL);
	out.nr_fds = 1;
	out.fds[0] = -1;
	cr_expect_eq(vhost_user_send(sock[0], &out), -EBADF);
}
