/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Register facts: PC16550D data sheet, section 8, and what Linux's 8250 driver probes for. */
#include "vmm/uart.h"

#include <string.h>

enum uart_register {
	UART_DATA,
	UART_IER,
	UART_IIR_FCR,
	UART_LCR,
	UART_MCR,
	UART_LSR,
	UART_MSR,
	UART_SCR,
};

#define IER_RECEIVED  0x01
#define IER_THR_EMPTY 0x02
#define IER_MASK      0x0f

#define IIR_NONE      0x01
#define IIR_THR_EMPTY 0x02
#define IIR_RECEIVED  0x04
#define IIR_FIFOS     0xc0

#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02
#define FCR_CLEAR_TX 0x04

#define LCR_DLAB 0x80

#define MCR_DTR	 0x01
#define MCR_RTS	 0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08 /* on PC hardware it connects the interrupt line */
#define MCR_LOOP 0x10
#define MCR_MASK 0x1f

#define LSR_DATA_READY 0x01
#define LSR_THR_EMPTY  0x20
#define LSR_IDLE       0x40

#define MSR_CTS 0x10
#define MSR_DSR 0x20
#define MSR_RI	0x40
#define MSR_DCD 0x80

#define DIVISOR_9600 12

void uart_init(struct uart *uart, const struct uart_ops *ops, void *opaque)
{
	*uart = (struct uart){ .ops = ops, .opaque = opaque, .dll = DIVISOR_9600 };
	pthread_mutex_init(&uart->lock, NULL);
}

void uart_destroy(struct uart *uart)
{
	pthread_mutex_destroy(&uart->lock);
}

static bool uart_in_loopback(const struct uart *uart)
{
	return (uart->mcr & MCR_LOOP) != 0;
}

/* The interrupt that IIR names: the enabled condition of the highest priority. */
static uint8_t uart_interrupt_source(const struct uart *uart)
{
	if ((uart->ier & IER_RECEIVED) && uart->rx_len > 0)
		return IIR_RECEIVED;
	if ((uart->ier & IER_THR_EMPTY) && uart->thr_empty_pending)
		return IIR_THR_EMPTY;
	return IIR_NONE;
}

static void uart_update_irq(struct uart *uart)
{
	/* In loopback mode the OUT2 pin is inactive, whatever its register bit says. */
	const bool connected = (uart->mcr & MCR_OUT2) && !uart_in_loopback(uart);
	const bool level = connected && uart_interrupt_source(uart) != IIR_NONE;

	if (level == uart->irq_level)
		return;
	uart->irq_level = level;
	uart->ops->set_irq(uart->opaque, level);
}

static size_t uart_rx_capacity(const struct uart *uart)
{
	if (!uart->fifos_enabled)
		return 1;
	return uart_in_loopback(uart) ? UART_LOOP_FIFO_SIZE : UART_FIFO_SIZE;
}

static bool uart_rx_push(struct uart *uart, uint8_t byte)
{
	if (uart->rx_len >= uart_rx_capacity(uart))
		return false;
	uart->rx[(uart->rx_head + uart->rx_len) % UART_FIFO_SIZE] = byte;
	uart->rx_len++;
	return true;
}

static uint8_t uart_rx_pop(struct uart *uart)
{
	uint8_t byte;

	if (uart->rx_len == 0)
		return 0;
	byte = uart->rx[uart->rx_head];
	uart->rx_head = (uart->rx_head + 1) % UART_FIFO_SIZE;
	uart->rx_len--;
	return byte;
}

/* Hands the sink what it takes of the transmit FIFO. */
static void uart_tx_flush(struct uart *uart)
{
	size_t sent = 0;

	while (sent < uart->tx_len && uart->ops->transmit(uart->opaque, uart->tx[sent]))
		sent++;
	if (sent == 0)
		return;
	memmove(uart->tx, uart->tx + sent, uart->tx_len - sent);
	uart->tx_len -= sent;
	if (uart->tx_len == 0)
		uart->thr_empty_pending = true;
}

static void uart_write_thr(struct uart *uart, uint8_t byte)
{
	const size_t capacity = uart->fifos_enabled ? UART_TX_FIFO_SIZE : 1;

	if (uart_in_loopback(uart)) {
		/* A driver that does not read its own bytes back loses them, as on hardware. */
		uart_rx_push(uart, byte);
		uart->thr_empty_pending = uart->tx_len == 0;
		return;
	}
	uart->thr_empty_pending = false;
	if (uart->tx_len == 0 && uart->ops->transmit(uart->opaque, byte)) {
		uart->thr_empty_pending = true;
		return;
	}
	/* Beyond the capacity only without having waited for THRE: an overrun, the byte is lost. */
	if (uart->tx_len < capacity)
		uart->tx[uart->tx_len++] = byte;
}

static void uart_write_ier(struct uart *uart, uint8_t value)
{
	const uint8_t changed = uart->ier ^ (value & IER_MASK);

	uart->ier = value & IER_MASK;
	/* Enabling the interrupt while there is nothing to send raises it: drivers start so. */
	if (changed & IER_THR_EMPTY)
		uart->thr_empty_pending = (uart->ier & IER_THR_EMPTY) && uart->tx_len == 0;
}

static void uart_write_fcr(struct uart *uart, uint8_t value)
{
	const bool enable = (value & FCR_ENABLE) != 0;

	/* The other bits count only together with the enable bit; its change clears both FIFOs. */
	if (enable != uart->fifos_enabled)
		value |= FCR_CLEAR_RX | FCR_CLEAR_TX;
	else if (!enable)
		return;
	uart->fifos_enabled = enable;
	if (value & FCR_CLEAR_RX)
		uart->rx_len = 0;
	if ((value & FCR_CLEAR_TX) && uart->tx_len > 0) {
		uart->tx_len = 0;
		uart->thr_empty_pending = true;
	}
}

static uint8_t uart_read_iir(struct uart *uart)
{
	const uint8_t source = uart_interrupt_source(uart);

	if (source == IIR_THR_EMPTY)
		uart->thr_empty_pending = false;
	return source | (uart->fifos_enabled ? IIR_FIFOS : 0);
}

static uint8_t uart_read_lsr(const struct uart *uart)
{
	uint8_t lsr = 0;

	if (uart->rx_len > 0)
		lsr |= LSR_DATA_READY;
	if (uart->tx_len == 0)
		lsr |= LSR_THR_EMPTY | LSR_IDLE;
	return lsr;
}

static uint8_t uart_read_msr(const struct uart *uart)
{
	static const struct {
		uint8_t mcr, msr;
	} loop[] = {
		{ MCR_RTS, MSR_CTS },
		{ MCR_DTR, MSR_DSR },
		{ MCR_OUT1, MSR_RI },
		{ MCR_OUT2, MSR_DCD },
	};
	uint8_t msr = 0;

	if (!uart_in_loopback(uart))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	for (size_t i = 0; i < sizeof(loop) / sizeof(loop[0]); i++) {
		if (uart->mcr & loop[i].mcr)
			msr |= loop[i].msr;
	}
	return msr;
}

static uint8_t uart_read(struct uart *uart, enum uart_register reg)
{
	const bool divisor = (uart->lcr & LCR_DLAB) != 0;

	switch (reg) {
	case UART_DATA:
		return divisor ? uart->dll : uart_rx_pop(uart);
	case UART_IER:
		return divisor ? uart->dlm : uart->ier;
	case UART_IIR_FCR:
		return uart_read_iir(uart);
	case UART_LCR:
		return uart->lcr;
	case UART_MCR:
		return uart->mcr;
	case UART_LSR:
		return uart_read_lsr(uart);
	case UART_MSR:
		return uart_read_msr(uart);
	case UART_SCR:
		return uart->scr;
	}
	return 0;
}

static void uart_write(struct uart *uart, enum uart_register reg, uint8_t value)
{
	const bool divisor = (uart->lcr & LCR_DLAB) != 0;

	switch (reg) {
	case UART_DATA:
		if (divisor)
			uart->dll = value;
		else
			uart_write_thr(uart, value);
		break;
	case UART_IER:
		if (divisor)
			uart->dlm = value;
		else
			uart_write_ier(uart, value);
		break;
	case UART_IIR_FCR:
		uart_write_fcr(uart, value);
		break;
	case UART_LCR:
		uart->lcr = value;
		break;
	case UART_MCR:
		uart->mcr = value & MCR_MASK;
		break;
	case UART_SCR:
		uart->scr = value;
		break;
	case UART_LSR:
	case UART_MSR:
		break; /* read-only */
	}
}

/* Ends an access: true when receive_ready has to be called, without the lock. */
static bool uart_rx_wanted(struct uart *uart)
{
	if (!uart->rx_starved || uart->rx_len > 0 || uart_in_loopback(uart))
		return false;
	uart->rx_starved = false;
	return true;
}

enum bus_result uart_access(void *opaque, struct bus_access *access)
{
	struct uart *uart = opaque;
	bool ready;

	if (access->size != 1 || access->offset >= UART_REGISTERS)
		return BUS_UNHANDLED;
	pthread_mutex_lock(&uart->lock);
	if (access->is_write)
		uart_write(uart, (enum uart_register)access->offset, (uint8_t)access->value);
	else
		access->value = uart_read(uart, (enum uart_register)access->offset);
	uart_update_irq(uart);
	ready = uart_rx_wanted(uart);
	pthread_mutex_unlock(&uart->lock);
	if (ready)
		uart->ops->receive_ready(uart->opaque);
	return BUS_HANDLED;
}

size_t uart_receive(struct uart *uart, const uint8_t *data, size_t len)
{
	size_t taken = 0;

	pthread_mutex_lock(&uart->lock);
	/* The input pin is disconnected in loopback mode. */
	while (!uart_in_loopback(uart) && taken < len && uart_rx_push(uart, data[taken]))
		taken++;
	if (taken < len)
		uart->rx_starved = true;
	uart_update_irq(uart);
	pthread_mutex_unlock(&uart->lock);
	return taken;
}

void uart_transmit_ready(struct uart *uart)
{
	pthread_mutex_lock(&uart->lock);
	uart_tx_flush(uart);
	uart_update_irq(uart);
	pthread_mutex_unlock(&uart->lock);
}
