/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * vhost-user messages to a device process: any order, any numbers, any descriptors, of minivmm and of
 * a foreign front-end, which may change windows while queues run. Rings are in what it shares.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/backend.h"
#include "devices/core/sandbox.h"
#include "devices/core/windows.h"
#include "tests/fuzz/host.h"
#include "tests/fuzz/ring.h"
#include "tests/fuzz/wire.h"

extern const struct device_ops console_device_ops;

#define BASE	 UINT64_C(0x40000000) /* of the window that a good front-end has */
#define USER	 UINT64_C(0x7f0000000000)
#define QUEUES	 4
#define FEATURES (1ull << 28 | 1ull << 29 | 1ull << 30 | 1ull << 32 | 3)

static struct device device, device_before;
static void *state_before;
static struct host_snapshot hosts;
static struct mock_driver drivers[QUEUES];
static struct sandbox sandbox;
static struct backend backend = { .device = &device, .sandbox = &sandbox };
static struct wire wire;
static bool connected;

static void create(void)
{
	static const char *const settings[] = { "names=:second", NULL };
	static const struct host_snapshot nothing;
	static const struct device_kind kind = { "console", 3, RING_SIZE, 6, &console_device_ops };
	struct device_options options = { .nr_backends = 2, .settings = settings };
	int fds[2];

	host_begin(&nothing);
	fds[0] = host_open(HOST_STREAM);
	fds[1] = host_open(HOST_LISTENER);
	options.backend_fds = fds;
	fuzz_check(device_create(&device, &kind, &options) == 0);
	backend.sock = host_open(HOST_STREAM);
	device_before = device;
	state_before = malloc(malloc_usable_size(device.state));
	fuzz_check(state_before);
	memcpy(state_before, device.state, malloc_usable_size(device.state));
	host_keep(&hosts);
}

static void begin(void)
{
	if (!state_before)
		create();
	host_begin(&hosts);
	device = device_before;
	memcpy(device.state, state_before, malloc_usable_size(device.state));
	memset(host_memory(), 0, HOST_MEMORY_SIZE);
	memset(drivers, 0, sizeof(drivers));
	backend.protocol_features = 0;
	wire.used = 0;
	connected = true;
}

static bool has_answer(const struct vhost_user_msg *msg)
{
	switch (msg->hdr.request) {
	case VHOST_USER_GET_FEATURES:
	case VHOST_USER_GET_PROTOCOL_FEATURES:
	case VHOST_USER_GET_QUEUE_NUM:
	case VHOST_USER_GET_CONFIG:
	case VHOST_USER_GET_VRING_BASE:
	case VHOST_USER_MINIVMM_GET_REPORT:
		return true;
	default:
		return false;
	}
}

static void check(void)
{
	for (unsigned int i = 0; i < device.nr_queues; i++)
		if (device.queues[i].running)
			ring_check(&device.queues[i].vq);
}

/* Sends @msg, with @nr descriptors of these kinds, and has it handled. */
static void send_msg(const struct vhost_user_msg *msg, size_t len, const enum host_kind *fds,
		     unsigned int nr)
{
	const uint64_t before = host_get(backend.sock)->taken;
	struct vhost_user_header reply;
	uint64_t written;
	int rc;

	if (!connected || !wire_send(&wire, backend.sock, msg, len, fds, nr))
		return;
	rc = backend_handle_message(&backend);
	connected = rc > 0;
	written = host_get(backend.sock)->taken - before;
	memcpy(&reply, host_get(backend.sock)->last, sizeof(reply));
	if (rc <= 0)
		return;
	fuzz_check(!has_answer(msg) || written, "request %u has no answer", msg->hdr.request);
	if (written)
		fuzz_check(written == sizeof(reply) + reply.size &&
				   reply.request == msg->hdr.request &&
				   reply.flags == (VHOST_USER_VERSION | VHOST_USER_REPLY),
			   "a bad answer to %u", msg->hdr.request);
	check();
}

static void say(uint32_t request, const void *payload, uint32_t size, enum host_kind fd)
{
	struct vhost_user_msg msg = { .hdr = { request, VHOST_USER_VERSION | VHOST_USER_NEED_REPLY,
					       size } };

	memcpy(msg.payload.bytes, payload, size);
	send_msg(&msg, sizeof(msg.hdr) + size, &fd, fd != HOST_CLOSED);
}

static void say_u64(uint32_t request, uint64_t value, enum host_kind fd)
{
	say(request, &value, sizeof(value), fd);
}

static void say_state(uint32_t request, uint32_t index, uint32_t num)
{
	const struct vhost_user_vring_state state = { index, num };

	say(request, &state, sizeof(state), HOST_CLOSED);
}

static void say_table(uint64_t base, uint64_t size, uint64_t offset)
{
	struct vhost_user_memory memory = { .nregions = 1 };

	memory.regions[0] = (struct vhost_user_memory_region){ base, size, USER, offset };
	say(VHOST_USER_SET_MEM_TABLE, &memory, offsetof(struct vhost_user_memory, regions[1]),
	    HOST_MEMORY);
}

/* As a good front-end would, as far as that. */
static void start_queue(uint32_t index)
{
	struct mock_driver *driver = &drivers[index % QUEUES];
	struct vhost_user_vring_addr addr = { .index = index };

	mock_driver_init(driver, host_memory(), BASE, BASE + index % QUEUES * RING_STRIDE,
			 RING_SIZE, 0);
	addr.descriptor = driver->desc - BASE + USER;
	addr.available = driver->avail - BASE + USER;
	addr.used = driver->used - BASE + USER;
	say_state(VHOST_USER_SET_VRING_NUM, index, RING_SIZE);
	say_state(VHOST_USER_SET_VRING_BASE, index, 0);
	say(VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), HOST_CLOSED);
	say_u64(VHOST_USER_SET_VRING_CALL, index, HOST_EVENT);
	say_u64(VHOST_USER_SET_VRING_ERR, index, HOST_EVENT);
	say_u64(VHOST_USER_SET_VRING_KICK, index, HOST_EVENT);
	say_state(VHOST_USER_SET_VRING_ENABLE, index, 1);
}

static void begin_session(void)
{
	say_u64(VHOST_USER_SET_PROTOCOL_FEATURES,
		1ull << VHOST_USER_PROTOCOL_F_MQ | 1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK |
			1ull << VHOST_USER_PROTOCOL_F_BACKEND_REQ |
			1ull << VHOST_USER_PROTOCOL_F_CONFIG |
			1ull << VHOST_USER_PROTOCOL_F_MINIVMM_REPORT,
		HOST_CLOSED);
	say_u64(VHOST_USER_SET_FEATURES, FEATURES, HOST_CLOSED);
	say_table(BASE, HOST_MEMORY_SIZE, 0);
}

static uint32_t choose_request(struct fuzz_input *in)
{
	const uint8_t how = fuzz_u8(in);

	if (how == 0xff)
		return (uint32_t)fuzz_number(in);
	return how & 0x40 ? VHOST_USER_MINIVMM_GET_REPORT : how & 31;
}

/* Any message, mostly one of the right form. */
static void send_any(struct fuzz_input *in)
{
	static const enum host_kind kinds[] = { HOST_EVENT, HOST_MEMORY, HOST_STREAM, HOST_DISK };
	static const uint32_t sizes[] = { 0, 8, 8, 40, 40, 12, 13, 20 };
	struct vhost_user_msg msg = { .hdr = { .request = choose_request(in) } };
	enum host_kind fds[HOST_CHUNK_FDS];
	const uint8_t how = fuzz_u8(in), nr = fuzz_u8(in);
	const uint8_t *bytes;
	size_t len;

	msg.hdr.flags = how & 0x80 ? fuzz_u32(in) : VHOST_USER_VERSION | (how & 8);
	msg.hdr.size = how & 0x40 ? (uint32_t)fuzz_number(in) : sizes[how & 7];
	bytes = fuzz_bytes(in, 64, &len);
	memcpy(msg.payload.bytes, bytes, len);
	for (unsigned int i = 0; i < HOST_CHUNK_FDS; i++)
		fds[i] = kinds[nr >> (i & 3) & 3];
	len = sizeof(msg.hdr) + (msg.hdr.size < VHOST_USER_MAX_PAYLOAD ? msg.hdr.size : 0);
	send_msg(&msg, len - (how & 0x10 && len ? 1 : 0), fds, (nr >> 4) % (HOST_CHUNK_FDS + 1));
}

/* A message that is right in form, with numbers of the input. */
static void send_numbers(uint8_t op, struct fuzz_input *in)
{
	static const uint32_t states[] = { VHOST_USER_SET_VRING_NUM, VHOST_USER_SET_VRING_BASE,
					   VHOST_USER_GET_VRING_BASE, VHOST_USER_SET_VRING_ENABLE };
	static const uint32_t fds[] = { VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_CALL,
					VHOST_USER_SET_VRING_ERR, VHOST_USER_SET_FEATURES };
	struct vhost_user_vring_addr addr;
	struct vhost_user_config config = { 0 };

	switch (op & 7) {
	case 0:
		say_table(fuzz_number(in), fuzz_number(in), (uint64_t)(op >> 4) * 0x1000);
		break;
	case 1:
		say_table(BASE + (op >> 4) * 0x1000, HOST_MEMORY_SIZE, 0);
		break;
	case 2:
		addr = (struct vhost_user_vring_addr){ .index = op >> 5,
						       .descriptor = USER + fuzz_u16(in),
						       .used = USER + fuzz_number(in),
						       .available = USER + fuzz_u16(in) };
		say(VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), HOST_CLOSED);
		break;
	case 3:
		config.offset = fuzz_u8(in);
		config.size = 1 + (op >> 3);
		say(op & 0x80 ? VHOST_USER_SET_CONFIG : VHOST_USER_GET_CONFIG, &config,
		    (uint32_t)offsetof(struct vhost_user_config, region) + config.size,
		    HOST_CLOSED);
		break;
	case 4:
		say_u64(fds[op >> 3 & 3], op & 0x20 ? fuzz_u16(in) : op >> 6,
			(op >> 3 & 3) == 3 ? HOST_CLOSED : HOST_EVENT);
		break;
	case 5:
		say(VHOST_USER_SET_BACKEND_REQ_FD, "", 0, HOST_STREAM);
		break;
	default:
		say_state(states[op >> 3 & 3], op >> 6, (uint32_t)fuzz_number(in));
	}
}

static void step(struct fuzz_input *in)
{
	const uint8_t op = fuzz_u8(in);
	const unsigned int queue = op >> 3 & (QUEUES - 1);

	switch (op & 7) {
	case 0:
		begin_session();
		break;
	case 1:
		start_queue(queue + (op >> 5));
		break;
	case 2:
		say_state(VHOST_USER_GET_VRING_BASE, queue, 0);
		break;
	case 3:
		send_any(in);
		break;
	case 4:
		if (drivers[queue].mem)
			ring_step(&drivers[queue], in);
		break;
	case 5:
		device_queue_run(&device, queue);
		check();
		break;
	default:
		send_numbers(fuzz_u8(in), in);
	}
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* What device_destroy() would, but the memory stays. */
static void end(void)
{
	for (unsigned int i = 0; i < device.nr_queues; i++) {
		device_queue_stop(&device, i);
		close_fd(&device.queues[i].kick_fd);
		close_fd(&device.queues[i].call_fd);
		close_fd(&device.queues[i].err_fd);
	}
	close_fd(&device.backend_channel);
	windows_unmap(&device.dma);
	fuzz_check(host_count() == hosts.nr_files, "%u descriptors or mappings, not %u",
		   host_count(), hosts.nr_files);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t how;

	begin();
	how = fuzz_u8(&in);
	sandbox.keeps_mapping = how & 1;
	if (how & 2)
		begin_session();
	for (unsigned int i = 0; how & 4 && i < QUEUES; i++)
		start_queue(i);
	while (in.left && connected)
		step(&in);
	end();
	return 0;
}
