/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "vmm/log.h"

#define WRITER_STACK_SIZE ((size_t)64 * 1024)
#define NS_PER_SECOND	  UINT64_C(1000000000)
#define FLUSH_NS	  NS_PER_SECOND
#define WAKE_INTERVAL_NS  (NS_PER_SECOND / 100)
#define WAKE_SIGNAL	  SIGURG /* ignored by default, and of no other use here */

#define CTRL_A 0x01

static const char help_text[] = "\r\n"
				"Ctrl-A x       end minivmm\r\n"
				"Ctrl-A h       this help\r\n"
				"Ctrl-A Ctrl-A  send Ctrl-A to the guest\r\n";

/*
 * One write call, after waiting for room on a descriptor that is non-blocking. Both may last for as
 * long as the reader sleeps; WAKE_SIGNAL ends them. Returns the bytes written, -ECANCELED after
 * give_up, or another -errno.
 */
static ssize_t write_some(struct terminal *terminal, const uint8_t *data, size_t len)
{
	struct pollfd room = { .fd = terminal->out_fd, .events = POLLOUT };

	while (!atomic_load(&terminal->give_up)) {
		const ssize_t n = write(terminal->out_fd, data, len);

		if (n >= 0)
			return n;
		if (errno == EAGAIN)
			poll(&room, 1, -1);
		else if (errno != EINTR)
			return -errno;
	}
	return -ECANCELED;
}

/* Writes out the first contiguous part of the ring. Called and left with the lock held. */
static void drain_once(struct terminal *terminal)
{
	const uint8_t *data = terminal->ring + terminal->head;
	const size_t to_end = TERMINAL_RING_SIZE - terminal->head;
	const size_t n = terminal->len < to_end ? terminal->len : to_end;
	ssize_t written;

	/* Only this thread removes bytes, so these stay where they are meanwhile. */
	pthread_mutex_unlock(&terminal->lock);
	written = write_some(terminal, data, n);
	if (written < 0 && written != -ECANCELED)
		log_error("console: output lost from now on: %s", strerror((int)-written));
	pthread_mutex_lock(&terminal->lock);
	if (written < 0) {
		terminal->output_failed = true;
		terminal->len = 0;
		return;
	}
	terminal->head = (terminal->head + (size_t)written) % TERMINAL_RING_SIZE;
	terminal->len -= (size_t)written;
}

static void tell_drained(struct terminal *terminal)
{
	if (!terminal->refused)
		return;
	terminal->refused = false;
	if (!terminal->drained)
		return;
	pthread_mutex_unlock(&terminal->lock);
	terminal->drained(terminal->drained_opaque);
	pthread_mutex_lock(&terminal->lock);
}

static void *writer_main(void *opaque)
{
	struct terminal *terminal = opaque;

	pthread_mutex_lock(&terminal->lock);
	for (;;) {
		while (terminal->len == 0 && !terminal->stop)
			pthread_cond_wait(&terminal->wake, &terminal->lock);
		if (terminal->len == 0)
			break;
		drain_once(terminal);
		tell_drained(terminal);
	}
	pthread_mutex_unlock(&terminal->lock);
	return NULL;
}

static int start_writer(struct terminal *terminal)
{
	pthread_attr_t attr;
	sigset_t blocked;
	int err = pthread_attr_init(&attr);

	if (err)
		return -err;
	/* Signals are for the threads that wait for them. */
	sigfillset(&blocked);
	sigdelset(&blocked, WAKE_SIGNAL);
	err = pthread_attr_setsigmask_np(&attr, &blocked);
	if (!err)
		err = pthread_attr_setstacksize(&attr, WRITER_STACK_SIZE);
	if (!err)
		err = pthread_create(&terminal->writer, &attr, writer_main, terminal);
	pthread_attr_destroy(&attr);
	return -err;
}

int terminal_init(struct terminal *terminal, int in_fd, int out_fd)
{
	int err;

	memset(terminal, 0, sizeof(*terminal));
	terminal->in_fd = in_fd;
	terminal->out_fd = out_fd;
	pthread_mutex_init(&terminal->lock, NULL);
	pthread_cond_init(&terminal->wake, NULL);
	err = start_writer(terminal);
	if (err) {
		pthread_cond_destroy(&terminal->wake);
		pthread_mutex_destroy(&terminal->lock);
	}
	return err;
}

int terminal_raw(struct terminal *terminal)
{
	struct termios attr;

	if (!isatty(terminal->in_fd))
		return 0;
	if (tcgetattr(terminal->in_fd, &terminal->saved) < 0)
		return -errno;
	attr = terminal->saved;
	cfmakeraw(&attr);
	if (tcsetattr(terminal->in_fd, TCSANOW, &attr) < 0)
		return -errno;
	terminal->raw = true;
	return 0;
}

static bool join_writer(struct terminal *terminal, uint64_t timeout_ns)
{
	struct timespec deadline;
	uint64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	ns = (uint64_t)deadline.tv_nsec + timeout_ns;
	deadline.tv_sec += (time_t)(ns / NS_PER_SECOND);
	deadline.tv_nsec = (long)(ns % NS_PER_SECOND);
	return pthread_clockjoin_np(terminal->writer, NULL, CLOCK_MONOTONIC, &deadline) == 0;
}

static void do_nothing(int signal)
{
	(void)signal;
}

/*
 * Gets the writer out of a system call that would last. Several times, since the first signal may
 * come just before the call.
 */
static void interrupt_writer(struct terminal *terminal)
{
	const struct sigaction wake = { .sa_handler = do_nothing }; /* no SA_RESTART */
	struct sigaction old;

	atomic_store(&terminal->give_up, true);
	sigaction(WAKE_SIGNAL, &wake, &old);
	do {
		pthread_kill(terminal->writer, WAKE_SIGNAL);
	} while (!join_writer(terminal, WAKE_INTERVAL_NS));
	sigaction(WAKE_SIGNAL, &old, NULL);
}

static void stop_writer(struct terminal *terminal)
{
	pthread_mutex_lock(&terminal->lock);
	terminal->stop = true;
	pthread_cond_signal(&terminal->wake);
	pthread_mutex_unlock(&terminal->lock);
	if (!join_writer(terminal, FLUSH_NS))
		interrupt_writer(terminal);
}

void terminal_destroy(struct terminal *terminal)
{
	stop_writer(terminal);
	if (terminal->raw)
		tcsetattr(terminal->in_fd, TCSANOW, &terminal->saved);
	terminal->raw = false;
	pthread_cond_destroy(&terminal->wake);
	pthread_mutex_destroy(&terminal->lock);
}

bool terminal_size(const struct terminal *terminal, uint16_t *columns, uint16_t *rows)
{
	struct winsize size;

	if (ioctl(terminal->out_fd, TIOCGWINSZ, &size) < 0 &&
	    ioctl(terminal->in_fd, TIOCGWINSZ, &size) < 0)
		return false;
	*columns = size.ws_col;
	*rows = size.ws_row;
	return true;
}

/* Appends what fits; returns how much. Called with the lock held. */
static size_t ring_append(struct terminal *terminal, const uint8_t *data, size_t len)
{
	const size_t room = TERMINAL_RING_SIZE - terminal->len;
	const size_t tail = (terminal->head + terminal->len) % TERMINAL_RING_SIZE;
	const size_t to_end = TERMINAL_RING_SIZE - tail;
	const size_t n = len < room ? len : room;
	const size_t first = n < to_end ? n : to_end;

	memcpy(terminal->ring + tail, data, first);
	memcpy(terminal->ring, data + first, n - first);
	terminal->len += n;
	return n;
}

size_t terminal_write(struct terminal *terminal, const void *data, size_t len)
{
	size_t taken = len;

	pthread_mutex_lock(&terminal->lock);
	if (!terminal->output_failed) {
		taken = ring_append(terminal, data, len);
		if (taken < len)
			terminal->refused = true;
		if (taken > 0)
			pthread_cond_signal(&terminal->wake);
	}
	pthread_mutex_unlock(&terminal->lock);
	return taken;
}

/* Handles the key after Ctrl-A. */
static enum terminal_event escape_key(struct terminal *terminal, uint8_t key, uint8_t *data,
				      size_t *len)
{
	switch (key) {
	case 'x':
		return TERMINAL_QUIT;
	case 'h':
		terminal_write(terminal, help_text, sizeof(help_text) - 1);
		break;
	case CTRL_A:
		data[(*len)++] = key;
		break;
	}
	return TERMINAL_CONTINUE;
}

/* Removes the escapes from the @n bytes at @data, in place. */
static enum terminal_event filter_escapes(struct terminal *terminal, uint8_t *data, size_t n,
					  size_t *len)
{
	for (size_t i = 0; i < n; i++) {
		const uint8_t key = data[i];

		if (terminal->escape) {
			terminal->escape = false;
			if (escape_key(terminal, key, data, len) == TERMINAL_QUIT)
				return TERMINAL_QUIT;
		} else if (key == CTRL_A) {
			terminal->escape = true;
		} else {
			data[(*len)++] = key;
		}
	}
	return TERMINAL_CONTINUE;
}

enum terminal_event terminal_read(struct terminal *terminal, uint8_t *data, size_t size,
				  size_t *len)
{
	ssize_t n;

	*len = 0;
	if (size == 0)
		return TERMINAL_CONTINUE; /* read(2) would look like end of file */
	n = read(terminal->in_fd, data, size);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return TERMINAL_CONTINUE;
	if (n <= 0)
		return TERMINAL_EOF;
	if (terminal->raw)
		return filter_escapes(terminal, data, (size_t)n, len);
	*len = (size_t)n;
	return TERMINAL_CONTINUE;
}
