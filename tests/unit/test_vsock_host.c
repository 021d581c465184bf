/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* minivmm's side of vsock, with the test as the device process. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/fd_count.h"
#include "tests/unit/unix_peer.h"
#include "vmm/exit_status.h"
#include "vmm/vsock_host.h"

#define PORT 52u

static struct main_loop loop;
static struct vsock_host host;
static struct config_vsock config = { .cid = 3 };
static char dir[64];
static char path[80];
static char server_path[96]; /* of PORT */
static int device;	     /* what the device process would have */
static unsigned int fds_before;

static void enter_directory(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/vsock-host-XXXXXX", tmp ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/x", dir);
	snprintf(server_path, sizeof(server_path), "%s_%u", path, PORT);
	config.path = path;
}

static void leave_directory(void)
{
	unlink(server_path);
	cr_expect_eq(rmdir(dir), 0, "something is left behind");
}

static void set_up(void)
{
	enter_directory();
	fds_before = fd_count();
	cr_assert_eq(main_loop_init(&loop), 0);
	cr_assert_eq(vsock_host_open(&host, &config), 0);
	device = fcntl(host.far, F_DUPFD_CLOEXEC, 0);
	vsock_host_hand_over(&host);
	cr_assert_eq(vsock_host_watch(&host, &loop), 0);
}

static void tear_down(void)
{
	vsock_host_close(&host);
	vsock_host_close(&host);
	main_loop_destroy(&loop);
	if (device >= 0)
		close(device);
	cr_expect_eq(fd_count(), fds_before, "descriptors");
	leave_directory();
}

TestSuite(vsock_host, .init = set_up, .fini = tear_down);

static void stop_loop(void *opaque, uint32_t events)
{
	(void)opaque;
	(void)events;
	main_loop_stop(&loop);
}

static void run_for(unsigned int ms)
{
	const struct itimerspec once = { .it_value = { ms / 1000, ms % 1000 * 1000000l } };
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	timerfd_settime(timer, 0, &once, NULL);
	cr_assert_eq(main_loop_add(&loop, timer, EPOLLIN, stop_loop, NULL), 0);
	loop.stopped = false;
	main_loop_run(&loop);
	main_loop_remove(&loop, timer);
	close(timer);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int serve_at(const char *at, int backlog)
{
	int fd = unix_bind(at, SOCK_STREAM);

	cr_assert_eq(listen(fd, backlog), 0);
	return fd;
}

static int client_of(const char *at)
{
	const struct sockaddr_un addr = unix_address(at);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void ask(uint32_t id, uint32_t port)
{
	const struct vsock_broker_request request = { id, port };

	cr_assert_eq(send(device, &request, sizeof(request), MSG_DONTWAIT),
		     (ssize_t)sizeof(request));
}

/* Takes an answer and the descriptor with it, -1 for none; false when there is none. */
static bool take_answer(struct vsock_broker_answer *answer, int *fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(*fd))];
	struct iovec iov = { answer, sizeof(*answer) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};

	*fd = -1;
	if (recvmsg(device, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(*answer))
		return false;
	if (CMSG_FIRSTHDR(&msg))
		memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(*fd));
	return true;
}

/* Asks for PORT; returns the descriptor or the status. */
static int answer_for_port(void)
{
	struct vsock_broker_answer answer = { 0 };
	int fd;

	ask(7, PORT);
	run_for(10);
	cr_assert(take_answer(&answer, &fd));
	cr_expect_eq(answer.id, 7);
	cr_expect_eq(answer.status == 0, fd >= 0);
	return answer.status ? answer.status : fd;
}

Test(vsock_host, a_client_finds_the_socket_and_later_does_not)
{
	struct stat st;

	cr_assert_eq(stat(path, &st), 0);
	cr_expect(S_ISSOCK(st.st_mode));
	vsock_host_close(&host);
	cr_expect_eq(stat(path, &st), -1);
}

Test(vsock_host, only_the_device_process_has_the_listening_socket)
{
	cr_expect_eq(host.listener.fd, -1);
	cr_expect_eq(client_of(path), -1, "nobody listens when that process has ended");
}

Test(vsock_host, a_path_that_is_taken)
{
	struct vsock_host other;

	close(open(server_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	config.path = server_path;
	cr_expect_eq(vsock_host_open(&other, &config), EXIT_STATUS_INPUT);
	config.path = path;
}

Test(vsock_host, the_guest_reaches_a_server)
{
	int server = serve_at(server_path, 4);
	int fd = answer_for_port();
	int accepted = accept(server, NULL, NULL);
	char text[8] = "";

	cr_assert_geq(fd, 0, "%d", fd);
	cr_expect(fcntl(fd, F_GETFL) & O_NONBLOCK);
	cr_assert_eq(write(fd, "there", 5), 5);
	cr_expect_eq(read(accepted, text, sizeof(text)), 5);
	cr_assert_eq(write(accepted, "back", 4), 4);
	cr_expect_eq(read(fd, text, sizeof(text)), 4);
	close(fd);
	close(accepted);
	close(server);
}

Test(vsock_host, what_is_no_server)
{
	char elsewhere[80];
	int fd;

	cr_expect_eq(answer_for_port(), -ENOENT);

	fd = unix_bind(server_path, SOCK_STREAM);
	cr_expect_eq(answer_for_port(), -ECONNREFUSED, "bound, but not listening");
	close(fd);
	cr_expect_eq(answer_for_port(), -ECONNREFUSED, "left over");
	unlink(server_path);

	fd = unix_bind(server_path, SOCK_DGRAM);
	cr_expect_eq(answer_for_port(), -EPROTOTYPE);
	close(fd);
	unlink(server_path);

	close(open(server_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	cr_expect_eq(answer_for_port(), -ENOTSOCK);
	unlink(server_path);

	mkdir(server_path, 0700);
	cr_expect_eq(answer_for_port(), -ENOTSOCK);
	rmdir(server_path);

	snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", dir);
	fd = serve_at(elsewhere, 1);
	cr_assert_eq(symlink(elsewhere, server_path), 0);
	cr_expect_eq(answer_for_port(), -ENOTSOCK, "not even when it leads to one");
	close(fd);
	unlink(elsewhere);
}

Test(vsock_host, a_server_that_is_busy_gets_its_clients_in_the_end)
{
	int server = serve_at(server_path, 0); /* one may wait */
	struct vsock_broker_answer answer;
	bool seen[5] = { false };
	int fds[5], fd;
	unsigned int n = 0;

	for (uint32_t id = 0; id < 5; id++)
		ask(id, PORT);
	run_for(10);
	while (take_answer(&answer, &fd)) {
		cr_assert_eq(answer.status, 0);
		fds[n++] = fd;
	}
	cr_expect_eq(n, 1);
	/* The others hold up nobody. */
	ask(100, 4711);
	run_for(10);
	cr_assert(take_answer(&answer, &fd));
	cr_expect_eq(answer.id, 100);
	cr_expect_eq(answer.status, -ENOENT);
	while (n < 5) {
		close(accept(server, NULL, NULL));
		run_for(2 * VSOCK_HOST_TICK_MS);
		cr_assert(take_answer(&answer, &fd), "after %u", n);
		cr_expect_eq(answer.status, 0);
		cr_expect_not(seen[answer.id]);
		seen[answer.id] = true;
		fds[n++] = fd;
	}
	while (n)
		close(fds[--n]);
	close(server);
}

Test(vsock_host, a_server_that_never_accepts)
{
	int server = serve_at(server_path, 0);
	int first = answer_for_port();
	struct vsock_broker_answer answer;
	unsigned int refused = 0;
	int fd;

	for (uint32_t id = 0; id < VSOCK_HOST_MAX_WAITING + 10; id++)
		ask(id, PORT);
	for (int i = 0; i < 20 && refused < 10; i++) {
		run_for(VSOCK_HOST_TICK_MS);
		for (; take_answer(&answer, &fd); refused++)
			cr_expect_eq(answer.status, -EAGAIN);
	}
	cr_expect_eq(refused, 10, "only so many may wait");
	for (int i = 0; i < 10 && host.nr_waiting; i++)
		run_for(VSOCK_HOST_PATIENCE * VSOCK_HOST_TICK_MS / 4);
	for (; take_answer(&answer, &fd); refused++)
		cr_expect_eq(answer.status, -EAGAIN);
	cr_expect_eq(refused, VSOCK_HOST_MAX_WAITING + 10, "and not for ever");
	cr_expect_eq(host.nr_waiting, 0);
	close(first);
	close(server);
}

Test(vsock_host, a_flood_is_served_at_a_rate)
{
	struct vsock_broker_answer answer;
	const uint64_t start = now_ms();
	unsigned int n = 0;
	int fd;

	for (uint32_t id = 0; id < 3 * VSOCK_HOST_BUDGET; id++)
		ask(id, PORT);
	for (int i = 0; i < 100 && n < 3 * VSOCK_HOST_BUDGET; i++) {
		run_for(VSOCK_HOST_TICK_MS / 4);
		for (; take_answer(&answer, &fd); n++)
			cr_expect_eq(answer.id, n);
		cr_expect_leq(n, (1 + (now_ms() - start) / VSOCK_HOST_TICK_MS) * VSOCK_HOST_BUDGET);
	}
	cr_expect_eq(n, 3 * VSOCK_HOST_BUDGET, "all in the end");
}

Test(vsock_host, messages_that_are_none)
{
	static const size_t sizes[] = { 1, 4, 7, 9, 16, 1000 };
	struct vsock_broker_answer answer;
	const char bytes[1000] = { 0 };
	int fd;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		cr_assert_eq(send(device, bytes, sizes[i], 0), (ssize_t)sizes[i]);
	run_for(10);
	cr_expect_not(take_answer(&answer, &fd));
	cr_expect_eq(answer_for_port(), -ENOENT);
}

/* Or a device process could fill our table of descriptors. */
Test(vsock_host, descriptors_of_the_device_process_are_not_taken)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct vsock_broker_request request = { 1, PORT };
	struct iovec iov = { &request, sizeof(request) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	unsigned int before = fd_count();
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &device, sizeof(int));
	for (int i = 0; i < 20; i++)
		cr_assert_eq(sendmsg(device, &msg, 0), (ssize_t)sizeof(request));
	run_for(10);
	cr_expect_eq(fd_count(), before);
}

Test(vsock_host, a_device_process_that_takes_no_answers)
{
	int server = serve_at(server_path, 4096);
	unsigned int before = fd_count();

	for (uint32_t i = 0; i < 2000; i++) {
		const struct vsock_broker_request request = { i, PORT };

		if (send(device, &request, sizeof(request), MSG_DONTWAIT) < 0)
			run_for(VSOCK_HOST_TICK_MS);
	}
	run_for(2 * VSOCK_HOST_TICK_MS);
	cr_expect_eq(fd_count(), before, "none is kept for it");
	close(server);
}

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

Test(vsock_host, a_device_process_that_has_ended)
{
	double before;

	ask(1, PORT);
	close(device);
	device = -1;
	run_for(10);
	before = cpu_seconds();
	run_for(200);
	cr_expect_lt(cpu_seconds() - before, 0.05, "nothing is left to do");
}

static void keep_fd(void *opaque, int fd)
{
	*(int *)opaque = fd;
}

Test(vsock_host, a_port_that_minivmm_serves)
{
	int server = serve_at(server_path, 4);
	int ours = -1;
	char text[8] = "";
	int fd;

	host.exit_port = PORT;
	host.exit_opaque = &ours;
	host.exit_connected = keep_fd;
	fd = answer_for_port();
	cr_assert_geq(fd, 0);
	cr_assert_geq(ours, 0);
	cr_expect(fcntl(fd, F_GETFL) & O_NONBLOCK);
	cr_expect(fcntl(ours, F_GETFL) & O_NONBLOCK);
	cr_assert_eq(write(fd, "3\n", 2), 2);
	cr_expect_eq(read(ours, text, sizeof(text)), 2);
	close(fd);
	cr_expect_eq(read(ours, text, sizeof(text)), 0, "its end");
	close(ours);
	close(server);
}
