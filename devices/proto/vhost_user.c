/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/proto/vhost_user.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SEND_TIMEOUT_MS 1000

/* How many descriptors come with a request. */
enum fd_rule {
	FDS_NONE,
	FDS_VRING,  /* one, or none with VHOST_USER_VRING_NOFD */
	FDS_REGION, /* one per memory region */
	FDS_ONE,
};

/* How long its payload is. */
enum size_rule {
	SIZE_FIXED,
	SIZE_REGIONS, /* by nregions */
	SIZE_CONFIG,  /* by config.size */
};

#define REGIONS_OFFSET offsetof(struct vhost_user_memory, regions)
#define CONFIG_OFFSET  offsetof(struct vhost_user_config, region)

/* The subset: what is not in this table closes the connection. */
static const struct request_rule {
	uint32_t request;
	uint32_t size; /* bytes of payload; for the variable ones the least */
	enum size_rule size_rule;
	enum fd_rule fd_rule;
	const char *name;
} request_rules[] = {
	{ VHOST_USER_GET_FEATURES, 0, SIZE_FIXED, FDS_NONE, "GET_FEATURES" },
	{ VHOST_USER_SET_FEATURES, 8, SIZE_FIXED, FDS_NONE, "SET_FEATURES" },
	{ VHOST_USER_SET_OWNER, 0, SIZE_FIXED, FDS_NONE, "SET_OWNER" },
	{ VHOST_USER_SET_MEM_TABLE, REGIONS_OFFSET, SIZE_REGIONS, FDS_REGION, "SET_MEM_TABLE" },
	{ VHOST_USER_SET_VRING_NUM, 8, SIZE_FIXED, FDS_NONE, "SET_VRING_NUM" },
	{ VHOST_USER_SET_VRING_ADDR, 40, SIZE_FIXED, FDS_NONE, "SET_VRING_ADDR" },
	{ VHOST_USER_SET_VRING_BASE, 8, SIZE_FIXED, FDS_NONE, "SET_VRING_BASE" },
	{ VHOST_USER_GET_VRING_BASE, 8, SIZE_FIXED, FDS_NONE, "GET_VRING_BASE" },
	{ VHOST_USER_SET_VRING_KICK, 8, SIZE_FIXED, FDS_VRING, "SET_VRING_KICK" },
	{ VHOST_USER_SET_VRING_CALL, 8, SIZE_FIXED, FDS_VRING, "SET_VRING_CALL" },
	{ VHOST_USER_SET_VRING_ERR, 8, SIZE_FIXED, FDS_VRING, "SET_VRING_ERR" },
	{ VHOST_USER_GET_PROTOCOL_FEATURES, 0, SIZE_FIXED, FDS_NONE, "GET_PROTOCOL_FEATURES" },
	{ VHOST_USER_SET_PROTOCOL_FEATURES, 8, SIZE_FIXED, FDS_NONE, "SET_PROTOCOL_FEATURES" },
	{ VHOST_USER_GET_QUEUE_NUM, 0, SIZE_FIXED, FDS_NONE, "GET_QUEUE_NUM" },
	{ VHOST_USER_SET_VRING_ENABLE, 8, SIZE_FIXED, FDS_NONE, "SET_VRING_ENABLE" },
	{ VHOST_USER_SET_BACKEND_REQ_FD, 0, SIZE_FIXED, FDS_ONE, "SET_BACKEND_REQ_FD" },
	{ VHOST_USER_GET_CONFIG, CONFIG_OFFSET, SIZE_CONFIG, FDS_NONE, "GET_CONFIG" },
	{ VHOST_USER_SET_CONFIG, CONFIG_OFFSET, SIZE_CONFIG, FDS_NONE, "SET_CONFIG" },
	{ VHOST_USER_MINIVMM_GET_REPORT, 0, SIZE_FIXED, FDS_NONE, "MINIVMM_GET_REPORT" },
	{ VHOST_USER_MINIVMM_SET_KEPT, 0, SIZE_FIXED, FDS_ONE, "MINIVMM_SET_KEPT" },
	{ VHOST_USER_MINIVMM_RESUME, 8, SIZE_FIXED, FDS_NONE, "MINIVMM_RESUME" },
};

_Static_assert(sizeof(struct vhost_user_header) == 12, "header as the specification has it");
_Static_assert(sizeof(struct vhost_user_vring_addr) == 40, "ring addresses likewise");
_Static_assert(sizeof(struct vhost_user_memory) == 8 + 32 * VHOST_USER_MAX_FDS, "regions likewise");
_Static_assert(CONFIG_OFFSET == 12, "configuration likewise");

static const struct request_rule *find_rule(uint32_t request)
{
	for (size_t i = 0; i < sizeof(request_rules) / sizeof(request_rules[0]); i++) {
		if (request_rules[i].request == request)
			return &request_rules[i];
	}
	return NULL;
}

const char *vhost_user_request_name(uint32_t request)
{
	const struct request_rule *rule = find_rule(request);

	return rule ? rule->name : "unknown";
}

/* The payload size that @msg itself announces; -EBADMSG when that is beyond the subset. */
static int check_size(const struct vhost_user_msg *msg, const struct request_rule *rule)
{
	uint32_t want = rule->size;

	if (msg->hdr.size < rule->size)
		return -EMSGSIZE;
	if (rule->size_rule == SIZE_REGIONS) {
		if (msg->payload.memory.nregions < 1 ||
		    msg->payload.memory.nregions > VHOST_USER_MAX_FDS)
			return -EBADMSG;
		want += msg->payload.memory.nregions * sizeof(struct vhost_user_memory_region);
	} else if (rule->size_rule == SIZE_CONFIG) {
		if (msg->payload.config.size < 1 ||
		    msg->payload.config.size > VHOST_USER_MAX_CONFIG ||
		    msg->payload.config.offset > VHOST_USER_MAX_CONFIG - msg->payload.config.size)
			return -EBADMSG;
		want += msg->payload.config.size;
	}
	return msg->hdr.size == want ? 0 : -EMSGSIZE;
}

static int check_fds(const struct vhost_user_msg *msg, const struct request_rule *rule)
{
	unsigned int want = 0;

	if (rule->fd_rule == FDS_REGION) {
		want = msg->payload.memory.nregions;
	} else if (rule->fd_rule == FDS_ONE) {
		want = 1;
	} else if (rule->fd_rule == FDS_VRING) {
		if (msg->payload.u64 & ~(VHOST_USER_VRING_IDX | VHOST_USER_VRING_NOFD))
			return -EBADMSG;
		want = msg->payload.u64 & VHOST_USER_VRING_NOFD ? 0 : 1;
	}
	return msg->nr_fds == want ? 0 : -EBADMSG;
}

int vhost_user_check_request(const struct vhost_user_msg *msg)
{
	const struct request_rule *rule = find_rule(msg->hdr.request);
	int rc;

	if (!rule || (msg->hdr.flags & ~VHOST_USER_NEED_REPLY) != VHOST_USER_VERSION)
		return -EPROTO;
	rc = check_size(msg, rule);
	return rc ? rc : check_fds(msg, rule);
}

void vhost_user_close_fds(struct vhost_user_msg *msg)
{
	for (unsigned int i = 0; i < msg->nr_fds; i++) {
		if (msg->fds[i] >= 0)
			close(msg->fds[i]);
		msg->fds[i] = -1;
	}
	msg->nr_fds = 0;
}

/* A point in time that is only asked for once something has to be waited for. */
struct deadline {
	int timeout_ms; /* < 0: never */
	bool armed;
	struct timespec end;
};

/* Time left, at least 0. */
static struct timespec deadline_left(struct deadline *deadline)
{
	struct timespec now;
	int64_t left_ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!deadline->armed) {
		deadline->armed = true;
		deadline->end = now;
		deadline->end.tv_sec += deadline->timeout_ms / 1000;
		deadline->end.tv_nsec += (deadline->timeout_ms % 1000) * 1000000l;
	}
	left_ns = (deadline->end.tv_sec - now.tv_sec) * 1000000000ll +
		  (deadline->end.tv_nsec - now.tv_nsec);
	if (left_ns < 0)
		left_ns = 0;
	return (struct timespec){ left_ns / 1000000000, left_ns % 1000000000 };
}

/* Waits for @events on @sock. 0, -ETIMEDOUT or -errno. */
static int wait_ready(int sock, short events, struct deadline *deadline)
{
	struct pollfd pfd = { .fd = sock, .events = events };
	struct timespec left;
	int rc;

	if (deadline->timeout_ms >= 0)
		left = deadline_left(deadline);
	rc = ppoll(&pfd, 1, deadline->timeout_ms >= 0 ? &left : NULL, NULL);
	if (rc < 0)
		return errno == EINTR ? 0 : -errno;
	return rc ? 0 : -ETIMEDOUT;
}

union fd_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * VHOST_USER_MAX_FDS)];
};

static void attach_fds(struct msghdr *mh, union fd_control *control,
		       const struct vhost_user_msg *msg)
{
	struct cmsghdr *cmsg;

	if (!msg->nr_fds)
		return;
	memset(control, 0, sizeof(*control));
	mh->msg_control = control->bytes;
	mh->msg_controllen = CMSG_SPACE(sizeof(int) * msg->nr_fds);
	cmsg = CMSG_FIRSTHDR(mh);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * msg->nr_fds);
	memcpy(CMSG_DATA(cmsg), msg->fds, sizeof(int) * msg->nr_fds);
}

/* What is left to send after @done bytes of @msg. */
static void remaining_bytes(const struct vhost_user_msg *msg, size_t done, struct iovec iov[2])
{
	size_t hdr_done = done < sizeof(msg->hdr) ? done : sizeof(msg->hdr);
	size_t payload_done = done - hdr_done;

	iov[0].iov_base = (char *)&msg->hdr + hdr_done;
	iov[0].iov_len = sizeof(msg->hdr) - hdr_done;
	iov[1].iov_base = (char *)msg->payload.bytes + payload_done;
	iov[1].iov_len = msg->hdr.size - payload_done;
}

int vhost_user_send(int sock, const struct vhost_user_msg *msg)
{
	struct deadline deadline = { .timeout_ms = SEND_TIMEOUT_MS };
	size_t total = sizeof(msg->hdr) + msg->hdr.size;
	union fd_control control;
	size_t done = 0;
	int rc = 0;

	if (msg->hdr.size > VHOST_USER_MAX_PAYLOAD)
		return -EMSGSIZE;
	if (msg->nr_fds > VHOST_USER_MAX_FDS)
		return -EINVAL;
	while (!rc && done < total) {
		struct iovec iov[2];
		struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
		ssize_t n;

		remaining_bytes(msg, done, iov);
		if (done == 0)
			attach_fds(&mh, &control, msg);
		n = sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			done += n;
		else if (n < 0 && errno == EAGAIN)
			rc = wait_ready(sock, POLLOUT, &deadline);
		else if (n < 0 && errno != EINTR)
			rc = -errno;
	}
	return rc;
}

/*
 * Moves the descriptors of @mh into @msg. Everything the kernel has installed is either recorded
 * in @msg or closed here. Returns 0 or -EPROTO.
 */
static int take_fds(struct msghdr *mh, struct vhost_user_msg *msg)
{
	int rc = mh->msg_flags & MSG_CTRUNC ? -EPROTO : 0;

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(mh); cmsg; cmsg = CMSG_NXTHDR(mh, cmsg)) {
		size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS) {
			rc = -EPROTO;
			continue;
		}
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
			if (msg->nr_fds < VHOST_USER_MAX_FDS) {
				msg->fds[msg->nr_fds++] = fd;
			} else {
				close(fd);
				rc = -EPROTO;
			}
		}
	}
	return rc;
}

/*
 * Reads exactly @len bytes. Descriptors are taken at any byte of the header and at none of the
 * payload, which the specification does not allow: without room for them the kernel drops them and
 * sets MSG_CTRUNC. Returns 1, 0 at end of file before the first byte, or -errno.
 */
static int read_exact(int sock, void *buf, size_t len, struct vhost_user_msg *msg,
		      struct deadline *deadline, bool with_fds)
{
	size_t done = 0;

	while (done < len) {
		union fd_control control;
		struct iovec iov = { (char *)buf + done, len - done };
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n;
		int rc = 0;

		if (with_fds) {
			mh.msg_control = control.bytes;
			mh.msg_controllen = sizeof(control.bytes);
		}
		n = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n > 0) {
			done += n;
			rc = take_fds(&mh, msg);
		} else if (n == 0) {
			return done ? -EPROTO : 0;
		} else if (errno == EAGAIN) {
			rc = wait_ready(sock, POLLIN, deadline);
		} else if (errno != EINTR) {
			rc = -errno;
		}
		if (rc)
			return rc;
	}
	return 1;
}

int vhost_user_recv(int sock, struct vhost_user_msg *msg, int timeout_ms)
{
	struct deadline deadline = { .timeout_ms = timeout_ms };
	int rc;

	msg->nr_fds = 0;
	rc = read_exact(sock, &msg->hdr, sizeof(msg->hdr), msg, &deadline, true);
	if (rc > 0 && msg->hdr.size > VHOST_USER_MAX_PAYLOAD)
		rc = -EMSGSIZE;
	if (rc > 0 && msg->hdr.size) {
		rc = read_exact(sock, msg->payload.bytes, msg->hdr.size, msg, &deadline, false);
		if (rc == 0)
			rc = -EPROTO;
	}
	if (rc <= 0)
		vhost_user_close_fds(msg);
	return rc;
}
