/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The interfaces and sockets that --net takes; a refusal is one line that names them. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/empty_network.h"
#include "tests/unit/fd_count.h"
#include "tests/unit/unix_peer.h"
#include "vmm/exit_status.h"
#include "vmm/net_host.h"

#define HEADER_SIZE 12

static void expect_line(const char *which, const char *why)
{
	char line[512] = "";

	cr_assert_not_null(fgets(line, sizeof(line), cr_get_redirected_stderr()));
	cr_expect_eq(strncmp(line, "minivmm: --net: ", 16), 0, "%s", line);
	cr_expect_not_null(strstr(line, which), "%s", line);
	cr_expect_not_null(strstr(line, why), "%s: not %s", line, why);
}

static void expect_refused(struct config_net net, unsigned int pairs, int status, const char *why)
{
	const unsigned int fds = fd_count();
	struct net_host host;

	cr_expect_eq(net_host_open(&host, &net, pairs), status, "%s", net.name);
	expect_line(net.name, why);
	cr_expect_eq(host.nr_fds, 0);
	net_host_close(&host);
	cr_expect_eq(fd_count(), fds, "%s", net.name);
}

/* tap=NAME */

static struct config_net tap(char *name)
{
	return (struct config_net){ .kind = CONFIG_NET_TAP, .name = name };
}

/* A tap that stays when we close it, as `ip tuntap add` makes it. */
static void make_tap(const char *name, short mode)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq request = { .ifr_flags = (short)(mode | IFF_NO_PI) };

	strncpy(request.ifr_name, name, sizeof(request.ifr_name) - 1);
	cr_assert_eq(ioctl(fd, TUNSETIFF, &request), 0, "%s: %s", name, strerror(errno));
	cr_assert_eq(ioctl(fd, TUNSETPERSIST, 1), 0);
	close(fd);
}

static bool alone; /* in an empty network, as root */

/* What else there is to see: a refusal names the one that we may not use. */
static bool may_make_taps(void)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct config_net net = tap("lo");
	struct net_host host;

	if (fd >= 0)
		close(fd);
	if (fd >= 0 && alone)
		return true;
	cr_expect_neq(net_host_open(&host, &net, 1), 0);
	expect_line(fd < 0 ? "/dev/net/tun" : "lo", "");
	return false;
}

static void enter(void)
{
	cr_redirect_stderr();
	alone = empty_network_enter();
}

TestSuite(net_tap, .init = enter, .timeout = 10);

Test(net_tap, a_name_that_no_interface_has_is_refused)
{
	expect_refused(tap("minivmm-none"), 1, EXIT_STATUS_INPUT, "no such interface");
	expect_refused(tap(""), 1, EXIT_STATUS_INPUT, "no such interface");
	expect_refused(tap("sixteen-letters-"), 1, EXIT_STATUS_INPUT, "no such interface");
	cr_expect_eq(if_nametoindex("minivmm-none"), 0, "nothing is created");
}

Test(net_tap, an_interface_of_another_kind_is_refused)
{
	if (!may_make_taps())
		return;
	make_tap("tun0", IFF_TUN);
	expect_refused(tap("lo"), 1, EXIT_STATUS_INPUT, "not a tap interface");
	expect_refused(tap("lo"), 2, EXIT_STATUS_INPUT, "not a tap interface");
	expect_refused(tap("tun0"), 1, EXIT_STATUS_INPUT, "not a tap interface");
}

static void expect_queues(char *name, unsigned int pairs)
{
	const struct config_net net = tap(name);
	struct net_host host;

	cr_assert_eq(net_host_open(&host, &net, pairs), 0, "%s, %u", name, pairs);
	cr_expect_eq(host.nr_fds, pairs);
	for (unsigned int i = 0; i < host.nr_fds; i++) {
		cr_expect(fcntl(host.fds[i], F_GETFL) & O_NONBLOCK);
		cr_expect(fcntl(host.fds[i], F_GETFD) & FD_CLOEXEC);
	}
	net_host_close(&host);
}

Test(net_tap, the_interface_must_have_as_many_queues)
{
	const unsigned int fds = fd_count();

	if (!may_make_taps())
		return;
	make_tap("one", IFF_TAP);
	make_tap("many", IFF_TAP | IFF_MULTI_QUEUE);
	expect_queues("one", 1);
	expect_queues("many", 1);
	expect_queues("many", CONFIG_MAX_PAIRS);
	expect_refused(tap("one"), 2, EXIT_STATUS_INPUT, "multi_queue");
	cr_expect_eq(fd_count(), fds);
}

Test(net_tap, an_interface_in_use_is_refused)
{
	const struct config_net net = tap("one");
	struct net_host host;

	if (!may_make_taps())
		return;
	make_tap("one", IFF_TAP);
	cr_assert_eq(net_host_open(&host, &net, 1), 0);
	expect_refused(net, 1, EXIT_STATUS_INPUT, "in use");
	net_host_close(&host);
	expect_queues("one", 1);
}

Test(net_tap, a_frame_has_a_virtio_header_before_it)
{
	const struct config_net net = tap("one");
	uint8_t frame[64] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };
	uint8_t data[256];
	struct sockaddr_ll address = { .sll_family = AF_PACKET };
	struct net_host host;
	int sock;

	if (!may_make_taps())
		return;
	make_tap("one", IFF_TAP);
	cr_assert_eq(net_host_open(&host, &net, 1), 0);
	empty_network_raise("one");
	sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	address.sll_ifindex = (int)if_nametoindex("one");
	cr_assert_eq(
		sendto(sock, frame, sizeof(frame), 0, (struct sockaddr *)&address, sizeof(address)),
		sizeof(frame));
	/* IPv6 has things to say as well when an interface comes up. */
	do {
		ssize_t n = read(host.fds[0], data, sizeof(data));

		cr_assert_gt(n, HEADER_SIZE);
		if (data[HEADER_SIZE + 12] == 0x88)
			cr_expect_eq(n, HEADER_SIZE + sizeof(frame));
	} while (data[HEADER_SIZE + 12] != 0x88);
	cr_expect_arr_eq(data + HEADER_SIZE, frame, sizeof(frame));
	close(sock);
	net_host_close(&host);
}

/* socket=PATH */

static char directory[] = "/tmp/minivmm-net-XXXXXX";

static void enter_directory(void)
{
	cr_redirect_stderr();
	cr_assert_not_null(mkdtemp(directory));
	cr_assert_eq(chdir(directory), 0);
}

static void leave_directory(void)
{
	unlink("socket");
	unlink("file");
	cr_expect_eq(rmdir(directory), 0);
}

TestSuite(net_socket, .init = enter_directory, .fini = leave_directory, .timeout = 10);

static struct config_net socket_at(char *path)
{
	return (struct config_net){ .kind = CONFIG_NET_SOCKET, .name = path };
}

Test(net_socket, what_is_no_stream_socket_is_refused)
{
	int fd = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	static char long_path[200];

	memset(long_path, 'a', sizeof(long_path) - 1);
	close(fd);
	expect_refused(socket_at("missing"), 1, EXIT_STATUS_INPUT, "No such file");
	expect_refused(socket_at("file"), 1, EXIT_STATUS_INPUT, "Connection refused");
	expect_refused(socket_at(long_path), 1, EXIT_STATUS_INPUT, "too long");
	fd = unix_bind("socket", SOCK_DGRAM);
	expect_refused(socket_at("socket"), 1, EXIT_STATUS_INPUT, "wrong type");
	close(fd);
}

Test(net_socket, a_socket_whose_owner_does_not_accept_is_refused)
{
	int fd = unix_bind("socket", SOCK_STREAM);
	const struct config_net net = socket_at("socket");
	struct net_host host;

	expect_refused(net, 1, EXIT_STATUS_INPUT, "Connection refused");
	cr_assert_eq(listen(fd, 0), 0);
	cr_assert_eq(net_host_open(&host, &net, 1), 0, "it waits in the queue");
	expect_refused(net, 1, EXIT_STATUS_INPUT, "accepts no connections");
	net_host_close(&host);
	close(fd);
}

Test(net_socket, the_device_process_alone_has_the_connection)
{
	int fd = unix_bind("socket", SOCK_STREAM), peer, device;
	const struct config_net net = socket_at("socket");
	struct net_host host;
	char byte = 'x';

	cr_assert_eq(listen(fd, 1), 0);
	/* The number of pairs changes nothing: there is one stream. */
	cr_assert_eq(net_host_open(&host, &net, 2), 0);
	cr_assert_eq(host.nr_fds, 1);
	cr_expect(fcntl(host.fds[0], F_GETFL) & O_NONBLOCK);
	cr_expect(fcntl(host.fds[0], F_GETFD) & FD_CLOEXEC);
	peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	device = fcntl(host.fds[0], F_DUPFD_CLOEXEC, 0);
	net_host_hand_over(&host);
	cr_expect_eq(host.nr_fds, 0);
	cr_expect_eq(write(device, "y", 1), 1);
	cr_expect_eq(read(peer, &byte, 1), 1);
	cr_expect_eq(byte, 'y');
	close(device);
	cr_expect_eq(read(peer, &byte, 1), 0, "nobody else holds the other end");
	cr_expect_eq(net_host_watch(&host, NULL), 0, "nothing to follow");
	net_host_close(&host);
	close(peer);
	close(fd);
}

Test(net_socket, closing_what_was_never_opened_closes_nothing)
{
	const unsigned int fds = fd_count();
	struct net_host host = { 0 };

	net_host_close(&host);
	cr_expect_eq(fd_count(), fds);
}
