/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The hostile device process: the program that minivmm's worker.c executes in the place of
 * minivmm-device. It goes through the whole start of a device process, with the code of
 * devices/core/, keeps what it can get hold of, and then attacks.
 */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/core/backend.h"
#include "devices/core/sandbox.h"
#include "tests/attack/attack.h"
#include "tests/attack/layers.h"
#include "tests/attack/liar.h"

#define LATER_FDS 8

static struct target target = { .pool_fd = -1, .backend_fd = -1 };
static const struct attack *attack;
static struct device device;

void real_close_fds(struct vhost_user_msg *msg) __asm__("__real_vhost_user_close_fds");
void wrap_close_fds(struct vhost_user_msg *msg) __asm__("__wrap_vhost_user_close_fds");
int real_seal(const struct sandbox *sandbox) __asm__("__real_sandbox_seal");
int wrap_seal(const struct sandbox *sandbox) __asm__("__wrap_sandbox_seal");

/* A device process would close its pool's descriptor now. */
void wrap_close_fds(struct vhost_user_msg *msg)
{
	if (layers_building && msg->hdr.request == VHOST_USER_SET_MEM_TABLE && msg->nr_fds > 0) {
		target.pool_fd = msg->fds[0];
		msg->fds[0] = -1;
	}
	real_close_fds(msg);
}

__attribute__((noreturn)) static void tell(const char *word, const uint8_t *secret)
{
	char line[64] = "";
	int len = snprintf(line, sizeof(line), "attack: %s ", word);

	for (int i = 0; secret && i < SECRET_LEN; i++)
		len += snprintf(line + len, sizeof(line) - (size_t)len, "%02x", secret[i]);
	line[len++] = '\n';
	(void)!write(STDERR_FILENO, line, (size_t)len);
	/* The front-end still waits for an answer. */
	if (attack->run_early)
		_exit(EXIT_SUCCESS);
	for (;;) {
		struct epoll_event event;

		(void)epoll_pwait(device.loop.epoll_fd, &event, 1, -1, NULL);
	}
}

__attribute__((noreturn)) static void make(int (*run)(const struct target *, uint8_t *))
{
	uint8_t secret[SECRET_LEN] = { 0 };
	int rc = run(&target, secret);

	if (rc == 0)
		tell("done", attack->evidence == EVIDENCE_SECRET ? secret : NULL);
	tell(rc == -ENOSYS ? "absent" : "denied", NULL);
}

static void learn_pool(void)
{
	target.pool = device.dma.windows[0].host;
	target.pool_size = device.dma.windows[0].size;
}

int wrap_seal(const struct sandbox *sandbox)
{
	if (layers_building && attack->run_early) {
		layers_building = false;
		learn_pool();
		make(attack->run_early);
	}
	return real_seal(sandbox);
}

static void parse_number(const char *text, const char *name, uint64_t *value)
{
	const size_t len = strlen(name);

	if (strncmp(text, name, len) == 0 && text[len] == '=')
		*value = strtoull(text + len + 1, NULL, 16);
}

static void parse(int argc, char **argv)
{
	uint64_t removed = 0, vmm = 0, ram = 0, other = 0, other_fd = 0, port = 0;

	for (int i = 2; i < argc; i++) {
		if (strncmp(argv[i], "attack=", 7) == 0)
			attack = attack_find(argv[i] + 7);
		if (strncmp(argv[i], "dir=", 4) == 0)
			snprintf(target.dir, sizeof(target.dir), "%s", argv[i] + 4);
		if (strncmp(argv[i], "--backend-fd=", 13) == 0)
			target.backend_fd = (int)strtol(argv[i] + 13, NULL, 10);
		parse_number(argv[i], "removed", &removed);
		parse_number(argv[i], "vmm", &vmm);
		parse_number(argv[i], "ram", &ram);
		parse_number(argv[i], "other", &other);
		parse_number(argv[i], "other-fd", &other_fd);
		parse_number(argv[i], "port", &port);
	}
	layers_removed = removed;
	target.vmm = (pid_t)vmm;
	target.ram = (const uint8_t *)ram;
	target.other = (const uint8_t *)other;
	target.other_fd = (int)other_fd;
	target.port = (uint16_t)port;
}

/* As serve() and confine_and_run() of devices/main.c, up to a running queue. */
static int serve(const char *kind, int sock)
{
	/* Of the disk, where there is one. */
	const char *const settings[] = { target.backend_fd >= 0 ? "ro" : NULL, NULL };
	const struct device_options options = {
		.backend_fds = &target.backend_fd,
		.nr_backends = target.backend_fd >= 0,
		.settings = settings,
	};
	int fds[] = { sock, -1, target.backend_fd, -1 };
	struct sandbox sandbox = { .full = true, .fds = fds, .later_fds = LATER_FDS };
	struct backend backend = { .device = &device, .sandbox = &sandbox, .sock = sock };
	int rc = device_create(&device, device_kind_find(kind), &options);

	if (rc)
		return rc;
	fds[1] = device.loop.epoll_fd;
	sandbox.syscalls = device.ops->syscalls;
	sandbox.ioctls = device.ops->ioctls;
	sandbox.writes_files = device.ops->writes_files;
	rc = sandbox_enter(&sandbox);
	while (!rc && !device.queues[0].running)
		rc = backend_handle_message(&backend) > 0 ? 0 : -EIO;
	return rc;
}

/* A disk of minivmm's own making, told apart by its serial number: it may lie. */
static int serve_disk(int argc, char **argv)
{
	const char *settings[16] = { NULL };
	const struct device_options options = {
		.backend_fds = &target.backend_fd,
		.nr_backends = 1,
		.settings = settings,
	};
	size_t n = 0;

	for (int i = 2; i < argc && n < 15; i++)
		if (strncmp(argv[i], "--", 2) != 0)
			settings[n++] = argv[i];
	signal(SIGPIPE, SIG_IGN);
	mallopt(M_TRIM_THRESHOLD, INT_MAX);
	mallopt(M_MMAP_MAX, 0);
	return liar_main(argv[1], 3, &options);
}

int worker_main(int argc, char **argv)
{
	const char *serial = NULL;
	int rc;

	parse(argc, argv);
	for (int i = 2; i < argc; i++)
		if (strncmp(argv[i], "serial=", 7) == 0)
			serial = argv[i] + 7;
	if (serial && liar_knows(serial))
		return serve_disk(argc, argv);
	if (argc < 2 || !attack)
		return EXIT_FAILURE;
	layers_building = true;
	mallopt(M_TRIM_THRESHOLD, INT_MAX);
	mallopt(M_MMAP_MAX, 0);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	/* Descriptor 3 is the socket, see vmm/vhost/worker.h. */
	rc = serve(argv[1], 3);
	layers_building = false;
	if (rc)
		return EXIT_FAILURE;
	learn_pool();
	make(attack->run);
}
