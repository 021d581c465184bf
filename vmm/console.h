/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Connects the user's terminal with the guest's console: the UART, or the stream of a
 * virtio-console device process.
 */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/ending.h"
#include "vmm/main_loop.h"
#include "vmm/terminal.h"
#include "vmm/uart.h"
#include "vmm/vm.h"

#define CONSOLE_CHUNK 64 /* bytes read from the user at once; at most UART_FIFO_SIZE */

struct console {
	struct terminal terminal;
	struct uart *uart;
	const struct vm *vm; /* for the UART's interrupt line */
	int stream;	/* our end of the virtio-console's socket; -1: the UART is the console */
	int stream_far; /* the device process's end, until console_start() */
	int resume_fd;	/* signalled when the guest's console takes input, or the terminal output,
			   again */
	struct main_loop *loop;
	struct ending *ending;
	/* Input that the guest has not taken yet, and output that the terminal has not. */
	uint8_t input[CONSOLE_CHUNK];
	size_t input_len, input_done;
	uint8_t output[CONSOLE_CHUNK];
	size_t output_len, output_done;
	bool input_watched; /* stdin is in the loop */
	bool input_ended;
	bool input_always_ready; /* a regular file: epoll does not take it */
};

/*
 * Prepares @uart and, with @use_virtio, the stream whose far end console->stream_far goes to the
 * device process. 0 or -errno, told on stderr.
 */
int console_init(struct console *console, struct uart *uart, const struct vm *vm, bool use_virtio);

/* Puts the terminal into raw mode and carries bytes both ways. 0 or -errno, told on stderr. */
int console_start(struct console *console, struct main_loop *loop, struct ending *ending);

/* Writes out what is left and restores the terminal. */
void console_destroy(struct console *console);

#endif
