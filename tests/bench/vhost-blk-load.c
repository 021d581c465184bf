/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * vhost-blk-load SOCKET BYTES DEPTH COUNT poll|block COMMAND ARG...: starts COMMAND, a vhost-user-blk
 * back-end that listens at SOCKET, and makes it do COUNT random reads of BYTES, DEPTH at any time.
 * The back-end has CPU 1 and the load CPU 0; poll spins for completions, block sleeps. Prints
 *
 *	kiops=THOUSAND-REQUESTS-PER-SECOND cpu=MICROSECONDS kicks=N
 *
 * where cpu is the back-end's CPU time for one request, over all its threads and processes.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/process_tree.h"
#include "tests/bench/vhost_driver.h"

#define DEPTH_MAX  (VHOST_DRIVER_QUEUE_SIZE / 3)
#define CPU_LOAD   0
#define CPU_SERVER 1

struct load {
	struct vhost_driver driver;
	uint32_t bytes;
	unsigned int depth;
	unsigned long count;
	bool block;
	uint64_t random;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		perror("vhost-blk-load: sched_setaffinity");
}

static pid_t start_server(char **argv)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	pin(CPU_SERVER);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

static void wait_for_socket(const char *path)
{
	for (int ms = 0; ms < 5000 && access(path, F_OK); ms++)
		usleep(1000);
}

static void add_cpu_time(void *opaque, pid_t pid, pid_t tid)
{
	unsigned long long ns = 0;
	uint64_t *total = opaque;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", pid, tid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fscanf(file, "%llu", &ns) == 1)
		*total += ns;
	fclose(file);
}

static uint64_t cpu_ns(pid_t pid)
{
	uint64_t total = 0;

	process_tree_visit(pid, add_cpu_time, &total);
	return total;
}

static void end_process(void *opaque, pid_t pid, pid_t tid)
{
	(void)opaque;
	if (pid == tid)
		kill(pid, SIGTERM);
}

/* A device process in a pid namespace of its own hears no SIGTERM, but ends with its connection. */
static void end_server(struct load *load, pid_t server)
{
	close(load->driver.sock);
	usleep(100000);
	process_tree_visit(server, end_process, NULL);
	waitpid(server, NULL, 0);
}

static void submit(struct load *load, unsigned int slot)
{
	uint64_t sectors = load->bytes / 512;

	load->random = load->random * 6364136223846793005u + 1442695040888963407u;
	vhost_driver_submit(&load->driver, slot,
			    (load->random >> 33) % (load->driver.capacity / sectors) * sectors);
}

static int run(struct load *load, unsigned long count)
{
	unsigned long submitted = load->depth, done = 0;
	unsigned int slots[DEPTH_MAX];

	for (unsigned int slot = 0; slot < load->depth; slot++)
		submit(load, slot);
	vhost_driver_publish(&load->driver);
	while (done < count) {
		int n = vhost_driver_complete(&load->driver, slots, DEPTH_MAX, load->block);
		bool more = false;

		if (n < 0)
			return n;
		done += (unsigned long)n;
		for (int i = 0; i < n && submitted < count; i++, submitted++) {
			submit(load, slots[i]);
			more = true;
		}
		if (more)
			vhost_driver_publish(&load->driver);
	}
	return 0;
}

static int measure(struct load *load, pid_t server)
{
	uint64_t begin, cpu, kicks;
	/* The first time costs what no later time does. */
	int rc = run(load, load->count / 10 + load->depth);

	cpu = cpu_ns(server);
	kicks = load->driver.kicks;
	begin = now_ns();
	if (!rc)
		rc = run(load, load->count);
	if (rc) {
		fprintf(stderr, "vhost-blk-load: a request failed\n");
		return rc;
	}
	printf("kiops=%.1f", (double)load->count * 1e6 / (double)(now_ns() - begin));
	printf(" cpu=%.3f kicks=%llu\n", (double)(cpu_ns(server) - cpu) / 1e3 / (double)load->count,
	       (unsigned long long)(load->driver.kicks - kicks));
	return 0;
}

int main(int argc, char **argv)
{
	struct load load = { .random = 1 };
	pid_t server;
	int rc;

	if (argc < 7) {
		fprintf(stderr,
			"usage: vhost-blk-load SOCKET BYTES DEPTH COUNT poll|block COMMAND...\n");
		return 2;
	}
	load.bytes = (uint32_t)strtoul(argv[2], NULL, 10);
	load.depth = (unsigned int)strtoul(argv[3], NULL, 10);
	load.count = strtoul(argv[4], NULL, 10);
	load.block = strcmp(argv[5], "block") == 0;
	if (load.bytes < 512 || load.depth == 0 || load.depth > DEPTH_MAX) {
		fprintf(stderr, "vhost-blk-load: BYTES or DEPTH out of range\n");
		return 2;
	}
	unlink(argv[1]);
	server = start_server(argv + 6);
	wait_for_socket(argv[1]);
	usleep(100000); /* bound is not yet listening */
	pin(CPU_LOAD);
	rc = vhost_driver_connect(&load.driver, argv[1], load.bytes);
	if (!rc)
		rc = measure(&load, server);
	end_server(&load, server);
	return rc ? 1 : 0;
}
