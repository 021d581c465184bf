/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A vhost-user front-end with one DMA window, for tests of whole devices: starts a device in a
 * process of its own, speaks the protocol with it and drives its queues.
 */
#ifndef TESTS_UNIT_MOCK_FRONTEND_H
#define TESTS_UNIT_MOCK_FRONTEND_H

#include <stdbool.h>
#include <sys/types.h>

#include "devices/device.h"
#include "devices/proto/report.h"
#include "tests/unit/mock_driver.h"

#define MOCK_BASE      0x80000000ull	 /* DMA address of the window */
#define MOCK_USER_BASE 0x7f0000000000ull /* ... and as SET_VRING_ADDR names it */
#define MOCK_POOL      (20ull << 20)	 /* a megabyte for each queue */
#define MOCK_FENCE     65536		 /* bytes of the file on either side of the pool */
#define MOCK_TIMEOUT   2000		 /* milliseconds for any answer */

/* An environment variable: the number of a system call that kills the device process besides. */
#define MOCK_WITHOUT "MINIVMM_WITHOUT_SYSCALL"

struct mock_frontend {
	int sock;
	pid_t pid;
	uint64_t protocol_features; /* wanted; set by mock_start() to all that exist */
	uint64_t features;	    /* negotiated */
	int kept_fd;		    /* memory for a successor; -1: none */
	int pool_fd;
	uint8_t *pool; /* MOCK_POOL bytes of the file, between two fences */
	struct vhost_user_memory_region window; /* what the device is to have of it */
	int log;				/* its stderr, see mock_process.h; -1: not ours */
	unsigned long memory;			/* KiB of its own when it got the window */
	struct mock_driver queues[DEVICE_MAX_QUEUES];
	int kick[DEVICE_MAX_QUEUES];
	int call[DEVICE_MAX_QUEUES];
	int err[DEVICE_MAX_QUEUES];
};

/*
 * Starts a device. @confined: in namespaces of its own with the whole sandbox. The process is a
 * fork of the test, or the executable that the environment variable MINIVMM_DEVICE names; that one
 * is always confined when MINIVMM_DEVICE_SANDBOX is set (mock_process.h).
 */
void mock_start(struct mock_frontend *fe, const char *kind, const struct device_options *options,
		bool confined);

/* The same for a device that expects a front-end which is not minivmm; always a fork of the test. */
void mock_start_foreign(struct mock_frontend *fe, const char *kind,
			const struct device_options *options, bool confined);

/* Between mock_negotiate() and mock_share_pool(): the device gets memory to keep for a successor. */
void mock_keep(struct mock_frontend *fe);

/*
 * The device process has ended, or is killed now: another one is started, and goes on with the
 * @nr_queues queues as they are.
 */
void mock_succeed(struct mock_frontend *fe, const char *kind, const struct device_options *options,
		  bool confined, unsigned int nr_queues);

/*
 * Closes the connection and returns how the process ended, as waitpid() tells. A test fails here when
 * a byte beside the pool has changed, and when a process in its sandbox has grown or talked too much.
 */
int mock_stop(struct mock_frontend *fe);

/* How the process ended by itself, without closing the connection. */
int mock_wait(struct mock_frontend *fe);

/* Sends a request with what is given. */
void mock_send(struct mock_frontend *fe, uint32_t request, uint32_t flags, const void *payload,
	       uint32_t size, int fd);

/* Receives the reply into @payload; false when the back-end has closed the connection. */
bool mock_reply(struct mock_frontend *fe, uint32_t request, void *payload, uint32_t size);

/* Sends and waits for the acknowledgement: 0, 1 (refused) or -1 (connection closed). */
int mock_ack(struct mock_frontend *fe, uint32_t request, const void *payload, uint32_t size,
	     int fd);
int mock_ack_u64(struct mock_frontend *fe, uint32_t request, uint64_t value, int fd);
int mock_ack_state(struct mock_frontend *fe, uint32_t request, uint32_t index, uint32_t num);
uint64_t mock_get_u64(struct mock_frontend *fe, uint32_t request);

/* The steps of a connection, in order; each asserts that the back-end agrees. */
void mock_negotiate(struct mock_frontend *fe, uint64_t without_features);
/*
 * By fe->window, which mock_start() sets to all of a pool of MOCK_POOL bytes at MOCK_BASE. The file
 * is longer: what lies before and behind the pool is filled with a pattern that must stay.
 */
void mock_share_pool(struct mock_frontend *fe);
void mock_start_queue(struct mock_frontend *fe, unsigned int index, uint16_t size);

/* Are the bytes beside the pool as they were? */
bool mock_fences_intact(const struct mock_frontend *fe);

/* Tells new addresses of the same window; returns what mock_ack() does. */
int mock_move_pool(struct mock_frontend *fe, uint64_t base, uint64_t user_base);

/* Negotiates, shares and starts, with all features and queues of @size. */
void mock_connect(struct mock_frontend *fe, unsigned int nr_queues, uint16_t size);

/* Stops the queue and returns its base. */
uint32_t mock_stop_queue(struct mock_frontend *fe, unsigned int index);

struct device_report_wire mock_report(struct mock_frontend *fe);

void mock_kick(struct mock_frontend *fe, unsigned int index);

/* Is the eventfd signalled within @timeout_ms? It is then cleared. */
bool mock_signalled(int fd, int timeout_ms);

/* Kicks, then waits for the next used entry. */
struct virtq_used_elem mock_complete(struct mock_frontend *fe, unsigned int index);

/* Takes the next used entry into @elem if it comes within @timeout_ms. */
bool mock_poll_used(struct mock_frontend *fe, unsigned int index, int timeout_ms,
		    struct virtq_used_elem *elem);

/* How long to wait for one that should not come because the host is full. */
#define MOCK_FULL 300 /* milliseconds */

/* Waits for the next used entry. */
struct virtq_used_elem mock_wait_used(struct mock_frontend *fe, unsigned int index);

/* The device process waits: it takes next to no CPU time for a while. @what is for the message. */
void mock_expect_idle(const struct mock_frontend *fe, const char *what);

/* Entries of its /proc/PID/fd, to see that none is left over. */
unsigned int mock_count_fds(const struct mock_frontend *fe);

#endif
