/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* virtio-net: the control queue, and what a device can be started with. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/net_bench.h"

#define OK  0
#define ERR 1

static struct net_bench b;

static void set_up(void)
{
	net_start_stream(&b, NULL, 0, 128);
}

static void tear_down(void)
{
	net_stop(&b);
}

TestSuite(device_net_ctrl, .init = set_up, .fini = tear_down);

/* 5.1.6.5; the numbers in a command are little-endian. */
static const struct {
	const char *what;
	uint8_t command[24];
	size_t len;
	uint8_t ack;
} commands[] = {
	{ "promiscuous", { 0, 0, 1 }, 3, OK },
	{ "all multicast", { 0, 1, 0 }, 3, OK },
	{ "all unicast, which needs CTRL_RX_EXTRA", { 0, 2, 1 }, 3, ERR },
	{ "mode of no bytes", { 0, 0 }, 2, ERR },
	{ "mode of two bytes", { 0, 0, 1, 1 }, 4, ERR },
	{ "empty tables", { 1, 0 }, 10, OK },
	{ "one and one address",
	  { 1, 0, 1, 0, 0, 0, 2, 2, 2, 2, 2, 2, 1, 0, 0, 0, 3, 3, 3, 3, 3, 3 },
	  22,
	  OK },
	{ "one address too few", { 1, 0, 1, 0, 0, 0, 2, 2, 2, 2, 2, 2, 1 }, 21, ERR },
	{ "no second table", { 1, 0, 1, 0, 0, 0, 2, 2, 2, 2, 2, 2 }, 12, ERR },
	{ "more than tables", { 1, 0 }, 11, ERR },
	{ "2^32 - 1 addresses", { 1, 0, 0xff, 0xff, 0xff, 0xff }, 24, ERR },
	{ "so many that their bytes wrap", { 1, 0, 0xab, 0xaa, 0xaa, 0x2a }, 24, ERR },
	{ "an address, which needs CTRL_MAC_ADDR", { 1, 1, 2, 2, 2, 2, 2, 2 }, 8, ERR },
	{ "a VLAN, which needs CTRL_VLAN", { 2, 0, 1, 0 }, 4, ERR },
	{ "an announcement, which needs GUEST_ANNOUNCE", { 3, 0 }, 2, ERR },
	{ "pairs, which need MQ", { 4, 0, 1, 0 }, 4, ERR },
	{ "receive-side scaling, which needs RSS", { 4, 1, 7, 0, 0, 0, 3 }, 24, ERR },
	{ "hashes, which need HASH_REPORT", { 4, 2, 7, 0, 0, 0 }, 14, ERR },
	{ "a VLAN that cannot be", { 2, 0, 0, 0x10 }, 4, ERR },
	{ "offloads, which need CTRL_GUEST_OFFLOADS", { 5, 0, 1 }, 10, ERR },
	{ "an unknown class", { 0xff, 0 }, 2, ERR },
	{ "an unknown command", { 0, 0xff, 1 }, 3, ERR },
	{ "half a header", { 0 }, 1, ERR },
};

Test(device_net_ctrl, commands)
{
	uint64_t errors = 0;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		uint8_t ack = net_command(&b, NET_CTRL, commands[i].command, commands[i].len);

		cr_expect_eq(ack, commands[i].ack, "%s: %u", commands[i].what, ack);
		errors += commands[i].ack;
	}
	cr_expect_eq(mock_report(&b.fe).request_errors, errors);
}

Test(device_net_ctrl, a_command_without_room_for_an_answer_is_dropped)
{
	mock_submit_buffer(&b.fe.queues[NET_CTRL], 0, 3, 0);
	cr_expect_eq(mock_complete(&b.fe, NET_CTRL).len, 0);
	cr_expect_eq(mock_report(&b.fe).malformed_chains, 1);
	cr_expect_eq(net_command(&b, NET_CTRL, commands[0].command, 3), OK);
}

Test(device_net_ctrl, an_answer_has_one_byte)
{
	struct mock_driver *driver = &b.fe.queues[NET_CTRL];
	uint64_t answer;

	mock_set_desc(mock_desc_table(driver), 0,
		      (struct virtq_desc){ mock_alloc(driver, 3), 3, NET_NEXT, 1 });
	answer = mock_alloc(driver, 64);
	memset(mock_ptr(driver, answer), 0xee, 64);
	mock_set_desc(mock_desc_table(driver), 1, (struct virtq_desc){ answer, 64, NET_WRITE, 0 });
	mock_submit(driver, 0);
	cr_expect_eq(mock_complete(&b.fe, NET_CTRL).len, 1);
	net_expect_untouched(&b, answer + 1, 63);
}

/* For what is refused with a line in the log. */
static void set_up_quietly(void)
{
	cr_redirect_stderr();
	set_up();
}

static int create(const int *fds, unsigned int nr, const char *setting)
{
	const char *const settings[] = { setting, NULL };
	const struct device_options options = { fds, nr, settings };
	struct device device;
	int rc = device_create(&device, device_kind_find("net"), &options);

	if (rc == 0)
		device_destroy(&device);
	return rc;
}

Test(device_net_ctrl, settings, .init = set_up_quietly)
{
	static const struct {
		const char *setting;
		int rc;
	} cases[] = {
		{ NULL, 0 },
		{ "mac=52:54:00:12:34:56", 0 },
		{ "mac=AA:bB:0c:0D:ee:FF", 0 },
		{ "mac=52:54:00:12:34:5", -EINVAL },
		{ "mac=52:54:00:12:34:567", -EINVAL },
		{ "mac=52-54-00-12-34-56", -EINVAL },
		{ "mac=52:54:00:12:34:5g", -EINVAL },
		{ "mac=52:54:00:12:34:56:", -EINVAL },
		{ "mac=53:54:00:12:34:56", -EINVAL },
		{ "mac=00:00:00:00:00:00", -EINVAL },
		{ "mac=", -EINVAL },
		{ "queue-size=2", 0 },
		{ "queue-size=1024", 0 },
		{ "queue-size=1", -EINVAL },
		{ "queue-size=2048", -EINVAL },
		{ "queue-size=100", -EINVAL },
		{ "queue-size=0", -EINVAL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int pair[2], rc;

		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		rc = create(pair, 1, cases[i].setting);
		cr_expect_eq(rc, cases[i].rc, "%s: %d", cases[i].setting, rc);
		close(pair[0]);
		close(pair[1]);
	}
}

Test(device_net_ctrl, descriptors_that_carry_no_frames, .init = set_up_quietly)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int datagrams[2], streams[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, datagrams), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, streams), 0);
	cr_expect_eq(create(&null, 0, NULL), -EINVAL, "none");
	cr_expect_eq(create(&null, 1, NULL), -ENOTTY, "no tap");
	cr_expect_eq(create(datagrams, 1, NULL), -EINVAL, "datagrams");
	cr_expect_eq(create(streams, 2, NULL), -EINVAL, "two streams");
	cr_expect_eq(create((const int[]){ 1000 }, 1, NULL), -EBADF, "closed");
}

Test(device_net_ctrl, the_largest_queue)
{
	uint8_t frame[60];

	net_stop(&b);
	net_start_stream(&b, (const char *const[]){ "queue-size=1024", NULL }, 0, 1024);
	net_pattern(frame, sizeof(frame), 1);
	/*
	 * A chain of as many pieces as there can be, the first with the header and more: with the
	 * length before it, one piece more than a system call takes.
	 */
	for (uint16_t pieces = 1023; pieces <= 1024; pieces++) {
		struct mock_driver *driver = &b.fe.queues[NET_TX];
		const uint32_t first = 12 + 4000;
		uint64_t addr = mock_alloc(driver, first + pieces);
		struct virtq_desc *table = mock_desc_table(driver);

		memset(mock_ptr(driver, addr), 0, 12);
		net_pattern(mock_ptr(driver, addr + 12), 4000 + pieces, pieces);
		mock_set_desc(table, 0, (struct virtq_desc){ addr, first, NET_NEXT, 1 });
		for (uint16_t i = 1; i < pieces; i++)
			mock_set_desc(table, i,
				      (struct virtq_desc){ addr + first + i - 1, 1,
							   i < pieces - 1 ? NET_NEXT : 0, i + 1 });
		mock_submit(driver, 0);
		mock_kick(&b.fe, NET_TX);
		peer_expects(&b, mock_ptr(driver, addr + 12), 4000 + pieces - 1);
	}
	for (uint16_t n = 0; n < 1024; n++)
		net_post(&b, NET_RX, n, 64);
	mock_kick(&b.fe, NET_RX);
	peer_sends(&b, frame, sizeof(frame));
	net_expect_used(&b, NET_RX, 0, 64);
	net_expect_used(&b, NET_RX, 1, 8);
}

Test(device_net_ctrl, inside_the_sandbox, .init = set_up_quietly)
{
	uint8_t frame[60];

	net_stop(&b);
	b.confined = true;
	net_start_stream(&b, NULL, 0, 128);
	net_pattern(frame, sizeof(frame), 1);
	net_post(&b, NET_RX, 0, 1526);
	mock_kick(&b.fe, NET_RX);
	peer_sends(&b, frame, sizeof(frame));
	net_expect_used(&b, NET_RX, 0, 72);
	net_send(&b, 0, frame, sizeof(frame));
	peer_expects(&b, frame, sizeof(frame));
	net_post(&b, NET_RX, 1, 1526);
	mock_kick(&b.fe, NET_RX);
	net_close_peer(&b);
	cr_expect_eq(net_command(&b, NET_CTRL, commands[0].command, 3), OK);
}
