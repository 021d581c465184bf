/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/vsock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/proto/vsock_broker.h"

/* Answers that are taken before somebody else has a turn. */
#define ANSWERS_AT_ONCE 16

void vsock_accept(struct vsock *vsock)
{
	struct device_source *listener = &vsock->device->backends[VSOCK_LISTENER];
	int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		/*
		 * Without descriptors or memory the client waits where it is, see vsock.c. The next
		 * one that comes is an edge.
		 */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			device_watch(vsock->device, listener, EPOLLIN | EPOLLET);
		return;
	}
	device_watch(vsock->device, listener, EPOLLIN);
	if (!vsock_open(vsock, VSOCK_GREETING, fd))
		close(fd);
}

/* "CONNECT PORT\n"; false when it is something else. */
static bool parse_line(const char *line, size_t len, uint32_t *port)
{
	static const char word[] = "CONNECT ";
	const size_t start = sizeof(word) - 1;
	uint64_t number = 0;

	if (len < start + 2 || memcmp(line, word, start) != 0 || line[len - 1] != '\n')
		return false;
	for (size_t i = start; i < len - 1; i++) {
		if (line[i] < '0' || line[i] > '9')
			return false;
		number = 10 * number + (line[i] - '0');
		if (number > UINT32_MAX)
			return false;
	}
	*port = number;
	return true;
}

static ssize_t receive(int fd, void *bytes, size_t len, int flags)
{
	struct iovec iov = { bytes, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return recvmsg(fd, &msg, flags);
}

/*
 * Appends to the line what has come of it, and nothing behind it: those bytes are for the guest.
 * Returns 1 when it is complete, 0 when it is not, -1 when it will never be.
 */
static int read_more(struct vsock_connection *conn)
{
	char *more = conn->line + conn->line_len;
	ssize_t n = receive(conn->host.fd, more, VSOCK_LINE_MAX - conn->line_len, MSG_PEEK);
	const char *end;
	ssize_t take;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -1;
	end = memchr(more, '\n', n);
	take = end ? end + 1 - more : n;
	if (receive(conn->host.fd, more, take, 0) != take)
		return -1;
	conn->line_len += take;
	if (end)
		return 1;
	return conn->line_len < VSOCK_LINE_MAX ? 0 : -1;
}

void vsock_read_line(struct vsock *vsock, struct vsock_connection *conn)
{
	int rc = read_more(conn);

	if (!rc)
		return;
	if (rc < 0 || !parse_line(conn->line, conn->line_len, &conn->guest_port)) {
		vsock_close(vsock, conn);
		return;
	}
	conn->host_port = vsock_choose_port(vsock);
	conn->state = VSOCK_REQUESTED;
	vsock_owe(vsock, conn, VSOCK_OWES_REQUEST);
}

bool vsock_tell_accepted(const struct vsock_connection *conn)
{
	char line[VSOCK_LINE_MAX];
	int len = snprintf(line, sizeof(line), "OK %u\n", conn->host_port);

	return write(conn->host.fd, line, len) == len;
}

bool vsock_ask_broker(struct vsock *vsock, const struct vsock_connection *conn)
{
	struct vsock_broker_request request = { conn->serial, conn->host_port };
	struct iovec iov = { &request, sizeof(request) };
	const struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	const int fd = vsock->device->backends[VSOCK_BROKER].fd;

	return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(request);
}

/*
 * The descriptor in @msg, which has room for one; -1: none. The padding behind it is as long as a
 * second one, and the kernel uses it: neither is what we asked for.
 */
static int received_fd(struct msghdr *msg)
{
	const struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
	int fds[2] = { -1, -1 };

	if (!cmsg || cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(fds, CMSG_DATA(cmsg), cmsg->cmsg_len - CMSG_LEN(0));
	if (fds[1] < 0)
		return fds[0];
	close(fds[0]);
	close(fds[1]);
	return -1;
}

static struct vsock_connection *find_asking(struct vsock *vsock, uint32_t id)
{
	for (unsigned int i = 0; i < vsock->nr_used; i++) {
		struct vsock_connection *conn = &vsock->connections[i];

		if (conn->state == VSOCK_CONNECTING && conn->serial == id)
			return conn;
	}
	return NULL;
}

static void use_answer(struct vsock *vsock, const struct vsock_broker_answer *answer, int fd)
{
	struct vsock_connection *conn = find_asking(vsock, answer->id);

	/* The guest may have thought better of it. */
	if (!conn) {
		if (fd >= 0)
			close(fd);
		return;
	}
	conn->host.fd = fd;
	if (answer->status || fd < 0) {
		vsock_reset(vsock, conn);
		return;
	}
	conn->state = VSOCK_OPEN;
	vsock_owe(vsock, conn, VSOCK_OWES_RESPONSE);
	vsock_watch(vsock, conn);
}

/* False when there is none now. */
static bool take_answer(struct vsock *vsock)
{
	struct device_source *broker = &vsock->device->backends[VSOCK_BROKER];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct vsock_broker_answer answer;
	struct iovec iov = { &answer, sizeof(answer) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(broker->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd = n < 0 ? -1 : received_fd(&msg);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n == (ssize_t)sizeof(answer)) {
		use_answer(vsock, &answer, fd);
		return true;
	}
	if (fd >= 0)
		close(fd);
	/* minivmm has gone, and with it all new connections of the guest. */
	device_watch(vsock->device, broker, 0);
	return false;
}

void vsock_take_answers(struct vsock *vsock)
{
	for (int i = 0; i < ANSWERS_AT_ONCE && take_answer(vsock); i++)
		;
}
