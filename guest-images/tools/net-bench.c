// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * net-bench ADDRESS send|receive|turns COUNT: COUNT requests over one connection, of 64 KiB to or from
 * the peer, or of one byte there and one back. Prints
 *
 *	requests=N seconds=S us=MICROSECONDS-PER-REQUEST
 *
 * net-bench serve ADDRESS: the peer, of any number of them at a time; says "serving" when it is ready.
 *
 * An ADDRESS is tcp:IPV4:PORT, vsock:CID:PORT or unix:PATH. Any IPv4 address to serve at is 0.0.0.0,
 * any CID 4294967295.
 */
#define _GNU_SOURCE 1

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define CHUNK 65536

/* What the client wants, at the beginning of a connection. Both sides are of one architecture. */
struct request {
	uint64_t kind; /* 's', 'r' or 't' */
	uint64_t count;
};

union address {
	struct sockaddr any;
	struct sockaddr_in tcp;
	struct sockaddr_vm vsock;
	struct sockaddr_un local;
};

static char chunk[CHUNK];

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "net-bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

__attribute__((noreturn)) static void usage(void)
{
	fprintf(stderr, "usage: net-bench ADDRESS send|receive|turns COUNT\n"
			"       net-bench serve ADDRESS\n");
	exit(2);
}

static void parse_address(union address *address, char *text)
{
	char *first = strchr(text, ':');
	char *second = first ? strchr(first + 1, ':') : NULL;
	unsigned long port = second ? strtoul(second + 1, NULL, 10) : 0;

	memset(address, 0, sizeof(*address));
	if (!first)
		usage();
	*first++ = '\0';
	if (second)
		*second = '\0';
	if (strcmp(text, "unix") == 0) {
		address->local.sun_family = AF_UNIX;
		strncpy(address->local.sun_path, first, sizeof(address->local.sun_path) - 1);
	} else if (strcmp(text, "tcp") == 0 && inet_aton(first, &address->tcp.sin_addr)) {
		address->tcp.sin_family = AF_INET;
		address->tcp.sin_port = htons((uint16_t)port);
	} else if (strcmp(text, "vsock") == 0) {
		address->vsock.svm_family = AF_VSOCK;
		address->vsock.svm_cid = (unsigned int)strtoul(first, NULL, 10);
		address->vsock.svm_port = (unsigned int)port;
	} else {
		usage();
	}
}

static socklen_t address_size(const union address *address)
{
	switch (address->any.sa_family) {
	case AF_INET:
		return sizeof(address->tcp);
	case AF_VSOCK:
		return sizeof(address->vsock);
	default:
		return sizeof(address->local);
	}
}

static int open_socket(const union address *address)
{
	int sock = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sock < 0)
		die("socket");
	return sock;
}

/* A byte of a turn must not wait for another one. */
static void hurry(const union address *address, int sock)
{
	if (address->any.sa_family == AF_INET)
		setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
}

/* 0, or -1 when the peer has gone. */
static int send_all(int sock, const void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = write(sock, (const char *)data + done, len - done);

		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

static int receive_all(int sock, void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = read(sock, (char *)data + done, len - done);

		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

/* A byte from the client to its peer and back, for each turn. */
static int take_turns(int sock, uint64_t count, int is_client)
{
	int ret = 0;

	for (uint64_t i = 0; i < count && !ret; i++) {
		if (is_client)
			ret = send_all(sock, chunk, 1);
		if (!ret)
			ret = receive_all(sock, chunk, 1);
		if (!ret && !is_client)
			ret = send_all(sock, chunk, 1);
	}
	return ret;
}

/* Each request of the client's, by either side. Who receives says at the end that it has all. */
static int exchange(int sock, const struct request *request, int is_client)
{
	const int is_sender = (request->kind == 's') == is_client;
	int ret = 0;

	if (request->kind == 't')
		return take_turns(sock, request->count, is_client);
	for (uint64_t i = 0; i < request->count && !ret; i++)
		ret = is_sender ? send_all(sock, chunk, CHUNK) : receive_all(sock, chunk, CHUNK);
	if (ret)
		return ret;
	return is_sender ? receive_all(sock, chunk, 1) : send_all(sock, chunk, 1);
}

static void serve(const union address *address)
{
	int sock = open_socket(address);

	setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(sock, &address->any, address_size(address)) || listen(sock, 8))
		die("listen");
	signal(SIGCHLD, SIG_IGN);
	puts("serving");
	fflush(stdout);
	for (;;) {
		int peer = accept4(sock, NULL, NULL, SOCK_CLOEXEC);
		struct request request;

		if (peer < 0)
			die("accept");
		if (fork() == 0) {
			hurry(address, peer);
			if (!receive_all(peer, &request, sizeof(request)))
				(void)exchange(peer, &request, 0);
			_exit(0);
		}
		close(peer);
	}
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void load(const union address *address, const char *kind, uint64_t count)
{
	struct request request = { .kind = (uint64_t)kind[0], .count = count };
	int sock = open_socket(address);
	uint64_t begin, ns;

	if (connect(sock, &address->any, address_size(address)))
		die("connect");
	hurry(address, sock);
	begin = now_ns();
	if (send_all(sock, &request, sizeof(request)) || exchange(sock, &request, 1))
		die("the peer has gone");
	ns = now_ns() - begin;
	printf("requests=%llu seconds=%.6f us=%.2f\n", (unsigned long long)count, (double)ns / 1e9,
	       (double)ns / 1e3 / (double)count);
}

int main(int argc, char **argv)
{
	union address address;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && strcmp(argv[1], "serve") == 0) {
		parse_address(&address, argv[2]);
		serve(&address);
	}
	if (argc != 4 || !strchr("srt", argv[2][0]))
		usage();
	parse_address(&address, argv[1]);
	load(&address, argv[2], strtoull(argv[3], NULL, 10));
	return 0;
}
