/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A tap whose kernel refuses, fails or floods: the frame is lost, and the queue goes on. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "tests/unit/fault_tracer.h"
#include "tests/unit/mock_process.h"
#include "tests/unit/tap_bench.h"

static struct net_bench b;
static struct fault_tracer tracer;
static uint8_t frame[NET_FRAME_MAX];

static void set_up(void)
{
	tap_enter_namespace();
	mock_use_process();
	tap_make_frame(frame, sizeof(frame));
	tap_start(&b, 1, 0, 3);
}

static void tear_down(void)
{
	cr_expect_eq(mock_report(&b.fe).broken_queues, 0);
	net_stop(&b);
}

TestSuite(device_fault_tap, .init = set_up, .fini = tear_down);

static void begin_fault(long syscall, unsigned int count, int error)
{
	tracer = (struct fault_tracer){
		.pid = b.fe.pid,
		.faults = { { syscall, 0, count, error, 0 } },
	};
	fault_tracer_start(&tracer);
}

/* The peer hears @len bytes of a frame that begins with @seed. */
static void host_expects(uint8_t seed, size_t len)
{
	static uint8_t got[10 + NET_FRAME_MAX];

	cr_assert_eq(tap_peer_receive(b.peer, got, sizeof(got), MOCK_TIMEOUT), (ssize_t)(10 + len));
	cr_expect_eq(got[10 + ETH_LEN], seed, "frame %u instead of %u", got[10 + ETH_LEN], seed);
}

Test(device_fault_tap, frames_that_cannot_be_sent)
{
	static const struct {
		int error;
		unsigned int count;
		bool sent;
	} rows[] = {
		{ EINTR, 3, true },   { EAGAIN, 3, true },   { EINVAL, 1, false },
		{ EIO, 1, false },    { ENOBUFS, 1, false }, { ENOMEM, 1, false },
		{ EFAULT, 1, false }, { EBADFD, 1, false },
	};
	const uint16_t nr = sizeof(rows) / sizeof(rows[0]);
	uint64_t errors = 0;

	for (uint16_t i = 0; i < nr; i++) {
		frame[ETH_LEN] = i;
		begin_fault(SYS_writev, rows[i].count, rows[i].error);
		net_send(&b, 0, frame, 60);
		cr_expect_eq(fault_tracer_stop(&tracer), rows[i].count, "%s",
			     strerror(rows[i].error));
		if (rows[i].sent)
			host_expects(i, 60);
		errors += !rows[i].sent;
		frame[ETH_LEN] = 100 + i;
		net_send(&b, 1, frame, 60);
		host_expects(100 + i, 60);
		cr_expect_eq(mock_report(&b.fe).request_errors, errors, "%s",
			     strerror(rows[i].error));
	}
	mock_expect_idle(&b.fe, "writes that failed");
}

Test(device_fault_tap, frames_that_cannot_be_received)
{
	static const struct {
		int error;
		unsigned int count;
	} rows[] = { { EINTR, 3 }, { EAGAIN, 1 }, { EINVAL, 1 } };
	const uint16_t nr = sizeof(rows) / sizeof(rows[0]);
	const struct net_header plain = { 0 };

	for (uint16_t i = 0; i < nr; i++) {
		uint64_t addr;

		begin_fault(SYS_readv, rows[i].count, rows[i].error);
		addr = net_post(&b, NET_RX, i, 1526);
		mock_kick(&b.fe, NET_RX);
		tap_peer_sends(&b, &plain, frame, 60);
		tap_peer_sends(&b, &plain, frame, 60);
		net_expect_used(&b, NET_RX, i, 72);
		net_expect_bytes(&b, addr + 12, frame, 60);
		net_expect_untouched(&b, addr + 72, 1526 - 72);
		cr_expect_eq(fault_tracer_stop(&tracer), rows[i].count, "%s",
			     strerror(rows[i].error));
		net_post(&b, NET_RX, 10 + i, 1526);
		mock_kick(&b.fe, NET_RX);
		net_expect_used(&b, NET_RX, 10 + i, 72);
	}
}

/* Any other error is the end of the interface; the driver is told, and sending is no harm. */
Test(device_fault_tap, an_interface_that_fails)
{
	const struct net_header plain = { 0 };
	struct vhost_user_msg msg;
	uint8_t config[8];
	int channel[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel), 0);
	cr_assert_eq(mock_ack(&b.fe, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, channel[1]), 0);
	begin_fault(SYS_readv, 1, EIO);
	net_post(&b, NET_RX, 0, 1526);
	mock_kick(&b.fe, NET_RX);
	tap_peer_sends(&b, &plain, frame, 60);
	cr_assert_eq(vhost_user_recv(channel[0], &msg, MOCK_TIMEOUT), 1);
	cr_expect_eq(fault_tracer_stop(&tracer), 1);
	net_get_config(&b, config, sizeof(config));
	cr_expect_eq(config[6], 0, "link down");
	net_send(&b, 0, frame, 60);
	mock_expect_idle(&b.fe, "an interface that failed");
}

/*
 * Nothing of the pool but the frame changes, and nothing of the process gets there: whatever lies
 * behind a frame in its buffers is as the driver left it. Small buffers have it come by the way of the
 * process' own memory.
 */
Test(device_fault_tap, nothing_stale_behind_a_frame)
{
	static const size_t lengths[] = { 14, 15, 59, 60, 1000, 1514 };
	static const uint32_t rooms[] = { 1526, 64, 12, 13 };
	const struct net_header plain = { 0 };

	for (size_t i = 0; i < 6 * 4; i++) {
		const size_t len = lengths[i % 6];
		const uint32_t room = rooms[i / 6];
		const uint16_t chains = (12 + len + room - 1) / room;
		uint64_t addr[128];
		size_t left = 12 + len;

		if (chains > 128)
			continue;
		/* The process has seen longer frames before. */
		b.fe.queues[NET_RX].next_free = MOCK_BASE + 65536;
		for (uint16_t n = 0; n < chains; n++)
			addr[n] = net_post(&b, NET_RX, n, room);
		mock_kick(&b.fe, NET_RX);
		tap_peer_sends(&b, &plain, frame, len);
		for (uint16_t n = 0; n < chains; n++) {
			uint32_t here = left < room ? left : room;

			net_expect_used(&b, NET_RX, n, here);
			net_expect_untouched(&b, addr[n] + here, room - here);
			left -= here;
		}
	}
}

/* Ten thousand frames a second and more while the driver has no room: what it gets then is whole. */
Test(device_fault_tap, a_flood_without_room)
{
	const struct net_header plain = { 0 };
	struct timespec start, now;
	unsigned long sent = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		tap_peer_sends(&b, &plain, frame, 1514);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (++sent % 4096 == 0)
			mock_report(&b.fe); /* it answers */
	} while (now.tv_sec - start.tv_sec < 3);
	cr_expect_gt(sent, 30000, "%lu frames", sent);
	mock_expect_idle(&b.fe, "a flood without room");
	/* The kernel has kept some; from then on they are new ones. */
	for (int round = 0; round < 10; round++) {
		b.fe.queues[NET_RX].next_free = MOCK_BASE + 65536;
		for (uint16_t n = 0; n < 128; n++)
			net_post(&b, NET_RX, n, 1526);
		mock_kick(&b.fe, NET_RX);
		for (uint16_t n = 0; n < 128; n++) {
			if (round >= 3)
				tap_peer_sends(&b, &plain, frame, 1514);
			net_expect_used(&b, NET_RX, n, 1526);
		}
	}
	net_send(&b, 0, frame, 60);
}
