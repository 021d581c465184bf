/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* MSI-X with three sources, and a fake KVM that checks each single call. */
#ifndef TESTS_UNIT_MSIX_BENCH_H
#define TESTS_UNIT_MSIX_BENCH_H

#include <criterion/criterion.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/pci/msix.h"

#define NR_VECTORS 4
#define NR_SOURCES 3
#define LAPIC	   0xfee00000u
#define NONE	   MSIX_NO_VECTOR

/* Fields of an entry. */
#define LOW	0
#define HIGH	4
#define DATA	8
#define CONTROL 12

struct fake_kvm {
	struct msix msix;
	int fds[NR_SOURCES];
	uint64_t address[NR_VECTORS]; /* of its route; 0: none */
	uint32_t data[NR_VECTORS];
	unsigned int connected[NR_SOURCES];
	unsigned int routes, connects, disconnects;
	int route_result, connect_result, disconnect_result;
};

static inline unsigned int source_of(const struct fake_kvm *kvm, int fd)
{
	unsigned int i = 0;

	while (i < NR_SOURCES && kvm->fds[i] != fd)
		i++;
	cr_assert_lt(i, NR_SOURCES, "a foreign descriptor");
	return i;
}

static inline int set_route(void *opaque, unsigned int vector, uint64_t address, uint32_t data)
{
	struct fake_kvm *kvm = opaque;

	kvm->routes++;
	cr_assert_lt(vector, NR_VECTORS);
	cr_assert_eq(address >> 20, LAPIC >> 20, "a write to memory");
	if (kvm->route_result == 0) {
		cr_expect(kvm->address[vector] != address || kvm->data[vector] != data, "twice");
		kvm->address[vector] = address;
		kvm->data[vector] = data;
	}
	return kvm->route_result;
}

static inline int connect_source(void *opaque, unsigned int vector, int fd)
{
	struct fake_kvm *kvm = opaque;
	const unsigned int i = source_of(kvm, fd);

	kvm->connects++;
	cr_assert_lt(vector, NR_VECTORS);
	cr_assert_neq(kvm->address[vector], 0, "connected without a route");
	cr_assert_eq(kvm->connected[i], NONE, "connected twice");
	if (kvm->connect_result == 0)
		kvm->connected[i] = vector;
	return kvm->connect_result;
}

static inline int disconnect_source(void *opaque, unsigned int vector, int fd)
{
	struct fake_kvm *kvm = opaque;
	const unsigned int i = source_of(kvm, fd);

	kvm->disconnects++;
	cr_assert_eq(kvm->connected[i], vector);
	if (kvm->disconnect_result == 0)
		kvm->connected[i] = NONE;
	return kvm->disconnect_result;
}

static const struct msix_ops fake_ops = {
	.set_route = set_route,
	.connect = connect_source,
	.disconnect = disconnect_source,
};

static struct fake_kvm fake;

static inline void set_up(void)
{
	memset(&fake, 0, sizeof(fake));
	msix_init(&fake.msix, NR_VECTORS, &fake_ops, &fake);
	for (unsigned int i = 0; i < NR_SOURCES; i++) {
		fake.fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		fake.connected[i] = NONE;
		cr_assert_geq(fake.fds[i], 0);
		cr_assert_eq(msix_add_source(&fake.msix, fake.fds[i]), i);
	}
}

static inline void tear_down(void)
{
	fake.disconnect_result = 0;
	msix_destroy(&fake.msix);
	for (unsigned int i = 0; i < NR_SOURCES; i++) {
		cr_expect_eq(fake.connected[i], NONE, "still connected: %u", i);
		close(fake.fds[i]);
	}
}

static inline uint64_t table_read(uint64_t offset, unsigned int size)
{
	struct bus_access access = { .offset = offset, .size = size };

	msix_table_access(&fake.msix, &access);
	return access.value;
}

static inline void table_write(uint64_t offset, unsigned int size, uint64_t value)
{
	struct bus_access access = {
		.offset = offset, .size = size, .is_write = true, .value = value
	};

	msix_table_access(&fake.msix, &access);
}

static inline uint64_t pending(uint64_t offset, unsigned int size)
{
	struct bus_access access = { .offset = offset, .size = size };

	msix_pending_access(&fake.msix, &access);
	return access.value;
}

static inline void set_field(unsigned int vector, unsigned int field, uint32_t value)
{
	table_write(vector * MSIX_ENTRY_SIZE + field, 4, value);
}

/* As a driver would: address and data under the mask, then unmasked. */
static inline void open_vector(unsigned int vector)
{
	set_field(vector, CONTROL, 1);
	set_field(vector, LOW, LAPIC);
	set_field(vector, HIGH, 0);
	set_field(vector, DATA, 0x20 + vector);
	set_field(vector, CONTROL, 0);
}

/* Source i on vector i, all of them connected. */
static inline void open_all(void)
{
	msix_set_control(&fake.msix, true, false);
	for (unsigned int i = 0; i < NR_SOURCES; i++) {
		open_vector(i);
		cr_assert_eq(msix_set_vector(&fake.msix, i, (uint16_t)i), i);
		cr_assert_eq(fake.connected[i], i);
	}
	fake.routes = fake.connects = fake.disconnects = 0;
}

static inline void raise_source(unsigned int i)
{
	cr_assert_eq(eventfd_write(fake.fds[i], 1), 0);
}

static inline void expect_connected(unsigned int a, unsigned int b, unsigned int c)
{
	const unsigned int expected[NR_SOURCES] = { a, b, c };

	cr_expect_arr_eq(fake.connected, expected, sizeof(expected));
}

#endif
