/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The system calls of host.h, but for those on files, which are in host_files.c. Real descriptors get the real call, but nothing is written to the real
 * standard error while a target runs: lines that a guest or a back-end can cause are many.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/fuzz/host_calls.h"

struct host_fd *host_must_get(int fd, const char *call)
{
	struct host_fd *file = host_get(fd);

	fuzz_check(file, "%s(): descriptor %d is not open", call, fd);
	return file;
}

bool host_is_ours(int fd)
{
	return fd >= HOST_FIRST_FD || fd < 0;
}

int host_error(int number)
{
	errno = number;
	return -1;
}

int fake_close(int fd) WRAP_OF(close);
int real_close(int fd) WRAPPED(close);

int fake_close(int fd)
{
	if (!host_is_ours(fd))
		return real_close(fd);
	host_must_get(fd, "close")->kind = HOST_CLOSED;
	return 0;
}

/* --- bytes --- */

size_t host_total(const struct iovec *iov, int count)
{
	size_t len = 0;

	for (int i = 0; i < count; i++)
		len += iov[i].iov_len;
	return len;
}

void host_scatter(const struct iovec *iov, int count, const uint8_t *from, size_t len)
{
	for (int i = 0; i < count && len; i++) {
		const size_t n = len < iov[i].iov_len ? len : iov[i].iov_len;

		memcpy(iov[i].iov_base, from, n);
		from += n;
		len -= n;
	}
}

/* Reads all of @iov as the kernel would, into nothing, but for the first bytes. */
static void gather(const struct iovec *iov, int count, uint8_t *to, size_t to_len, size_t len)
{
	static uint8_t nowhere[4096];

	for (int i = 0; i < count && len; i++) {
		const uint8_t *from = iov[i].iov_base;
		size_t left = len < iov[i].iov_len ? len : iov[i].iov_len;

		len -= left;
		while (left) {
			const size_t n = left < sizeof(nowhere) ? left : sizeof(nowhere);
			const size_t first = n < to_len ? n : to_len;

			memcpy(nowhere, from, n);
			memcpy(to, nowhere, first);
			to += first;
			to_len -= first;
			from += n;
			left -= n;
		}
	}
}

static ssize_t read_stream(struct host_fd *file, const struct iovec *iov, int count, bool peek)
{
	const struct host_chunk *chunk = &file->chunks[file->first_chunk];
	size_t len;

	if (host_call_fails())
		return -1;
	if (!file->nr_chunks)
		return file->hung_up || file->shut ? 0 : host_error(EAGAIN);
	len = host_shorten(host_total(iov, count));
	len = len < chunk->len ? len : chunk->len;
	host_scatter(iov, count, chunk->bytes, len);
	if (!peek)
		host_consume(file, len);
	return (ssize_t)len;
}

ssize_t fake_readv(int fd, const struct iovec *iov, int count) WRAP_OF(readv);
ssize_t fake_writev(int fd, const struct iovec *iov, int count) WRAP_OF(writev);
ssize_t fake_write(int fd, const void *bytes, size_t len) WRAP_OF(write);
ssize_t real_write(int fd, const void *bytes, size_t len) WRAPPED(write);

ssize_t fake_readv(int fd, const struct iovec *iov, int count)
{
	fuzz_check(count >= 0 && count <= 1024, "readv(): %d ranges", count);
	return read_stream(host_must_get(fd, "readv"), iov, count, false);
}

static ssize_t write_stream(struct host_fd *file, const struct iovec *iov, int count)
{
	size_t len = host_total(iov, count);

	if (host_call_fails())
		return -1;
	if (file->hung_up && file->kind != HOST_TAP)
		return host_error(EPIPE);
	if (!file->room)
		return host_error(EAGAIN);
	/* A frame or a message goes as a whole. */
	if (file->kind == HOST_STREAM || file->kind == HOST_FILE) {
		len = host_shorten(len);
		len = len < file->room ? len : (size_t)file->room;
	}
	gather(iov, count, file->last, sizeof(file->last), len);
	file->room -= len < file->room ? len : file->room;
	file->taken += len;
	return (ssize_t)len;
}

ssize_t fake_writev(int fd, const struct iovec *iov, int count)
{
	fuzz_check(count >= 0 && count <= 1024, "writev(): %d ranges", count);
	return write_stream(host_must_get(fd, "writev"), iov, count);
}

ssize_t fake_write(int fd, const void *bytes, size_t len)
{
	const struct iovec iov = { (void *)bytes, len };

	if (fd == STDERR_FILENO)
		return (ssize_t)len;
	if (!host_is_ours(fd))
		return real_write(fd, bytes, len);
	return write_stream(host_must_get(fd, "write"), &iov, 1);
}

/* --- messages --- */

ssize_t fake_recvmsg(int fd, struct msghdr *msg, int flags) WRAP_OF(recvmsg);
ssize_t fake_sendmsg(int fd, const struct msghdr *msg, int flags) WRAP_OF(sendmsg);
ssize_t fake_recv(int fd, void *bytes, size_t len, int flags) WRAP_OF(recv);
ssize_t fake_send(int fd, const void *bytes, size_t len, int flags) WRAP_OF(send);

/* What there is room for is opened, the rest is lost. */
static void deliver_fds(const struct host_chunk *chunk, struct msghdr *msg)
{
	struct cmsghdr *cmsg = msg->msg_control;
	unsigned int n = 0;

	while (n < chunk->nr_fds && msg->msg_controllen >= CMSG_LEN((n + 1) * sizeof(int))) {
		const int fd = host_open((enum host_kind)chunk->fds[n]);

		if (fd < 0)
			break;
		memcpy(CMSG_DATA(cmsg) + n * sizeof(int), &fd, sizeof(fd));
		n++;
	}
	if (n < chunk->nr_fds)
		msg->msg_flags |= MSG_CTRUNC;
	if (n) {
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));
		/* As the kernel does where there is no room for the padding. */
		if (msg->msg_controllen > CMSG_SPACE(n * sizeof(int)))
			msg->msg_controllen = CMSG_SPACE(n * sizeof(int));
	} else {
		msg->msg_controllen = 0;
	}
}

ssize_t fake_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct host_fd *file = host_must_get(fd, "recvmsg");
	struct host_chunk chunk = { 0 };
	ssize_t n;

	if (file->nr_chunks)
		chunk = file->chunks[file->first_chunk];
	n = read_stream(file, msg->msg_iov, (int)msg->msg_iovlen, flags & MSG_PEEK);
	msg->msg_flags = 0;
	if (n < 0)
		return n;
	if (flags & MSG_PEEK)
		chunk.nr_fds = 0;
	deliver_fds(&chunk, msg);
	return n;
}

ssize_t fake_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	const ssize_t n =
		write_stream(host_must_get(fd, "sendmsg"), msg->msg_iov, (int)msg->msg_iovlen);

	(void)flags;
	if (n > 0 && host_sent)
		host_sent(fd);
	return n;
}

ssize_t fake_recv(int fd, void *bytes, size_t len, int flags)
{
	const struct iovec iov = { bytes, len };

	return read_stream(host_must_get(fd, "recv"), &iov, 1, flags & MSG_PEEK);
}

ssize_t fake_send(int fd, const void *bytes, size_t len, int flags)
{
	(void)flags;
	return fake_write(fd, bytes, len);
}

int fake_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags) WRAP_OF(accept4);
int fake_shutdown(int fd, int how) WRAP_OF(shutdown);
int fake_socketpair(int domain, int type, int protocol, int pair[2]) WRAP_OF(socketpair);
int fake_getsockopt(int fd, int level, int name, void *value, socklen_t *len) WRAP_OF(getsockopt);

int fake_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	struct host_fd *file = host_must_get(fd, "accept4");

	(void)address;
	(void)len;
	fuzz_check(flags == (SOCK_NONBLOCK | SOCK_CLOEXEC));
	if (host_call_fails())
		return -1;
	if (!file->waiting)
		return host_error(EAGAIN);
	file->waiting--;
	return host_open(HOST_STREAM);
}

int fake_shutdown(int fd, int how)
{
	struct host_fd *file = host_must_get(fd, "shutdown");

	if (how != SHUT_WR)
		file->shut = true;
	return 0;
}

int fake_socketpair(int domain, int type, int protocol, int pair[2])
{
	(void)domain;
	(void)type;
	(void)protocol;
	pair[0] = host_open(HOST_STREAM);
	pair[1] = host_open(HOST_STREAM);
	return 0;
}

int fake_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	const struct host_fd *file = host_must_get(fd, "getsockopt");
	const int answer = name == SO_TYPE ? SOCK_STREAM : file->kind == HOST_LISTENER;

	(void)level;
	(void)len;
	memcpy(value, &answer, sizeof(answer));
	return 0;
}

/* --- the loop --- */

int fake_epoll_create1(int flags) WRAP_OF(epoll_create1);
int fake_epoll_ctl(int loop, int op, int fd, struct epoll_event *event) WRAP_OF(epoll_ctl);
int fake_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const void *mask)
	WRAP_OF(ppoll);

int fake_epoll_create1(int flags)
{
	(void)flags;
	return host_open(HOST_LOOP);
}

int fake_epoll_ctl(int loop, int op, int fd, struct epoll_event *event)
{
	struct host_fd *file = host_must_get(fd, "epoll_ctl");

	fuzz_check(host_must_get(loop, "epoll_ctl")->kind == HOST_LOOP);
	if (op == EPOLL_CTL_ADD && host_call_fails())
		return -1;
	if (file->kind == HOST_DISK || file->kind == HOST_FILE || file->kind == HOST_MEMORY)
		return host_error(EPERM);
	if (op == EPOLL_CTL_ADD ? file->watched : !file->watched)
		return host_error(op == EPOLL_CTL_ADD ? EEXIST : ENOENT);
	file->watched = op != EPOLL_CTL_DEL;
	file->source = event->data.u32;
	file->events = event->events;
	return 0;
}

/* Whoever waits has read all there is: time passes, or more has come meanwhile. */
int fake_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const void *mask)
{
	const struct host_fd *file = host_must_get(fds[0].fd, "ppoll");

	(void)mask;
	fuzz_check(n == 1 && timeout, "waits for ever");
	return fds[0].events & POLLOUT ? file->room > 0 : file->nr_chunks > 0 || file->hung_up;
}

/* --- eventfds --- */

int fake_eventfd(unsigned int count, int flags) WRAP_OF(eventfd);
int fake_eventfd_read(int fd, uint64_t *value) WRAP_OF(eventfd_read);
int fake_poll(struct pollfd *fds, nfds_t n, int timeout) WRAP_OF(poll);

int fake_eventfd(unsigned int count, int flags)
{
	(void)flags;
	fuzz_check(count == 0);
	return host_open(HOST_EVENT);
}

int fake_eventfd_read(int fd, uint64_t *value)
{
	struct host_fd *file = host_must_get(fd, "eventfd_read");

	if (!file->taken)
		return host_error(EAGAIN);
	*value = file->taken;
	file->taken = 0;
	return 0;
}

int fake_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	/* The log, before each line. */
	if (n == 1 && fds[0].fd == STDERR_FILENO) {
		fds[0].revents = POLLOUT;
		return 1;
	}
	fuzz_check(n == 1 && timeout == 0);
	fds[0].revents = host_must_get(fds[0].fd, "poll")->taken ? POLLIN : 0;
	return fds[0].revents != 0;
}
