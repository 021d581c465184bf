/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A passt under test, or what stands for it. As root, there is nothing but a loopback interface around
 * it, else whatever this machine has.
 */
#ifndef TESTS_UNIT_NET_PASST_BENCH_H
#define TESTS_UNIT_NET_PASST_BENCH_H

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/unit/empty_network.h"
#include "tests/unit/fd_count.h"
#include "vmm/net_host.h"

#define TIMEOUT_MS 5000

static bool alone; /* in an empty network */

static inline void enter(void)
{
	cr_redirect_stderr();
	alone = empty_network_enter();
}

static inline void expect_line(const char *text)
{
	char line[1024] = "";

	cr_assert_not_null(fgets(line, sizeof(line), cr_get_redirected_stderr()));
	cr_expect_eq(strncmp(line, "minivmm: --net: user: passt: ", 29), 0, "%s", line);
	cr_expect_not_null(strstr(line, text), "%s: not %s", line, text);
}

/* A passt that runs and is watched. */
struct bench {
	struct config_net net;
	struct main_loop loop;
	struct net_host host;
	unsigned int fds; /* before */
};

static inline void open_bench(struct bench *bench, char *forward)
{
	bench->fds = fd_count();
	bench->net = (struct config_net){ .kind = CONFIG_NET_USER };
	if (forward)
		bench->net.forwards[bench->net.nr_forwards++] = forward;
	cr_assert_eq(main_loop_init(&bench->loop), 0);
	cr_assert_eq(net_host_open(&bench->host, &bench->net, 1), 0);
	cr_assert_eq(bench->host.nr_fds, 1);
	cr_assert_gt(bench->host.passt.pid, 0);
}

static inline void start_bench(struct bench *bench, char *forward)
{
	open_bench(bench, forward);
	cr_assert_eq(net_host_watch(&bench->host, &bench->loop), 0);
}

static inline void close_bench(struct bench *bench)
{
	pid_t pid = bench->host.passt.pid;

	net_host_close(&bench->host);
	main_loop_destroy(&bench->loop);
	cr_expect_eq(waitpid(pid, NULL, WNOHANG), -1, "it was reaped");
	cr_expect_eq(fd_count(), bench->fds);
}

/* Runs handlers until passt has ended. */
static inline void run_until_end(struct bench *bench)
{
	while (bench->loop.sources[0].fd >= 0 || bench->loop.sources[1].fd >= 0) {
		struct pollfd ready = { .fd = bench->loop.epoll_fd, .events = POLLIN };

		cr_assert_eq(poll(&ready, 1, TIMEOUT_MS), 1);
		for (size_t i = 0; i < bench->loop.nr_sources; i++) {
			struct main_loop_source *source = &bench->loop.sources[i];
			struct pollfd one = { .fd = source->fd, .events = POLLIN };

			if (source->fd >= 0 && poll(&one, 1, 0) > 0)
				source->handler(source->opaque, POLLIN);
		}
	}
}

#endif
