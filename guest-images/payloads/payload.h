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

static inline void outw(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void outl(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
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

/* @size: 1, 2, 4 or 8 bytes, in one access. */
void mmio_write(uint64_t addr, unsigned int size, uint64_t value);
uint64_t mmio_read(uint64_t addr, unsigned int size);

void print(const char *text);
void print_hex(uint64_t value);
void print_decimal(uint64_t value);

/* Prints @why, then waits until a character comes on the serial port. */
void wait_for_character(const char *why);

__attribute__((noreturn)) static inline void end(uint8_t code)
{
	outb(0xf4, code);
	for (;;)
		__asm__ volatile("hlt");
}

/* The exit code when a check fails; 1 unless the payload sets it. */
extern uint8_t payload_failure;

/* What is done when a check has failed and was told; NULL: end with payload_failure. */
extern void (*payload_give_up)(void);

/* The check failed: say which, and give up. */
void expect(bool ok, const char *what);
/* The same, and say both values. */
void expect_equal(uint64_t value, uint64_t wanted, const char *what);

/*
 * The value of NAME=NUMBER (hexadecimal, without 0x) on the command line; 0 when it is not there.
 * @boot_params: what the boot protocol passed in rsi.
 */
uint64_t payload_option(const uint8_t *boot_params, const char *name);

/* Whether the word @name stands on the command line. */
bool payload_has_word(const uint8_t *boot_params, const char *name);

/* Entered by start.S with a stack. */
void payload_main(const uint8_t *boot_params);

#endif
