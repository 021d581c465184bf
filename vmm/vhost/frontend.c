/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/vhost/frontend.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "devices/proto/vhost_user.h"
#include "vmm/virtio/device.h"

#define PROTOCOL_FEATURE(bit) (1ull << (bit))

/* None of them is needed: what cannot be asked for is an error when it is asked for. */
#define WANTED_PROTOCOL_FEATURES                                  \
	(PROTOCOL_FEATURE(VHOST_USER_PROTOCOL_F_MQ) |             \
	 PROTOCOL_FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK) |      \
	 PROTOCOL_FEATURE(VHOST_USER_PROTOCOL_F_BACKEND_REQ) |    \
	 PROTOCOL_FEATURE(VHOST_USER_PROTOCOL_F_CONFIG) |         \
	 PROTOCOL_FEATURE(VHOST_USER_PROTOCOL_F_MINIVMM_REPORT) | \
	 PROTOCOL_FEATURE(VHOST_USER_PROTOCOL_F_MINIVMM_KEPT))

static bool has(const struct vhost_frontend *fe, unsigned int protocol_feature)
{
	return fe->protocol_features & PROTOCOL_FEATURE(protocol_feature);
}

void vhost_frontend_close(struct vhost_frontend *fe)
{
	if (fe->channel.fd >= 0)
		(void)shutdown(fe->channel.fd, SHUT_RDWR);
	if (fe->sock < 0)
		return;
	(void)shutdown(fe->sock, SHUT_RDWR);
	close(fe->sock);
	fe->sock = -1;
}

int vhost_frontend_channel_fd(const struct vhost_frontend *fe)
{
	return fe->channel.fd;
}

int vhost_frontend_read_channel(struct vhost_frontend *fe)
{
	return vhost_channel_read(&fe->channel);
}

void vhost_frontend_close_channel(struct vhost_frontend *fe)
{
	vhost_channel_close(&fe->channel);
}

static struct vhost_user_msg message(uint32_t request, uint32_t payload)
{
	return (struct vhost_user_msg){
		.hdr = { .request = request, .flags = VHOST_USER_VERSION, .size = payload },
	};
}

static int disconnect(struct vhost_frontend *fe, int error)
{
	vhost_frontend_close(fe);
	return error;
}

static int send_message(struct vhost_frontend *fe, const struct vhost_user_msg *msg)
{
	int ret = fe->sock < 0 ? -ENOTCONN : vhost_user_send(fe->sock, msg);

	return ret ? disconnect(fe, ret) : 0;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void vhost_frontend_begin_step(struct vhost_frontend *fe)
{
	fe->step_end_ms = now_ms() + (uint64_t)fe->deadline_ms;
}

void vhost_frontend_end_step(struct vhost_frontend *fe)
{
	fe->step_end_ms = 0;
}

/* How long the next answer may take. */
static int time_left_ms(const struct vhost_frontend *fe)
{
	uint64_t now;

	if (!fe->step_end_ms)
		return fe->deadline_ms;
	now = now_ms();
	return now < fe->step_end_ms ? (int)(fe->step_end_ms - now) : 0;
}

/* Receives the answer to @request, whatever its size. No answer of the subset carries descriptors. */
static int receive_answer(struct vhost_frontend *fe, uint32_t request, struct vhost_user_msg *msg)
{
	int ret = vhost_user_recv(fe->sock, msg, time_left_ms(fe));

	if (ret <= 0)
		return disconnect(fe, ret == 0 ? -ECONNRESET : ret);
	if (msg->nr_fds > 0 || msg->hdr.request != request ||
	    msg->hdr.flags != (VHOST_USER_VERSION | VHOST_USER_REPLY)) {
		vhost_user_close_fds(msg);
		return disconnect(fe, -EPROTO);
	}
	return 0;
}

static int receive_pong(struct vhost_frontend *fe)
{
	struct vhost_user_msg msg;
	int ret = receive_answer(fe, VHOST_USER_GET_FEATURES, &msg);

	fe->pinged_ms = 0;
	return ret;
}

/* Sends @msg and receives the answer to it in place. Answers come in the order of the questions. */
static int ask(struct vhost_frontend *fe, struct vhost_user_msg *msg)
{
	int ret = send_message(fe, msg);

	if (!ret && fe->pinged_ms)
		ret = receive_pong(fe);
	return ret ? ret : receive_answer(fe, msg->hdr.request, msg);
}

/* The same for an answer with exactly @reply_size bytes of payload. */
static int exchange(struct vhost_frontend *fe, struct vhost_user_msg *msg, uint32_t reply_size)
{
	int ret = ask(fe, msg);

	if (!ret && msg->hdr.size != reply_size)
		ret = disconnect(fe, -EPROTO);
	return ret;
}

/*
 * A request without an answer of its own; with REPLY_ACK in force the back-end confirms it.
 * -EREMOTEIO when it says no.
 */
static int request_ack(struct vhost_frontend *fe, struct vhost_user_msg *msg)
{
	int ret;

	if (!has(fe, VHOST_USER_PROTOCOL_F_REPLY_ACK))
		return send_message(fe, msg);
	msg->hdr.flags |= VHOST_USER_NEED_REPLY;
	ret = exchange(fe, msg, sizeof(msg->payload.u64));
	return !ret && msg->payload.u64 != 0 ? -EREMOTEIO : ret;
}

/* The same where nothing leads on without the back-end's consent. */
static int command(struct vhost_frontend *fe, struct vhost_user_msg *msg)
{
	int ret = request_ack(fe, msg);

	return ret == -EREMOTEIO ? disconnect(fe, ret) : ret;
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

/*
 * Without REPLY_ACK: an answer to a later question says that the requests before it were handled,
 * since a back-end takes them in their order, and hangs up when it cannot.
 */
static int await_done(struct vhost_frontend *fe)
{
	uint64_t ignored;

	if (has(fe, VHOST_USER_PROTOCOL_F_REPLY_ACK))
		return 0;
	return get_u64(fe, VHOST_USER_GET_FEATURES, &ignored);
}

int vhost_frontend_set_windows(struct vhost_frontend *fe, const struct dma_window *windows,
			       size_t n)
{
	uint32_t size = (uint32_t)(offsetof(struct vhost_user_memory, regions) +
				   n * sizeof(struct vhost_user_memory_region));
	struct vhost_user_msg msg = message(VHOST_USER_SET_MEM_TABLE, size);
	int ret;

	if (n > VHOST_USER_MAX_FDS)
		return -E2BIG;
	msg.payload.memory.nregions = (uint32_t)n;
	for (size_t i = 0; i < n; i++) {
		if (i >= fe->nr_windows)
			fe->windows[fe->nr_windows++].user_base = windows[i].range.base;
		fe->windows[i].dma_base = windows[i].range.base;
		fe->windows[i].size = windows[i].range.size;
		msg.payload.memory.regions[i] = (struct vhost_user_memory_region){
			.guest_phys_addr = windows[i].range.base,
			.memory_size = windows[i].range.size,
			.userspace_addr = fe->windows[i].user_base,
			.mmap_offset = windows[i].offset,
		};
		msg.fds[msg.nr_fds++] = windows[i].fd;
	}
	ret = command(fe, &msg);
	return ret ? ret : await_done(fe);
}

static int agree_protocol(struct vhost_frontend *fe)
{
	uint64_t offered = 0;
	int ret = get_u64(fe, VHOST_USER_GET_FEATURES, &fe->features);

	if (ret)
		return ret;
	if (!(fe->features & (1ull << VHOST_USER_F_PROTOCOL_FEATURES)))
		return -ENOTSUP;
	ret = get_u64(fe, VHOST_USER_GET_PROTOCOL_FEATURES, &offered);
	offered &= WANTED_PROTOCOL_FEATURES;
	if (!ret)
		ret = set_u64(fe, VHOST_USER_SET_PROTOCOL_FEATURES, offered);
	if (!ret)
		fe->protocol_features = offered;
	return ret;
}

/* All we want to hear of is configuration space. */
static int send_channel(struct vhost_frontend *fe)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_BACKEND_REQ_FD, 0);
	int fd, ret;

	if (!has(fe, VHOST_USER_PROTOCOL_F_BACKEND_REQ) || !has(fe, VHOST_USER_PROTOCOL_F_CONFIG))
		return 0;
	fd = vhost_channel_open(&fe->channel);
	if (fd < 0)
		return fd;
	msg.fds[msg.nr_fds++] = fd;
	ret = command(fe, &msg);
	close(fd);
	return ret;
}

static int send_kept(struct vhost_frontend *fe, int kept_fd)
{
	struct vhost_user_msg msg = message(VHOST_USER_MINIVMM_SET_KEPT, 0);

	if (kept_fd < 0)
		return 0;
	if (!has(fe, VHOST_USER_PROTOCOL_F_MINIVMM_KEPT))
		return -ENOTSUP;
	msg.fds[msg.nr_fds++] = kept_fd;
	return command(fe, &msg);
}

int vhost_frontend_open(struct vhost_frontend *fe, int sock, int deadline_ms, int kept_fd,
			const struct dma_window *windows, size_t nr_windows)
{
	struct vhost_user_msg owner = message(VHOST_USER_SET_OWNER, 0);
	int ret;

	*fe = (struct vhost_frontend){
		.sock = sock,
		.deadline_ms = deadline_ms,
		.channel = { .fd = -1 },
	};
	ret = agree_protocol(fe);
	if (!ret)
		ret = send_channel(fe);
	if (!ret)
		ret = command(fe, &owner);
	if (!ret)
		ret = send_kept(fe, kept_fd);
	if (!ret)
		ret = vhost_frontend_set_windows(fe, windows, nr_windows);
	return ret;
}

int vhost_frontend_get_queue_num(struct vhost_frontend *fe, uint64_t *number)
{
	*number = 1;
	if (!has(fe, VHOST_USER_PROTOCOL_F_MQ))
		return 0;
	return get_u64(fe, VHOST_USER_GET_QUEUE_NUM, number);
}

/* A request about @len bytes of configuration space at @offset. */
static int config_message(const struct vhost_frontend *fe, struct vhost_user_msg *msg,
			  uint32_t request, uint32_t offset, size_t len)
{
	if (len > VHOST_USER_MAX_CONFIG || offset > VHOST_USER_MAX_CONFIG - len)
		return -EMSGSIZE;
	if (fe->sock < 0)
		return -ENOTCONN;
	if (!has(fe, VHOST_USER_PROTOCOL_F_CONFIG))
		return -ENOTSUP;
	*msg = message(request, (uint32_t)(offsetof(struct vhost_user_config, region) + len));
	msg->payload.config.offset = offset;
	msg->payload.config.size = (uint32_t)len;
	return 0;
}

int vhost_frontend_get_config(struct vhost_frontend *fe, void *config, size_t len)
{
	struct vhost_user_msg msg;
	int ret = config_message(fe, &msg, VHOST_USER_GET_CONFIG, 0, len);
	uint32_t size;

	if (ret)
		return ret;
	size = msg.hdr.size;
	ret = ask(fe, &msg);
	if (ret)
		return ret;
	/* An answer without payload is how a back-end refuses. */
	if (msg.hdr.size == 0)
		return -EREMOTEIO;
	if (msg.hdr.size != size)
		return disconnect(fe, -EPROTO);
	memcpy(config, msg.payload.config.region, len);
	return 0;
}

int vhost_frontend_set_config(struct vhost_frontend *fe, uint32_t offset, const void *data,
			      size_t len)
{
	struct vhost_user_msg msg;
	int ret = config_message(fe, &msg, VHOST_USER_SET_CONFIG, offset, len);

	if (ret)
		return ret;
	memcpy(msg.payload.config.region, data, len);
	ret = request_ack(fe, &msg);
	return ret ? ret : await_done(fe);
}

/*
 * The back-end hears of its own features only: how the guest learned of the pool is between the guest
 * and us. Above all of no ACCESS_PLATFORM, since it would expect IOTLB messages; here its addresses are
 * those of the windows already. PROTOCOL_FEATURES makes rings start disabled, as we rely on.
 */
static uint64_t features_to_tell(const struct vhost_frontend *fe, uint64_t accepted)
{
	return (accepted & fe->features & ~VIRTIO_F_ACCESS_PLATFORM) |
	       1ull << VHOST_USER_F_PROTOCOL_FEATURES;
}

int vhost_frontend_set_features(struct vhost_frontend *fe, uint64_t features)
{
	fe->resumed = false;
	return set_u64(fe, VHOST_USER_SET_FEATURES, features_to_tell(fe, features));
}

int vhost_frontend_resume(struct vhost_frontend *fe, uint64_t features)
{
	if (!has(fe, VHOST_USER_PROTOCOL_F_MINIVMM_KEPT))
		return -ENOTSUP;
	fe->resumed = true;
	return set_u64(fe, VHOST_USER_MINIVMM_RESUME, features_to_tell(fe, features));
}

static int set_vring_state(struct vhost_frontend *fe, uint32_t request, uint32_t index,
			   uint32_t num)
{
	struct vhost_user_msg msg = message(request, sizeof(msg.payload.state));

	msg.payload.state = (struct vhost_user_vring_state){ .index = index, .num = num };
	return command(fe, &msg);
}

/* DMA address -> the address space of SET_VRING_ADDR. 0 or -EFAULT. */
static int user_address(const struct vhost_frontend *fe, uint64_t dma_addr, uint64_t *user)
{
	for (size_t i = 0; i < fe->nr_windows; i++) {
		const struct vhost_window *window = &fe->windows[i];

		if (dma_addr < window->dma_base || dma_addr - window->dma_base >= window->size)
			continue;
		*user = window->user_base + (dma_addr - window->dma_base);
		return 0;
	}
	return -EFAULT;
}

static int set_vring_addr(struct vhost_frontend *fe, uint32_t index,
			  const struct virtio_queue *queue)
{
	struct vhost_user_msg msg = message(VHOST_USER_SET_VRING_ADDR, sizeof(msg.payload.addr));
	struct vhost_user_vring_addr addr = { .index = index };
	int ret = user_address(fe, queue->addr[VIRTIO_RING_DESC], &addr.descriptor);

	if (!ret)
		ret = user_address(fe, queue->addr[VIRTIO_RING_AVAIL], &addr.available);
	if (!ret)
		ret = user_address(fe, queue->addr[VIRTIO_RING_USED], &addr.used);
	if (ret)
		return ret;
	msg.payload.addr = addr;
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

	if (!ret && !fe->resumed)
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
	if (!ret)
		ret = await_done(fe);
	return ret;
}

int vhost_frontend_stop_queue(struct vhost_frontend *fe, uint32_t index)
{
	struct vhost_user_msg msg = message(VHOST_USER_GET_VRING_BASE, sizeof(msg.payload.state));

	msg.payload.state = (struct vhost_user_vring_state){ .index = index };
	return exchange(fe, &msg, sizeof(msg.payload.state));
}

int vhost_frontend_ping(struct vhost_frontend *fe, uint64_t now_ms, unsigned int limit_ms)
{
	struct vhost_user_msg msg = message(VHOST_USER_GET_FEATURES, 0);
	struct pollfd answer = { .fd = fe->sock, .events = POLLIN };
	int ret;

	if (fe->pinged_ms && poll(&answer, 1, 0) > 0)
		return receive_pong(fe);
	if (fe->pinged_ms)
		return now_ms - fe->pinged_ms > limit_ms ? disconnect(fe, -ETIMEDOUT) : 0;
	ret = send_message(fe, &msg);
	if (!ret)
		fe->pinged_ms = now_ms;
	return ret;
}

int vhost_frontend_get_report(struct vhost_frontend *fe, struct device_report_wire *report)
{
	struct vhost_user_msg msg = message(VHOST_USER_MINIVMM_GET_REPORT, 0);
	int ret;

	if (!has(fe, VHOST_USER_PROTOCOL_F_MINIVMM_REPORT))
		return -ENOTSUP;
	ret = exchange(fe, &msg, sizeof(*report));
	if (ret)
		return ret;
	memcpy(report, msg.payload.bytes, sizeof(*report));
	if (report->nr_violations > DEVICE_REPORT_VIOLATIONS)
		report->nr_violations = DEVICE_REPORT_VIOLATIONS;
	return 0;
}
