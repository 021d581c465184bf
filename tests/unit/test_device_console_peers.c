/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A port behind a socket that listens: peers that come, stall, flood and go. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/console_bench.h"

#define W	 VIRTQ_DESC_F_WRITE
#define PORT	 1
#define QUEUES	 6
#define ROOM	 256 /* bytes of each buffer for input */
#define NR_PEERS 40
#define FLOOD	 (256 * 1024)

static const char *const settings[] = { "names=:agent", NULL };

static struct mock_frontend fe;
static int console = -1; /* our end of port 0 */
static const char folder_template[] = "/tmp/console-XXXXXX";
static char folder[sizeof(folder_template)];
static struct sockaddr_un address = { .sun_family = AF_UNIX };

static int make_listener(void)
{
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(folder, folder_template, sizeof(folder));
	cr_assert_not_null(mkdtemp(folder));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", folder);
	cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(listener, 4), 0);
	return listener;
}

static void make_backends(int *fds)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	console = pair[0];
	fds[0] = pair[1];
	fds[1] = make_listener();
}

static void start_device(bool confined)
{
	int fds[2];

	make_backends(fds);
	console_connect(&fe, fds, 2, settings, QUEUES, confined);
	console_offer(&fe, CONSOLE_QUEUE_SIZE, 64);
}

static void start(void)
{
	start_device(false);
}

static void tear_down(void)
{
	cr_expect_eq(mock_stop(&fe), 0);
	close(console);
	unlink(address.sun_path);
	rmdir(folder);
}

TestSuite(device_console_peers, .init = start, .fini = tear_down, .timeout = 30);

static int join(void)
{
	int peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(connect(peer, (struct sockaddr *)&address, sizeof(address)), 0);
	return peer;
}

static void expect_open(bool open)
{
	console_expect(&fe, PORT, CONSOLE_PORT_OPEN, open);
}

/* The driver knows the port, and somebody in the guest has it open. */
static void open_port(void)
{
	console_open_port(&fe, PORT);
}

static void give_room(uint16_t nr_buffers)
{
	struct mock_driver *driver = &fe.queues[console_in(PORT)];

	for (uint16_t i = 0; i < nr_buffers; i++)
		mock_submit_buffer(driver, driver->avail_idx % CONSOLE_QUEUE_SIZE, ROOM, W);
	mock_kick(&fe, console_in(PORT));
}

/* Takes the next buffer of input; returns how much is in it. */
static size_t take_input(uint8_t *bytes)
{
	struct mock_driver *driver = &fe.queues[console_in(PORT)];
	struct virtq_used_elem elem = mock_wait_used(&fe, console_in(PORT));

	cr_assert_leq(elem.len, ROOM);
	memcpy(bytes, mock_ptr(driver, mock_desc_table(driver)[elem.id].addr), elem.len);
	return elem.len;
}

static void expect_input(const char *text)
{
	uint8_t bytes[ROOM];
	size_t len = take_input(bytes);

	cr_assert_eq(len, strlen(text), "%zu bytes instead of '%s'", len, text);
	cr_expect_eq(memcmp(bytes, text, len), 0, "'%.*s' instead of '%s'", (int)len, bytes, text);
}

static void say(int peer, const char *text)
{
	cr_assert_eq(send(peer, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

Test(device_console_peers, come_and_go)
{
	int peer;

	console_say(&fe, PORT, CONSOLE_PORT_READY, 1);
	cr_expect_eq(console_hear(&fe).event, CONSOLE_PORT_NAME);
	expect_open(false);
	console_say(&fe, PORT, CONSOLE_PORT_OPEN, 1);
	give_room(8);
	for (int i = 0; i < 3; i++) {
		peer = join();
		expect_open(true);
		say(peer, "question");
		expect_input("question");
		console_write(&fe, PORT, 0, "answer");
		console_expect_host_reads(peer, "answer");
		mock_expect_idle(&fe, "peer");
		close(peer);
		expect_open(false);
	}
	mock_expect_idle(&fe, "no peer");
}

Test(device_console_peers, are_taken_when_the_driver_knows_the_port)
{
	int peer = join();

	say(peer, "early");
	give_room(1);
	console_expect_nothing(&fe, CONSOLE_CONTROL_IN, "nobody has asked");
	mock_expect_idle(&fe, "a peer that waits");
	open_port();
	expect_open(true);
	expect_input("early");
	close(peer);
	expect_open(false);
}

Test(device_console_peers, get_what_the_guest_wrote_before)
{
	int peer;

	open_port();
	console_write(&fe, PORT, 0, "to whom ");
	console_write(&fe, PORT, 1, "it may concern");
	console_expect_nothing(&fe, console_out(PORT), "nobody is there");
	mock_expect_idle(&fe, "output without a peer");
	peer = join();
	console_expect_host_reads(peer, "to whom it may concern");
	close(peer);
}

Test(device_console_peers, leave_what_they_wrote)
{
	int peer;

	console_open_port(&fe, PORT);
	console_say(&fe, PORT, CONSOLE_PORT_OPEN, 0);
	peer = join();
	expect_open(true);
	say(peer, "farewell");
	close(peer);
	mock_expect_idle(&fe, "gone, and not read");
	console_expect_nothing(&fe, CONSOLE_CONTROL_IN, "there is something to read");
	give_room(2);
	console_say(&fe, PORT, CONSOLE_PORT_OPEN, 1);
	expect_input("farewell");
	expect_open(false);
}

Test(device_console_peers, that_say_nothing_leave_at_once)
{
	int peer;

	console_open_port(&fe, PORT);
	console_say(&fe, PORT, CONSOLE_PORT_OPEN, 0);
	peer = join();
	expect_open(true);
	close(peer);
	expect_open(false);
}

Test(device_console_peers, take_turns)
{
	int first, second;

	open_port();
	give_room(8);
	first = join();
	expect_open(true);
	second = join();
	say(second, "second");
	console_expect_nothing(&fe, console_in(PORT), "the first one is there");
	say(first, "first");
	expect_input("first");
	console_write(&fe, PORT, 0, "to the first");
	console_expect_host_reads(first, "to the first");
	close(first);
	expect_open(false);
	expect_open(true);
	expect_input("second");
	console_write(&fe, PORT, 1, "to the second");
	console_expect_host_reads(second, "to the second");
	close(second);
}

Test(device_console_peers, that_only_listen)
{
	int peer;

	open_port();
	give_room(8);
	peer = join();
	expect_open(true);
	cr_assert_eq(shutdown(peer, SHUT_WR), 0);
	console_expect_nothing(&fe, CONSOLE_CONTROL_IN, "it still listens");
	mock_expect_idle(&fe, "half-closed");
	console_write(&fe, PORT, 0, "hear");
	console_expect_host_reads(peer, "hear");
	close(peer);
	expect_open(false);
}

Test(device_console_peers, that_only_speak)
{
	int peer;

	open_port();
	give_room(8);
	peer = join();
	expect_open(true);
	cr_assert_eq(shutdown(peer, SHUT_RD), 0);
	console_write(&fe, PORT, 0, "nobody hears this");
	mock_wait_used(&fe, console_out(PORT));
	say(peer, "but");
	expect_input("but");
	close(peer);
	expect_open(false);
}

/* Output until nothing more goes into the peer's buffer; returns how many chains are taken. */
static uint16_t fill_peer(void)
{
	struct mock_driver *driver = &fe.queues[console_out(PORT)];
	struct virtq_used_elem elem;
	uint16_t n = 0;

	for (;; n++) {
		driver->next_free = MOCK_BASE + (console_out(PORT) << 20) + 65536;
		memset(mock_ptr(driver, driver->next_free), 'x', 60000);
		mock_submit_buffer(driver, n % CONSOLE_QUEUE_SIZE, 60000, 0);
		mock_kick(&fe, console_out(PORT));
		if (!mock_poll_used(&fe, console_out(PORT), MOCK_FULL, &elem))
			return n;
		cr_assert_lt(n, 60);
	}
}

Test(device_console_peers, that_stall_and_leave)
{
	uint16_t taken;
	int peer;

	open_port();
	peer = join();
	expect_open(true);
	taken = fill_peer();
	console_write(&fe, PORT, taken + 1, "meant for the first");
	mock_expect_idle(&fe, "a peer that does not read");
	close(peer);
	expect_open(false);
	cr_expect_eq(mock_wait_used(&fe, console_out(PORT)).id, taken);
	cr_expect_eq(mock_wait_used(&fe, console_out(PORT)).id, taken + 1u);
	peer = join();
	expect_open(true);
	console_write(&fe, PORT, 0, "meant for the second");
	console_expect_host_reads(peer, "meant for the second");
	close(peer);
}

/* Writes a pattern as far as it goes; returns how far. */
static size_t flood(int peer)
{
	uint8_t bytes[4096];
	size_t done = 0;
	ssize_t n;

	/* More than once: the device may just be reading. */
	for (int tries = 0; tries < 3; tries++) {
		for (n = 1; n > 0 && done < FLOOD;) {
			for (size_t i = 0; i < sizeof(bytes); i++)
				bytes[i] = (done + i) % 251;
			n = send(peer, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);
			done += n > 0 ? n : 0;
		}
		usleep(20000);
	}
	return done;
}

Test(device_console_peers, that_flood)
{
	size_t sent, got = 0;
	uint8_t bytes[ROOM];
	int peer;

	open_port();
	peer = join();
	expect_open(true);
	sent = flood(peer);
	cr_expect_lt(sent, FLOOD, "it has to wait");
	mock_expect_idle(&fe, "no room");
	close(peer);
	while (got < sent) {
		size_t len;

		fe.queues[console_in(PORT)].next_free =
			MOCK_BASE + (console_in(PORT) << 20) + 65536;
		give_room(1);
		len = take_input(bytes);
		for (size_t i = 0; i < len; i++)
			cr_assert_eq(bytes[i], (got + i) % 251, "byte %zu", got + i);
		got += len;
	}
	cr_expect_eq(got, sent);
	give_room(1);
	expect_open(false);
}

/* Otherwise the driver would take two peers for one. */
Test(device_console_peers, wait_until_the_driver_has_heard)
{
	int first, second;

	open_port();
	give_room(8);
	/* Name and state were two messages; each of these is answered by two more. */
	for (int i = 0; i < (CONSOLE_QUEUE_SIZE - 2) / 2; i++) {
		console_say(&fe, 0, CONSOLE_DEVICE_READY, 1);
		console_expect(&fe, 0, CONSOLE_DEVICE_ADD, 1);
		console_expect(&fe, PORT, CONSOLE_DEVICE_ADD, 1);
	}
	first = join();
	console_expect_host_reads(first, "");
	console_offer(&fe, 1, 64);
	expect_open(true);
	second = join();
	say(second, "second");
	close(first);
	console_write(&fe, PORT, 0, "to the first");
	cr_expect_eq(mock_wait_used(&fe, console_out(PORT)).id, 0, "lost with it");
	console_expect_nothing(&fe, console_in(PORT), "the driver was not told");
	mock_expect_idle(&fe, "no room for messages");
	console_offer(&fe, 2, 64);
	expect_open(false);
	expect_open(true);
	expect_input("second");
	console_write(&fe, PORT, 1, "to the second");
	console_expect_host_reads(second, "to the second");
	close(second);
}

Test(device_console_peers, stay_when_the_driver_begins_anew)
{
	int peer;

	open_port();
	give_room(8);
	peer = join();
	expect_open(true);
	for (unsigned int i = 0; i < QUEUES; i++)
		mock_stop_queue(&fe, i);
	cr_assert_eq(mock_ack_u64(&fe, VHOST_USER_SET_FEATURES, fe.features, -1), 0);
	for (unsigned int i = 0; i < QUEUES; i++)
		mock_start_queue(&fe, i, CONSOLE_QUEUE_SIZE);
	console_offer(&fe, 16, 64);
	give_room(8);
	say(peer, "still here");
	console_expect_nothing(&fe, console_in(PORT), "the new driver has not opened it");
	console_say(&fe, PORT, CONSOLE_PORT_READY, 1);
	cr_expect_eq(console_hear(&fe).event, CONSOLE_PORT_NAME);
	expect_open(true);
	console_say(&fe, PORT, CONSOLE_PORT_OPEN, 1);
	expect_input("still here");
	close(peer);
	expect_open(false);
}

/* One after another; the buffers for messages that are used up are given again. */
static void exchange_words(unsigned int nr_peers)
{
	open_port();
	for (unsigned int i = 0; i < nr_peers; i++) {
		int peer = join();

		expect_open(true);
		give_room(1);
		say(peer, "question");
		expect_input("question");
		console_write(&fe, PORT, 0, "answer");
		console_expect_host_reads(peer, "answer");
		mock_wait_used(&fe, console_out(PORT));
		close(peer);
		expect_open(false);
		console_offer(&fe, 2, 64);
	}
}

Test(device_console_peers, leave_nothing_behind)
{
	unsigned int before = mock_count_fds(&fe);

	exchange_words(NR_PEERS);
	cr_expect_eq(mock_count_fds(&fe), before);
}

Test(device_console_peers, in_the_sandbox)
{
	tear_down();
	start_device(true);
	exchange_words(NR_PEERS);
}
