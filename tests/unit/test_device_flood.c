/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Guests and hosts that send as fast as they can: nothing is lost, the process answers its front-end
 * meanwhile, holds no more memory and descriptors than before, and keeps its log short; mock_stop()
 * looks at the latter.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/console_bench.h"
#include "tests/unit/mock_process.h"
#include "tests/unit/vsock_bench.h"

#define W	   VIRTQ_DESC_F_WRITE
#define ANSWER_MAX 1000 /* milliseconds, for a message of the front-end in a flood */
#define QUEUE_SIZE 64
#define FEWEST	   256 /* requests in a flood, on a machine that is busy */

TestSuite(device_flood, .init = mock_use_process, .timeout = 60);

static unsigned long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ul + now.tv_nsec / 1000000;
}

static void expect_answer(struct mock_frontend *fe, const char *what)
{
	unsigned long start = now_ms();

	mock_report(fe);
	cr_expect_leq(now_ms() - start, ANSWER_MAX, "%s: %lu ms", what, now_ms() - start);
}

/*
 * Has the device complete chains of queue @index, whose descriptors 0 to 63 are filled in, for so many
 * milliseconds: a whole ring of them at once. Each must have @used bytes. Returns how many there were.
 */
static uint32_t flood(struct mock_frontend *fe, unsigned int index, unsigned long ms, uint32_t used)
{
	struct mock_driver *driver = &fe->queues[index];
	const unsigned long start = now_ms();
	unsigned long last = start;
	uint32_t submitted = 0, done = 0;

	while (done < submitted || now_ms() - start < ms) {
		const uint32_t before = submitted;
		struct virtq_used_elem elem;

		for (; now_ms() - start < ms && submitted - done < QUEUE_SIZE; submitted++)
			mock_submit(driver, submitted % QUEUE_SIZE);
		if (submitted != before)
			mock_kick(fe, index);
		while (done < submitted && mock_take_used(driver, &elem)) {
			cr_assert_eq(elem.id, done % QUEUE_SIZE);
			cr_assert_eq(elem.len, used);
			last = now_ms();
			done++;
		}
		cr_assert_leq(now_ms() - last, MOCK_TIMEOUT, "after %u", done);
		if (done % (QUEUE_SIZE * 1024) == 0)
			expect_answer(fe, "flood");
		sched_yield();
	}
	cr_expect_gt(done, FEWEST);
	return done;
}

static void fill_descriptors(struct mock_frontend *fe, unsigned int index, uint32_t len,
			     uint16_t flags)
{
	struct mock_driver *driver = &fe->queues[index];
	uint64_t addr = mock_alloc(driver, len);

	for (uint16_t i = 0; i < QUEUE_SIZE; i++)
		mock_set_desc(mock_desc_table(driver), i,
			      (struct virtq_desc){ addr, len, flags, 0 });
}

/* A million in two seconds where nothing else runs: the index of the ring wraps fifteen times. */
Test(device_flood, a_million_requests_for_entropy)
{
	static const struct device_options no_options = { 0 };
	static struct mock_frontend fe;
	unsigned int fds;
	uint32_t done;

	mock_start(&fe, "rng", &no_options, true);
	mock_connect(&fe, 1, QUEUE_SIZE);
	fds = mock_count_fds(&fe);
	fill_descriptors(&fe, 0, 16, W);
	done = flood(&fe, 0, 2000, 16);
	cr_expect_eq(mock_report(&fe).requests, done);
	cr_expect_eq(mock_report(&fe).bytes_from_device, 16ull * done);
	cr_expect_eq(mock_count_fds(&fe), fds);
	mock_expect_idle(&fe, "a million requests");
	cr_expect_eq(mock_stop(&fe), 0);
}

static struct mock_frontend console;

static void start_console(int fd)
{
	console_connect(&console, &fd, 1, NULL, 2, true);
}

/* To a file that takes everything, to one that takes nothing, and to a reader that has gone. */
Test(device_flood, output_of_the_guest)
{
	struct {
		const char *what;
		int fd;
	} sinks[] = {
		{ "/dev/null", open("/dev/null", O_RDWR | O_CLOEXEC) },
		{ "/dev/full", open("/dev/full", O_RDWR | O_CLOEXEC) },
		{ "no reader", -1 },
	};
	int gone[2];

	cr_assert_eq(pipe2(gone, O_CLOEXEC), 0);
	close(gone[0]);
	sinks[2].fd = gone[1];

	for (size_t i = 0; i < sizeof(sinks) / sizeof(sinks[0]); i++) {
		unsigned int fds;
		uint32_t done;

		start_console(sinks[i].fd);
		fds = mock_count_fds(&console);
		fill_descriptors(&console, 1, 4096, 0);
		done = flood(&console, 1, 700, 0);
		expect_answer(&console, sinks[i].what);
		cr_expect_eq(mock_report(&console).requests, done, "%s", sinks[i].what);
		cr_expect_eq(mock_count_fds(&console), fds);
		mock_expect_idle(&console, sinks[i].what);
		cr_expect_eq(mock_stop(&console), 0, "%s", sinks[i].what);
	}
}

/* A pipe that nobody empties: the guest waits, the process does not. */
Test(device_flood, output_into_a_pipe_that_is_full)
{
	struct mock_driver *driver = &console.queues[1];
	struct virtq_used_elem elem;
	uint32_t taken = 0;
	int pair[2];

	cr_assert_eq(pipe2(pair, O_CLOEXEC), 0);
	start_console(pair[1]);
	fill_descriptors(&console, 1, 4096, 0);
	for (uint16_t i = 0; i < QUEUE_SIZE; i++)
		mock_submit(driver, i);
	mock_kick(&console, 1);
	while (mock_poll_used(&console, 1, MOCK_FULL, &elem))
		taken++;
	cr_expect_lt(taken, QUEUE_SIZE);
	expect_answer(&console, "full pipe");
	for (int i = 0; i < 100000; i++)
		mock_kick(&console, 1);
	expect_answer(&console, "full pipe, kicked");
	mock_expect_idle(&console, "full pipe");
	close(pair[0]);
	while (taken < QUEUE_SIZE) {
		mock_wait_used(&console, 1);
		taken++;
	}
	cr_expect_eq(mock_stop(&console), 0);
}

struct writer {
	int fd;
	unsigned long bytes;
};

static void *write_for_a_second(void *opaque)
{
	struct writer *writer = opaque;
	unsigned long end = now_ms() + 1000;
	static const uint8_t bytes[4096];

	while (now_ms() < end) {
		ssize_t n = write(writer->fd, bytes, sizeof(bytes));

		if (n > 0)
			writer->bytes += n;
		else
			usleep(100);
	}
	return NULL;
}

/* The host writes without end: it waits in its own kernel until the guest has room. */
Test(device_flood, input_of_the_host)
{
	struct writer writer = { 0 };
	struct virtq_used_elem elem;
	unsigned long got = 0;
	pthread_t thread;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	writer.fd = pair[0];
	cr_assert_eq(fcntl(writer.fd, F_SETFL, O_NONBLOCK), 0);
	start_console(pair[1]);
	cr_assert_eq(pthread_create(&thread, NULL, write_for_a_second, &writer), 0);
	for (int i = 0; i < 10; i++) {
		usleep(100 * 1000);
		expect_answer(&console, "input without room");
	}
	pthread_join(thread, NULL);
	mock_expect_idle(&console, "input without room");
	cr_expect_leq(writer.bytes, 1ul << 20, "%lu bytes are somewhere", writer.bytes);
	fill_descriptors(&console, 0, 1000, W);
	for (uint16_t head = 0; got < writer.bytes; head++) {
		mock_submit(&console.queues[0], head % QUEUE_SIZE);
		mock_kick(&console, 0);
		elem = mock_wait_used(&console, 0);
		cr_assert(elem.len > 0 && elem.len <= 1000);
		got += elem.len;
	}
	cr_expect_eq(got, writer.bytes, "and every one of them arrives");
	cr_expect_eq(mock_stop(&console), 0);
}

static struct vsock_bench vsock;

/* One request from each of 64 ports, over and over. */
static void request_all(uint32_t first)
{
	struct mock_driver *driver = &vsock.fe.queues[VSOCK_TX];
	struct vsock_header header = bench_header(VSOCK_OP_REQUEST);

	for (uint16_t i = 0; i < QUEUE_SIZE; i++) {
		uint64_t at = vsock.tx + 64ull * i;

		header.src_port = first + i;
		memcpy(mock_ptr(driver, at), &header, sizeof(header));
		mock_set_desc(mock_desc_table(driver), i,
			      (struct virtq_desc){ at, sizeof(header), 0, 0 });
		mock_submit(driver, i);
	}
	mock_kick(&vsock.fe, VSOCK_TX);
}

/*
 * From each port that there is, or as many as five seconds are enough for. The first 256 are on their way to the broker, as far as its socket has
 * room; all others get a RST.
 */
Test(device_flood, requests_for_connections)
{
	struct vsock_broker_request request;
	struct bench_packet packet;
	uint32_t sent = 0, refused = 0, asked = 0;
	unsigned long begin;
	unsigned int fds;

	bench_start(&vsock, true);
	bench_give(&vsock, 0, BENCH_BUFFERS);
	fds = mock_count_fds(&vsock.fe);
	for (begin = now_ms(); sent < 65536 && (sent < 512 || now_ms() - begin < 5000);) {
		uint16_t done = 0;

		request_all(sent);
		sent += QUEUE_SIZE;
		for (unsigned long start = now_ms(); done < QUEUE_SIZE;) {
			struct virtq_used_elem elem;

			done += mock_take_used(&vsock.fe.queues[VSOCK_TX], &elem);
			while (bench_next(&vsock, &packet, 0)) {
				cr_assert_eq(packet.header.op, VSOCK_OP_RST);
				refused++;
			}
			cr_assert_leq(now_ms() - start, 5 * MOCK_TIMEOUT);
			sched_yield();
		}
	}
	while (bench_next(&vsock, &packet, 100))
		refused++;
	cr_expect_geq(refused, sent - VSOCK_MAX_CONNECTIONS);
	expect_answer(&vsock.fe, "requests");
	cr_expect_eq(mock_count_fds(&vsock.fe), fds);
	while (recv(vsock.broker, &request, sizeof(request), MSG_DONTWAIT) > 0) {
		bench_answer(&vsock, request.id, -ECONNREFUSED, -1);
		asked++;
	}
	for (; asked; asked--, refused++)
		cr_expect_eq(bench_wait(&vsock).header.op, VSOCK_OP_RST);
	cr_expect_eq(refused, sent, "each was answered once");
	bench_expect_alive(&vsock);
	cr_expect_eq(mock_count_fds(&vsock.fe), fds);
	bench_stop(&vsock);
}
