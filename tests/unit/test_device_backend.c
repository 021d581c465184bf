/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The back-end's side of vhost-user: order, limits, and what ends a connection. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/core/ring_features.h"
#include "tests/unit/mock_frontend.h"

static const struct device_options no_options = { 0 };
static struct mock_frontend fe;

static void set_up(void)
{
	mock_start(&fe, "rng", &no_options, false);
}

TestSuite(device_backend, .init = set_up);

static void expect_closed(const char *what)
{
	int status = mock_wait(&fe);

	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1, "%s: status %#x", what, status);
}

Test(device_backend, end_of_file_is_a_good_end)
{
	cr_expect_eq(mock_stop(&fe), 0);
}

Test(device_backend, a_whole_session)
{
	const uint64_t all = RING_FEATURES | 1ull << VHOST_USER_F_PROTOCOL_FEATURES;

	mock_connect(&fe, 1, 64);
	cr_expect_eq(fe.features, all, "rng has none of its own");
	cr_expect_eq(mock_get_u64(&fe, VHOST_USER_GET_QUEUE_NUM), 1);
	mock_submit_buffer(&fe.queues[0], 5, 16, VIRTQ_DESC_F_WRITE);
	cr_expect_eq(mock_complete(&fe, 0).id, 5);
	cr_expect_eq(mock_stop(&fe), 0);
}

Test(device_backend, acknowledgements_come_only_when_negotiated)
{
	uint64_t features = mock_get_u64(&fe, VHOST_USER_GET_FEATURES);

	mock_send(&fe, VHOST_USER_SET_FEATURES, VHOST_USER_NEED_REPLY, &features, 8, -1);
	cr_expect_eq(mock_get_u64(&fe, VHOST_USER_GET_FEATURES), features, "no other reply before");
	mock_stop(&fe);
}

/* Requests that end the connection, each on a fresh one up to .stage. */
enum stage { FRESH, NEGOTIATED, SHARED, RUNNING };

static const struct misuse {
	const char *what;
	enum stage stage;
	uint32_t request;
	uint32_t payload[3]; /* as it lies on the wire */
	uint32_t size;
	bool with_fd;
} misuses[] = {
	{ "request 0", FRESH, 0, { 0 }, 0, false },
	{ "RESET_OWNER", FRESH, 4, { 0 }, 0, false },
	{ "SET_LOG_BASE", NEGOTIATED, 6, { 0 }, 8, true },
	{ "ADD_MEM_REG", SHARED, 37, { 0 }, 8, true },
	{ "REM_MEM_REG", SHARED, 38, { 0 }, 8, false },
	{ "wrong size", FRESH, VHOST_USER_SET_FEATURES, { 0 }, 4, false },
	{ "superfluous descriptor", FRESH, VHOST_USER_GET_FEATURES, { 0 }, 0, true },
	{ "feature not offered", FRESH, VHOST_USER_SET_FEATURES, { 0, 1 | 2 }, 8, false },
	{ "no VERSION_1", FRESH, VHOST_USER_SET_FEATURES, { 0, 0 }, 8, false },
	{ "features while running", RUNNING, VHOST_USER_SET_FEATURES, { 0, 1 }, 8, false },
	{ "protocol feature not offered",
	  FRESH,
	  VHOST_USER_SET_PROTOCOL_FEATURES,
	  { 2 },
	  8,
	  false },
	{ "queue count without MQ", FRESH, VHOST_USER_GET_QUEUE_NUM, { 0 }, 0, false },
	{ "configuration set without CONFIG",
	  FRESH,
	  VHOST_USER_SET_CONFIG,
	  { 0, 0, 0 },
	  12,
	  false },
	{ "channel without BACKEND_REQ", FRESH, VHOST_USER_SET_BACKEND_REQ_FD, { 0 }, 0, true },
	{ "configuration without CONFIG", FRESH, VHOST_USER_GET_CONFIG, { 0, 0, 0 }, 12, false },
	{ "report without its feature", FRESH, VHOST_USER_MINIVMM_GET_REPORT, { 0 }, 0, false },
	{ "queue 1 of 1: size", SHARED, VHOST_USER_SET_VRING_NUM, { 1, 64 }, 8, false },
	{ "queue 1 of 1: base", SHARED, VHOST_USER_SET_VRING_BASE, { 1, 0 }, 8, false },
	{ "queue 1 of 1: enable", SHARED, VHOST_USER_SET_VRING_ENABLE, { 1, 1 }, 8, false },
	{ "queue 1 of 1: stop", SHARED, VHOST_USER_GET_VRING_BASE, { 1, 0 }, 8, false },
	{ "queue 1 of 1: kick", SHARED, VHOST_USER_SET_VRING_KICK, { 1 }, 8, true },
	{ "queue 1 of 1: call", SHARED, VHOST_USER_SET_VRING_CALL, { 1 }, 8, true },
	{ "queue 255 of 1: err", SHARED, VHOST_USER_SET_VRING_ERR, { 255 }, 8, true },
	{ "queue 2^32 - 1", SHARED, VHOST_USER_SET_VRING_NUM, { 0xffffffff, 64 }, 8, false },
	{ "size 0", SHARED, VHOST_USER_SET_VRING_NUM, { 0, 0 }, 8, false },
	{ "size 3", SHARED, VHOST_USER_SET_VRING_NUM, { 0, 3 }, 8, false },
	{ "size beyond the device's", SHARED, VHOST_USER_SET_VRING_NUM, { 0, 128 }, 8, false },
	{ "size 65536 + 64", SHARED, VHOST_USER_SET_VRING_NUM, { 0, 65600 }, 8, false },
	{ "base 65536", SHARED, VHOST_USER_SET_VRING_BASE, { 0, 65536 }, 8, false },
	{ "enable 2", SHARED, VHOST_USER_SET_VRING_ENABLE, { 0, 2 }, 8, false },
	{ "no kick descriptor", SHARED, VHOST_USER_SET_VRING_KICK, { 0x100 }, 8, false },
	{ "size while running", RUNNING, VHOST_USER_SET_VRING_NUM, { 0, 32 }, 8, false },
	{ "base while running", RUNNING, VHOST_USER_SET_VRING_BASE, { 0, 1 }, 8, false },
	{ "kick while running", RUNNING, VHOST_USER_SET_VRING_KICK, { 0 }, 8, true },
};

static void reach(enum stage stage)
{
	if (stage >= NEGOTIATED)
		mock_negotiate(&fe, 0);
	if (stage >= SHARED)
		mock_share_pool(&fe);
	if (stage >= RUNNING)
		mock_start_queue(&fe, 0, 64);
}

Test(device_backend, misuse_ends_the_connection, .timeout = 60)
{
	mock_stop(&fe);
	for (size_t i = 0; i < sizeof(misuses) / sizeof(misuses[0]); i++) {
		const struct misuse *misuse = &misuses[i];
		int fd = misuse->with_fd ? eventfd(0, EFD_CLOEXEC) : -1;

		mock_start(&fe, "rng", &no_options, false);
		reach(misuse->stage);
		mock_send(&fe, misuse->request, 0, misuse->payload, misuse->size, fd);
		expect_closed(misuse->what);
		if (fd >= 0)
			close(fd);
		close(fe.sock);
	}
}

static const struct {
	const char *what;
	uint32_t nregions;
	struct vhost_user_memory_region regions[2];
} bad_tables[] = {
	{ "empty region", 1, { { MOCK_BASE, 0, MOCK_BASE, 0 } } },
	{ "wraps", 1, { { UINT64_MAX - 4095, 8192, 0, 0 } } },
	{ "wraps in the front-end", 1, { { 0, 8192, UINT64_MAX - 4095, 0 } } },
	{ "offset beyond any file", 1, { { MOCK_BASE, 4096, MOCK_BASE, 1ull << 63 } } },
	{ "larger than the address space", 1, { { 0, 1ull << 62, 0, 0 } } },
	{ "overlap", 2, { { 0x1000, 0x2000, 0x1000, 0 }, { 0x2000, 0x1000, 0x8000, 0 } } },
	{ "overlap in the front-end",
	  2,
	  { { 0x1000, 0x2000, 0x1000, 0 }, { 0x8000, 1, 0x2fff, 0 } } },
};

Test(device_backend, bad_memory_tables_end_the_connection)
{
	mock_stop(&fe);
	for (size_t i = 0; i < sizeof(bad_tables) / sizeof(bad_tables[0]); i++) {
		struct vhost_user_msg msg = {
			.hdr = { VHOST_USER_SET_MEM_TABLE, VHOST_USER_VERSION,
				 8 + 32 * bad_tables[i].nregions },
			.nr_fds = bad_tables[i].nregions,
		};
		int fd = memfd_create("pool", MFD_CLOEXEC);

		cr_assert_eq(ftruncate(fd, 65536), 0);
		msg.fds[0] = msg.fds[1] = fd;
		msg.payload.memory.nregions = bad_tables[i].nregions;
		memcpy(msg.payload.memory.regions, bad_tables[i].regions,
		       sizeof(bad_tables[i].regions));
		mock_start(&fe, "rng", &no_options, false);
		mock_negotiate(&fe, 0);
		cr_assert_eq(vhost_user_send(fe.sock, &msg), 0);
		expect_closed(bad_tables[i].what);
		close(fd);
		close(fe.sock);
	}
}

/* What a later table may not change: the number of windows, their size, their place in the file. */
static const struct {
	const char *what;
	uint32_t nregions;
	struct vhost_user_memory_region regions[2];
} other_tables[] = {
	{ "smaller", 1, { { MOCK_BASE, 4096, MOCK_BASE, MOCK_FENCE } } },
	{ "other place in the file", 1, { { MOCK_BASE, MOCK_POOL, MOCK_BASE, 4096 } } },
	{ "one more",
	  2,
	  { { MOCK_BASE, MOCK_POOL, MOCK_BASE, MOCK_FENCE }, { 0x1000, 4096, 0x1000, 0 } } },
	{ "wraps", 1, { { UINT64_MAX - 4095, MOCK_POOL, 0, MOCK_FENCE } } },
};

Test(device_backend, a_later_table_cannot_change_what_is_mapped)
{
	mock_stop(&fe);
	for (size_t i = 0; i < sizeof(other_tables) / sizeof(other_tables[0]); i++) {
		struct vhost_user_msg msg = {
			.hdr = { VHOST_USER_SET_MEM_TABLE, VHOST_USER_VERSION,
				 8 + 32 * other_tables[i].nregions },
			.nr_fds = other_tables[i].nregions,
		};

		mock_start(&fe, "rng", &no_options, false);
		mock_negotiate(&fe, 0);
		mock_share_pool(&fe);
		msg.fds[0] = msg.fds[1] = fe.pool_fd;
		msg.payload.memory.nregions = other_tables[i].nregions;
		memcpy(msg.payload.memory.regions, other_tables[i].regions,
		       sizeof(other_tables[i].regions));
		cr_assert_eq(vhost_user_send(fe.sock, &msg), 0);
		expect_closed(other_tables[i].what);
		close(fe.sock);
	}
}

Test(device_backend, windows_do_not_move_while_a_queue_runs)
{
	const struct vhost_user_memory memory = {
		.nregions = 1,
		.regions = { { MOCK_BASE, MOCK_POOL, MOCK_USER_BASE, MOCK_FENCE } },
	};

	mock_connect(&fe, 1, 64);
	mock_send(&fe, VHOST_USER_SET_MEM_TABLE, 0, &memory, 40, fe.pool_fd);
	expect_closed("table while running");
}

Test(device_backend, a_message_that_stops_half_way_ends_the_connection)
{
	cr_assert_eq(write(fe.sock, "\1\0\0\0\1", 5), 5);
	usleep(2200 * 1000);
	expect_closed("half a header");
}

Test(device_backend, a_queue_runs_only_when_enabled)
{
	mock_connect(&fe, 1, 64);
	cr_assert_eq(mock_ack_state(&fe, VHOST_USER_SET_VRING_ENABLE, 0, 0), 0);
	mock_submit_buffer(&fe.queues[0], 1, 16, VIRTQ_DESC_F_WRITE);
	mock_kick(&fe, 0);
	cr_assert_eq(mock_report(&fe).requests, 0);
	/* The kick is not lost: nobody has taken it. */
	cr_assert_eq(mock_ack_state(&fe, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
	cr_expect_eq(mock_wait_used(&fe, 0).id, 1);
	mock_stop(&fe);
}

Test(device_backend, stop_and_start_again)
{
	mock_connect(&fe, 1, 64);
	for (uint16_t i = 0; i < 3; i++) {
		mock_submit_buffer(&fe.queues[0], i, 16, VIRTQ_DESC_F_WRITE);
		mock_complete(&fe, 0);
	}
	cr_expect_eq(mock_stop_queue(&fe, 0), 3);
	mock_submit_buffer(&fe.queues[0], 3, 16, VIRTQ_DESC_F_WRITE);
	mock_kick(&fe, 0);
	cr_expect_eq(mock_report(&fe).requests, 3, "nothing happens after a stop");
	cr_expect_eq(mock_stop_queue(&fe, 0), 3, "stopping twice");

	/* As after a reset: rings anew, indices from 0. */
	mock_start_queue(&fe, 0, 16);
	mock_submit_buffer(&fe.queues[0], 7, 16, VIRTQ_DESC_F_WRITE);
	cr_expect_eq(mock_complete(&fe, 0).id, 7);
	cr_expect_eq(mock_stop_queue(&fe, 0), 1);
	mock_stop(&fe);
}

Test(device_backend, many_resets_leak_nothing, .timeout = 60)
{
	mock_connect(&fe, 1, 64);
	for (unsigned int i = 0; i < 300; i++) {
		mock_stop_queue(&fe, 0);
		mock_start_queue(&fe, 0, 64);
	}
	mock_submit_buffer(&fe.queues[0], 7, 16, VIRTQ_DESC_F_WRITE);
	cr_expect_eq(mock_complete(&fe, 0).id, 7);
	mock_stop(&fe);
}

Test(device_backend, without_protocol_features_rings_start_enabled)
{
	struct vhost_user_vring_addr addr = { 0 };
	struct mock_driver *driver = &fe.queues[0];
	const uint64_t version_1 = RING_F_VERSION_1;

	mock_send(&fe, VHOST_USER_SET_FEATURES, 0, &version_1, 8, -1);
	cr_assert_eq(mock_ack_u64(&fe, VHOST_USER_SET_PROTOCOL_FEATURES, fe.protocol_features, -1),
		     0);
	mock_share_pool(&fe);
	mock_driver_init(driver, fe.pool, MOCK_BASE, MOCK_BASE, 64, 0);
	addr.descriptor = driver->desc - MOCK_BASE + MOCK_USER_BASE;
	addr.available = driver->avail - MOCK_BASE + MOCK_USER_BASE;
	addr.used = driver->used - MOCK_BASE + MOCK_USER_BASE;
	cr_assert_eq(mock_ack_state(&fe, VHOST_USER_SET_VRING_NUM, 0, 64), 0);
	cr_assert_eq(mock_ack(&fe, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), -1), 0);
	fe.kick[0] = eventfd(0, EFD_CLOEXEC);
	cr_assert_eq(mock_ack_u64(&fe, VHOST_USER_SET_VRING_KICK, 0, fe.kick[0]), 0);
	mock_submit_buffer(driver, 3, 16, VIRTQ_DESC_F_WRITE);
	cr_expect_eq(mock_complete(&fe, 0).id, 3);
	mock_stop(&fe);
}

Test(device_backend, a_kick_before_the_start_counts)
{
	mock_negotiate(&fe, 0);
	mock_share_pool(&fe);
	mock_start_queue(&fe, 0, 64);
	mock_stop_queue(&fe, 0);
	mock_submit_buffer(&fe.queues[0], 3, 16, VIRTQ_DESC_F_WRITE);
	mock_kick(&fe, 0);
	cr_assert_eq(mock_ack_u64(&fe, VHOST_USER_SET_VRING_KICK, 0, fe.kick[0]), 0);
	cr_expect_eq(mock_wait_used(&fe, 0).id, 3);
	mock_stop(&fe);
}

Test(device_backend, a_new_call_descriptor_is_signalled_at_once)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	mock_connect(&fe, 1, 64);
	cr_assert_eq(mock_ack_u64(&fe, VHOST_USER_SET_VRING_CALL, 0, fd), 0);
	cr_expect(mock_signalled(fd, MOCK_TIMEOUT));
	cr_expect_not(mock_signalled(fe.call[0], 0));
	mock_stop(&fe);
}

Test(device_backend, no_call_descriptor_is_no_harm)
{
	mock_connect(&fe, 1, 64);
	cr_assert_eq(mock_ack_u64(&fe, VHOST_USER_SET_VRING_CALL, VHOST_USER_VRING_NOFD, -1), 0);
	mock_submit_buffer(&fe.queues[0], 3, 16, VIRTQ_DESC_F_WRITE);
	cr_expect_eq(mock_complete(&fe, 0).id, 3);
	mock_stop(&fe);
}

Test(device_backend, a_violation_stops_the_queue_and_signals_err)
{
	struct device_report_wire report;

	mock_connect(&fe, 1, 64);
	mock_set_desc(mock_desc_table(&fe.queues[0]), 9,
		      (struct virtq_desc){ MOCK_BASE + MOCK_POOL - 8, 16, VIRTQ_DESC_F_WRITE, 0 });
	mock_submit(&fe.queues[0], 9);
	mock_kick(&fe, 0);
	cr_expect(mock_signalled(fe.err[0], MOCK_TIMEOUT));
	report = mock_report(&fe);
	cr_expect_eq(report.broken_queues, 1);
	cr_expect_eq(report.nr_violations, 1);
	cr_expect_eq(report.violations[0].dma_addr, MOCK_BASE + MOCK_POOL - 8);
	cr_expect_eq(report.violations[0].descriptor, 9);

	/* Kicks are not even heard, so a storm of them costs nothing. */
	mock_submit_buffer(&fe.queues[0], 1, 16, VIRTQ_DESC_F_WRITE);
	for (int i = 0; i < 100; i++)
		mock_kick(&fe, 0);
	cr_expect_eq(mock_report(&fe).kicks, report.kicks);
	cr_expect_not(mock_signalled(fe.err[0], 0), "once");

	/* A reset makes it good. */
	mock_stop_queue(&fe, 0);
	mock_start_queue(&fe, 0, 64);
	mock_submit_buffer(&fe.queues[0], 2, 16, VIRTQ_DESC_F_WRITE);
	cr_expect_eq(mock_complete(&fe, 0).id, 2);
	mock_stop(&fe);
}

Test(device_backend, rings_outside_the_window_are_refused_and_reported)
{
	static const uint64_t addrs[] = { MOCK_USER_BASE - 16, MOCK_USER_BASE + MOCK_POOL,
					  MOCK_USER_BASE + MOCK_POOL - 16, MOCK_BASE, 0 };

	mock_connect(&fe, 1, 64);
	for (size_t i = 0; i < sizeof(addrs) / sizeof(addrs[0]); i++) {
		struct vhost_user_vring_addr addr = {
			0, 0, addrs[i], MOCK_USER_BASE, MOCK_USER_BASE, 0
		};
		struct device_report_wire before = mock_report(&fe);

		mock_stop_queue(&fe, 0);
		mock_signalled(fe.err[0], 0);
		cr_assert_eq(mock_ack(&fe, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), -1), 0);
		cr_assert_eq(mock_ack_u64(&fe, VHOST_USER_SET_VRING_KICK, 0, fe.kick[0]), 1);
		cr_expect(mock_signalled(fe.err[0], MOCK_TIMEOUT));
		cr_expect_eq(mock_report(&fe).addresses_outside[DMA_RING],
			     before.addresses_outside[DMA_RING] + 1, "%#lx", addrs[i]);
	}
	mock_stop(&fe);
}

Test(device_backend, counters)
{
	struct device_report_wire report;

	mock_connect(&fe, 1, 64);
	mock_submit_buffer(&fe.queues[0], 0, 100, VIRTQ_DESC_F_WRITE);
	mock_complete(&fe, 0);
	report = mock_report(&fe);
	cr_expect_eq(report.requests, 1);
	cr_expect_eq(report.bytes_from_device, 100);
	cr_expect_eq(report.bytes_to_device, 0);
	cr_expect_eq(report.addresses_inside[DMA_RING], 3);
	cr_expect_eq(report.addresses_inside[DMA_BUFFER], 1);
	cr_expect_eq(report.kicks, 1);
	cr_expect_eq(report.calls, 1);
	cr_expect_eq(report.pool_high_water, fe.queues[0].next_free - MOCK_BASE - 12);
	mock_stop(&fe);
}

Test(device_backend, a_busy_queue_leaves_time_for_messages)
{
	struct mock_driver *driver = &fe.queues[0];
	pid_t guest;

	mock_connect(&fe, 1, 64);
	mock_submit_buffer(driver, 0, 1, VIRTQ_DESC_F_WRITE);
	for (unsigned int i = 1; i < 64; i++)
		mock_submit(driver, 0);
	guest = fork();
	if (guest == 0) {
		/* Offers the buffers again as soon as they were used: a batch would never end. */
		mock_kick(&fe, 0);
		for (;;) {
			struct virtq_used_elem elem;

			while (mock_take_used(driver, &elem))
				mock_submit(driver, 0);
			mock_kick(&fe, 0);
		}
	}
	for (int i = 0; i < 20; i++) {
		mock_report(&fe);
		usleep(1000);
	}
	cr_expect_gt(mock_report(&fe).requests, 64);
	kill(guest, SIGKILL);
	waitpid(guest, NULL, 0);
	mock_stop(&fe);
}
