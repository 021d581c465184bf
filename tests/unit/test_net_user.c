/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* --net user with the passt of this machine: that it answers, and that it never outlives us. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/net_passt_bench.h"

TestSuite(net_user, .init = enter, .timeout = 20);

static const uint8_t guest_mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };

/* In one piece: passt loses its way in a stream when it reads a length alone. */
static void send_frame(int stream, const void *frame, size_t len)
{
	uint32_t size = htonl((uint32_t)len);
	const struct iovec parts[] = { { &size, sizeof(size) }, { (void *)frame, len } };

	cr_assert_eq(writev(stream, parts, 2), (ssize_t)(sizeof(size) + len));
}

static void read_all(int stream, void *data, size_t len)
{
	struct pollfd ready = { .fd = stream, .events = POLLIN };

	for (size_t done = 0; done < len;) {
		ssize_t n;

		cr_assert_eq(poll(&ready, 1, TIMEOUT_MS), 1, "passt does not answer");
		n = read(stream, (char *)data + done, len - done);
		cr_assert_gt(n, 0);
		done += (size_t)n;
	}
}

/* The next frame of EtherType @type, which must fit in @size bytes; returns its length. */
static size_t read_frame(int stream, uint16_t type, uint8_t *frame, size_t size)
{
	uint32_t len;

	do {
		read_all(stream, &len, sizeof(len));
		len = ntohl(len);
		cr_assert(len >= 14 && len <= size);
		read_all(stream, frame, len);
	} while (frame[12] != type >> 8 || frame[13] != (type & 0xff));
	return len;
}

/* passt is every address but the guest's own. */
static const uint8_t other_address[4] = { 192, 0, 2, 99 };

/* "Who has ...? Tell 0.0.0.0" (RFC 826, RFC 5227) */
static void ask_for_other(int stream)
{
	uint8_t frame[42] = { [12] = 8, 6, 0, 1, 8, 0, 6, 4, 0, 1 };

	memset(frame, 0xff, 6);
	memcpy(frame + 6, guest_mac, 6);
	memcpy(frame + 22, guest_mac, 6);
	memcpy(frame + 38, other_address, 4);
	send_frame(stream, frame, sizeof(frame));
}

static void expect_other(int stream)
{
	uint8_t frame[1600];

	cr_assert_geq(read_frame(stream, 0x0806, frame, sizeof(frame)), 42);
	cr_expect_arr_eq(frame, guest_mac, 6);
	cr_expect_eq(frame[21], 2, "a reply");
	cr_expect_arr_eq(frame + 28, other_address, 4);
}

Test(net_user, it_answers_without_any_interface)
{
	struct bench bench;

	open_bench(&bench, NULL);
	/* Before it is ready: the frame waits in the socket. */
	ask_for_other(bench.host.fds[0]);
	cr_assert_eq(net_host_watch(&bench.host, &bench.loop), 0);
	expect_other(bench.host.fds[0]);
	cr_expect(fcntl(bench.host.fds[0], F_GETFL) & O_NONBLOCK);
	close_bench(&bench);
}

/* A socket at a port of the loopback address that was free, and a forward from there. */
static int bind_forward(struct sockaddr_in *address, char forward[64])
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*address);

	*address = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	cr_assert_eq(bind(fd, (struct sockaddr *)address, len), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)address, &len), 0);
	snprintf(forward, 64, "tcp:127.0.0.1:%u-:22", ntohs(address->sin_port));
	return fd;
}

/* Its largest write is 128 frames of 64 KiB: what does not fit is lost, and missed two seconds later. */
Test(net_user, all_that_it_writes_at_once_has_room)
{
	struct bench bench;
	socklen_t len = sizeof(int);
	int room = 0;

	start_bench(&bench, NULL);
	cr_assert_eq(getsockopt(bench.host.fds[0], SOL_SOCKET, SO_SNDBUF, &room, &len), 0);
	/* Only root may have as much as it wants. */
	cr_expect(room >= 128 * 65536 || !alone, "%d", room);
	close_bench(&bench);
}

Test(net_user, a_connection_to_a_forwarded_port_reaches_the_guest)
{
	struct sockaddr_in address;
	struct bench bench;
	uint8_t frame[1600];
	char forward[64];
	int fd;

	close(bind_forward(&address, forward));
	start_bench(&bench, forward);
	/* It sends to the address from which it heard last. */
	ask_for_other(bench.host.fds[0]);
	expect_other(bench.host.fds[0]);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_geq(read_frame(bench.host.fds[0], 0x0800, frame, sizeof(frame)), 54);
	cr_expect_arr_eq(frame, guest_mac, 6);
	if (alone)
		cr_expect_arr_eq(frame + 26, ((uint8_t[]){ 10, 0, 2, 2, 10, 0, 2, 15 }), 8);
	cr_expect_arr_eq(frame + 36, ((uint8_t[]){ 0, 22 }), 2);
	cr_expect_eq(frame[47] & 0x12, 0x02, "a SYN, no ACK");
	close(fd);
	close_bench(&bench);
}

Test(net_user, a_port_in_use_is_named)
{
	struct sockaddr_in address;
	struct bench bench;
	char forward[64];
	int fd = bind_forward(&address, forward);

	cr_assert_eq(listen(fd, 1), 0);
	open_bench(&bench, forward);
	cr_expect_eq(net_host_watch(&bench.host, &bench.loop), -ECHILD);
	expect_line("Failed to bind any port for '-t 127.0.0.1/");
	close_bench(&bench);
	close(fd);
}

Test(net_user, its_death_is_told_and_ends_the_stream)
{
	struct bench bench;
	char byte;

	start_bench(&bench, NULL);
	cr_assert_eq(kill(bench.host.passt.pid, SIGKILL), 0);
	run_until_end(&bench);
	expect_line("killed by signal 9: no more network");
	cr_expect_eq(read(bench.host.fds[0], &byte, 1), 0);
	close_bench(&bench);
}

Test(net_user, it_ends_with_the_device_process)
{
	struct bench bench;
	int device;

	start_bench(&bench, NULL);
	device = fcntl(bench.host.fds[0], F_DUPFD_CLOEXEC, 0);
	net_host_hand_over(&bench.host);
	close(device);
	run_until_end(&bench);
	expect_line("exit status 0");
	close_bench(&bench);
}

Test(net_user, it_ends_with_us)
{
	int told[2], status;
	pid_t child, passt;

	cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	cr_assert_eq(pipe2(told, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		struct bench bench;

		start_bench(&bench, NULL);
		(void)!write(told[1], &bench.host.passt.pid, sizeof(passt));
		_exit(0);
	}
	cr_assert_eq(read(told[0], &passt, sizeof(passt)), sizeof(passt));
	cr_assert_eq(waitpid(child, NULL, 0), child);
	/* The time limit of the test is the limit here, too. */
	cr_expect_eq(waitpid(passt, &status, 0), passt);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%#x", (unsigned int)status);
}
