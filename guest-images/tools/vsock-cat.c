// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vsock-cat connect CID PORT              standard input to the peer, the peer to standard output,
 *                                         until both have ended
 * vsock-cat listen PORT COMMAND [ARG]...  runs COMMAND for each peer, which is its input and output;
 *                                         says "listening" on standard output before the first
 * vsock-cat flood CID FIRST COUNT         asks for connections to COUNT ports from FIRST on without
 *                                         waiting for any, then leaves
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define FLOOD_AT_ONCE 400 /* sockets */

static int fail(const char *what)
{
	fprintf(stderr, "vsock-cat: %s: %s\n", what, strerror(errno));
	return 1;
}

static struct sockaddr_vm address(unsigned int cid, unsigned int port)
{
	return (struct sockaddr_vm){ .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
}

static unsigned int number(const char *text)
{
	return (unsigned int)strtoul(text, NULL, 10);
}

/* Returns 0 at the end of @from, -1 on an error. */
static int copy(int from, int to)
{
	static char bytes[65536];
	ssize_t n;

	while ((n = read(from, bytes, sizeof(bytes))) > 0) {
		for (ssize_t done = 0, put; done < n; done += put) {
			put = write(to, bytes + done, (size_t)(n - done));
			if (put < 0)
				return -1;
		}
	}
	return (int)n;
}

static int relay(int sock)
{
	int status = 0;
	pid_t sender = fork();

	if (sender < 0)
		return fail("fork");
	if (sender == 0) {
		status = copy(STDIN_FILENO, sock) ? fail("sending") : 0;
		shutdown(sock, SHUT_WR);
		_exit(status);
	}
	if (copy(sock, STDOUT_FILENO)) {
		kill(sender, SIGKILL);
		return fail("receiving");
	}
	if (waitpid(sender, &status, 0) != sender || status != 0)
		return 1;
	return 0;
}

static int connect_to(unsigned int cid, unsigned int port)
{
	struct sockaddr_vm peer = address(cid, port);
	int sock = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return fail("socket");
	if (connect(sock, (struct sockaddr *)&peer, sizeof(peer)))
		return fail("connect");
	return relay(sock);
}

static void run(int sock, char **command)
{
	dup2(sock, STDIN_FILENO);
	dup2(sock, STDOUT_FILENO);
	close(sock);
	execvp(command[0], command);
	_exit(fail(command[0]));
}

static int listen_at(unsigned int port, char **command)
{
	struct sockaddr_vm own = address(VMADDR_CID_ANY, port);
	int sock = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sock < 0 || bind(sock, (struct sockaddr *)&own, sizeof(own)) || listen(sock, 128))
		return fail("listen");
	signal(SIGCHLD, SIG_IGN);
	puts("listening");
	fflush(stdout);
	for (;;) {
		int peer = accept(sock, NULL, NULL);

		if (peer < 0)
			return fail("accept");
		if (fork() == 0)
			run(peer, command);
		close(peer);
	}
}

static int flood(unsigned int cid, unsigned int first, unsigned int count)
{
	int socks[FLOOD_AT_ONCE];

	for (unsigned int i = 0; i < count; i++) {
		struct sockaddr_vm peer = address(cid, first + i);
		int sock = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		if (sock < 0)
			return fail("socket");
		if (!connect(sock, (struct sockaddr *)&peer, sizeof(peer)) || errno != EINPROGRESS)
			return fail("connect");
		if (i >= FLOOD_AT_ONCE)
			close(socks[i % FLOOD_AT_ONCE]);
		socks[i % FLOOD_AT_ONCE] = sock;
	}
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && !strcmp(argv[1], "connect"))
		return connect_to(number(argv[2]), number(argv[3]));
	if (argc > 3 && !strcmp(argv[1], "listen"))
		return listen_at(number(argv[2]), argv + 3);
	if (argc == 5 && !strcmp(argv[1], "flood"))
		return flood(number(argv[2]), number(argv[3]), number(argv[4]));
	fprintf(stderr, "usage: vsock-cat connect CID PORT | listen PORT COMMAND [ARG]... | "
			"flood CID FIRST COUNT\n");
	return 2;
}
