/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a bare-metal test guest has to work with: 64-bit mode, identity-mapped memory below 4 GiB, one
 * CPU, interrupts off. It prints through the UART and ends through port 0xf4.
 */
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void mmio_write32(uint64_t addr, uint32_t value)
{
	*(volatile uint32_t *)addr = value;
}

static inline uint32_t mmio_read32(uint64_t addr)
{
	return *(volatile uint32_t *)addr;
}

static inline void print(const char *text)
{
	for (; *text; text++) {
		while (!(inb(0x3f8 + 5) & 0x20)) /* LSR: transmitter empty */
			;
		outb(0x3f8, (uint8_t)*text);
	}
}

__attribute__((noreturn)) static inline void end(uint8_t code)
{
	outb(0xf4, code);
	for (;;)
		__asm__ volatile("hlt");
}

/* The check failed: say which and end with 1. */
static inline void expect(bool ok, const char *what)
{
	if (ok)
		return;
	print("payload: not true: ");
	print(what);
	print("\n");
	end(1);
}

/*
 * The value of NAME=NUMBER (hexadecimal, without 0x) on the command line; 0 when it is not there.
 * @boot_params: what the boot protocol passed in rsi.
 */
uint64_t payload_option(const uint8_t *boot_params, const char *name);

/* Entered by start.S with a stack. */
void payload_main(const uint8_t *boot_params);

#endif
