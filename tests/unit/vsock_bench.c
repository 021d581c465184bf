/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/unit/vsock_bench.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/unix_peer.h"

#define W VIRTQ_DESC_F_WRITE

static int listen_at(struct vsock_bench *bench)
{
	const char *tmp = getenv("TMPDIR");
	struct sockaddr_un addr;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(bench->dir, sizeof(bench->dir), "%s/vsock-XXXXXX", tmp ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(bench->dir));
	snprintf(bench->path, sizeof(bench->path), "%s/socket", bench->dir);
	addr = unix_address(bench->path);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	cr_assert_eq(listen(fd, 512), 0);
	return fd;
}

/* Where the driver has its packets: behind the rings. */
static void place_buffers(struct vsock_bench *bench)
{
	for (uint16_t i = 0; i < BENCH_QUEUE_SIZE; i++) {
		struct mock_driver *driver = &bench->fe.queues[VSOCK_RX];

		bench->rx[i] = mock_alloc(driver, BENCH_BUFFER);
		mock_set_desc(mock_desc_table(driver), i,
			      (struct virtq_desc){ bench->rx[i], BENCH_BUFFER, W, 0 });
	}
	bench->tx = mock_alloc(&bench->fe.queues[VSOCK_TX],
			       sizeof(struct vsock_header) + BENCH_PAYLOAD);
}

void bench_start(struct vsock_bench *bench, bool confined)
{
	static const char *const settings[] = { "cid=3", NULL };
	struct device_options options = { .nr_backends = VSOCK_BACKENDS, .settings = settings };
	int fds[VSOCK_BACKENDS];
	int pair[2];

	*bench = (struct vsock_bench){ .buf_alloc = BENCH_CREDIT };
	fds[VSOCK_LISTENER] = listen_at(bench);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	bench->broker = pair[0];
	fds[VSOCK_BROKER] = pair[1];
	options.backend_fds = fds;
	mock_start(&bench->fe, "vsock", &options, confined);
	close(fds[VSOCK_LISTENER]);
	close(fds[VSOCK_BROKER]);
	mock_connect(&bench->fe, 3, BENCH_QUEUE_SIZE);
	place_buffers(bench);
}

void bench_stop(struct vsock_bench *bench)
{
	cr_expect_eq(mock_stop(&bench->fe), 0);
	close(bench->broker);
	unlink(bench->path);
	rmdir(bench->dir);
}

void bench_restart(struct vsock_bench *bench)
{
	mock_start_queue(&bench->fe, VSOCK_RX, BENCH_QUEUE_SIZE);
	mock_start_queue(&bench->fe, VSOCK_TX, BENCH_QUEUE_SIZE);
	place_buffers(bench);
}

void bench_give(struct vsock_bench *bench, uint16_t first, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		mock_submit(&bench->fe.queues[VSOCK_RX], first + i);
	mock_kick(&bench->fe, VSOCK_RX);
}

struct vsock_header bench_header(uint16_t op)
{
	return (struct vsock_header){
		.src_cid = BENCH_CID,
		.dst_cid = VSOCK_HOST_CID,
		.src_port = 1025,
		.dst_port = 80,
		.type = VSOCK_TYPE_STREAM,
		.op = op,
		.buf_alloc = BENCH_CREDIT,
	};
}

void bench_send_raw(struct vsock_bench *bench, const struct vsock_header *header,
		    const void *payload, uint32_t len)
{
	struct mock_driver *driver = &bench->fe.queues[VSOCK_TX];
	uint8_t *to = mock_ptr(driver, bench->tx);

	memcpy(to, header, sizeof(*header));
	if (len)
		memcpy(to + sizeof(*header), payload, len);
	mock_set_desc(mock_desc_table(driver), 0,
		      (struct virtq_desc){ bench->tx, sizeof(*header) + len, 0, 0 });
	mock_submit(driver, 0);
	cr_expect_eq(mock_complete(&bench->fe, VSOCK_TX).len, 0);
}

void bench_send(struct vsock_bench *bench, uint16_t op, uint32_t guest_port, uint32_t host_port,
		uint32_t flags, const void *payload, uint32_t len)
{
	struct vsock_header header = bench_header(op);

	header.src_port = guest_port;
	header.dst_port = host_port;
	header.len = len;
	header.flags = flags;
	header.buf_alloc = bench->buf_alloc;
	header.fwd_cnt = bench->fwd_cnt;
	bench_send_raw(bench, &header, payload, len);
}

void bench_say(struct vsock_bench *bench, const struct bench_stream *stream, uint16_t op,
	       uint32_t flags)
{
	bench_send(bench, op, stream->guest_port, stream->host_port, flags, NULL, 0);
}

void bench_write(struct vsock_bench *bench, const struct bench_stream *stream, const void *data,
		 uint32_t len)
{
	bench_send(bench, VSOCK_OP_RW, stream->guest_port, stream->host_port, 0, data, len);
}

bool bench_next(struct vsock_bench *bench, struct bench_packet *packet, int timeout_ms)
{
	struct mock_driver *driver = &bench->fe.queues[VSOCK_RX];
	struct virtq_used_elem elem;

	for (int ms = 0; !mock_take_used(driver, &elem); ms++) {
		if (ms == timeout_ms)
			return false;
		usleep(1000);
	}
	cr_assert_geq(elem.len, sizeof(packet->header));
	memcpy(packet, mock_ptr(driver, bench->rx[elem.id]), elem.len);
	cr_expect_eq(packet->header.len, elem.len - sizeof(packet->header));
	cr_expect_eq(packet->header.dst_cid, BENCH_CID);
	bench_give(bench, (uint16_t)elem.id, 1);
	return true;
}

struct bench_packet bench_wait(struct vsock_bench *bench)
{
	struct bench_packet packet = { 0 };

	cr_assert(bench_next(bench, &packet, MOCK_TIMEOUT), "a packet for the guest");
	return packet;
}

struct bench_packet bench_expect(struct vsock_bench *bench, uint16_t op, uint32_t guest_port,
				 uint32_t host_port)
{
	struct bench_packet packet = bench_wait(bench);

	cr_assert_eq(packet.header.op, op, "operation %u instead of %u", packet.header.op, op);
	cr_expect_eq(packet.header.src_cid, VSOCK_HOST_CID);
	cr_expect_eq(packet.header.src_port, host_port);
	cr_expect_eq(packet.header.dst_port, guest_port);
	cr_expect_eq(packet.header.type, VSOCK_TYPE_STREAM);
	return packet;
}

void bench_expect_silence(struct vsock_bench *bench)
{
	struct bench_packet packet;

	cr_expect_not(bench_next(bench, &packet, 50), "operation %u", packet.header.op);
}

int bench_client(struct vsock_bench *bench, const char *line)
{
	const struct sockaddr_un addr = unix_address(bench->path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	if (line[0])
		cr_assert_eq(send(fd, line, strlen(line), MSG_NOSIGNAL), (ssize_t)strlen(line));
	return fd;
}

void bench_expect_text(int fd, const char *text)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	size_t done = 0, len = strlen(text);
	char got[256] = "";

	do {
		ssize_t n;

		cr_assert_eq(poll(&pfd, 1, MOCK_TIMEOUT), 1, "'%s' after '%s'", text, got);
		n = recv(fd, got + done, len ? len - done : sizeof(got), 0);
		if (n <= 0)
			break;
		done += n;
	} while (done < len);
	cr_expect_str_eq(got, text);
}

struct vsock_broker_request bench_asked(struct vsock_bench *bench, uint32_t port)
{
	struct pollfd pfd = { .fd = bench->broker, .events = POLLIN };
	struct vsock_broker_request request = { 0 };

	cr_assert_eq(poll(&pfd, 1, MOCK_TIMEOUT), 1);
	cr_assert_eq(read(bench->broker, &request, sizeof(request)), sizeof(request));
	cr_expect_eq(request.port, port);
	return request;
}

void bench_answer(struct vsock_bench *bench, uint32_t id, int32_t status, int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(fd))] = { 0 };
	struct vsock_broker_answer answer = { id, status };
	struct iovec iov = { &answer, sizeof(answer) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *cmsg;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	}
	cr_assert_eq(sendmsg(bench->broker, &msg, 0), sizeof(answer));
}

struct bench_stream bench_open_by_client(struct vsock_bench *bench, uint32_t guest_port)
{
	struct bench_stream stream = { .guest_port = guest_port };
	struct bench_packet request;
	char line[32];

	snprintf(line, sizeof(line), "CONNECT %u\n", guest_port);
	stream.fd = bench_client(bench, line);
	request = bench_wait(bench);
	cr_assert_eq(request.header.op, VSOCK_OP_REQUEST);
	cr_expect_eq(request.header.dst_port, guest_port);
	stream.host_port = request.header.src_port;
	stream.buf_alloc = request.header.buf_alloc;
	bench_say(bench, &stream, VSOCK_OP_RESPONSE, 0);
	snprintf(line, sizeof(line), "OK %u\n", stream.host_port);
	bench_expect_text(stream.fd, line);
	return stream;
}

struct bench_stream bench_open_by_guest(struct vsock_bench *bench, uint32_t guest_port,
					uint32_t host_port)
{
	struct bench_stream stream = { .guest_port = guest_port, .host_port = host_port };
	int pair[2];

	bench_say(bench, &stream, VSOCK_OP_REQUEST, 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	bench_answer(bench, bench_asked(bench, host_port).id, 0, pair[1]);
	close(pair[1]);
	stream.fd = pair[0];
	stream.buf_alloc =
		bench_expect(bench, VSOCK_OP_RESPONSE, guest_port, host_port).header.buf_alloc;
	return stream;
}

void bench_expect_alive(struct vsock_bench *bench)
{
	struct bench_stream stream = bench_open_by_guest(bench, 60000, 60000);

	bench_write(bench, &stream, "alive", 5);
	bench_expect_text(stream.fd, "alive");
	bench_say(bench, &stream, VSOCK_OP_SHUTDOWN, VSOCK_SHUTDOWN_BOTH);
	bench_expect(bench, VSOCK_OP_RST, 60000, 60000);
	close(stream.fd);
}
