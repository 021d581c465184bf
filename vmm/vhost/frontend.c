/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/vhost/frontend.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "devices/proto/vhost_user.h"
#include "vmm/virtio/device.h"

#define PROTOCOL_FEATURE(bit) (1ull << (bit))

/* Without these a back-end cannot be driven by us. */
#define NEEDED_PROTOCOL_FEATURES                             \
	(PROTOCOL_FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK) | \
	 PROTOCOL_FEATURE(VHOST_USER_PROTOCOL_F_CONFIG))
#define WANTED_PROTOCOL_FEATURES \
	(NEEDED_PROTOCOL_FEATURES | PROTOCOL_FEATURE(VHOST_USER_PROTOCOL_F_MINIVMM_REPORT))

void vhost_frontend_close(struct vhost_frontend *fe)
{
	if (fe->sock >= 0)
		close(fe->sock);
	fe->sock = -1;
}

static struct vhost_user_msg message(uint32_t request, uint32_t payload)
{
	return (struct vhost_user_msg){
		.hdr = { .request = request, .flags = VHOST_USER_VERSION, .size = payload },
	};
}

/* Sends @msg and receives the answer to it in place. @reply_size: exact bytes of payload expected.
 */
static int exchange(struct vhost_frontend *fe, struct vhost_user_msg *msg, uint32_t reply_size)
{
	uint32_t request = msg->hdr.request;
	int ret;

	if (fe->sock < 0)
		return -ENOTCONN;
	ret = vhost_user_send(fe->sock, msg);
	if (ret)
		goto broken;
	ret = vhost_user_recv(fe->sock, msg, fe->deadline_ms);
	if (ret <= 0) {
		ret = ret == 0 ? -ECONNRESET : ret;
		goto broken;
	}
	/* No answer of the subset carries descriptors. */
	if (msg->nr_fds > 0 || msg->hdr.request != request || msg->hdr.size != reply_size ||
	    msg->hdr.flags != (VHOST_USER_VERSION | VHOST_USER_REPLY)) {
		vhost_user_close_fds(msg);
		ret = -EPROTO;
		goto broken;
	}
	return 0;
broken:
	vhost_frontend_close(fe);
	return ret;
}

/* A request without an answer of its own; with REPLY_ACK in force the back-end confirms it. */
static int command(struct vhost_frontend *fe, struct vhost_user_msg *msg)
{
	int ret;

	if (!(fe->protocol_features & PROTOCOL_FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK))) {
		if (fe->sock < 0)
			return -ENOTCONN;
		ret = vhost_user_send(fe->sock, msg);
		if (ret)
			vhost_frontend_close(fe);
		return ret;
	}
	msg->hdr.flags |= VHOST_USER_NEED_REPLY;
	ret = exchange(fe, msg, sizeof(msg->payload.u64));
	if (!ret && msg->payload.u64 != 0) {
		vhost_frontend_close(fe);
		ret = -EREMOTEIO;
	}
	return ret;
}

static int get_u64(struct vhost_frontend *fe, uint32_t request, uint64_t *value)
{
	struct vhost_user_msg msg = message(request, 0);
	int ret = exchange(fe, &msg, sizeof(msg.payload.u64));

	if (!ret)
		*value = msg.payload.u64;
	return ret;
}

static int set_u64(struct vhost_frontend *fe, uint32_t request, uint64_t value)
{
	struct vhost_user_msg msg = message(request, sizeof(msg.payload.u64));

	msg.payload.u64 = value;
	return command(fe, &msg);
}

int vhost_frontend_set_windows(struct vhost_frontend *fe, const struct dma_window *windows,
			       size_t n)
{
	uint32_t size = (uint32_t)(offsetof(struct vhost_user_memory, regions) +
				   n * sizeof(struct vhost_user_memory_region));
	struct vhost_user_msg msg = message(VHOST_USER_SET_MEM_TABLE, size);

	if (n > VHOST_USER_MAX_FDS)
		return -E2BIG;
	msg.payload.memory.nregions = (uint32_t)n;
	for (size_t i = 0; i < n; i++) {
		msg.payload.memory.regions[i] = (struct vhost_user_memory_region){
			.guest_phys_addr = windows[i].range.base,
			.memory_size = windows[i].range.size,
			.userspace_addr = windows[i].range.base,
			.mmap_offset = windows[i].offset,
		};
		msg.fds[msg.nr_fds++] = windows[i].fd;
	}
	return command(fe, &msg);
}

int vhost_frontend_open(struct vhost_frontend *fe, int sock, int deadline_ms,
			const struct dma_window *windows, size_t nr_windows)
{
	struct vhost_user_msg owner = message(VHOST_USER_SET_OWNER, 0);
	uint64_t offered = 0;
	int ret;

	*fe = (struct vhost_frontend){ .sock = sock, .deadline_ms = deadline_ms };
	ret = get_u64(fe, VHOST_USER_GET_FEATURES, &fe->features);
	if (!ret && !(fe->features & (1ull << VHOST_USER_F_PROTOCOL_FEATURES)))
		ret = -ENOTSUP;
	if (!ret)
		ret = get_u64(fe, VHOST_USER_GET_PROTOCOL_FEATURES, &offered);
	if (!ret && (offered & NEEDED_PROTOCOL_FEATURES) != NEEDED_PROTOCOL_FEATURES)
		ret = -ENOTSUP;
	if (!ret)
		ret = set_u64(fe, VHOST_USER_SET_PROTOCOL_FEATURES,
			      offered & WANTED_PROTOCOL_FEATURES);
	if (!ret)
		fe->protocol_features = offered & WANTED_PROTOCOL_FEATURES;
	if (!ret)
		ret = command(fe, &owner);
	if (!ret)
		ret = vhost_frontend_set_windows(fe, windows, nr_windows);
	return ret;
}

int vhost_frontend_get_config(struct vhost_frontend *fe, void *config, size_t len)
{
	uint32_t size = (uint32_t)(offsetof(struct vhost_user_config, region) + len);
	struct vhost_user_msg msg = message(VHOST_USER_GET_CONFIG, size);
	int ret;

	if (len > VHOST_USER_MAX_CONFIG)
		return -EMSGSIZE;
	msg.payload.config.size = (uint32_t)len;
	ret = exchange(fe, &msg, size);
	if (!ret)
		memcpy(config, msg.payload.config.region, len);
	return ret;
}

int vhost_frontend_set_features(struct vhost_frontend *fe, uint64_t features)
{
	/*
	 * The back-end hears of its own features only: how the guest learned of the pool is between
	 * the guest and us. Above all of no ACCESS_PLATFORM, since it would expect IOTLB messages;
	 * here its addresses are those of the windows already. PROTOCOL_FEATURES makes rings start
	 * disabled, as we rely on.
	 */
	features &= fe->features & ~VIRTIO_F_ACCESS_PLATFORM;
	features |= 1ull << VHOST_USER_F_PROTOCOL_FEATURES;
	return set_u64(fe, VHOST_USER_SET_FEATURES, features);
}

static int set_vring_state(struct vhost_frontend *fe, uint32_t request, uint32_t index,
			   uint32_t num)
{
	struct vhost_user_msg msg = message(request, sizeof(msg.payload.state));

	msg.payload.state = (struct vhost_user_vring_state){ .index = index, .num = num };
	return command(fe, &msg);
}

static int set_vring_addr(struct vhost_frontend *fe, uint32_t index,
			  const struct virtio_queue *queue)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_VRING_ADDR, sizeof(msg.payload.addr));

	msg.payload.addr = (struct vhost_user_vring_addr){
		.index = index,
		.descriptor = queue->addr[VIRTIO_RING_DESC],
		.available = queue->addr[VIRTIO_RING_AVAIL],
		.used = queue->addr[VIRTIO_RING_USED],
	};
	return command(fe, &msg);
}

static int set_vring_fd(struct vhost_frontend *fe, uint32_t request, uint32_t index, int fd)
{
	struct vhost_user_msg msg = message(request, sizeof(msg.payload.u64));

	msg.payload.u64 = index;
	msg.fds[msg.nr_fds++] = fd;
	return command(fe, &msg);
}

int vhost_frontend_start_queue(struct vhost_frontend *fe, uint32_t index,
			       const struct virtio_queue *queue, const struct vhost_queue_fds *fds)
{
	int ret = set_vring_state(fe, VHOST_USER_SET_VRING_NUM, index, queue->size);

	if (!ret)
		ret = set_vring_state(fe, VHOST_USER_SET_VRING_BASE, index, 0);
	if (!ret)
		ret = set_vring_addr(fe, index, queue);
	if (!ret)
		ret = set_vring_fd(fe, VHOST_USER_SET_VRING_CALL, index, fds->call);
	if (!ret)
		ret = set_vring_fd(fe, VHOST_USER_SET_VRING_ERR, index, fds->err);
	if (!ret)
		ret = set_vring_fd(fe, VHOST_USER_SET_VRING_KICK, index, fds->kick);
	if (!ret)
		ret = set_vring_state(fe, VHOST_USER_SET_VRING_ENABLE, index, 1);
	return ret;
}

int vhost_frontend_stop_queue(struct vhost_frontend *fe, uint32_t index)
{
	struct vhost_user_msg msg = message(VHOST_USER_GET_VRING_BASE, sizeof(msg.payload.state));

	msg.payload.state = (struct vhost_user_vring_state){ .index = index };
	return exchange(fe, &msg, sizeof(msg.payload.state));
}

int vhost_frontend_get_report(struct vhost_frontend *fe, struct device_report_wire *report)
{
	struct vhost_user_msg msg = message(VHOST_USER_MINIVMM_GET_REPORT, 0);
	int ret;

	if (!(fe->protocol_features & PROTOCOL_FEATURE(VHOST_USER_PROTOCOL_F_MINIVMM_REPORT)))
		return -ENOTSUP;
	ret = exchange(fe, &msg, sizeof(*report));
	if (ret)
		return ret;
	memcpy(report, msg.payload.bytes, sizeof(*report));
	if (report->nr_violations > DEVICE_REPORT_VIOLATIONS)
		report->nr_violations = DEVICE_REPORT_VIOLATIONS;
	return 0;
}
