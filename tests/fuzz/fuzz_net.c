/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Network interfaces: one on a stream socket, one on two queues of a tap. Frames come and go in any
 * length, spread over any chains; peers hang up, stall and break their protocol.
 */
#include <arpa/inet.h>
#include <string.h>

#include "devices/net.h"
#include "tests/fuzz/device_bench.h"

extern const struct device_ops net_device_ops;

#define PAIRS 2

static unsigned int ctrl_queue(const struct device_bench *b)
{
	return b->device.nr_queues - 1;
}

/* A frame of the host, or what a host may take for one. */
static void send_to_guest(struct device_bench *b, struct fuzz_input *in)
{
	const uint8_t how = fuzz_u8(in);
	const enum host_kind kind = b->backends[0];
	const int fd = host_pick(kind, how & 1);
	uint32_t len = how & 2 ? (uint32_t)fuzz_number(in) : 14u + fuzz_u8(in) * 8;
	uint8_t *prefix = device_bench_bytes(sizeof(len));

	if (kind == HOST_STREAM && prefix) {
		const uint32_t told = htonl(len + (how >> 6));

		memcpy(prefix, &told, sizeof(told));
		host_feed(fd, prefix, how & 4 ? how >> 4 & 3 : sizeof(told));
	}
	host_feed(fd, NULL, len % (2 * NET_FRAME_MAX));
	device_bench_events(b, 2, how);
}

static void send_to_host(struct device_bench *b, struct fuzz_input *in)
{
	const uint8_t how = fuzz_u8(in);
	const unsigned int queue = net_tx_queue(how & 1) % b->device.nr_queues;
	struct ring_piece pieces[8];
	struct net_header header = { 0 };
	const uint8_t *bytes;
	unsigned int n;
	size_t len;

	bytes = fuzz_bytes(in, how & 2 ? sizeof(header) : 2, &len);
	memcpy(&header, bytes, len);
	memory_write(RING_DATA, &header, sizeof(header));
	n = device_bench_pieces(in, pieces, 0, RING_DATA, sizeof(header), false);
	n = device_bench_pieces(in, pieces, n, RING_DATA + sizeof(header), memory_length(in),
				false);
	/* The same memory again makes a frame as long as any. */
	for (unsigned int i = how >> 6; i; i--)
		n = device_bench_pieces(NULL, pieces, n, memory_address(in), memory_length(in),
					false);
	device_bench_submit(b, queue, pieces, n);
	device_bench_kick(b, queue);
}

static void command(struct device_bench *b, struct fuzz_input *in)
{
	const uint8_t how = fuzz_u8(in);
	struct ring_piece pieces[3];
	const uint8_t *bytes;
	unsigned int n;
	size_t len;

	bytes = fuzz_bytes(in, how & 31, &len);
	memory_write(RING_DATA, bytes, len);
	n = device_bench_pieces(in, pieces, 0, RING_DATA, (uint32_t)len + (how >> 5) * 6u, false);
	pieces[n++] = (struct ring_piece){ RING_DATA + 512, how & 0x40 ? 0 : 1, true };
	device_bench_submit(b, ctrl_queue(b), pieces, n);
	device_bench_kick(b, ctrl_queue(b));
}

static void give_buffers(struct device_bench *b, struct fuzz_input *in)
{
	const uint8_t how = fuzz_u8(in);
	const unsigned int queue = net_rx_queue(how & 1) % b->device.nr_queues;
	const uint32_t len = memory_length(in);

	for (unsigned int i = 0; i < 1u + (how >> 5); i++) {
		const struct ring_piece piece = { RING_DATA + (how & 0x18) * 64u + i * 32u, len,
						  true };

		device_bench_submit(b, queue, &piece, 1);
	}
	device_bench_kick(b, queue);
}

static void net_step(struct device_bench *b, struct fuzz_input *in)
{
	switch (fuzz_u8(in) % 6) {
	case 0:
		device_bench_peer(in, b->backends[0]);
		break;
	case 1:
		send_to_guest(b, in);
		break;
	case 2:
		command(b, in);
		break;
	case 3:
		give_buffers(b, in);
		break;
	default:
		send_to_host(b, in);
	}
}

/* The control queue answers, and a frame is taken, be it that the host has gone. */
static void net_prove(struct device_bench *b)
{
	static const uint8_t promiscuous[] = { 0, 0, 1, 0xee };
	const struct ring_piece ask[] = { { RING_DATA, 3, false }, { RING_DATA + 3, 1, true } };
	const struct ring_piece frame = { RING_DATA + 64, NET_HEADER_SIZE + 60, false };

	memory_write(RING_DATA, promiscuous, sizeof(promiscuous));
	device_bench_submit(b, ctrl_queue(b), ask, 2);
	device_bench_kick(b, ctrl_queue(b));
	fuzz_check(device_bench_take_used(b, ctrl_queue(b), "command") == 1);
	fuzz_check(*(uint8_t *)memory_at(RING_DATA + 3, 1) == 0, "command");
	device_bench_take_all(b->backends[0]);
	device_bench_events(b, 4, 0);
	device_bench_submit(b, net_tx_queue(0), &frame, 1);
	device_bench_kick(b, net_tx_queue(0));
	fuzz_check(device_bench_take_used(b, net_tx_queue(0), "frame") == 0);
}

static struct device_bench benches[] = {
	{ .kind = { "net", 1, RING_SIZE, 3, &net_device_ops },
	  .backends = { HOST_STREAM },
	  .settings = { "mac=52:54:00:00:00:01" },
	  .step = net_step,
	  .prove = net_prove },
	{ .kind = { "net", 1, RING_SIZE, 2 * PAIRS + 1, &net_device_ops },
	  .backends = { HOST_TAP, HOST_TAP },
	  .step = net_step,
	  .prove = net_prove },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct device_bench *b = &benches[fuzz_u8(&in) & 1];

	if (!b->state_before)
		device_bench_create(b, NULL);
	device_bench_run(b, &in);
	fuzz_check(ring_outstanding == 0);
	return 0;
}
