/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "boot/x86_64/aml.h"

#include <assert.h>
#include <string.h>

/* ACPI 6.5, 20.3. */
#define OP_NAME	       0x08
#define OP_BYTE	       0x0a
#define OP_WORD	       0x0b
#define OP_DWORD       0x0c
#define OP_SCOPE       0x10
#define OP_BUFFER      0x11
#define OP_PACKAGE     0x12
#define OP_EXTENDED    0x5b
#define OP_EXT_DEVICE  0x82
#define NAME_ROOT      '\\'
#define NAME_SEG_SIZE  4
#define EISA_ID_LENGTH 7

/*
 * ACPI 6.5, 20.2.4: the length of a package counts from its own first byte on. Of its forms always
 * the one of three bytes, so that it can be filled in when the package is closed.
 */
#define PACKAGE_LENGTH_SIZE 3
#define PACKAGE_LENGTH_3    0x80
#define PACKAGE_LENGTH_END  0x100000u

/* ACPI 6.5, 6.4.2 and 6.4.3: small descriptors with their length, types of large ones. */
#define SMALL_PORTS	   0x47
#define SMALL_END	   0x79
#define LARGE_MEMORY32	   0x86
#define LARGE_SPACE_DWORD  0x87
#define LARGE_SPACE_WORD   0x88
#define LARGE_INTERRUPT	   0x89
#define LARGE_SPACE_QWORD  0x8a
#define DECODE_16_BITS	   0x01
#define MEMORY_READ_WRITE  0x01
#define MEMORY_PREFETCH	   0x06
#define INTERRUPT_CONSUMER 0x01
#define INTERRUPT_EDGE	   0x02
#define SPACE_MEMORY	   0
#define SPACE_BUSES	   2
#define SPACE_FIXED	   0x0c /* neither end moves; produced, not consumed */
#define NO_CHECKSUM	   0

static void put(struct aml *aml, const void *bytes, size_t len)
{
	assert(len <= aml->size - aml->len);
	memcpy(aml->bytes + aml->len, bytes, len);
	aml->len += len;
}

/* The lowest @size bytes of @value, little-endian. */
static void put_number(struct aml *aml, uint64_t value, size_t size)
{
	for (; size > 0; size--, value >>= 8) {
		const uint8_t byte = (uint8_t)value;

		put(aml, &byte, 1);
	}
}

static void put_byte(struct aml *aml, uint8_t value)
{
	put_number(aml, value, 1);
}

static void put_name(struct aml *aml, const char *name)
{
	assert(strlen(name) == NAME_SEG_SIZE);
	put(aml, name, NAME_SEG_SIZE);
}

static size_t begin_package(struct aml *aml)
{
	size_t begin = aml->len;

	put_number(aml, 0, PACKAGE_LENGTH_SIZE);
	return begin;
}

static void put_integer(struct aml *aml, uint32_t value)
{
	const size_t size = value <= UINT8_MAX ? 1 : value <= UINT16_MAX ? 2 : 4;

	put_byte(aml, size == 1 ? OP_BYTE : size == 2 ? OP_WORD : OP_DWORD);
	put_number(aml, value, size);
}

size_t aml_begin_scope(struct aml *aml, const char *name)
{
	size_t begin;

	put_byte(aml, OP_SCOPE);
	begin = begin_package(aml);
	put_byte(aml, NAME_ROOT);
	put_name(aml, name);
	return begin;
}

size_t aml_begin_device(struct aml *aml, const char *name)
{
	size_t begin;

	put_byte(aml, OP_EXTENDED);
	put_byte(aml, OP_EXT_DEVICE);
	begin = begin_package(aml);
	put_name(aml, name);
	return begin;
}

void aml_end(struct aml *aml, size_t begin)
{
	const size_t len = aml->len - begin;

	assert(len < PACKAGE_LENGTH_END);
	aml->bytes[begin] = (uint8_t)(PACKAGE_LENGTH_3 | (len & 0x0f));
	aml->bytes[begin + 1] = (uint8_t)(len >> 4);
	aml->bytes[begin + 2] = (uint8_t)(len >> 12);
}

static void begin_name(struct aml *aml, const char *name)
{
	put_byte(aml, OP_NAME);
	put_name(aml, name);
}

void aml_name_integer(struct aml *aml, const char *name, uint32_t value)
{
	begin_name(aml, name);
	put_integer(aml, value);
}

static uint8_t hex_digit(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* ACPI 6.5, 19.3.4: three letters of five bits and four hexadecimal digits, big-endian. */
void aml_name_eisa_id(struct aml *aml, const char *name, const char *id)
{
	uint8_t bytes[4];

	assert(strlen(id) == EISA_ID_LENGTH);
	bytes[0] = (uint8_t)((id[0] & 0x1f) << 2 | (id[1] & 0x1f) >> 3);
	bytes[1] = (uint8_t)((id[1] & 0x07) << 5 | (id[2] & 0x1f));
	bytes[2] = (uint8_t)(hex_digit(id[3]) << 4 | hex_digit(id[4]));
	bytes[3] = (uint8_t)(hex_digit(id[5]) << 4 | hex_digit(id[6]));
	begin_name(aml, name);
	put_byte(aml, OP_DWORD);
	put(aml, bytes, sizeof(bytes));
}

void aml_name_package(struct aml *aml, const char *name, const uint32_t *values, uint8_t n)
{
	size_t begin;

	begin_name(aml, name);
	put_byte(aml, OP_PACKAGE);
	begin = begin_package(aml);
	put_byte(aml, n);
	for (uint8_t i = 0; i < n; i++)
		put_integer(aml, values[i]);
	aml_end(aml, begin);
}

/* A buffer: package length, then its size as an integer of 16 bits, then the descriptors. */
size_t aml_begin_resources(struct aml *aml)
{
	size_t begin;

	begin_name(aml, "_CRS");
	put_byte(aml, OP_BUFFER);
	begin = begin_package(aml);
	put_byte(aml, OP_WORD);
	put_number(aml, 0, 2);
	return begin;
}

void aml_end_resources(struct aml *aml, size_t begin)
{
	const size_t size_at = begin + PACKAGE_LENGTH_SIZE + 1;
	size_t size;

	put_byte(aml, SMALL_END);
	put_byte(aml, NO_CHECKSUM);
	size = aml->len - (size_at + 2);
	assert(size <= UINT16_MAX);
	aml->bytes[size_at] = (uint8_t)size;
	aml->bytes[size_at + 1] = (uint8_t)(size >> 8);
	aml_end(aml, begin);
}

/* @len: of what follows the three bytes that are written here. */
static void put_large(struct aml *aml, uint8_t type, uint16_t len)
{
	put_byte(aml, type);
	put_number(aml, len, 2);
}

void aml_resource_memory(struct aml *aml, struct machine_range range)
{
	put_large(aml, LARGE_MEMORY32, 9);
	put_byte(aml, MEMORY_READ_WRITE);
	put_number(aml, range.base, 4);
	put_number(aml, range.size, 4);
}

void aml_resource_ports(struct aml *aml, uint16_t base, uint8_t size)
{
	put_byte(aml, SMALL_PORTS);
	put_byte(aml, DECODE_16_BITS);
	put_number(aml, base, 2); /* lowest and highest place for the first port */
	put_number(aml, base, 2);
	put_byte(aml, 1); /* alignment */
	put_byte(aml, size);
}

void aml_resource_interrupt(struct aml *aml, uint32_t irq)
{
	put_large(aml, LARGE_INTERRUPT, 6);
	put_byte(aml, INTERRUPT_CONSUMER | INTERRUPT_EDGE);
	put_byte(aml, 1); /* number of interrupts */
	put_number(aml, irq, 4);
}

/* ACPI 6.5, 6.4.3.5: an address space descriptor with five fields of @size bytes. */
static void put_space(struct aml *aml, uint8_t large, size_t size, uint8_t space, uint8_t flags,
		      struct machine_range range)
{
	put_large(aml, large, (uint16_t)(3 + 5 * size));
	put_byte(aml, space);
	put_byte(aml, SPACE_FIXED);
	put_byte(aml, flags);
	put_number(aml, 0, size); /* granularity */
	put_number(aml, range.base, size);
	put_number(aml, range.base + range.size - 1, size);
	put_number(aml, 0, size); /* translation offset */
	put_number(aml, range.size, size);
}

void aml_resource_buses(struct aml *aml, uint16_t first, uint16_t last)
{
	const struct machine_range range = { first, last - first + 1ull };

	put_space(aml, LARGE_SPACE_WORD, 2, SPACE_BUSES, 0, range);
}

void aml_resource_low_window(struct aml *aml, struct machine_range range)
{
	put_space(aml, LARGE_SPACE_DWORD, 4, SPACE_MEMORY, MEMORY_READ_WRITE, range);
}

void aml_resource_high_window(struct aml *aml, struct machine_range range)
{
	put_space(aml, LARGE_SPACE_QWORD, 8, SPACE_MEMORY, MEMORY_READ_WRITE | MEMORY_PREFETCH,
		  range);
}
