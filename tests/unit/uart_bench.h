/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A UART with a sink of limited room and a record of its interrupt line. */
#ifndef TESTS_UNIT_UART_BENCH_H
#define TESTS_UNIT_UART_BENCH_H

#include <criterion/criterion.h>
#include <string.h>

#include "vmm/uart.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

#define OUT2 0x08
#define LOOP 0x10

struct bench {
	struct uart uart;
	uint8_t sent[1024];
	size_t nr_sent;
	size_t room;
	bool irq;
	unsigned int irq_changes;
	unsigned int ready_calls;
	bool ready_receives; /* receive_ready offers one byte at once */
};

static inline bool sink_transmit(void *opaque, uint8_t byte)
{
	struct bench *b = opaque;

	if (b->room == 0)
		return false;
	b->room--;
	b->sent[b->nr_sent++] = byte;
	return true;
}

static inline void line_set(void *opaque, bool level)
{
	struct bench *b = opaque;

	cr_assert_neq(b->irq, level, "called without a change");
	b->irq = level;
	b->irq_changes++;
}

static inline void input_ready(void *opaque)
{
	struct bench *b = opaque;

	b->ready_calls++;
	if (b->ready_receives)
		cr_expect_eq(uart_receive(&b->uart, (const uint8_t *)"!", 1), 1);
}

static const struct uart_ops ops = {
	.transmit = sink_transmit,
	.set_irq = line_set,
	.receive_ready = input_ready,
};

static struct bench b;

static inline void bench_set_up(void)
{
	memset(&b, 0, sizeof(b));
	b.room = sizeof(b.sent);
	uart_init(&b.uart, &ops, &b);
}

static inline void bench_tear_down(void)
{
	uart_destroy(&b.uart);
}

static inline uint8_t in(unsigned int reg)
{
	struct bus_access access = { .offset = reg, .size = 1 };

	cr_assert_eq(uart_access(&b.uart, &access), BUS_HANDLED);
	cr_assert_leq(access.value, 0xff);
	return (uint8_t)access.value;
}

static inline void out(unsigned int reg, uint8_t value)
{
	struct bus_access access = { .offset = reg, .size = 1, .is_write = true, .value = value };

	cr_assert_eq(uart_access(&b.uart, &access), BUS_HANDLED);
}

static inline size_t offer(const char *text)
{
	return uart_receive(&b.uart, (const uint8_t *)text, strlen(text));
}

#endif
