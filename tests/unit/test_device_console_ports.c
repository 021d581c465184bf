/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* virtio-console with several ports: what is said about them, and their bytes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/console_bench.h"

#define W	 VIRTQ_DESC_F_WRITE
#define PORTS	 3
#define QUEUES	 (2 * (PORTS + 1))
#define ANY_PORT UINT32_MAX

static struct mock_frontend fe;
static int host[PORTS]; /* our ends */

static const char *const three_names[] = { "names=:a:log.b", NULL };

static void make_pairs(int *device_ends)
{
	int pair[2];

	for (int i = 0; i < PORTS; i++) {
		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		host[i] = pair[0];
		device_ends[i] = pair[1];
	}
}

/* Port 0 is the console. */
static void start(void)
{
	int fds[PORTS];

	make_pairs(fds);
	console_connect(&fe, fds, PORTS, three_names, QUEUES, false);
}

static void tear_down(void)
{
	cr_expect_eq(mock_stop(&fe), 0);
	for (int i = 0; i < PORTS; i++)
		close(host[i]);
}

TestSuite(device_console_ports, .init = start, .fini = tear_down);

Test(device_console_ports, are_offered)
{
	struct vhost_user_config config = { .size = 12 };

	cr_expect_eq(fe.features & 0xffffff, CONSOLE_F_SIZE | CONSOLE_F_MULTIPORT);
	cr_expect_eq(mock_get_u64(&fe, VHOST_USER_GET_QUEUE_NUM), QUEUES);
	mock_send(&fe, VHOST_USER_GET_CONFIG, 0, &config, 24, -1);
	cr_assert(mock_reply(&fe, VHOST_USER_GET_CONFIG, &config, 24));
	cr_expect_eq(config.region[4], PORTS);
}

static void expect_name(uint32_t id, const char *name)
{
	struct console_told told = console_hear(&fe);

	cr_expect_eq(told.id, id);
	cr_expect_eq(told.event, CONSOLE_PORT_NAME);
	cr_assert_eq(told.len, strlen(name), "no NUL behind it");
	cr_expect_eq(memcmp(told.data, name, told.len), 0);
}

static void expect_size(uint16_t columns, uint16_t rows)
{
	const uint16_t expected[] = { columns, rows };
	struct console_told told = console_hear(&fe);

	cr_expect_eq(told.id, 0);
	cr_expect_eq(told.event, CONSOLE_RESIZE);
	cr_assert_eq(told.len, sizeof(expected));
	cr_expect_eq(memcmp(told.data, expected, sizeof(expected)), 0);
}

static int set_size(uint16_t columns, uint16_t rows)
{
	const uint16_t size[] = { columns, rows };
	struct vhost_user_config config = { .size = sizeof(size) };

	memcpy(config.region, size, sizeof(size));
	return mock_ack(&fe, VHOST_USER_SET_CONFIG, &config, 12 + sizeof(size), -1);
}

Test(device_console_ports, introduce_themselves)
{
	cr_expect_eq(set_size(132, 43), 0);
	console_offer(&fe, 32, 64);
	console_expect_nothing(&fe, CONSOLE_CONTROL_IN, "the driver begins");
	console_say(&fe, ANY_PORT, CONSOLE_DEVICE_READY, 1);
	for (uint32_t id = 0; id < PORTS; id++)
		console_expect(&fe, id, CONSOLE_DEVICE_ADD, 1);
	console_say(&fe, 0, CONSOLE_PORT_READY, 1);
	console_expect(&fe, 0, CONSOLE_CONSOLE_PORT, 1);
	console_expect(&fe, 0, CONSOLE_PORT_OPEN, 1);
	expect_size(132, 43);
	console_say(&fe, 2, CONSOLE_PORT_READY, 1);
	expect_name(2, "log.b");
	console_expect(&fe, 2, CONSOLE_PORT_OPEN, 1);
	console_say(&fe, 1, CONSOLE_PORT_READY, 0);
	console_expect_nothing(&fe, CONSOLE_CONTROL_IN, "the driver has failed to add it");
}

Test(device_console_ports, say_nothing_of_a_port_that_is_no_more)
{
	console_say(&fe, 2, CONSOLE_PORT_READY, 1);
	console_say(&fe, 2, CONSOLE_PORT_READY, 0);
	console_offer(&fe, 16, 64);
	console_expect_nothing(&fe, CONSOLE_CONTROL_IN, "the driver has given it up");
}

Test(device_console_ports, tell_each_new_size)
{
	console_offer(&fe, 16, 64);
	cr_expect_eq(set_size(80, 25), 0);
	console_expect_nothing(&fe, CONSOLE_CONTROL_IN, "the port is not ready");
	console_open_port(&fe, 0);
	expect_size(80, 25);
	cr_expect_eq(set_size(100, 30), 0);
	expect_size(100, 30);
}

Test(device_console_ports, tell_the_last_size_to_a_driver_that_was_busy)
{
	console_offer(&fe, 3, 64);
	console_open_port(&fe, 0);
	expect_size(0, 0);
	for (uint16_t i = 1; i <= 500; i++)
		set_size(i, i);
	console_offer(&fe, 16, 64);
	expect_size(500, 500);
	console_expect_nothing(&fe, CONSOLE_CONTROL_IN, "once is enough");
}

Test(device_console_ports, carry_output_each_to_its_end)
{
	console_write(&fe, 0, 0, "console");
	console_write(&fe, 1, 1, "first");
	console_write(&fe, 2, 2, "second");
	console_expect_host_reads(host[0], "console");
	console_expect_host_reads(host[1], "first");
	console_expect_host_reads(host[2], "second");
}

static void expect_input(uint32_t id, const char *text)
{
	struct mock_driver *driver = &fe.queues[console_in(id)];
	struct virtq_used_elem elem = mock_wait_used(&fe, console_in(id));

	cr_assert_eq(elem.len, strlen(text), "port %u: %u bytes", id, elem.len);
	cr_expect_eq(
		memcmp(mock_ptr(driver, mock_desc_table(driver)[elem.id].addr), text, strlen(text)),
		0);
}

static void give_room(uint32_t id, uint16_t nr_buffers)
{
	for (uint16_t i = 0; i < nr_buffers; i++)
		mock_submit_buffer(&fe.queues[console_in(id)], i, 64, W);
	mock_kick(&fe, console_in(id));
}

/* Linux throws away what comes while nobody in the guest has the port open. */
Test(device_console_ports, read_only_while_the_guest_does)
{
	give_room(1, 8);
	cr_assert_eq(write(host[1], "early", 5), 5);
	console_expect_nothing(&fe, console_in(1), "nobody has opened it");
	console_say(&fe, 1, CONSOLE_PORT_OPEN, 1);
	expect_input(1, "early");
	cr_assert_eq(write(host[1], "more", 4), 4);
	expect_input(1, "more");
	console_say(&fe, 1, CONSOLE_PORT_OPEN, 0);
	cr_assert_eq(write(host[1], "late", 4), 4);
	console_expect_nothing(&fe, console_in(1), "it was closed");
	mock_expect_idle(&fe, "closed, and there is input");
	console_say(&fe, 1, CONSOLE_PORT_OPEN, 1);
	expect_input(1, "late");
}

Test(device_console_ports, do_not_wait_for_each_other)
{
	struct virtq_used_elem elem;
	uint16_t n = 0;

	/* Until the host's buffer of port 1 is full. */
	do {
		fe.queues[console_out(1)].next_free = MOCK_BASE + (console_out(1) << 20) + 65536;
		mock_submit_buffer(&fe.queues[console_out(1)], n++ % 64, 60000, 0);
		mock_kick(&fe, console_out(1));
		cr_assert_lt(n, 64);
	} while (mock_poll_used(&fe, console_out(1), MOCK_FULL, &elem));
	mock_expect_idle(&fe, "one port is full");
	console_write(&fe, 2, 0, "free");
	console_expect_host_reads(host[2], "free");
	console_say(&fe, 1, CONSOLE_PORT_OPEN, 1);
	give_room(1, 1);
	cr_assert_eq(write(host[1], "other way", 9), 9);
	expect_input(1, "other way");
}

Test(device_console_ports, break_alone)
{
	struct mock_driver *driver = &fe.queues[console_out(1)];

	mock_set_desc(mock_desc_table(driver), 0, (struct virtq_desc){ 0xfee00000, 64, 0, 0 });
	mock_submit(driver, 0);
	mock_kick(&fe, console_out(1));
	cr_expect(mock_signalled(fe.err[console_out(1)], MOCK_TIMEOUT));
	console_write(&fe, 2, 0, "well");
	console_expect_host_reads(host[2], "well");
	console_say(&fe, 1, CONSOLE_PORT_OPEN, 1);
	cr_expect_eq(mock_report(&fe).broken_queues, 1);
}

Test(device_console_ports, bad_messages_are_counted_and_nothing_else)
{
	static const struct {
		uint32_t id;
		uint16_t event;
	} bad[] = {
		{ PORTS, CONSOLE_PORT_READY },
		{ PORTS, CONSOLE_PORT_OPEN },
		{ 0xffffffff, CONSOLE_PORT_READY },
		{ 0x80000000, CONSOLE_PORT_OPEN },
		{ 0, CONSOLE_DEVICE_ADD },
		{ 0, CONSOLE_DEVICE_REMOVE },
		{ 0, CONSOLE_RESIZE },
		{ 0, CONSOLE_PORT_NAME },
		{ 0, 8 },
		{ 0, 0xffff },
	};
	const size_t n = sizeof(bad) / sizeof(bad[0]);

	console_offer(&fe, 16, 64);
	for (size_t i = 0; i < n; i++) {
		console_say(&fe, bad[i].id, bad[i].event, 1);
		cr_expect_eq(mock_report(&fe).request_errors, i + 1, "message %zu", i);
	}
	console_expect_nothing(&fe, CONSOLE_CONTROL_IN, "bad messages");
	console_say(&fe, ANY_PORT, CONSOLE_DEVICE_READY, 1);
	console_expect(&fe, 0, CONSOLE_DEVICE_ADD, 1);
}

Test(device_console_ports, short_messages_are_malformed)
{
	struct mock_driver *driver = &fe.queues[CONSOLE_CONTROL_OUT];

	for (uint32_t len = 0; len < 8; len++) {
		mock_submit_buffer(driver, 0, len, 0);
		mock_complete(&fe, CONSOLE_CONTROL_OUT);
		cr_expect_eq(mock_report(&fe).malformed_chains, len + 1);
	}
	/* One that is longer has something behind it, which is nothing to us. */
	mock_submit_buffer(driver, 0, 4096, 0);
	mock_complete(&fe, CONSOLE_CONTROL_OUT);
	cr_expect_eq(mock_report(&fe).malformed_chains, 8);
	mock_submit_buffer(driver, 0, 8, W);
	mock_complete(&fe, CONSOLE_CONTROL_OUT);
	cr_expect_eq(mock_report(&fe).malformed_chains, 9, "no message at all");
}

Test(device_console_ports, messages_wait_for_a_buffer_that_holds_them)
{
	struct mock_driver *driver = &fe.queues[CONSOLE_CONTROL_IN];

	console_say(&fe, 2, CONSOLE_PORT_READY, 1);
	mock_submit_buffer(driver, 0, 7, W);
	mock_submit_buffer(driver, 1, 8 + 4, W);
	mock_submit_buffer(driver, 2, 64, 0);
	mock_kick(&fe, CONSOLE_CONTROL_IN);
	for (int i = 0; i < 3; i++)
		cr_expect_eq(mock_wait_used(&fe, CONSOLE_CONTROL_IN).len, 0, "buffer %d", i);
	cr_expect_eq(mock_report(&fe).malformed_chains, 3);
	console_offer(&fe, 1, 8 + 5);
	expect_name(2, "log.b");
	console_offer(&fe, 1, 8);
	console_expect(&fe, 2, CONSOLE_PORT_OPEN, 1);
}

Test(device_console_ports, a_driver_that_asks_and_does_not_listen)
{
	for (int i = 0; i < 500; i++) {
		console_say(&fe, ANY_PORT, CONSOLE_DEVICE_READY, 1);
		console_say(&fe, i % PORTS, CONSOLE_PORT_OPEN, i % 2);
	}
	mock_expect_idle(&fe, "nowhere to answer");
	console_offer(&fe, 16, 64);
	for (uint32_t id = 0; id < PORTS; id++)
		console_expect(&fe, id, CONSOLE_DEVICE_ADD, 1);
	console_expect_nothing(&fe, CONSOLE_CONTROL_IN, "each once");
}

/* A driver that does not know MULTIPORT has the console, and its other queues do not exist. */
Test(device_console_ports, without_multiport)
{
	int fds[PORTS];
	const struct device_options options = {
		.backend_fds = fds,
		.nr_backends = PORTS,
		.settings = three_names,
	};

	tear_down();
	make_pairs(fds);
	mock_start(&fe, "console", &options, false);
	for (int i = 0; i < PORTS; i++)
		close(fds[i]);
	mock_negotiate(&fe, CONSOLE_F_MULTIPORT);
	mock_share_pool(&fe);
	for (unsigned int i = 0; i < QUEUES; i++)
		mock_start_queue(&fe, i, CONSOLE_QUEUE_SIZE);

	give_room(0, 1);
	cr_assert_eq(write(host[0], "in", 2), 2);
	expect_input(0, "in");
	console_write(&fe, 0, 0, "out");
	console_expect_host_reads(host[0], "out");
	for (unsigned int i = CONSOLE_CONTROL_IN; i < QUEUES; i++) {
		mock_submit_buffer(&fe.queues[i], 0, 64, i % 2 ? 0 : W);
		mock_kick(&fe, i);
		console_expect_nothing(&fe, i, "a queue that does not exist");
	}
	mock_expect_idle(&fe, "queues that do not exist");
	cr_expect_eq(set_size(80, 25), 0);
	console_expect_nothing(&fe, CONSOLE_CONTROL_IN, "a new size");
}

Test(device_console_ports, a_new_driver_knows_nothing)
{
	console_offer(&fe, 2, 64);
	console_open_port(&fe, 1);
	console_say(&fe, ANY_PORT, CONSOLE_DEVICE_READY, 1);
	give_room(1, 4);
	for (unsigned int i = 0; i < QUEUES; i++)
		mock_stop_queue(&fe, i);
	cr_assert_eq(mock_ack_u64(&fe, VHOST_USER_SET_FEATURES, fe.features, -1), 0);
	for (unsigned int i = 0; i < QUEUES; i++)
		mock_start_queue(&fe, i, CONSOLE_QUEUE_SIZE);
	console_offer(&fe, 16, 64);
	give_room(1, 4);
	cr_assert_eq(write(host[1], "kept", 4), 4);
	set_size(80, 25);
	console_expect_nothing(&fe, console_in(1), "it has not opened the port");
	console_expect_nothing(&fe, CONSOLE_CONTROL_IN, "it has not asked");
	console_open_port(&fe, 1);
	expect_input(1, "kept");
}

Test(device_console_ports, separate_input)
{
	static const char *const settings[] = { "names=x:y", "inputs=1", NULL };
	int pair[2], output[2], input[2];

	tear_down();
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(pipe2(output, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(input, O_CLOEXEC), 0);
	host[0] = pair[0];
	host[1] = output[0];
	host[2] = input[1];
	console_connect(&fe, (const int[]){ pair[1], output[1], input[0] }, 3, settings, 6, false);
	cr_expect_eq(fe.features & 0xffffff, CONSOLE_F_MULTIPORT, "no console");
	cr_expect_neq(set_size(80, 25), 0, "no terminal");
	console_offer(&fe, 16, 64);
	console_open_port(&fe, 1);
	give_room(1, 2);
	cr_assert_eq(write(input[1], "in", 2), 2);
	expect_input(1, "in");
	console_write(&fe, 1, 0, "out");
	console_expect_host_reads(output[0], "out");
	mock_expect_idle(&fe, "pipes");
}

/* A FIFO that is open for both directions would give the guest its own words back. */
Test(device_console_ports, a_fifo_alone_is_output)
{
	static const char *const settings[] = { "names=x", NULL };
	char path[] = "/tmp/console-XXXXXX", fifo[64];
	int ours;

	tear_down();
	cr_assert_not_null(mkdtemp(path));
	snprintf(fifo, sizeof(fifo), "%s/fifo", path);
	cr_assert_eq(mkfifo(fifo, 0600), 0);
	ours = open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	for (int i = 0; i < PORTS; i++)
		host[i] = fcntl(ours, F_DUPFD_CLOEXEC, 0);
	unlink(fifo);
	rmdir(path);
	console_connect(&fe, &ours, 1, settings, 4, false);
	console_offer(&fe, 16, 64);
	console_open_port(&fe, 0);
	give_room(0, 2);
	console_write(&fe, 0, 0, "out");
	console_expect_nothing(&fe, console_in(0), "output");
	console_expect_host_reads(host[0], "out");
}

static int create(const char *const *settings, unsigned int nr_backends)
{
	const struct device_options options = {
		.backend_fds = (const int[]){ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
		.nr_backends = nr_backends,
		.settings = settings,
	};
	struct device device;
	int rc = device_create(&device, device_kind_find("console"), &options);

	if (!rc)
		device_destroy(&device);
	return rc;
}

Test(device_console_ports, settings)
{
	static const struct {
		const char *settings[3];
		unsigned int nr_backends;
		int rc;
	} cases[] = {
		{ { NULL }, 1, 0 },
		{ { "names" }, 1, 0 },
		{ { "names=" }, 1, 0 },
		{ { "names=:a:b:c:d:e:f:g" }, 8, 0 },
		{ { "names=0123456789012345678901234567890" }, 1, 0 },
		{ { "names=a:b", "inputs=1:0" }, 4, 0 },
		{ { NULL }, 2, -EINVAL },
		{ { "names=:a" }, 1, -EINVAL },
		{ { "names=:a" }, 3, -EINVAL },
		{ { "names=:a:b:c:d:e:f:g:h" }, 9, -EINVAL },
		{ { "names=01234567890123456789012345678901" }, 1, -EINVAL },
		{ { "names=a:b", "inputs=2" }, 3, -EINVAL },
		{ { "names=a:b", "inputs=01" }, 3, -EINVAL },
		{ { "names=a:b", "inputs=" }, 3, -EINVAL },
		{ { "names=a:b", "inputs=0:0" }, 4, -EINVAL },
		{ { "names=a:b", "inputs=0" }, 2, -EINVAL },
		{ { "names=a:b", "inputs=0" }, 4, -EINVAL },
	};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* Both what is said of bad settings and the descriptor that all of them get. */
	dup2(null, STDIN_FILENO);
	dup2(null, STDERR_FILENO);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(create(cases[i].settings, cases[i].nr_backends), cases[i].rc,
			     "case %zu", i);
}
