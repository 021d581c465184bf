/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/events.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vmm/exit_status.h"
#include "vmm/log.h"
#include "vmm/report_json.h"

#define LINE_MAX_LEN 4096 /* PIPE_BUF of Linux: a pipe takes it whole or not at all */
#define TEXT_MAX     512  /* bytes of a text in a line, escaped, with the NUL */
#define LAST_WAIT_MS 1000

static atomic_bool enabled;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* All of it with the lock held. */
static struct {
	int fd;
	bool is_socket;
	uint64_t start_us;
	uint64_t dropped;
	uint64_t second; /* since the start, in which there were so many lines: */
	unsigned int lines;
	char rest[LINE_MAX_LEN]; /* of a line that was not taken whole */
	size_t rest_len;
} events = { .fd = -1 };

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/*
 * A FIFO is opened for both directions: neither the opening nor a write waits for a reader, and one
 * may come, go and come again.
 */
static int open_file(const char *path)
{
	struct stat st;
	int flags = O_WRONLY | O_CREAT | O_TRUNC | O_APPEND;
	int fd;

	if (stat(path, &st) == 0 && S_ISFIFO(st.st_mode))
		flags = O_RDWR;
	fd = open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0666);
	return fd < 0 ? -errno : fd;
}

/*
 * The flags of the user's descriptor are those of whoever else has it: a pipe is opened anew where
 * that can be, so that ours can be non-blocking.
 */
static int open_descriptor(int user_fd)
{
	char path[32];
	struct stat st;
	int fd = -1;

	if (fstat(user_fd, &st) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", user_fd);
	if (S_ISFIFO(st.st_mode))
		fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		fd = fcntl(user_fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (fd < 0)
		return -errno;
	if (user_fd > STDERR_FILENO)
		(void)fcntl(user_fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

int events_open(const char *where)
{
	const bool by_number = strncmp(where, "fd:", 3) == 0;
	int fd = by_number ? open_descriptor((int)strtol(where + 3, NULL, 10)) : open_file(where);
	struct stat st;

	if (fd < 0)
		return fd;
	pthread_mutex_lock(&lock);
	events.fd = fd;
	events.is_socket = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
	events.start_us = now_us();
	events.dropped = 0;
	events.second = 0;
	events.lines = 0;
	events.rest_len = 0;
	atomic_store(&enabled, true);
	pthread_mutex_unlock(&lock);
	return 0;
}

/* Returns how many of the bytes were taken, without waiting longer than that. */
static size_t write_some(const char *data, size_t len, int wait_ms)
{
	struct pollfd target = { .fd = events.fd, .events = POLLOUT };
	ssize_t n;

	if (poll(&target, 1, wait_ms) <= 0 || !(target.revents & POLLOUT))
		return 0;
	if (events.is_socket)
		n = send(events.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = write(events.fd, data, len);
	return n < 0 ? 0 : (size_t)n;
}

/* What was begun is ended before anything else. */
static bool write_line(const char *line, size_t len, int wait_ms)
{
	size_t done;

	if (events.rest_len > 0) {
		done = write_some(events.rest, events.rest_len, wait_ms);
		events.rest_len -= done;
		memmove(events.rest, events.rest + done, events.rest_len);
		if (events.rest_len > 0)
			return false;
	}
	done = write_some(line, len, wait_ms);
	if (done == 0)
		return false;
	events.rest_len = len - done;
	memcpy(events.rest, line + done, events.rest_len);
	return true;
}

/* Puts the time in its place, behind the name of the event; takes @event over, which may be NULL. */
static bool write_event(json_t *event, uint64_t time_us, int wait_ms)
{
	char line[LINE_MAX_LEN];
	size_t len;
	bool written = false;

	if (event &&
	    json_object_set_new(event, "time_us", json_integer((json_int_t)time_us)) == 0) {
		len = json_dumpb(event, line, sizeof(line), JSON_COMPACT);
		if (len > 0 && len < sizeof(line)) {
			line[len++] = '\n';
			written = write_line(line, len, wait_ms);
		}
	}
	json_decref(event);
	return written;
}

static bool is_too_many(uint64_t time_us)
{
	const uint64_t second = time_us / 1000000u;

	if (second != events.second) {
		events.second = second;
		events.lines = 0;
	}
	return events.lines++ >= EVENTS_MAX_RATE;
}

/* Takes @event over; @limited: a guest can cause it. */
static void emit(json_t *event, bool limited)
{
	const int saved_errno = errno;
	uint64_t time_us;

	pthread_mutex_lock(&lock);
	time_us = now_us() - events.start_us; /* under the lock: lines are in its order */
	if (events.fd < 0 || (limited && is_too_many(time_us))) {
		json_decref(event);
		events.dropped++;
	} else if (!write_event(event, time_us, 0)) {
		events.dropped++;
	}
	pthread_mutex_unlock(&lock);
	errno = saved_errno;
}

/* A text, parts of which may come from a guest; a new reference. */
static json_t *text_of(const char *text)
{
	char escaped[TEXT_MAX];

	if (!text)
		return json_null();
	log_escape(escaped, sizeof(escaped), text, strlen(text));
	return json_string(escaped);
}

void events_phase(const char *phase)
{
	if (atomic_load(&enabled))
		emit(json_pack("{s:s, s:i, s:s}", "event", "phase", "time_us", 0, "phase", phase),
		     false);
}

void events_device(const char *name, const char *state, const char *detail)
{
	if (atomic_load(&enabled))
		emit(json_pack("{s:s, s:i, s:o, s:s, s:o}", "event", "device", "time_us", 0,
			       "device", text_of(name), "state", state, "detail", text_of(detail)),
		     true);
}

void events_violation(const char *name, const struct dma_violation *violation)
{
	json_t *event, *facts;

	if (!atomic_load(&enabled))
		return;
	event = json_pack("{s:s, s:i, s:o}", "event", "violation", "time_us", 0, "device",
			  text_of(name));
	facts = report_json_violation(violation);
	if (json_object_update(event, facts)) {
		json_decref(event);
		event = NULL;
	}
	json_decref(facts);
	emit(event, true);
}

void events_exit(int status, const char *reason)
{
	const int saved_errno = errno;
	json_t *event;

	if (!atomic_load(&enabled))
		return;
	pthread_mutex_lock(&lock);
	event = json_pack("{s:s, s:i, s:i, s:s, s:o, s:I}", "event", "exit", "time_us", 0, "status",
			  status, "name", exit_status_name(status), "reason", text_of(reason),
			  "dropped", (json_int_t)events.dropped);
	(void)write_event(event, now_us() - events.start_us, LAST_WAIT_MS);
	if (events.rest_len > 0)
		(void)write_some(events.rest, events.rest_len, LAST_WAIT_MS);
	pthread_mutex_unlock(&lock);
	errno = saved_errno;
}

void events_close(void)
{
	pthread_mutex_lock(&lock);
	atomic_store(&enabled, false);
	if (events.fd >= 0)
		close(events.fd);
	events.fd = -1;
	pthread_mutex_unlock(&lock);
}
