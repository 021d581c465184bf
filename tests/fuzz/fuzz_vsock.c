/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * vsock: packets of the guest with any numbers in them, clients of the host that say anything, and a
 * broker that answers, late, twice, or something else.
 */
#include <endian.h>
#include <string.h>

#include "devices/proto/vsock_broker.h"
#include "devices/vsock.h"
#include "tests/fuzz/device_bench.h"

extern const struct device_ops vsock_device_ops;

#define CID	3u
#define PACKET	(RING_DATA + 1024)
#define PAYLOAD (PACKET + sizeof(struct vsock_header))

static void submit_packet(struct device_bench *b, struct fuzz_input *in,
			  const struct vsock_header *header, uint32_t payload)
{
	struct ring_piece pieces[4];
	unsigned int n;

	memory_write(PACKET, header, sizeof(*header));
	n = device_bench_pieces(in, pieces, 0, PACKET, sizeof(*header), false);
	n = device_bench_pieces(in, pieces, n, PAYLOAD, payload, false);
	device_bench_submit(b, VSOCK_TX, pieces, n);
	device_bench_kick(b, VSOCK_TX);
}

/* Few ports, so that packets meet connections; those that the device chose among them. */
static uint32_t port(uint8_t how)
{
	return how & 4 ? 0x40000000u + (how & 3) : how & 3;
}

static void say(struct device_bench *b, struct fuzz_input *in)
{
	const uint8_t how = fuzz_u8(in), ports = fuzz_u8(in);
	struct vsock_header header = {
		.src_cid = CID,
		.dst_cid = VSOCK_HOST_CID,
		.src_port = htole32(port(ports)),
		.dst_port = htole32(port(ports >> 3)),
		.type = htole16(VSOCK_TYPE_STREAM),
		.op = htole16(how & 7),
		.buf_alloc = htole32(0x10000),
	};
	uint32_t payload = 0;

	if (how & 8)
		header.buf_alloc = htole32((uint32_t)fuzz_number(in));
	if (how & 0x10)
		header.fwd_cnt = htole32((uint32_t)fuzz_number(in));
	if (how & 0x20)
		header.flags = htole32(fuzz_u8(in));
	if (how & 0x40 || (how & 7) == VSOCK_OP_RW) {
		payload = memory_length(in);
		header.len = htole32(payload + (ports >> 7));
	}
	if ((how & 0x80) && fuzz_u8(in) & 1) {
		header.src_cid = htole64(fuzz_number(in));
		header.dst_cid = htole64(fuzz_number(in));
		header.type = htole16(fuzz_u8(in));
		header.op = htole16(fuzz_u16(in));
	}
	submit_packet(b, in, &header, payload);
}

static void give_buffers(struct device_bench *b, struct fuzz_input *in)
{
	const uint8_t how = fuzz_u8(in);
	const struct ring_piece piece = { RING_DATA, how & 1 ? memory_length(in) : 1024, true };

	for (unsigned int i = 0; i < 1u + (how >> 5); i++)
		device_bench_submit(b, VSOCK_RX, &piece, 1);
	device_bench_kick(b, VSOCK_RX);
}

static void answer(struct device_bench *b, struct fuzz_input *in)
{
	static const enum host_kind streams[] = { HOST_STREAM, HOST_STREAM, HOST_EVENT };
	const uint8_t how = fuzz_u8(in);
	const int fd = host_pick(HOST_PACKETS, 0);
	struct host_fd *broker = host_get(fd);
	struct vsock_broker_answer *told = (void *)device_bench_bytes(sizeof(*told));
	struct vsock_broker_request asked;

	if (!told || !broker)
		return;
	memcpy(&asked, broker->last, sizeof(asked));
	*told = (struct vsock_broker_answer){ asked.id, how & 4 ? -(int32_t)(how >> 3) : 0 };
	if (how & 0x80)
		told->id = fuzz_u8(in);
	host_feed_fds(fd, (const uint8_t *)told, how & 0x40 ? how & 15 : sizeof(*told), streams,
		      how & 3);
	device_bench_events(b, 1, 0);
}

static void connect_client(struct device_bench *b, struct fuzz_input *in)
{
	static const char line[] = "CONNECT 1\nbytes";
	const uint8_t how = fuzz_u8(in);
	struct host_fd *listener = host_get(host_pick(HOST_LISTENER, 0));

	listener->waiting++;
	device_bench_events(b, 1, 0);
	host_feed(host_pick(HOST_STREAM, how & 15), (const uint8_t *)line,
		  how & 0x80 ? sizeof(line) - 1 : how >> 4 & 7);
	device_bench_events(b, 1, how);
}

static void vsock_step(struct device_bench *b, struct fuzz_input *in)
{
	const uint8_t how = fuzz_u8(in);

	switch (how & 7) {
	case 0:
		device_bench_peer(in, HOST_STREAM);
		break;
	case 1:
		device_bench_peer(in, how & 8 ? HOST_LISTENER : HOST_PACKETS);
		break;
	case 2:
		give_buffers(b, in);
		break;
	case 3:
		answer(b, in);
		break;
	case 4:
		connect_client(b, in);
		break;
	default:
		say(b, in);
	}
}

/* Who sends to a connection that does not exist is told so. */
static void vsock_prove(struct device_bench *b)
{
	const struct ring_piece room = { RING_DATA, 256, true };
	const struct vsock_header header = {
		.src_cid = CID,
		.dst_cid = VSOCK_HOST_CID,
		.src_port = htole32(77),
		.dst_port = htole32(78),
		.type = htole16(VSOCK_TYPE_STREAM),
		.op = htole16(VSOCK_OP_CREDIT_REQUEST),
	};
	const struct vsock_header *reply = memory_at(RING_DATA, sizeof(*reply));

	device_bench_submit(b, VSOCK_RX, &room, 1);
	submit_packet(b, NULL, &header, 0);
	fuzz_check(device_bench_take_used(b, VSOCK_TX, "packet") == 0);
	fuzz_check(device_bench_take_used(b, VSOCK_RX, "RST") == sizeof(*reply));
	fuzz_check(le16toh(reply->op) == VSOCK_OP_RST && le32toh(reply->dst_port) == 77);
}

static struct device_bench bench = {
	.kind = { "vsock", 19, RING_SIZE, 3, &vsock_device_ops },
	.backends = { HOST_LISTENER, HOST_PACKETS },
	.settings = { "cid=3" },
	.step = vsock_step,
	.prove = vsock_prove,
};

/* Every block is in one buffer, or free; what is reserved and what is spare are all there are. */
static void check_blocks(const struct vsock *vsock)
{
	unsigned int free_blocks = 0;

	for (uint16_t i = vsock->pool.free; i < VSOCK_BLOCKS && free_blocks <= VSOCK_BLOCKS;
	     i = vsock->pool.next[i])
		free_blocks++;
	fuzz_check(free_blocks == VSOCK_BLOCKS, "%u blocks are free", free_blocks);
	fuzz_check(vsock->pool.spare == VSOCK_SPARE_BLOCKS, "%u are spare", vsock->pool.spare);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	if (!bench.state_before)
		device_bench_create(&bench, NULL);
	device_bench_run(&bench, &in);
	fuzz_check(ring_outstanding == 0);
	check_blocks(bench.device.state);
	return 0;
}
