/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The length in a packet's header that another vCPU changes while the device takes it: it is fetched once. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/flipper.h"
#include "tests/unit/vsock_suite.h"

TestSuite(device_vsock_race, .init = set_up, .fini = tear_down);

#define GUEST_PORT 1025u
#define HOST_PORT  80u
#define LEN	   64u
#define SHORT_LEN  10u

static uint8_t payload[LEN];

/* A packet with data, in memory and a descriptor of its own; its header. */
static struct vsock_header *make_packet(void)
{
	struct mock_driver *driver = &bench.fe.queues[VSOCK_TX];
	const uint64_t addr = mock_alloc(driver, sizeof(struct vsock_header) + LEN);
	struct vsock_header *header = mock_ptr(driver, addr);

	for (unsigned int i = 0; i < LEN; i++)
		payload[i] = (uint8_t)(i + 1);
	*header = bench_header(VSOCK_OP_RW);
	header->len = LEN;
	memcpy(header + 1, payload, LEN);
	mock_set_desc(mock_desc_table(driver), 1,
		      (struct virtq_desc){ addr, sizeof(*header) + LEN, 0, 0 });
	return header;
}

/* Has the device take it; returns the bytes that came out at @stream, which are as they were put in. */
static size_t send_packet(const struct bench_stream *stream)
{
	uint8_t got[2 * LEN];
	ssize_t n;

	mock_submit(&bench.fe.queues[VSOCK_TX], 1);
	mock_complete(&bench.fe, VSOCK_TX);
	n = recv(stream->fd, got, sizeof(got), 0);
	cr_assert(n >= 0 && n <= (ssize_t)LEN, "%zd bytes", n);
	cr_assert_eq(memcmp(got, payload, (size_t)n), 0);
	return (size_t)n;
}

/* What the device says of the credit that it has. */
static void take_credit_updates(void)
{
	struct bench_packet packet;

	while (bench_next(&bench, &packet, 0))
		cr_assert_eq(packet.header.op, VSOCK_OP_CREDIT_UPDATE);
}

Test(device_vsock_race, one_length_or_the_other, .timeout = 120)
{
	struct flipper flipper = { .good = LEN, .bad = SHORT_LEN };
	struct bench_stream stream = bench_open_by_guest(&bench, GUEST_PORT, HOST_PORT);
	unsigned int whole = 0, some = 0;
	struct vsock_header *header = make_packet();

	flipper_start(&flipper, &header->len, sizeof(header->len));
	while (!flipper_done(&flipper) || !whole || !some) {
		const size_t n = send_packet(&stream);

		cr_assert(n == LEN || n == SHORT_LEN, "%zu bytes", n);
		*(n == LEN ? &whole : &some) += 1;
		take_credit_updates();
	}
	flipper_stop(&flipper);
	close(stream.fd);
}

/* The stream gets all, or ends. */
Test(device_vsock_race, a_length_beyond_the_packet, .timeout = 120)
{
	struct flipper flipper = { .good = LEN, .bad = UINT32_MAX };
	struct bench_stream stream = bench_open_by_guest(&bench, GUEST_PORT, HOST_PORT);
	unsigned int whole = 0, ended = 0;
	struct vsock_header *header = make_packet();

	flipper_start(&flipper, &header->len, sizeof(header->len));
	while (!flipper_done(&flipper) || !whole || !ended) {
		const size_t n = send_packet(&stream);

		if (n) {
			cr_assert_eq(n, LEN);
			whole++;
			take_credit_updates();
			continue;
		}
		ended++;
		bench_expect(&bench, VSOCK_OP_RST, GUEST_PORT, HOST_PORT);
		close(stream.fd);
		stream = bench_open_by_guest(&bench, GUEST_PORT, HOST_PORT);
	}
	flipper_stop(&flipper);
	cr_expect_eq(mock_report(&bench.fe).malformed_chains, ended);
	close(stream.fd);
	bench_expect(&bench, VSOCK_OP_SHUTDOWN, GUEST_PORT, HOST_PORT);
	bench_expect_alive(&bench);
}
