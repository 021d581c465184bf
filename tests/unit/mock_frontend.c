/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/unit/mock_frontend.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
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

#include "tests/unit/mock_process.h"

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
	mock_process_start(fe, kind, options, confined, foreign);
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
	mock_process_start(fe, kind, options, confined, false);
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
