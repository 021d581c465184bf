/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <criterion/criterion.h>
#include <pthread.h>

#include "tests/unit/uart_bench.h"
#include "vmm/uart.h"

TestSuite(uart_receive, .init = bench_set_up, .fini = bench_tear_down);

Test(uart_receive, receive_interrupt_until_the_fifo_is_empty)
{
	out(FCR, 0x01);
	out(MCR, OUT2);
	out(IER, 0x01);
	cr_expect_eq(offer("ab"), 2);
	cr_expect(b.irq);
	cr_expect_eq(in(IIR), 0xc4);
	cr_expect_eq(in(LSR), 0x61);
	cr_expect_eq(in(DATA), 'a');
	cr_expect(b.irq);
	cr_expect_eq(in(DATA), 'b');
	cr_expect_not(b.irq);
	cr_expect_eq(in(LSR), 0x60);
	cr_expect_eq(in(DATA), 0);
	cr_expect_eq(b.irq_changes, 2);
}

Test(uart_receive, receive_goes_before_transmit)
{
	out(FCR, 0x01);
	out(MCR, OUT2);
	out(IER, 0x03);
	offer("a");
	cr_expect_eq(in(IIR), 0xc4);
	in(DATA);
	cr_expect(b.irq);
	cr_expect_eq(in(IIR), 0xc2);
	cr_expect_not(b.irq);
}

Test(uart_receive, out2_connects_the_line)
{
	out(IER, 0x01);
	offer("a");
	cr_expect_not(b.irq);
	cr_expect_eq(in(IIR), 0x04);
	out(MCR, OUT2);
	cr_expect(b.irq);
	out(MCR, 0);
	cr_expect_not(b.irq);
}

Test(uart_receive, receive_takes_what_fits)
{
	uint8_t data[UART_FIFO_SIZE + 10];

	for (unsigned int i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	cr_expect_eq(uart_receive(&b.uart, data, 2), 1, "without FIFOs, one byte");
	out(FCR, 0x01); /* a change of the enable bit clears both */
	cr_expect_eq(in(LSR)&0x01, 0);
	b.ready_calls = 0;

	/* Not from the start of the ring, so that it wraps. */
	cr_expect_eq(uart_receive(&b.uart, data, 5), 5);
	for (unsigned int i = 0; i < 5; i++)
		in(DATA);
	cr_expect_eq(uart_receive(&b.uart, data, sizeof(data)), UART_FIFO_SIZE);
	for (unsigned int i = 0; i < UART_FIFO_SIZE; i++) {
		cr_expect_eq(b.ready_calls, 0);
		cr_expect_eq(in(DATA), i);
	}
	cr_expect_eq(b.ready_calls, 1);
	in(DATA);
	cr_expect_eq(b.ready_calls, 1, "told once");
}

Test(uart_receive, receive_ready_only_after_a_refusal)
{
	out(FCR, 0x01);
	offer("a");
	in(DATA);
	cr_expect_eq(b.ready_calls, 0);
}

Test(uart_receive, clearing_the_receive_fifo_makes_room)
{
	uint8_t data[UART_FIFO_SIZE + 1] = { 0 };

	out(FCR, 0x01);
	uart_receive(&b.uart, data, sizeof(data));
	out(FCR, 0x03);
	cr_expect_eq(in(LSR)&0x01, 0);
	cr_expect_eq(b.ready_calls, 1);
}

Test(uart_receive, receive_ready_may_receive)
{
	b.ready_receives = true;
	cr_expect_eq(offer("ab"), 1);
	cr_expect_eq(in(DATA), 'a');
	cr_expect_eq(in(DATA), '!');
}

#define THREAD_BYTES 20000

static void *feed(void *arg)
{
	size_t sent = 0;

	while (sent < THREAD_BYTES) {
		const uint8_t byte = (uint8_t)sent;

		sent += uart_receive(&b.uart, &byte, 1);
	}
	return arg;
}

Test(uart_receive, threads_lose_nothing)
{
	pthread_t feeder;

	out(FCR, 0x01);
	out(MCR, OUT2);
	out(IER, 0x01);
	cr_assert_eq(pthread_create(&feeder, NULL, feed, NULL), 0);
	for (size_t got = 0; got < THREAD_BYTES;) {
		if (!(in(LSR)&0x01))
			continue;
		cr_assert_eq(in(DATA), (uint8_t)got);
		got++;
	}
	pthread_join(feeder, NULL);
	cr_expect_not(b.irq);
}
