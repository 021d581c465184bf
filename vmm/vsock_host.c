/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/vsock_host.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/exit_status.h"

#define BACKLOG 128

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int connect_to(const struct sockaddr_un *addr)
{
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return -errno;
	if (connect(sock, (const struct sockaddr *)addr, sizeof(*addr))) {
		int err = errno;

		close(sock);
		return -err;
	}
	return sock;
}

static int make_pair(struct vsock_host *host)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	host->broker_fd = pair[0];
	host->far = pair[1];
	return 0;
}

static int make_broker(struct vsock_host *host)
{
	int rc = make_pair(host);

	if (rc)
		return rc;
	host->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	return host->timer_fd < 0 ? -errno : 0;
}

int vsock_host_open(struct vsock_host *host, const struct config_vsock *config)
{
	int rc;

	*host = (struct vsock_host){
		.config = config,
		.far = -1,
		.broker_fd = -1,
		.timer_fd = -1,
		.budget = VSOCK_HOST_BUDGET,
	};
	rc = unix_listener_open(&host->listener, config->path, BACKLOG);
	if (rc) {
		log_error("--vsock: %s: %s", config->path, unix_listener_problem(rc));
		return EXIT_STATUS_INPUT;
	}
	rc = make_broker(host);
	if (rc) {
		log_error("--vsock: socket pair and timer: %s", strerror(-rc));
		vsock_host_close(host);
		return EXIT_STATUS_HOST;
	}
	return 0;
}

/*
 * A stream to the server at PATH_@port, or -errno. Whether it is a socket is asked of what is
 * then connected to, so the name may not be a symbolic link, and cannot become another thing.
 */
static int connect_port(const struct vsock_host *host, uint32_t port)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char path[PATH_MAX];
	struct stat st;
	int fd, sock;

	snprintf(path, sizeof(path), "%s_%u", host->config->path, port);
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", fd);
	if (fstat(fd, &st))
		sock = -errno;
	else if (!S_ISSOCK(st.st_mode))
		sock = -ENOTSOCK;
	else
		sock = connect_to(&addr);
	close(fd);
	return sock;
}

static int connect_exit(struct vsock_host *host)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair))
		return -errno;
	host->exit_connected(host->exit_opaque, pair[1]);
	return pair[0];
}

/* @fd, which stays the caller's, goes with it unless it is negative. 0 or -errno. */
static int send_answer(const struct vsock_host *host, struct vsock_broker_answer answer, int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(fd))] = { 0 };
	struct iovec iov = { &answer, sizeof(answer) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *cmsg;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	}
	/* A device process that does not take its answers has itself to blame for lost ones. */
	return sendmsg(host->broker_fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* @sock: a connected socket, which is passed on, or -errno. */
static void answer(struct vsock_host *host, const struct vsock_broker_request *request, int sock)
{
	int status = sock < 0 ? sock : 0;

	/* That nobody listens at a port is nothing to speak of. */
	if (status && status != -ENOENT && status != -ECONNREFUSED)
		log_limited(&host->limit, "--vsock: %s_%u: %s", host->config->path, request->port,
			    strerror(-status));
	if (!status)
		status = send_answer(host, (struct vsock_broker_answer){ request->id, 0 }, sock);
	if (status)
		send_answer(host, (struct vsock_broker_answer){ request->id, status }, -1);
	if (sock >= 0)
		close(sock);
}

/* True when it was answered; false when it is worth another try. */
static bool serve(struct vsock_host *host, const struct vsock_broker_request *request, bool last)
{
	int sock;

	if (host->exit_connected && request->port == host->exit_port)
		sock = connect_exit(host);
	else
		sock = connect_port(host, request->port);
	/* The server's backlog is full. It would block us, were we to wait for it. */
	if (sock == -EAGAIN && !last)
		return false;
	answer(host, request, sock);
	return true;
}

static void serve_waiting(struct vsock_host *host)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < host->nr_waiting; i++) {
		struct vsock_host_waiting waiting = host->waiting[i];

		if (!serve(host, &waiting.request, ++waiting.tries == VSOCK_HOST_PATIENCE))
			host->waiting[kept++] = waiting;
	}
	host->nr_waiting = kept;
}

static void serve_new(struct vsock_host *host, const struct vsock_broker_request *request)
{
	const bool full = host->nr_waiting == VSOCK_HOST_MAX_WAITING;

	if (!serve(host, request, full))
		host->waiting[host->nr_waiting++] = (struct vsock_host_waiting){ *request, 0 };
}

static void stop_reading(struct vsock_host *host)
{
	if (host->reading)
		main_loop_remove(host->loop, host->broker_fd);
	host->reading = false;
}

/* False when no request is there. */
static bool take_request(struct vsock_host *host)
{
	struct vsock_broker_request request;
	ssize_t n = recv(host->broker_fd, &request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		/* The device process has ended. */
		stop_reading(host);
		return false;
	}
	host->budget--;
	/* Anything else is no request, and gets no answer. */
	if (n == (ssize_t)sizeof(request))
		serve_new(host, &request);
	return true;
}

static void start_tick(const struct vsock_host *host)
{
	const struct itimerspec once = {
		.it_value.tv_nsec = VSOCK_HOST_TICK_MS * 1000000l,
	};

	timerfd_settime(host->timer_fd, 0, &once, NULL);
}

static void handle_requests(void *opaque, uint32_t events)
{
	struct vsock_host *host = opaque;

	(void)events;
	if (host->budget == VSOCK_HOST_BUDGET && !host->nr_waiting)
		start_tick(host);
	while (host->budget && take_request(host))
		;
	if (!host->budget)
		stop_reading(host);
}

static int start_reading(struct vsock_host *host)
{
	int rc;

	if (host->reading)
		return 0;
	rc = main_loop_add(host->loop, host->broker_fd, EPOLLIN, handle_requests, host);
	host->reading = rc == 0;
	return rc;
}

static void handle_tick(void *opaque, uint32_t events)
{
	struct vsock_host *host = opaque;
	uint64_t ticks;

	(void)events;
	if (read(host->timer_fd, &ticks, sizeof(ticks)) < 0)
		return;
	serve_waiting(host);
	if (host->nr_waiting)
		start_tick(host);
	/* Not after its end, which leaves some of the budget. */
	if (!host->budget && start_reading(host))
		log_error("--vsock: %s: no more connections of the guest", host->config->path);
	host->budget = VSOCK_HOST_BUDGET;
}

int vsock_host_renew(struct vsock_host *host)
{
	int rc;

	stop_reading(host);
	close_fd(&host->broker_fd);
	host->nr_waiting = 0;
	rc = make_pair(host);
	if (!rc)
		rc = start_reading(host);
	if (rc)
		log_error("--vsock: socket pair: %s", strerror(-rc));
	return rc ? EXIT_STATUS_HOST : 0;
}

void vsock_host_hand_over(struct vsock_host *host)
{
	unix_listener_hand_over(&host->listener);
	close_fd(&host->far);
}

int vsock_host_watch(struct vsock_host *host, struct main_loop *loop)
{
	int rc = main_loop_add(loop, host->timer_fd, EPOLLIN, handle_tick, host);

	host->loop = loop;
	if (!rc)
		rc = start_reading(host);
	if (rc)
		log_error("--vsock: main loop: %s", strerror(-rc));
	return rc;
}

void vsock_host_close(struct vsock_host *host)
{
	if (host->loop) {
		stop_reading(host);
		main_loop_remove(host->loop, host->timer_fd);
		host->loop = NULL;
	}
	unix_listener_close(&host->listener);
	close_fd(&host->far);
	close_fd(&host->broker_fd);
	close_fd(&host->timer_fd);
}
