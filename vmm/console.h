/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Connects the user's terminal with the guest's console: the UART, or the stream of a
 * virtio-console device process. Instead of the terminal it can be a file: then nothing is read, the
 * terminal stays as it is, and a virtio-console writes to the file by itself.
 */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/config.h"
#include "vmm/ending.h"
#include "vmm/main_loop.h"
#include "vmm/stream.h"
#include "vmm/terminal.h"
#include "vmm/uart.h"
#include "vmm/vm.h"

#define CONSOLE_CHUNK 64 /* bytes read from the user at once; at most UART_FIFO_SIZE */

struct console {
	struct terminal terminal;
	struct uart *uart;
	const struct vm *vm; /* for the UART's interrupt line */
	bool uart_unread;    /* virtio-console is the console: nobody reads the serial line */
	struct stream file;  /* where the UART's output goes instead of stdout; fd -1: none */
	int stream;	     /* our end of the virtio-console's socket; -1: none */
	int stream_far;	     /* the device process's end, until console_start() */
	int resume_fd; /* signalled when the guest's console takes input, or the terminal output,
			   again */
	/*
	 * Tells the virtio-console the size of the terminal, in characters: when the console starts
	 * and by console_resized(). Set both before console_start(); NULL for none.
	 */
	void (*resized)(void *opaque, uint16_t columns, uint16_t rows);
	void *resized_opaque;
	struct main_loop *loop;
	struct ending *ending;
	/* Input that the guest has not taken yet, and output that the terminal has not. */
	uint8_t input[CONSOLE_CHUNK];
	size_t input_len, input_done;
	uint8_t output[CONSOLE_CHUNK];
	size_t output_len, output_done;
	bool input_watched; /* the terminal's input is in the loop */
	bool input_ended;
	bool input_always_ready; /* a regular file: epoll does not take it */
};

/*
 * Prepares @uart and, for a virtio-console on the terminal, the stream whose far end
 * console->stream_far goes to the device process. 0 or -errno, told on stderr.
 */
int console_init(struct console *console, struct uart *uart, const struct vm *vm,
		 const struct config *config);

/* Puts the terminal into raw mode and carries bytes both ways. 0 or -errno, told on stderr. */
int console_start(struct console *console, struct main_loop *loop, struct ending *ending);

/* The terminal may have another size now (SIGWINCH). */
void console_resized(struct console *console);

/* Writes out what is left and restores the terminal. */
void console_destroy(struct console *console);

#endif
