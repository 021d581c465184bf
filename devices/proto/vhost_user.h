/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The vhost-user subset between minivmm (front-end) and a device process (back-end).
 *
 * Wire structs and their checks only, shared by both executables. Layout and numbers follow the
 * vhost-user specification (QEMU docs/interop/vhost-user.rst); everything is in host byte order, as
 * the specification demands. The subset is frozen: a message outside it closes the connection.
 *
 *	front-end                                      back-end
 *	GET_FEATURES, GET_PROTOCOL_FEATURES            u64
 *	SET_PROTOCOL_FEATURES, SET_OWNER
 *	SET_MEM_TABLE with descriptors                 maps the DMA windows; a later one, while
 *	                                               no ring runs, only moves them
 *	GET_CONFIG                                     configuration space, fetched at the start
 *	                                               and when it has changed
 *	SET_CONFIG                                     a terminal's size, say
 *	SET_BACKEND_REQ_FD                             where the back-end sends what it says unasked:
 *	                                               BACKEND_CONFIG_CHANGE_MSG
 *	SET_FEATURES, SET_VRING_{NUM,BASE,ADDR,
 *	KICK,CALL,ERR,ENABLE} at DRIVER_OK
 *	GET_VRING_BASE at reset                        stops the ring, tells the next index
 *	MINIVMM_GET_REPORT                             struct device_report_wire
 *	MINIVMM_SET_KEPT with a descriptor             before SET_MEM_TABLE: memory that outlives the
 *	                                               back-end (devices/core/kept.h)
 *	MINIVMM_RESUME in the place of SET_FEATURES    the driver goes on where the back-end before
 *	                                               left it: no SET_VRING_BASE follows
 *
 * A request without a reply of its own is answered by a u64 (0: done) when it asks for that with
 * VHOST_USER_NEED_REPLY and REPLY_ACK was negotiated.
 */
#ifndef DEVICES_PROTO_VHOST_USER_H
#define DEVICES_PROTO_VHOST_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SET_BACKEND_REQ_FD = 21,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
	/* Ours, only after the protocol features of the same name; far from the numbers in use. */
	VHOST_USER_MINIVMM_GET_REPORT = 0x4d56,
	VHOST_USER_MINIVMM_SET_KEPT = 0x4d57,
	VHOST_USER_MINIVMM_RESUME = 0x4d58, /* of MINIVMM_KEPT, too */
};

/* On the socket of SET_BACKEND_REQ_FD, from the back-end; no payload. */
#define VHOST_USER_BACKEND_CONFIG_CHANGE_MSG 2u

/* Header flags: version in bits 0-1. */
#define VHOST_USER_VERSION	0x1u
#define VHOST_USER_VERSION_MASK 0x3u
#define VHOST_USER_REPLY	0x4u
#define VHOST_USER_NEED_REPLY	0x8u

/* Feature bit in the virtio feature space that says "protocol features exist". */
#define VHOST_USER_F_PROTOCOL_FEATURES 30

/* Protocol feature bits of the subset. */
#define VHOST_USER_PROTOCOL_F_MQ	     0
#define VHOST_USER_PROTOCOL_F_REPLY_ACK	     3
#define VHOST_USER_PROTOCOL_F_BACKEND_REQ    5
#define VHOST_USER_PROTOCOL_F_CONFIG	     9
#define VHOST_USER_PROTOCOL_F_MINIVMM_KEPT   61
#define VHOST_USER_PROTOCOL_F_MINIVMM_REPORT 62

#define VHOST_USER_MAX_FDS     8	/* = regions of SET_MEM_TABLE */
#define VHOST_USER_MAX_CONFIG  256	/* bytes of config space a message carries */
#define VHOST_USER_VRING_NOFD  0x100ull /* SET_VRING_{KICK,CALL,ERR}: no descriptor attached */
#define VHOST_USER_VRING_IDX   0xffull
#define VHOST_USER_MAX_PAYLOAD 2048
#define VHOST_USER_KEPT_SIZE   4096u /* bytes of the memory of MINIVMM_SET_KEPT */

struct vhost_user_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* bytes of payload that follow */
};

struct vhost_user_vring_state {
	uint32_t index;
	uint32_t num;
};

struct vhost_user_vring_addr {
	uint32_t index;
	uint32_t flags;
	/* The three rings, as addresses inside userspace_addr of a region. */
	uint64_t descriptor;
	uint64_t used;
	uint64_t available;
	uint64_t log; /* unused */
};

struct vhost_user_memory_region {
	uint64_t guest_phys_addr; /* DMA address of the window */
	uint64_t memory_size;	  /* bytes */
	uint64_t userspace_addr;  /* SET_VRING_ADDR counts from here; of ours no address at all */
	uint64_t mmap_offset;	  /* into the descriptor that travels with the message */
};

struct vhost_user_memory {
	uint32_t nregions;
	uint32_t padding;
	struct vhost_user_memory_region regions[VHOST_USER_MAX_FDS];
};

struct vhost_user_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t region[VHOST_USER_MAX_CONFIG];
};

/* One message with its descriptors. Received descriptors belong to the receiver. */
struct vhost_user_msg {
	struct vhost_user_header hdr;
	union {
		uint64_t u64;
		struct vhost_user_vring_state state;
		struct vhost_user_vring_addr addr;
		struct vhost_user_memory memory;
		struct vhost_user_config config;
		uint8_t bytes[VHOST_USER_MAX_PAYLOAD];
	} payload;
	int fds[VHOST_USER_MAX_FDS];
	unsigned int nr_fds;
};

/* Human name of a request, for log lines; "unknown" for numbers outside the subset. */
const char *vhost_user_request_name(uint32_t request);

/*
 * Checks a front-end's message against the subset. Returns 0, -EPROTO (version, flags or request
 * unknown), -EMSGSIZE (payload size) or -EBADMSG (number of descriptors, or a payload that
 * contradicts its size).
 */
int vhost_user_check_request(const struct vhost_user_msg *msg);

/*
 * Sends @msg (header, hdr.size bytes of payload, nr_fds descriptors) whole, without SIGPIPE.
 * The descriptors stay the caller's. Returns 0 or -errno: -ETIMEDOUT when the peer takes nothing
 * for a second, -EMSGSIZE or -EINVAL when @msg itself is out of bounds.
 */
int vhost_user_send(int sock, const struct vhost_user_msg *msg);

/*
 * Receives one whole message. @timeout_ms < 0 waits forever; the deadline covers the whole message,
 * however slowly it trickles. Received descriptors are close-on-exec and belong to the caller, also
 * when the payload turns out to be bad later; on error none is left open.
 * Returns 1, 0 at end of file before the first byte, or -errno (-ETIMEDOUT, -EMSGSIZE for a payload
 * larger than VHOST_USER_MAX_PAYLOAD, -EPROTO for end of file inside a message or too many fds).
 */
int vhost_user_recv(int sock, struct vhost_user_msg *msg, int timeout_ms);

/* Closes the descriptors that @msg still holds. */
void vhost_user_close_fds(struct vhost_user_msg *msg);

#endif
