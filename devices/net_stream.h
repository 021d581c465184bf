/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Ethernet frames over a stream socket: a 32-bit length in network order before each (QEMU's
 * protocol of -netdev stream, which passt speaks).
 *
 *	in[]    bytes as they came: frames, of which the last one may not be whole
 *	out[]   small frames on their way, to go out together; or what the socket did not take of
 *		a large one, since half a frame cannot be taken back
 *
 * Both are bounded: what does not fit waits in the socket, or in the guest's queue.
 */
#ifndef DEVICES_NET_STREAM_H
#define DEVICES_NET_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* IP packets have at most 65535 bytes; before them the Ethernet header with a VLAN tag. */
#define NET_FRAME_MAX (65535 + 14 + 4)
#define NET_FRAME_MIN 14

#define NET_STREAM_LENGTH 4 /* bytes of the length itself */
#define NET_STREAM_IN	  (128u << 10)
#define NET_STREAM_OUT	  (NET_STREAM_LENGTH + NET_FRAME_MAX)

struct net_stream {
	uint8_t *in;	 /* owned, like out */
	size_t in_start; /* the bytes between start and end are there */
	size_t in_end;
	uint8_t *out;
	size_t out_start;
	size_t out_end;
	uint32_t length; /* of the frame that is being sent, in network order */
};

/* Returns 0 or -ENOMEM; net_stream_destroy() releases it. */
int net_stream_init(struct net_stream *stream);
void net_stream_destroy(struct net_stream *stream);

/*
 * The next frame: 1 and where it is, 0 when it is not whole yet, -EPROTO for a length that no frame
 * has. It stays the next one until net_stream_take().
 */
int net_stream_next(const struct net_stream *stream, const uint8_t **frame, size_t *len);
void net_stream_take(struct net_stream *stream);

/*
 * Reads once, to be called when no frame is whole. 0, -EAGAIN when nothing has come, another -errno
 * when the peer is gone: -EPIPE at its end.
 */
int net_stream_fill(struct net_stream *stream, int fd);

/*
 * Sends a frame of @len bytes, NET_FRAME_MIN to NET_FRAME_MAX, in iov[1] to iov[@count - 1]; iov[0]
 * is for the length. What is sent may stay in out[] until net_stream_flush(). 0, -EAGAIN when the
 * frame must wait until a flush has succeeded, another -errno when the peer is gone.
 */
int net_stream_send(struct net_stream *stream, int fd, struct iovec *iov, unsigned int count,
		    size_t len);

/* Sends what is in out[]. Returns 0 when all of it went, -EAGAIN, or -errno as above. */
int net_stream_flush(struct net_stream *stream, int fd);

#endif
