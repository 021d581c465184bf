/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest-images/payloads/payload.h"

#define UART		     0x3f8
#define UART_LSR	     (UART + 5)
#define LSR_DATA_READY	     0x01
#define LSR_TRANSMITTER_IDLE 0x20

uint8_t payload_failure = 1;
void (*payload_give_up)(void);

void mmio_write(uint64_t addr, unsigned int size, uint64_t value)
{
	switch (size) {
	case 1:
		*(volatile uint8_t *)addr = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)addr = (uint16_t)value;
		break;
	case 4:
		*(volatile uint32_t *)addr = (uint32_t)value;
		break;
	default:
		*(volatile uint64_t *)addr = value;
	}
}

uint64_t mmio_read(uint64_t addr, unsigned int size)
{
	switch (size) {
	case 1:
		return *(volatile uint8_t *)addr;
	case 2:
		return *(volatile uint16_t *)addr;
	case 4:
		return *(volatile uint32_t *)addr;
	default:
		return *(volatile uint64_t *)addr;
	}
}

void print(const char *text)
{
	for (; *text; text++) {
		while (!(inb(UART_LSR) & LSR_TRANSMITTER_IDLE))
			;
		outb(UART, (uint8_t)*text);
	}
}

void print_hex(uint64_t value)
{
	char text[] = "0x0000000000000000";

	for (size_t i = sizeof(text) - 2; i > 1; i--, value >>= 4)
		text[i] = "0123456789abcdef"[value & 15];
	print(text);
}

void print_decimal(uint64_t value)
{
	char text[21] = "";
	size_t at = sizeof(text) - 1;

	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	print(&text[at]);
}

void wait_for_character(const char *why)
{
	print(why);
	while (!(inb(UART_LSR) & LSR_DATA_READY))
		__asm__ volatile("pause");
	inb(UART);
}

static void give_up(void)
{
	if (payload_give_up)
		payload_give_up();
	end(payload_failure);
}

void expect(bool ok, const char *what)
{
	if (ok)
		return;
	print("payload: not true: ");
	print(what);
	print("\n");
	give_up();
}

void expect_equal(uint64_t value, uint64_t wanted, const char *what)
{
	if (value == wanted)
		return;
	print("payload: not true: ");
	print(what);
	print(": ");
	print_hex(value);
	print(", not ");
	print_hex(wanted);
	print("\n");
	give_up();
}
