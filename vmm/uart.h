/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A 16550A UART, as ns16550a in the device tree and as COM1 for kernels without one.
 * Transmit back-pressure is the hardware's: while the sink is full, LSR.THRE stays clear.
 *
 *	offset  read             write            read and write with LCR.DLAB set
 *	0       RBR received     THR to transmit  DLL divisor, low
 *	1       IER              IER              DLM divisor, high
 *	2       IIR              FCR
 *	3       LCR              LCR
 *	4       MCR              MCR
 *	5       LSR
 *	6       MSR
 *	7       SCR              SCR
 *
 * The divisor and the line format are kept for the driver to read back and change nothing: bytes go
 * out at once.
 *
 * Locking: all functions may be called from any thread. transmit and set_irq are called with
 * uart->lock held, so that their order is that of the register accesses: they may take locks of
 * their own and must not call back into the UART. receive_ready is called without it and may call
 * uart_receive(). Whoever calls uart_transmit_ready() must not hold a lock that transmit takes.
 */
#ifndef VMM_UART_H
#define VMM_UART_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/bus.h"

#define UART_FIFO_SIZE	    64 /* receive; 16 in hardware, more only means fewer interrupts */
#define UART_TX_FIFO_SIZE   16 /* a driver fills it whole each time it finds THRE set */
#define UART_LOOP_FIFO_SIZE 16 /* drivers count it in loopback mode to tell variants apart */
#define UART_REGISTERS	    8

struct uart_ops {
	/* Takes one byte; false when there is no room (uart_transmit_ready() announces it). */
	bool (*transmit)(void *opaque, uint8_t byte);
	/* Level of the interrupt line; called only on changes. It starts low. */
	void (*set_irq)(void *opaque, bool level);
	/* After uart_receive() took less than offered: the receive FIFO is empty and connected. */
	void (*receive_ready)(void *opaque);
};

struct uart {
	pthread_mutex_t lock;
	const struct uart_ops *ops;
	void *opaque;
	uint8_t ier, lcr, mcr, scr, dll, dlm;
	bool fifos_enabled;	/* FCR bit 0 */
	bool thr_empty_pending; /* THR-empty interrupt condition not yet acknowledged */
	bool irq_level;
	uint8_t rx[UART_FIFO_SIZE]; /* a ring */
	size_t rx_head, rx_len;
	bool rx_starved;	       /* somebody waits for receive_ready */
	uint8_t tx[UART_TX_FIFO_SIZE]; /* waits for the sink; empty unless the sink is full */
	size_t tx_len;
};

/* @ops and @opaque must outlive the UART. */
void uart_init(struct uart *uart, const struct uart_ops *ops, void *opaque);
void uart_destroy(struct uart *uart);

/*
 * bus_handler for the eight registers; opaque is the struct uart. Accesses of more than one byte
 * are unhandled: the registers are bytes.
 */
enum bus_result uart_access(void *opaque, struct bus_access *access);

/*
 * Input from the host. Returns how many bytes were taken; when these are less than @len,
 * receive_ready tells when to offer the rest.
 */
size_t uart_receive(struct uart *uart, const uint8_t *data, size_t len);

/* The sink has room again. */
void uart_transmit_ready(struct uart *uart);

#endif
