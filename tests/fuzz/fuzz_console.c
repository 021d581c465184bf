/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The console alone, and with ports: a stream, a socket that listens, a file with an input of its
 * own. Peers come, write, stall and go; the driver opens, closes and says what is no message.
 */
#include <endian.h>
#include <string.h>

#include "devices/console.h"
#include "tests/fuzz/device_bench.h"

extern const struct device_ops console_device_ops;

static void say(struct device_bench *b, struct fuzz_input *in)
{
	const uint8_t how = fuzz_u8(in);
	struct {
		uint32_t id;
		uint16_t event, value;
	} message = { htole32(how & 3), htole16(how >> 2 & 7), htole16(how >> 5 & 1) };
	const struct ring_piece piece = { RING_DATA, how & 0x40 ? how & 15 : sizeof(message),
					  false };

	if (how & 0x80)
		message.id = htole32((uint32_t)fuzz_number(in));
	memory_write(RING_DATA, &message, sizeof(message));
	if (b->device.nr_queues <= CONSOLE_QUEUE_CONTROL_OUTPUT)
		return;
	device_bench_submit(b, CONSOLE_QUEUE_CONTROL_OUTPUT, &piece, 1);
	device_bench_kick(b, CONSOLE_QUEUE_CONTROL_OUTPUT);
}

/* Room for input and for messages, or output: by what the queue is for. */
static void give(struct device_bench *b, struct fuzz_input *in)
{
	const uint8_t how = fuzz_u8(in);
	const unsigned int queue = how % b->device.nr_queues;
	const struct ring_piece piece = { memory_address(in), memory_length(in), !(queue & 1) };

	for (unsigned int i = 0; i < 1u + (how >> 6); i++)
		device_bench_submit(b, queue, &piece, 1);
	device_bench_kick(b, queue);
}

static void console_step(struct device_bench *b, struct fuzz_input *in)
{
	const uint8_t how = fuzz_u8(in);

	switch (how & 7) {
	case 0:
	case 1:
		device_bench_peer(in, HOST_STREAM);
		break;
	case 2:
		device_bench_peer(in, how & 8 ? HOST_LISTENER : HOST_FILE);
		break;
	case 3:
	case 4:
		give(b, in);
		break;
	case 5:
		device_bench_events(b, 1, how >> 3);
		break;
	default:
		say(b, in);
	}
}

/* Output of the console is taken, be it that its peer has gone. */
static void console_prove(struct device_bench *b)
{
	const struct ring_piece piece = { RING_DATA, 5, false };

	device_bench_take_all(HOST_STREAM);
	device_bench_events(b, 4, 0);
	device_bench_submit(b, CONSOLE_QUEUE_OUTPUT, &piece, 1);
	device_bench_kick(b, CONSOLE_QUEUE_OUTPUT);
	fuzz_check(device_bench_take_used(b, CONSOLE_QUEUE_OUTPUT, "output") == 0);
}

static struct device_bench benches[] = {
	{ .kind = { "console", 3, RING_SIZE, 2, &console_device_ops },
	  .backends = { HOST_STREAM },
	  .step = console_step,
	  .prove = console_prove },
	{ .kind = { "console", 3, RING_SIZE, 8, &console_device_ops },
	  .backends = { HOST_STREAM, HOST_LISTENER, HOST_FILE, HOST_STREAM },
	  .settings = { "names=:listens:file", "inputs=2" },
	  .step = console_step,
	  .prove = console_prove,
	  .keeps_fds = 1 }, /* the peer of the second port */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct device_bench *b = &benches[fuzz_u8(&in) & 1];

	if (!b->state_before)
		device_bench_create(b, NULL);
	device_bench_run(b, &in);
	return 0;
}
