/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* virtio-console: both directions, and a host that is slow, silent or gone. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/console_bench.h"

#define RX 0
#define TX 1
#define W  VIRTQ_DESC_F_WRITE

static struct mock_frontend fe;
static int host = -1; /* our end of the backend */

static void start_on(int device_end)
{
	console_connect(&fe, &device_end, 1, NULL, 2, false);
}

static void start_on_socket(void)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	host = pair[0];
	start_on(pair[1]);
}

static void tear_down(void)
{
	cr_expect_eq(mock_stop(&fe), 0);
	if (host >= 0)
		close(host);
}

TestSuite(device_console, .init = start_on_socket, .fini = tear_down);

static void expect_idle(const char *what)
{
	mock_expect_idle(&fe, what);
}

static void expect_host_reads(const char *text)
{
	console_expect_host_reads(host, text);
}

Test(device_console, output)
{
	uint64_t addr = mock_submit_buffer(&fe.queues[TX], 3, 5, 0);

	memcpy(mock_ptr(&fe.queues[TX], addr), "hello", 5);
	cr_expect_eq(mock_complete(&fe, TX).id, 3);
	expect_host_reads("hello");
	cr_expect_eq(mock_report(&fe).bytes_to_device, 5);
}

Test(device_console, output_from_many_descriptors)
{
	struct mock_driver *driver = &fe.queues[TX];

	for (uint16_t i = 0; i < 26; i++) {
		uint64_t addr = mock_alloc(driver, 1);

		*(char *)mock_ptr(driver, addr) = 'a' + i;
		mock_set_desc(
			mock_desc_table(driver), i,
			(struct virtq_desc){ addr, 1, i < 25 ? VIRTQ_DESC_F_NEXT : 0, i + 1 });
	}
	mock_submit(driver, 0);
	mock_complete(&fe, TX);
	expect_host_reads("abcdefghijklmnopqrstuvwxyz");
}

Test(device_console, output_of_nothing_and_writable_output)
{
	mock_submit_buffer(&fe.queues[TX], 0, 0, 0);
	cr_expect_eq(mock_complete(&fe, TX).id, 0);
	mock_submit_buffer(&fe.queues[TX], 1, 16, W);
	cr_expect_eq(mock_complete(&fe, TX).len, 0);
}

Test(device_console, input)
{
	uint64_t addr = mock_submit_buffer(&fe.queues[RX], 2, 64, W);
	struct virtq_used_elem elem;

	mock_kick(&fe, RX);
	cr_assert_eq(write(host, "typed", 5), 5);
	elem = mock_wait_used(&fe, RX);
	cr_expect_eq(elem.id, 2);
	cr_expect_eq(elem.len, 5);
	cr_expect_eq(memcmp(mock_ptr(&fe.queues[RX], addr), "typed\0", 6), 0);
	cr_expect(mock_signalled(fe.call[RX], MOCK_TIMEOUT));
}

Test(device_console, input_waits_for_room_without_spinning)
{
	struct mock_driver *driver = &fe.queues[RX];
	uint64_t addr[3];

	cr_assert_eq(write(host, "abcdefg", 7), 7);
	expect_idle("input, no room");
	for (uint16_t i = 0; i < 3; i++)
		addr[i] = mock_submit_buffer(driver, i, 3, W);
	cr_expect_eq(mock_complete(&fe, RX).len, 3);
	cr_expect_eq(mock_wait_used(&fe, RX).len, 3);
	cr_expect_eq(mock_wait_used(&fe, RX).len, 1);
	cr_expect_eq(memcmp(mock_ptr(driver, addr[0]), "abc", 3), 0);
	cr_expect_eq(memcmp(mock_ptr(driver, addr[1]), "def", 3), 0);
	cr_expect_eq(memcmp(mock_ptr(driver, addr[2]), "g", 1), 0);
}

Test(device_console, room_waits_for_input_without_spinning)
{
	mock_submit_buffer(&fe.queues[RX], 0, 64, W);
	mock_kick(&fe, RX);
	expect_idle("room, no input");
	mock_submit_buffer(&fe.queues[RX], 1, 64, W);
	mock_kick(&fe, RX);
	cr_assert_eq(write(host, "x", 1), 1);
	cr_expect_eq(mock_wait_used(&fe, RX).id, 0);
	cr_assert_eq(write(host, "y", 1), 1);
	cr_expect_eq(mock_wait_used(&fe, RX).id, 1);
}

Test(device_console, input_needs_writable_room)
{
	mock_submit_buffer(&fe.queues[RX], 0, 64, 0);
	mock_submit_buffer(&fe.queues[RX], 1, 64, W);
	mock_kick(&fe, RX);
	cr_assert_eq(write(host, "x", 1), 1);
	cr_expect_eq(mock_wait_used(&fe, RX).len, 0);
	cr_expect_eq(mock_wait_used(&fe, RX).len, 1);
	cr_expect_eq(mock_report(&fe).malformed_chains, 1);
}

/* Sends until the host's buffer is full; returns how many chains were complete before. */
static uint16_t fill_host(void)
{
	struct mock_driver *driver = &fe.queues[TX];
	struct virtq_used_elem elem;

	for (uint16_t n = 0; n < 1000; n++) {
		driver->next_free = MOCK_BASE + (TX << 20) + 65536;
		mock_submit_buffer(driver, n % 64, 60000, 0);
		mock_kick(&fe, TX);
		if (!mock_poll_used(&fe, TX, MOCK_FULL, &elem))
			return n;
	}
	cr_assert_fail("the host takes everything");
	return 0;
}

Test(device_console, a_host_that_does_not_read_holds_up_nothing_else)
{
	struct mock_driver *driver = &fe.queues[TX];
	uint16_t n = fill_host();
	struct virtq_used_elem elem;
	static char sink[65536];

	expect_idle("output, host full");
	mock_submit_buffer(&fe.queues[RX], 0, 64, W);
	mock_kick(&fe, RX);
	cr_assert_eq(write(host, "in", 2), 2);
	cr_expect_eq(mock_wait_used(&fe, RX).len, 2, "input goes on");
	cr_expect_eq(mock_report(&fe).requests, n + 1u, "messages too");

	/* More output than the one that is kept stays in the ring. */
	mock_submit_buffer(driver, (n + 1) % 64, 10, 0);
	mock_kick(&fe, TX);
	cr_assert_eq(fcntl(host, F_SETFL, O_NONBLOCK), 0);
	for (int ms = 0; ms < MOCK_TIMEOUT; ms++) {
		while (read(host, sink, sizeof(sink)) > 0)
			;
		if (mock_take_used(driver, &elem))
			break;
		usleep(1000);
	}
	cr_expect_eq(elem.id, n % 64u);
	cr_expect_eq(mock_wait_used(&fe, TX).id, (n + 1) % 64u);
}

Test(device_console, stopping_with_output_pending)
{
	uint16_t n = fill_host();

	cr_expect_eq(mock_stop_queue(&fe, TX), n, "the chain that was not complete");
	expect_idle("stopped");
	mock_start_queue(&fe, TX, 64);
	cr_expect_eq(mock_report(&fe).broken_queues, 0);
}

Test(device_console, a_host_that_hangs_up)
{
	mock_submit_buffer(&fe.queues[RX], 0, 64, W);
	mock_kick(&fe, RX);
	close(host);
	host = -1;
	expect_idle("hang-up");
	mock_submit_buffer(&fe.queues[TX], 0, 10, 0);
	cr_expect_eq(mock_complete(&fe, TX).id, 0, "output goes nowhere");
	mock_submit_buffer(&fe.queues[RX], 1, 64, W);
	mock_kick(&fe, RX);
	expect_idle("room after the hang-up");
	cr_expect_eq(mock_report(&fe).requests, 1);
}

/* Whether the device takes the buffer; false only after half a second, for it may just be slow. */
static bool takes_output(struct mock_driver *driver)
{
	struct virtq_used_elem elem;

	for (int i = 0; i < 100; i++) {
		if (mock_take_used(driver, &elem))
			return true;
		usleep(5000);
	}
	return false;
}

Test(device_console, a_host_that_hangs_up_while_output_waits)
{
	struct mock_driver *driver = &fe.queues[TX];
	uint16_t n = 0;

	do {
		driver->next_free = MOCK_BASE + (TX << 20) + 65536;
		mock_submit_buffer(driver, n++ % 64, 60000, 0);
		mock_kick(&fe, TX);
	} while (takes_output(driver));
	close(host);
	host = -1;
	mock_wait_used(&fe, TX);
	expect_idle("hang-up");
}

Test(device_console, half_closed_input_leaves_output)
{
	uint64_t addr = mock_submit_buffer(&fe.queues[TX], 3, 5, 0);

	mock_submit_buffer(&fe.queues[RX], 0, 64, W);
	mock_kick(&fe, RX);
	shutdown(host, SHUT_WR);
	expect_idle("end of input");
	memcpy(mock_ptr(&fe.queues[TX], addr), "still", 5);
	mock_complete(&fe, TX);
	expect_host_reads("still");
}

Test(device_console, a_broken_input_queue_does_not_spin)
{
	mock_submit_buffer(&fe.queues[RX], 0, 64, W);
	mock_kick(&fe, RX);
	mock_report(&fe);
	mock_set_desc(mock_desc_table(&fe.queues[RX]), 0, (struct virtq_desc){ 0, 64, W, 0 });
	cr_assert_eq(write(host, "x", 1), 1);
	cr_expect(mock_signalled(fe.err[RX], MOCK_TIMEOUT));
	expect_idle("broken");
	mock_submit_buffer(&fe.queues[TX], 0, 1, 0);
	cr_expect_eq(mock_complete(&fe, TX).id, 0, "the other queue lives");
}

Test(device_console, on_a_pipe)
{
	uint64_t addr;
	int pair[2];

	tear_down();
	cr_assert_eq(pipe2(pair, O_CLOEXEC), 0);
	host = pair[0];
	start_on(pair[1]);
	mock_submit_buffer(&fe.queues[RX], 0, 64, W);
	mock_kick(&fe, RX);
	addr = mock_submit_buffer(&fe.queues[TX], 3, 5, 0);
	memcpy(mock_ptr(&fe.queues[TX], addr), "piped", 5);
	mock_complete(&fe, TX);
	expect_host_reads("piped");
	expect_idle("pipe");
}

Test(device_console, on_a_terminal)
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	uint64_t addr;

	tear_down();
	cr_assert_geq(terminal, 0);
	cr_assert_eq(grantpt(terminal), 0);
	cr_assert_eq(unlockpt(terminal), 0);
	host = terminal;
	start_on(open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC));
	addr = mock_submit_buffer(&fe.queues[RX], 0, 64, W);
	mock_kick(&fe, RX);
	cr_assert_eq(write(host, "line\n", 5), 5);
	cr_expect_eq(mock_wait_used(&fe, RX).len, 5);
	cr_expect_eq(memcmp(mock_ptr(&fe.queues[RX], addr), "line\n", 5), 0);
}

Test(device_console, a_device_that_takes_nothing)
{
	tear_down();
	host = -1;
	start_on(open("/dev/full", O_RDWR | O_CLOEXEC));
	mock_submit_buffer(&fe.queues[TX], 0, 10, 0);
	cr_expect_eq(mock_complete(&fe, TX).id, 0, "dropped");
	mock_submit_buffer(&fe.queues[RX], 0, 64, W);
	mock_kick(&fe, RX);
	expect_idle("/dev/full");
}

Test(device_console, on_a_file_in_the_sandbox)
{
	int file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char text[16] = "";
	uint64_t addr;
	int device_end;

	cr_assert_geq(file, 0);
	tear_down();
	host = file;
	cr_assert_eq(write(host, "old ", 4), 4);
	device_end = fcntl(host, F_DUPFD_CLOEXEC, 0);
	console_connect(&fe, &device_end, 1, NULL, 2, true);
	mock_submit_buffer(&fe.queues[RX], 0, 64, W);
	mock_kick(&fe, RX);
	addr = mock_submit_buffer(&fe.queues[TX], 3, 4, 0);
	memcpy(mock_ptr(&fe.queues[TX], addr), "new ", 4);
	mock_complete(&fe, TX);
	addr = mock_submit_buffer(&fe.queues[TX], 4, 4, 0);
	memcpy(mock_ptr(&fe.queues[TX], addr), "more", 4);
	mock_complete(&fe, TX);
	cr_expect_eq(pread(host, text, sizeof(text), 0), 12);
	cr_expect_str_eq(text, "old new more", "after what is there");
	console_expect_nothing(&fe, RX, "a file is for output");
	expect_idle("file");
}

Test(device_console, size_of_the_terminal)
{
	struct vhost_user_config config = { .size = 12 };
	const uint8_t expected[12] = { 132, 0, 43, 0, 1 };
	const struct {
		uint32_t offset, size;
		uint8_t bytes[4];
		int answer;
	} changes[] = {
		{ 0, 4, { 80, 0, 25, 0 }, 0 }, { 2, 2, { 43, 0 }, 0 }, { 0, 2, { 132, 0 }, 0 },
		{ 0, 5, { 1, 1, 1, 1 }, 1 },   { 3, 2, { 1, 1 }, 1 },  { 4, 1, { 1 }, 1 },
		{ 255, 1, { 1 }, 1 },	       { 8, 1, { 'E' }, 1 }, /* emergency write */
		{ 8, 2, { 'E' }, 1 },	       { 8, 4, { 'E' }, 1 },
	};

	cr_expect(fe.features & CONSOLE_F_SIZE);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		config.offset = changes[i].offset;
		config.size = changes[i].size;
		memcpy(config.region, changes[i].bytes, 4);
		cr_expect_eq(mock_ack(&fe, VHOST_USER_SET_CONFIG, &config, 12 + config.size, -1),
			     changes[i].answer, "change %zu", i);
	}
	config = (struct vhost_user_config){ .size = 12 };
	mock_send(&fe, VHOST_USER_GET_CONFIG, 0, &config, 24, -1);
	cr_assert(mock_reply(&fe, VHOST_USER_GET_CONFIG, &config, 24));
	cr_expect_arr_eq(config.region, expected, sizeof(expected));
}

Test(device_console, features_of_a_console_alone)
{
	cr_expect_eq(fe.features & 0xffffff, CONSOLE_F_SIZE, "no ports, no emergency write");
	cr_expect_eq(mock_get_u64(&fe, VHOST_USER_GET_QUEUE_NUM), 2);
}

static int create_on(int fd)
{
	struct device device;
	const struct device_options options = { .backend_fds = &fd, .nr_backends = 1 };

	return device_create(&device, device_kind_find("console"), &options);
}

Test(device_console, backends_that_make_no_stream)
{
	cr_expect_eq(create_on(open("/tmp", O_RDONLY | O_CLOEXEC)), -ENOSTR, "a directory");
	cr_expect_eq(create_on(epoll_create1(EPOLL_CLOEXEC)), -ENOSTR);
	cr_expect_eq(create_on(1000), -EBADF);
}
