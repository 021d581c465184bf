/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * endurance DEVICE KIND REQUESTS RESETS KILLS: makes the device process of KIND (DEVICE is the path of
 * minivmm-device) serve so many requests of each queue, then resets it so often, then kills it so often, with requests
 * in flight where that is defined, and looks at every answer. Prints one line of NAME=VALUE with what
 * was done and what grew; fails when an answer was wrong, or when memory or descriptors grew.
 */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/endurance/series.h"
#include "tests/endurance/server.h"
#include "tests/endurance/traffic.h"

#define RSS_GROWTH_KIB 1024 /* at most */
#define BURST	       200  /* requests between two resets or kills, at most */

static const struct traffic *const traffics[] = {
	&blk_traffic, &console_traffic, &net_traffic, &rng_traffic, &vsock_traffic,
};

/* What is compared over time: the device process while it lives, and the server and its successors. */
struct watch {
	struct series rss;
	struct series fds;
};

struct endurance {
	struct run run;
	char socket[128];
	pid_t server;
	unsigned long requests;
	unsigned long resets;
	unsigned long kills;
	struct watch one_life;
	struct watch lives;
	struct watch parent;
	double worst_restart; /* seconds from a kill to the next answer */
};

uint32_t run_random(struct run *run, uint32_t limit)
{
	run->random = run->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((run->random >> 33) % limit);
}

void run_add_word(struct run *run, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(run->words[run->nr_words++], sizeof(run->words[0]), format, args);
	va_end(args);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int watch_add(struct watch *watch, pid_t pid)
{
	struct usage usage;
	int rc = usage_read(pid, &usage);

	if (!rc) {
		series_add(&watch->rss, (double)usage.rss_kib);
		series_add(&watch->fds, (double)usage.fds);
	}
	return rc;
}

/* One step, and a sleep if it found nothing to do. */
static int step(struct run *run, bool more)
{
	int rc = run->traffic->step(run, more);
	short events;
	int host;

	if (rc)
		return rc < 0 ? rc : 0;
	host = run->traffic->host(run, &events);
	return driver_wait(&run->driver, host, events);
}

static int serve(struct run *run, uint64_t requests)
{
	const uint64_t target = driver_completed(&run->driver) + requests;
	int rc = 0;

	while (!rc && driver_completed(&run->driver) < target)
		rc = step(run, true);
	return rc;
}

static int come_to_rest(struct run *run)
{
	int rc = 0;

	while (!rc && !run->traffic->at_rest(run))
		rc = step(run, false);
	return rc;
}

/* Some requests, the last of which are in flight when this returns, if that is allowed. */
static int burst(struct run *run)
{
	int rc = serve(run, 1 + run_random(run, BURST));

	if (rc || !run->traffic->interruptible)
		return rc ? rc : come_to_rest(run);
	rc = run->traffic->step(run, true);
	return rc < 0 ? rc : 0;
}

static int many_requests(struct endurance *e)
{
	const unsigned long part = e->requests / (SERIES_MAX / 2) + 1;
	unsigned long done = 0;
	int rc = 0;

	for (; !rc && done < e->requests; done += part) {
		rc = serve(&e->run, part);
		if (!rc)
			rc = watch_add(&e->one_life, server_device(e->server));
	}
	return rc ? rc : come_to_rest(&e->run);
}

static int reset(struct run *run)
{
	int rc = driver_stop(&run->driver);

	/* What was taken is done: it is looked at as well. At rest there is nothing. */
	if (!rc && run->traffic->interruptible)
		rc = run->traffic->step(run, false);
	if (rc >= 0)
		rc = driver_restart(&run->driver);
	return rc ? rc : run->traffic->begin(run);
}

static int many_resets(struct endurance *e)
{
	const unsigned long part = e->resets / (SERIES_MAX / 2) + 1;
	int rc = 0;

	for (unsigned long i = 0; !rc && i < e->resets; i++) {
		rc = burst(&e->run);
		if (!rc && i % part == 0)
			rc = watch_add(&e->one_life, server_device(e->server));
		if (!rc)
			rc = reset(&e->run);
	}
	return rc;
}

/* At any moment, also in the middle of a request. */
static int kill_device(struct endurance *e)
{
	pid_t device = server_device(e->server);
	double begin;
	int rc;

	usleep(run_random(&e->run, 300));
	begin = now();
	if (device <= 0 || kill(device, SIGKILL)) {
		fprintf(stderr, "endurance: there is no device process\n");
		return -ESRCH;
	}
	rc = driver_reconnect(&e->run.driver);
	if (!rc)
		rc = e->run.traffic->resume(&e->run);
	if (!rc)
		rc = come_to_rest(&e->run);
	e->worst_restart = fmax(e->worst_restart, now() - begin);
	return rc;
}

static int many_kills(struct endurance *e)
{
	const unsigned long part = e->kills / (SERIES_MAX / 2) + 1;
	int rc = 0;

	for (unsigned long i = 0; !rc && i < e->kills; i++) {
		rc = burst(&e->run);
		if (!rc)
			rc = kill_device(e);
		if (!rc)
			rc = burst(&e->run);
		if (!rc && i % part == 0)
			rc = watch_add(&e->lives, server_device(e->server));
		if (!rc && i % part == 0)
			rc = watch_add(&e->parent, e->server);
	}
	return rc ? rc : come_to_rest(&e->run);
}

static int start_device(struct endurance *e, const char *exe)
{
	struct run *run = &e->run;
	char *argv[TRAFFIC_MAX_WORDS + 5];
	unsigned int n = 0;
	int rc = run->traffic->prepare(run);

	if (rc) {
		fprintf(stderr, "endurance: %s: %s\n", run->traffic->kind, strerror(-rc));
		return rc;
	}
	snprintf(e->socket, sizeof(e->socket), "%s/socket", run->folder);
	argv[n++] = (char *)exe;
	argv[n++] = (char *)run->traffic->kind;
	for (unsigned int i = 0; i < run->nr_words; i++)
		argv[n++] = run->words[i];
	argv[n++] = (char *)"--socket-path";
	argv[n++] = e->socket;
	argv[n] = NULL;
	e->server = server_start(e->socket, argv);
	return e->server > 0 ? 0 : -EIO;
}

static int endure(struct endurance *e)
{
	struct run *run = &e->run;
	int rc = driver_open(&run->driver, e->socket, run->traffic->nr_queues);

	if (!rc)
		rc = run->traffic->begin(run);
	if (!rc)
		rc = many_requests(e);
	if (!rc)
		rc = many_resets(e);
	return rc ? rc : many_kills(e);
}

/* Prints the line of figures; -EOVERFLOW when there is more than there should be. */
static int judge(const struct endurance *e, double seconds)
{
	const struct watch *watches[] = { &e->one_life, &e->lives, &e->parent };
	double rss = 0, fds = 0;
	uint64_t wraps = 0;

	for (unsigned int i = 0; i < sizeof(watches) / sizeof(watches[0]); i++) {
		rss = fmax(rss, series_growth(&watches[i]->rss));
		fds = fmax(fds, fabs(series_rise(&watches[i]->fds)));
	}
	for (unsigned int i = 0; i < e->run.driver.nr_queues; i++)
		wraps += e->run.driver.queues[i].wraps;
	printf("kind=%s requests=%llu wraps=%llu resets=%lu kills=%lu seconds=%.0f rss_kib=%.0f "
	       "fds=%.0f restart_ms=%.0f\n",
	       e->run.traffic->kind, (unsigned long long)driver_completed(&e->run.driver),
	       (unsigned long long)wraps, e->resets, e->kills, seconds, rss, fds,
	       e->worst_restart * 1e3);
	if (rss <= RSS_GROWTH_KIB && fds == 0)
		return 0;
	fprintf(stderr, "endurance: %s: memory or descriptors grew\n", e->run.traffic->kind);
	return -EOVERFLOW;
}

static void remove_folder(const char *path)
{
	const struct dirent *entry;
	DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(path);
}

int main(int argc, char **argv)
{
	static struct endurance endurance;
	struct endurance *e = &endurance;
	char folder[] = "/dev/shm/endurance-XXXXXX";
	double begin = now();
	int rc;

	for (size_t i = 0; argc == 6 && i < sizeof(traffics) / sizeof(traffics[0]); i++)
		if (strcmp(traffics[i]->kind, argv[2]) == 0)
			e->run.traffic = traffics[i];
	if (!e->run.traffic || !mkdtemp(folder)) {
		fprintf(stderr, "usage: endurance DEVICE KIND REQUESTS RESETS KILLS\n");
		return 2;
	}
	e->run.folder = folder;
	e->run.random = 1;
	/* Those of each queue. */
	e->requests = strtoul(argv[3], NULL, 10) * e->run.traffic->nr_queues;
	e->resets = strtoul(argv[4], NULL, 10);
	e->kills = strtoul(argv[5], NULL, 10);
	rc = start_device(e, argv[1]);
	if (!rc) {
		rc = endure(e);
		if (!rc)
			rc = judge(e, now() - begin);
		server_end(e->server);
	}
	remove_folder(folder);
	return rc ? 1 : 0;
}
