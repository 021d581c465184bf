/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * vhost-user messages to minivmm: the answers of a back-end that lies, and what it says unasked. Each
 * request is answered as the input says, when it is made.
 */
#include <errno.h>
#include <string.h>

#include "tests/fuzz/host.h"
#include "tests/fuzz/wire.h"
#include "vmm/vhost/frontend.h"
#include "vmm/virtio/device.h"

#define CONFIG_LEN  24
#define DEADLINE_MS 1000

static struct fuzz_input input;
static struct vhost_frontend fe;
static int sock;
static struct wire wire;

/* The good answer to a request of which the first bytes are at @request; false: none is due. */
static bool make_answer(const uint8_t *request, struct vhost_user_msg *msg)
{
	memset(&msg->hdr, 0, sizeof(msg->hdr));
	memcpy(&msg->hdr, request, sizeof(msg->hdr));
	memcpy(msg->payload.bytes, request + sizeof(msg->hdr), 40);
	switch (msg->hdr.request) {
	case VHOST_USER_GET_FEATURES:
		msg->payload.u64 = 1ull << 32 | 1ull << VHOST_USER_F_PROTOCOL_FEATURES | 1ull << 9;
		break;
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		msg->payload.u64 = UINT64_MAX;
		break;
	case VHOST_USER_GET_QUEUE_NUM:
		msg->payload.u64 = 4;
		break;
	case VHOST_USER_GET_CONFIG:
		msg->hdr.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
		return true;
	case VHOST_USER_GET_VRING_BASE:
		break;
	case VHOST_USER_MINIVMM_GET_REPORT:
		memset(msg->payload.bytes, 0xff, sizeof(struct device_report_wire));
		msg->hdr.size = sizeof(struct device_report_wire);
		msg->hdr.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
		return true;
	default:
		if (!(msg->hdr.flags & VHOST_USER_NEED_REPLY))
			return false;
		msg->payload.u64 = 0;
	}
	msg->hdr.size = sizeof(msg->payload.u64);
	msg->hdr.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	return true;
}

/* Spoils one thing of it. Returns how many bytes are sent. */
static size_t spoil(struct vhost_user_msg *msg, uint8_t how)
{
	size_t len = sizeof(msg->hdr) + msg->hdr.size;
	const uint8_t *bytes;
	size_t got;

	switch (how & 7) {
	case 0:
		msg->hdr.request = (uint32_t)fuzz_number(&input);
		break;
	case 1:
		msg->hdr.flags = (uint32_t)fuzz_number(&input);
		break;
	case 2:
		msg->hdr.size = (uint32_t)fuzz_number(&input);
		if (msg->hdr.size <= VHOST_USER_MAX_PAYLOAD && how & 8)
			len = sizeof(msg->hdr) + msg->hdr.size;
		break;
	case 3:
		len = fuzz_number(&input) % (sizeof(*msg) / 2);
		break;
	case 4:
		msg->payload.u64 = fuzz_number(&input);
		break;
	default:
		bytes = fuzz_bytes(&input, how >> 3, &got);
		memcpy(msg->payload.bytes, bytes, got);
	}
	return len;
}

static void answer(int fd)
{
	static const enum host_kind fds[HOST_CHUNK_FDS] = { HOST_EVENT, HOST_MEMORY, HOST_STREAM,
							    HOST_EVENT, HOST_EVENT,  HOST_EVENT,
							    HOST_EVENT, HOST_EVENT,  HOST_EVENT,
							    HOST_EVENT };
	static struct vhost_user_msg msg;
	const uint8_t how = fuzz_u8(&input);
	unsigned int nr_fds = 0;
	size_t len;

	if (fd != sock || how == 0xff)
		return;
	if (!make_answer(host_get(fd)->last, &msg) && !(how & 0x40))
		return;
	len = sizeof(msg.hdr) + msg.hdr.size;
	if (how & 0x80)
		len = spoil(&msg, fuzz_u8(&input));
	if (how & 0x20)
		nr_fds = fuzz_u8(&input) % (HOST_CHUNK_FDS + 1);
	wire_send(&wire, fd, &msg, len, fds, nr_fds);
	if (how == 0x7f)
		host_get(fd)->hung_up = true;
}

static struct dma_window windows[2] = { { { 0x40000000, 0x200000 }, 0, 0 },
					{ { 1, 0xfff }, 0, 1 } };

static int start_queue(struct fuzz_input *in)
{
	const struct vhost_queue_fds fds = { 3, 4, 5 };
	const struct virtio_queue queue = {
		.size = 128,
		.enabled = true,
		.addr = { 0x40001000, 0x40002000, 0x40000000 + fuzz_number(in) },
	};

	return vhost_frontend_start_queue(&fe, fuzz_u8(in) & 1, &queue, &fds);
}

static int get_report(void)
{
	struct device_report_wire report;
	const int ret = vhost_frontend_get_report(&fe, &report);

	fuzz_check(ret || report.nr_violations <= DEVICE_REPORT_VIOLATIONS, "%u violations",
		   report.nr_violations);
	return ret;
}

/* What comes on the channel; an error is its end. */
static int hear(struct fuzz_input *in)
{
	const int fd = vhost_frontend_channel_fd(&fe);
	const uint8_t *bytes;
	size_t len;
	int ret = 0;

	if (fd < 0)
		return 0;
	bytes = fuzz_bytes(in, fuzz_u8(in), &len);
	host_feed(fd, bytes, len);
	for (unsigned int i = 0; i < 8 && ret >= 0; i++)
		ret = vhost_frontend_read_channel(&fe);
	if (ret < 0)
		vhost_frontend_close_channel(&fe);
	return 0;
}

static int step(struct fuzz_input *in)
{
	uint8_t config[VHOST_USER_MAX_CONFIG];
	uint64_t number;

	switch (fuzz_u8(in) & 7) {
	case 0:
		return vhost_frontend_get_queue_num(&fe, &number);
	case 1:
		return vhost_frontend_get_config(&fe, config, fuzz_u8(in) & 0x3f);
	case 2:
		return vhost_frontend_set_config(&fe, fuzz_u8(in), "wxyz", 4);
	case 3:
		return vhost_frontend_set_features(&fe, fuzz_u64(in));
	case 4:
		return start_queue(in);
	case 5:
		return vhost_frontend_stop_queue(&fe, fuzz_u8(in));
	case 6:
		windows[0].range.base += 0x1000;
		return vhost_frontend_set_windows(&fe, windows, 2);
	default:
		return fuzz_u8(in) & 1 ? get_report() : hear(in);
	}
}

/* These leave the connection as it is. */
static bool is_mild(int ret)
{
	return ret == -EREMOTEIO || ret == -ENOTSUP || ret == -EMSGSIZE || ret == -EFAULT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct host_snapshot nothing;
	int ret;

	input = (struct fuzz_input){ data, size };
	host_begin(&nothing);
	host_sent = answer;
	wire.used = 0;
	windows[0].range.base = 0x40000000;
	sock = host_open(HOST_STREAM);
	ret = vhost_frontend_open(&fe, sock, DEADLINE_MS, -1, windows, 2);
	while (input.left) {
		fuzz_check(ret >= 0 || is_mild(ret) || fe.sock < 0, "goes on after %d", ret);
		fuzz_check(fe.sock >= 0 || !host_get(sock), "the socket is still open");
		ret = step(&input);
	}
	vhost_frontend_close(&fe);
	vhost_frontend_close_channel(&fe);
	fuzz_check(host_count() == 0, "%u descriptors", host_count());
	return 0;
}
