/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The user's terminal: raw mode while the guest runs, Ctrl-A escapes, and output that never blocks
 * the caller. A writer thread empties a bounded ring into the output descriptor; a reader that is
 * slow or gone therefore slows the guest's console down but never a vCPU.
 *
 * Escapes exist only where the input is a terminal in raw mode, where no other way out is left.
 * Input from a pipe or a file reaches the guest byte for byte, Ctrl-A included.
 */
#ifndef VMM_TERMINAL_H
#define VMM_TERMINAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

#define TERMINAL_RING_SIZE 4096

enum terminal_event {
	TERMINAL_CONTINUE,
	TERMINAL_QUIT, /* Ctrl-A x */
	TERMINAL_EOF,  /* no more input will come */
};

struct terminal {
	int in_fd;
	int out_fd;
	bool raw; /* in_fd is a terminal that we put into raw mode */
	struct termios saved;
	bool escape; /* Ctrl-A was the last byte */
	/*
	 * Called by the writer thread, without the lock held, when the ring has room after a
	 * refusal. Set both before the first terminal_write(); NULL for none.
	 */
	void (*drained)(void *opaque);
	void *drained_opaque;
	pthread_t writer;
	atomic_bool give_up;  /* the time to write out what is left is over */
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t wake;
	bool stop;
	bool refused;
	bool output_failed; /* the reader is gone: output is dropped from then on */
	uint8_t ring[TERMINAL_RING_SIZE];
	size_t head, len;
};

/*
 * Starts the writer thread; no change to the terminal yet. Descriptors stay the caller's and must
 * outlive @terminal; @in_fd may be -1: there is no input. Returns 0 or -errno; after an error there is
 * nothing to destroy.
 */
int terminal_init(struct terminal *terminal, int in_fd, int out_fd);

/* Puts a terminal into raw mode (nothing when in_fd is none). 0 or -errno. */
int terminal_raw(struct terminal *terminal);

/*
 * Writes out what is left (for at most a second), stops the thread, restores the terminal. The
 * caller holds no lock that drained takes. Uses SIGURG, and only while the reader sleeps.
 */
void terminal_destroy(struct terminal *terminal);

/* How large the terminal is, in characters. False when neither descriptor is one that knows. */
bool terminal_size(const struct terminal *terminal, uint16_t *columns, uint16_t *rows);

/* Takes up to @len bytes for output without blocking; returns how many. */
size_t terminal_write(struct terminal *terminal, const void *data, size_t len);

/*
 * Reads what is there (one read call), acts on escapes (Ctrl-A x quits, Ctrl-A h helps, Ctrl-A
 * Ctrl-A sends one, any other key does nothing) and leaves the guest's bytes in @data (at least
 * @size bytes long), their number in @len. For one thread only.
 */
enum terminal_event terminal_read(struct terminal *terminal, uint8_t *data, size_t size,
				  size_t *len);

#endif
