/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <criterion/criterion.h>

#include "tests/unit/uart_bench.h"
#include "vmm/uart.h"

TestSuite(uart, .init = bench_set_up, .fini = bench_tear_down);

Test(uart, reset_state)
{
	cr_expect_eq(in(IER), 0);
	cr_expect_eq(in(IIR), 0x01);
	cr_expect_eq(in(LCR), 0);
	cr_expect_eq(in(MCR), 0);
	cr_expect_eq(in(LSR), 0x60);
	cr_expect_eq(in(MSR), 0xb0);
	cr_expect_eq(b.irq_changes, 0);
}

Test(uart, registers_that_keep_what_is_written)
{
	static const struct {
		unsigned int reg;
		uint8_t written, read;
	} cases[] = {
		{ SCR, 0xa5, 0xa5 }, { SCR, 0x5a, 0x5a }, { LCR, 0xff, 0xff }, { LCR, 0x03, 0x03 },
		{ IER, 0xff, 0x0f }, { IER, 0x00, 0x00 }, { MCR, 0xff, 0x1f }, { MCR, 0x0b, 0x0b },
		{ LSR, 0xff, 0x60 }, { MSR, 0x00, 0xb0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		out(cases[i].reg, cases[i].written);
		cr_expect_eq(in(cases[i].reg), cases[i].read, "case %zu", i);
	}
}

Test(uart, divisor_hides_data_and_ier)
{
	out(IER, 0x05);
	out(LCR, 0x83);
	out(DATA, 0x01);
	out(IER, 0x02);
	cr_expect_eq(in(DATA), 0x01);
	cr_expect_eq(in(IER), 0x02);
	out(LCR, 0x03);
	cr_expect_eq(in(IER), 0x05);
	cr_expect_eq(b.nr_sent, 0);
	cr_expect_eq(in(DATA), 0x00, "nothing received");
}

Test(uart, other_sizes_and_offsets_are_unhandled)
{
	static const struct {
		uint64_t offset;
		unsigned int size;
	} cases[] = { { 0, 2 }, { 0, 4 }, { 0, 8 }, { 6, 2 }, { 8, 1 }, { UINT64_MAX, 1 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int write = 0; write < 2; write++) {
			struct bus_access access = { .offset = cases[i].offset,
						     .size = cases[i].size,
						     .is_write = write };

			cr_expect_eq(uart_access(&b.uart, &access), BUS_UNHANDLED);
		}
	}
	cr_expect_eq(b.nr_sent, 0);
}

/* The steps by which Linux's 8250 driver decides that this is a 16550A and nothing else. */
Test(uart, linux_autoconfig_finds_a_16550a)
{
	uint8_t mcr;

	out(IER, 0x00);
	cr_expect_eq(in(IER), 0x00);
	out(IER, 0x0f);
	cr_expect_eq(in(IER), 0x0f);
	out(IER, 0x00);
	out(MCR, 0x10 | 0x08 | 0x02); /* loopback test */
	cr_expect_eq(in(MSR)&0xf0, 0x90);
	out(MCR, 0x00);
	out(LCR, 0xbf); /* not a 16650: no EFR */
	cr_expect_neq(in(FCR), 0x00);
	out(LCR, 0x00);
	out(FCR, 0x01);
	cr_expect_eq(in(IIR)&0xc0, 0xc0);
	out(LCR, 0x80);
	cr_expect_neq(in(FCR), 0x00);
	out(LCR, 0x00); /* not a National Semiconductor superset */
	mcr = in(MCR);
	out(LCR, 0xe0);
	cr_expect_eq((in(FCR) ^ mcr) & 0x10, 0x00);
	out(LCR, 0x00);
	out(MCR, mcr ^ 0x10);
	out(LCR, 0xe0);
	cr_expect_neq((in(FCR) ^ mcr ^ 0x10) & 0x10, 0x00);
	out(LCR, 0x00);
	out(MCR, mcr);
	out(IER, 0x40); /* not an XScale: no UUE bit */
	cr_expect_eq(in(IER)&0x40, 0x00);
}

/* Linux counts the bytes that the receive FIFO holds in loopback mode. */
Test(uart, loopback_fifo_has_hardware_size)
{
	unsigned int count = 0;

	out(FCR, 0x07);
	out(MCR, LOOP);
	for (unsigned int i = 0; i < 256; i++)
		out(DATA, (uint8_t)i);
	while (in(LSR)&0x01)
		cr_expect_eq(in(DATA), count++);
	cr_expect_eq(count, 16);
	cr_expect_eq(b.nr_sent, 0, "nothing leaves in loopback mode");
	out(MCR, 0);
	out(DATA, 'x');
	cr_expect_eq(b.nr_sent, 1);
}

Test(uart, loopback_mirrors_modem_lines)
{
	static const struct {
		uint8_t mcr, msr;
	} cases[] = {
		{ 0x10, 0x00 }, { 0x11, 0x20 }, { 0x12, 0x10 },
		{ 0x14, 0x40 }, { 0x18, 0x80 }, { 0x1f, 0xf0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		out(MCR, cases[i].mcr);
		cr_expect_eq(in(MSR), cases[i].msr);
	}
}

Test(uart, loopback_disconnects_host_and_line)
{
	out(FCR, 0x01);
	out(IER, 0x01);
	out(MCR, OUT2 | LOOP);
	cr_expect_eq(offer("abc"), 0);
	out(DATA, 'x');
	cr_expect_eq(in(IIR), 0xc4);
	cr_expect_not(b.irq);
	cr_expect_eq(b.ready_calls, 0);
	cr_expect_eq(in(DATA), 'x');
	out(MCR, OUT2);
	cr_expect_eq(b.ready_calls, 1, "connected again: what was refused may come");
}

Test(uart, transmit_at_once)
{
	out(DATA, 'h');
	out(DATA, 'i');
	cr_expect_eq(b.nr_sent, 2);
	cr_expect_arr_eq(b.sent, "hi", 2);
	cr_expect_eq(in(LSR), 0x60);
}

Test(uart, thr_empty_interrupt)
{
	out(MCR, OUT2);
	out(IER, 0x02); /* enabled while empty: raised */
	cr_expect(b.irq);
	cr_expect_eq(in(IIR), 0x02);
	cr_expect_not(b.irq, "acknowledged by reading IIR");
	cr_expect_eq(in(IIR), 0x01);
	out(DATA, 'x'); /* sent, and empty again */
	cr_expect(b.irq);
	cr_expect_eq(in(IIR), 0x02);
	out(IER, 0x02); /* no change of the enable bit */
	cr_expect_not(b.irq);
	out(IER, 0x00);
	out(IER, 0x02); /* Linux tests whether this raises it again */
	cr_expect(b.irq);
	out(IER, 0x00);
	cr_expect_not(b.irq);
	cr_expect_eq(in(IIR), 0x01);
}

Test(uart, thr_write_takes_the_interrupt_back)
{
	out(MCR, OUT2);
	out(IER, 0x02);
	cr_expect(b.irq);
	b.room = 0;
	out(DATA, 'x');
	cr_expect_not(b.irq);
	cr_expect_eq(in(IIR), 0x01);
}

Test(uart, full_sink_holds_the_bytes)
{
	char text[16];

	out(FCR, 0x01);
	out(MCR, OUT2);
	out(IER, 0x02);
	in(IIR);
	b.room = 3;
	for (unsigned int i = 0; i < 16; i++) {
		text[i] = (char)('a' + i);
		out(DATA, (uint8_t)text[i]); /* a driver sends 16 without looking */
	}
	cr_expect_eq(b.nr_sent, 3);
	cr_expect_eq(in(LSR)&0x60, 0);
	in(IIR);
	cr_expect_not(b.irq);

	b.room = 5;
	uart_transmit_ready(&b.uart);
	cr_expect_eq(b.nr_sent, 8);
	cr_expect_eq(in(LSR)&0x60, 0);
	cr_expect_not(b.irq);

	b.room = 100;
	uart_transmit_ready(&b.uart);
	cr_expect_eq(b.nr_sent, 16);
	cr_expect_arr_eq(b.sent, text, 16);
	cr_expect_eq(in(LSR)&0x60, 0x60);
	cr_expect(b.irq);
	cr_expect_eq(in(IIR), 0xc2);
}

Test(uart, loopback_empties_at_once)
{
	out(MCR, LOOP);
	out(IER, 0x02);
	cr_expect_eq(in(IIR), 0x02);
	cr_expect_eq(in(IIR), 0x01);
	out(DATA, 'x');
	cr_expect_eq(in(IIR), 0x02);
	cr_expect_eq(in(LSR), 0x61);
}

Test(uart, fifo_commands_need_the_fifos)
{
	b.room = 0;
	out(DATA, 'x');
	offer("y");
	out(FCR, 0x06);
	cr_expect_eq(in(LSR), 0x01, "neither is cleared");
	cr_expect_eq(in(IIR)&0xc0, 0);
}

Test(uart, overrun_loses_only_what_does_not_fit)
{
	static const struct {
		uint8_t fcr;
		size_t held;
	} cases[] = { { 0x00, 1 }, { 0x01, 16 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		b.nr_sent = 0;
		b.room = 0;
		out(FCR, cases[i].fcr);
		for (unsigned int n = 0; n < 40; n++)
			out(DATA, (uint8_t)n);
		b.room = 100;
		uart_transmit_ready(&b.uart);
		cr_expect_eq(b.nr_sent, cases[i].held);
		for (size_t n = 0; n < b.nr_sent; n++)
			cr_expect_eq(b.sent[n], n);
	}
}

Test(uart, order_is_kept_behind_held_bytes)
{
	out(FCR, 0x01);
	b.room = 0;
	out(DATA, '1');
	b.room = 10;
	out(DATA, '2'); /* must not overtake */
	cr_expect_eq(b.nr_sent, 0);
	uart_transmit_ready(&b.uart);
	cr_expect_eq(b.nr_sent, 2);
	cr_expect_arr_eq(b.sent, "12", 2);
}

Test(uart, transmit_ready_without_need)
{
	out(MCR, OUT2);
	out(IER, 0x02);
	in(IIR);
	uart_transmit_ready(&b.uart);
	cr_expect_not(b.irq, "nothing was held: nothing became empty");
}

Test(uart, clearing_the_transmit_fifo)
{
	out(FCR, 0x01);
	out(MCR, OUT2);
	out(IER, 0x02);
	in(IIR);
	b.room = 0;
	out(DATA, 'x');
	out(FCR, 0x03); /* only the receiver's */
	cr_expect_eq(in(LSR)&0x20, 0);
	out(FCR, 0x05);
	cr_expect_eq(in(LSR)&0x20, 0x20);
	cr_expect(b.irq);
	b.room = 10;
	uart_transmit_ready(&b.uart);
	cr_expect_eq(b.nr_sent, 0);
}
