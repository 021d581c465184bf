/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/unit/mock_frontend.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/core/backend.h"
#include "devices/core/sandbox.h"
#include "tests/unit/mock_process.h"

#define MAX_ARGS (DEVICE_MAX_BACKENDS + 16)

static void run_executable(const char *path, const char *kind, const struct device_options *options,
			   int sock, bool confined)
{
	char control[24], backends[DEVICE_MAX_BACKENDS][24];
	const char *argv[MAX_ARGS + 1] = { path, kind, control };
	int argc = 3;

	fcntl(sock, F_SETFD, 0);
	snprintf(control, sizeof(control), "--control-fd=%d", sock);
	for (unsigned int i = 0; i < options->nr_backends; i++) {
		fcntl(options->backend_fds[i], F_SETFD, 0);
		snprintf(backends[i], sizeof(backends[i]), "--backend-fd=%d",
			 options->backend_fds[i]);
		argv[argc++] = backends[i];
	}
	if (!confined)
		argv[argc++] = "--sandbox=off";
	for (const char *const *setting = options->settings; setting && *setting && argc < MAX_ARGS;
	     setting++)
		argv[argc++] = *setting;
	execv(path, (char **)argv);
	_exit(127);
}

static bool is_backend(const struct device_options *options, int fd)
{
	for (unsigned int i = 0; i < options->nr_backends; i++) {
		if (options->backend_fds[i] == fd)
			return true;
	}
	return false;
}

static int run_here(const char *kind, const struct device_options *options, int sock, bool confined,
		    bool foreign)
{
	struct device device;
	struct sandbox sandbox = { .full = confined, .keeps_mapping = foreign };
	struct backend backend = { .device = &device, .sandbox = &sandbox, .sock = sock };
	int fds[DEVICE_MAX_BACKENDS + 3];

	/* As at an exec: what the test has open is not the device's. */
	for (int fd = STDERR_FILENO + 1; fd < 256; fd++) {
		if (fd != sock && !is_backend(options, fd))
			close(fd);
	}
	if (device_create(&device, device_kind_find(kind), options))
		return 1;
	fds[0] = sock;
	fds[1] = device.loop.epoll_fd;
	for (unsigned int i = 0; i < device.nr_backends; i++)
		fds[2 + i] = device.backends[i].fd;
	fds[2 + device.nr_backends] = -1;
	sandbox.fds = fds;
	sandbox.syscalls = device.ops->syscalls;
	sandbox.ioctls = device.ops->ioctls;
	sandbox.later_fds = 3 * DEVICE_MAX_QUEUES + 2 + device.ops->max_fds +
			    (foreign ? VHOST_USER_MAX_FDS : 0);
	sandbox.writes_files = device.ops->writes_files;
	if (sandbox_enter(&sandbox) || backend_run(&backend))
		return 1;
	device_destroy(&device);
	return 0;
}

static void write_file(pid_t pid, const char *name, const char *text)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		perror(path);
	close(fd);
}

/* Our user becomes root of the new user namespace, or exec would take the capabilities away. */
static void map_user(pid_t pid)
{
	char map[32];

	write_file(pid, "setgroups", "deny");
	snprintf(map, sizeof(map), "0 %d 1", geteuid());
	write_file(pid, "uid_map", map);
	snprintf(map, sizeof(map), "0 %d 1", getegid());
	write_file(pid, "gid_map", map);
}

static void run_device(const char *kind, const struct device_options *options, int sock,
		       bool confined, bool foreign, int log)
{
	/* It believes to serve minivmm on any socket that it is given. */
	const char *executable = foreign ? NULL : getenv("MINIVMM_DEVICE");

	/* What a device says of bad messages would be all over the results; a missing layer is news. */
	if (log >= 0)
		dup2(log, STDERR_FILENO);
	else if (!confined)
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
	/* An executable has to do this by itself. */
	signal(SIGPIPE, executable ? SIG_DFL : SIG_IGN);
	signal(SIGXFSZ, executable ? SIG_DFL : SIG_IGN);
	if (executable)
		run_executable(executable, kind, options, sock, confined);
	_exit(run_here(kind, options, sock, confined, foreign));
}

static void start_process(struct mock_frontend *fe, const char *kind,
			  const struct device_options *options, bool confined, bool foreign)
{
	int pair[2], gate[2], log = -1;
	char byte;

	if (!foreign && mock_process_wanted()) {
		confined = true;
		log = mock_process_log(fe);
	}
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(pipe2(gate, O_CLOEXEC), 0);
	fe->sock = pair[0];
	fe->pid = syscall(SYS_clone, (confined ? SANDBOX_NAMESPACES : 0) | SIGCHLD, 0, 0, 0, 0);
	cr_assert_geq(fe->pid, 0, "a process%s", confined ? " in namespaces of its own" : "");
	if (fe->pid == 0) {
		close(pair[0]);
		close(gate[1]);
		if (read(gate[0], &byte, 1) == 0)
			run_device(kind, options, pair[1], confined, foreign, log);
		_exit(126);
	}
	if (confined)
		map_user(fe->pid);
	close(gate[0]);
	close(gate[1]);
	close(pair[1]);
	if (log >= 0)
		close(log);
}

static void start(struct mock_frontend *fe, const char *kind, const struct device_options *options,
		  bool confined, bool foreign)
{
	memset(fe, 0, sizeof(*fe));
	fe->kept_fd = -1;
	fe->log = -1;
	fe->window = (struct vhost_user_memory_region){ MOCK_BASE, MOCK_POOL, MOCK_USER_BASE, 0 };
	fe->protocol_features =
		1ull << VHOST_USER_PROTOCOL_F_MQ | 1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK |
		1ull << VHOST_USER_PROTOCOL_F_BACKEND_REQ | 1ull << VHOST_USER_PROTOCOL_F_CONFIG |
		1ull << VHOST_USER_PROTOCOL_F_MINIVMM_REPORT |
		1ull << VHOST_USER_PROTOCOL_F_MINIVMM_KEPT;
	for (unsigned int i = 0; i < DEVICE_MAX_QUEUES; i++)
		fe->kick[i] = fe->call[i] = fe->err[i] = -1;
	start_process(fe, kind, options, confined, foreign);
}

void mock_start(struct mock_frontend *fe, const char *kind, const struct device_options *options,
		bool confined)
{
	start(fe, kind, options, confined, false);
}

void mock_start_foreign(struct mock_frontend *fe, const char *kind,
			const struct device_options *options, bool confined)
{
	start(fe, kind, options, confined, true);
}

int mock_wait(struct mock_frontend *fe)
{
	int status = 0;

	for (int ms = 0; ms < MOCK_TIMEOUT; ms += 5) {
		if (waitpid(fe->pid, &status, WNOHANG) == fe->pid) {
			cr_expect(mock_fences_intact(fe), "bytes beside the pool have changed");
			mock_process_check_log(fe);
			return status;
		}
		usleep(5000);
	}
	kill(fe->pid, SIGKILL);
	waitpid(fe->pid, &status, 0);
	cr_assert_fail("the device process did not end");
	return status;
}

int mock_stop(struct mock_frontend *fe)
{
	mock_process_check_memory(fe);
	close(fe->sock);
	fe->sock = -1;
	return mock_wait(fe);
}

void mock_send(struct mock_frontend *fe, uint32_t request, uint32_t flags, const void *payload,
	       uint32_t size, int fd)
{
	struct vhost_user_msg msg = { .hdr = { request, VHOST_USER_VERSION | flags, size },
				      .fds = { fd },
				      .nr_fds = fd >= 0 };

	if (size)
		memcpy(msg.payload.bytes, payload, size);
	/* The back-end may be gone already: what it did is seen in its answer. */
	(void)vhost_user_send(fe->sock, &msg);
}

bool mock_reply(struct mock_frontend *fe, uint32_t request, void *payload, uint32_t size)
{
	struct vhost_user_msg msg;
	int rc = vhost_user_recv(fe->sock, &msg, MOCK_TIMEOUT);

	cr_assert_neq(rc, -ETIMEDOUT, "an answer to %s", vhost_user_request_name(request));
	if (rc <= 0)
		return false;
	cr_assert_eq(msg.hdr.request, request);
	cr_assert_eq(msg.hdr.flags, VHOST_USER_VERSION | VHOST_USER_REPLY);
	cr_assert_eq(msg.hdr.size, size);
	cr_assert_eq(msg.nr_fds, 0);
	memcpy(payload, msg.payload.bytes, size);
	return true;
}

int mock_ack(struct mock_frontend *fe, uint32_t request, const void *payload, uint32_t size, int fd)
{
	uint64_t value;

	mock_send(fe, request, VHOST_USER_NEED_REPLY, payload, size, fd);
	return mock_reply(fe, request, &value, sizeof(value)) ? (int)value : -1;
}

int mock_ack_u64(struct mock_frontend *fe, uint32_t request, uint64_t value, int fd)
{
	return mock_ack(fe, request, &value, sizeof(value), fd);
}

int mock_ack_state(struct mock_frontend *fe, uint32_t request, uint32_t index, uint32_t num)
{
	const struct vhost_user_vring_state state = { index, num };

	return mock_ack(fe, request, &state, sizeof(state), -1);
}

uint64_t mock_get_u64(struct mock_frontend *fe, uint32_t request)
{
	uint64_t value = 0;

	mock_send(fe, request, 0, NULL, 0, -1);
	cr_assert(mock_reply(fe, request, &value, sizeof(value)));
	return value;
}

void mock_negotiate(struct mock_frontend *fe, uint64_t without_features)
{
	fe->features = mock_get_u64(fe, VHOST_USER_GET_FEATURES) & ~without_features;
	cr_assert_eq(mock_get_u64(fe, VHOST_USER_GET_PROTOCOL_FEATURES), fe->protocol_features);
	/* The first request that can be acknowledged is the one that makes it so. */
	cr_assert_eq(mock_ack_u64(fe, VHOST_USER_SET_PROTOCOL_FEATURES, fe->protocol_features, -1),
		     0);
	cr_assert_eq(mock_ack(fe, VHOST_USER_SET_OWNER, NULL, 0, -1), 0);
	cr_assert_eq(mock_ack_u64(fe, VHOST_USER_SET_FEATURES, fe->features, -1), 0);
}

static int send_window(struct mock_frontend *fe)
{
	struct vhost_user_memory memory = { .nregions = 1, .regions = { fe->window } };

	memory.regions[0].mmap_offset += MOCK_FENCE;
	return mock_ack(fe, VHOST_USER_SET_MEM_TABLE, &memory, 40, fe->pool_fd);
}

static uint8_t fence_byte(size_t i)
{
	return (uint8_t)(i * 7 + (i >> 8) + 1);
}

bool mock_fences_intact(const struct mock_frontend *fe)
{
	bool intact = true;

	for (size_t i = 0; fe->pool && i < MOCK_FENCE; i++)
		intact &= fe->pool[i - MOCK_FENCE] == fence_byte(i) &&
			  fe->pool[i + MOCK_POOL] == fence_byte(i);
	return intact;
}

void mock_share_pool(struct mock_frontend *fe)
{
	const size_t len = MOCK_FENCE + MOCK_POOL + MOCK_FENCE;
	uint8_t *file;

	fe->pool_fd = memfd_create("pool", MFD_CLOEXEC);
	cr_assert_geq(fe->pool_fd, 0);
	cr_assert_eq(ftruncate(fe->pool_fd, len), 0);
	file = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fe->pool_fd, 0);
	cr_assert_neq(file, MAP_FAILED);
	fe->pool = file + MOCK_FENCE;
	for (size_t i = 0; i < MOCK_FENCE; i++)
		fe->pool[i - MOCK_FENCE] = fe->pool[i + MOCK_POOL] = fence_byte(i);
	cr_assert_eq(send_window(fe), 0);
	fe->memory = mock_process_memory(fe);
}

int mock_move_pool(struct mock_frontend *fe, uint64_t base, uint64_t user_base)
{
	fe->window.guest_phys_addr = base;
	fe->window.userspace_addr = user_base;
	return send_window(fe);
}

void mock_keep(struct mock_frontend *fe)
{
	if (fe->kept_fd < 0) {
		fe->kept_fd = memfd_create("kept", MFD_CLOEXEC);
		cr_assert_eq(ftruncate(fe->kept_fd, VHOST_USER_KEPT_SIZE), 0);
	}
	cr_assert_eq(mock_ack(fe, VHOST_USER_MINIVMM_SET_KEPT, NULL, 0, fe->kept_fd), 0);
}

static int fresh_eventfd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	cr_assert_geq(*fd, 0);
	return *fd;
}

/* The rings are there, the base is known or told. */
static void run_queue(struct mock_frontend *fe, unsigned int index)
{
	const struct mock_driver *driver = &fe->queues[index];
	const uint64_t to_user = fe->window.userspace_addr - fe->window.guest_phys_addr;
	const struct vhost_user_vring_addr addr = {
		.index = index,
		.descriptor = driver->desc + to_user,
		.available = driver->avail + to_user,
		.used = driver->used + to_user,
	};

	cr_assert_eq(mock_ack_state(fe, VHOST_USER_SET_VRING_NUM, index, driver->size), 0);
	cr_assert_eq(mock_ack(fe, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), -1), 0);
	cr_assert_eq(
		mock_ack_u64(fe, VHOST_USER_SET_VRING_CALL, index, fresh_eventfd(&fe->call[index])),
		0);
	cr_assert_eq(
		mock_ack_u64(fe, VHOST_USER_SET_VRING_ERR, index, fresh_eventfd(&fe->err[index])),
		0);
	cr_assert_eq(
		mock_ack_u64(fe, VHOST_USER_SET_VRING_KICK, index, fresh_eventfd(&fe->kick[index])),
		0);
	cr_assert_eq(mock_ack_state(fe, VHOST_USER_SET_VRING_ENABLE, index, 1), 0);
}

void mock_start_queue(struct mock_frontend *fe, unsigned int index, uint16_t size)
{
	const uint64_t base = fe->window.guest_phys_addr;

	/* Each queue has a megabyte of the pool. */
	mock_driver_init(&fe->queues[index], fe->pool + fe->window.mmap_offset, base,
			 base + ((uint64_t)index << 20), size, 0);
	cr_assert_eq(mock_ack_state(fe, VHOST_USER_SET_VRING_BASE, index, 0), 0);
	run_queue(fe, index);
}

void mock_succeed(struct mock_frontend *fe, const char *kind, const struct device_options *options,
		  bool confined, unsigned int nr_queues)
{
	close(fe->sock);
	kill(fe->pid, SIGKILL);
	(void)waitpid(fe->pid, NULL, 0);
	if (fe->log >= 0)
		close(fe->log);
	start_process(fe, kind, options, confined, false);
	cr_assert_eq(mock_ack_u64(fe, VHOST_USER_SET_PROTOCOL_FEATURES, fe->protocol_features, -1),
		     0);
	mock_keep(fe);
	cr_assert_eq(send_window(fe), 0);
	cr_assert_eq(mock_ack_u64(fe, VHOST_USER_MINIVMM_RESUME, fe->features, -1), 0);
	for (unsigned int i = 0; i < nr_queues; i++)
		run_queue(fe, i);
}

void mock_connect(struct mock_frontend *fe, unsigned int nr_queues, uint16_t size)
{
	mock_negotiate(fe, 0);
	mock_share_pool(fe);
	for (unsigned int i = 0; i < nr_queues; i++)
		mock_start_queue(fe, i, size);
}

uint32_t mock_stop_queue(struct mock_frontend *fe, unsigned int index)
{
	struct vhost_user_vring_state state = { .index = index };

	mock_send(fe, VHOST_USER_GET_VRING_BASE, 0, &state, sizeof(state), -1);
	cr_assert(mock_reply(fe, VHOST_USER_GET_VRING_BASE, &state, sizeof(state)));
	cr_assert_eq(state.index, index);
	return state.num;
}

struct device_report_wire mock_report(struct mock_frontend *fe)
{
	struct device_report_wire report;

	mock_send(fe, VHOST_USER_MINIVMM_GET_REPORT, 0, NULL, 0, -1);
	cr_assert(mock_reply(fe, VHOST_USER_MINIVMM_GET_REPORT, &report, sizeof(report)));
	return report;
}

void mock_kick(struct mock_frontend *fe, unsigned int index)
{
	cr_assert_eq(eventfd_write(fe->kick[index], 1), 0);
}

bool mock_signalled(int fd, int timeout_ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	eventfd_t value;

	return poll(&pfd, 1, timeout_ms) == 1 && eventfd_read(fd, &value) == 0;
}

bool mock_poll_used(struct mock_frontend *fe, unsigned int index, int timeout_ms,
		    struct virtq_used_elem *elem)
{
	for (int ms = 0; ms < timeout_ms; ms++) {
		if (mock_take_used(&fe->queues[index], elem))
			return true;
		usleep(1000);
	}
	return false;
}

struct virtq_used_elem mock_wait_used(struct mock_frontend *fe, unsigned int index)
{
	struct virtq_used_elem elem = { 0 };

	cr_assert(mock_poll_used(fe, index, MOCK_TIMEOUT, &elem), "the device did not answer");
	return elem;
}

struct virtq_used_elem mock_complete(struct mock_frontend *fe, unsigned int index)
{
	mock_kick(fe, index);
	return mock_wait_used(fe, index);
}

/* CPU time of the device process, in clock ticks (10 ms). */
static unsigned long cpu_ticks(const struct mock_frontend *fe)
{
	unsigned long user, system;
	char path[64];
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/%d/stat", fe->pid);
	stat = fopen(path, "r");
	cr_assert_not_null(stat);
	cr_assert_eq(fscanf(stat,
			    "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			    &user, &system),
		     2);
	fclose(stat);
	return user + system;
}

void mock_expect_idle(const struct mock_frontend *fe, const char *what)
{
	unsigned long before = cpu_ticks(fe);

	usleep(300 * 1000);
	cr_expect_leq(cpu_ticks(fe) - before, 5, "%s: busy", what);
}

unsigned int mock_count_fds(const struct mock_frontend *fe)
{
	unsigned int n = 0;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", fe->pid);
	dir = opendir(path);
	cr_assert_not_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}
