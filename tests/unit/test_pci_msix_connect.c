/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Which event source is connected to which vector, and which vector has a route. */
#include <errno.h>
#include <pthread.h>

#include "tests/unit/msix_bench.h"

#define ROUNDS 100000
#define RACES  5000

TestSuite(msix_connect, .init = set_up, .fini = tear_down);

/* Each thing that holds a vector back, alone, takes the connection; without it, it is back. */
Test(msix_connect, connected_when_all_let_it_out)
{
	open_all();
	msix_set_control(&fake.msix, true, true);
	expect_connected(NONE, NONE, NONE);
	msix_set_control(&fake.msix, true, false);
	expect_connected(0, 1, 2);
	msix_set_control(&fake.msix, false, false);
	expect_connected(NONE, NONE, NONE);
	msix_set_control(&fake.msix, false, true);
	expect_connected(NONE, NONE, NONE);
	msix_set_control(&fake.msix, true, false);
	expect_connected(0, 1, 2);
	set_field(1, CONTROL, 1);
	expect_connected(0, NONE, 2);
	set_field(1, CONTROL, 0xfffffffe);
	expect_connected(0, 1, 2);
	cr_expect_eq(msix_set_vector(&fake.msix, 0, NONE), NONE);
	expect_connected(NONE, 1, 2);
	cr_expect_eq(fake.routes, 0, "the routes were there");
}

/* Routes are scarce: a vector gets one when it is to be connected. */
Test(msix_connect, no_route_before_it_is_needed)
{
	open_vector(0);
	cr_expect_eq(msix_set_vector(&fake.msix, 0, 0), 0);
	cr_expect_eq(msix_set_vector(&fake.msix, 1, 1), 1);
	cr_expect_eq(fake.routes, 0, "disabled");
	msix_set_control(&fake.msix, true, true);
	cr_expect_eq(fake.routes, 0, "function masked");
	msix_set_control(&fake.msix, true, false);
	cr_expect_eq(fake.routes, 1, "vector 1 is masked");
	cr_expect_eq(fake.address[0], LAPIC);
	cr_expect_eq(fake.data[0], 0x20);
	open_vector(2);
	cr_expect_eq(fake.routes, 1, "no source has vector 2");
	expect_connected(0, NONE, NONE);
}

/* The affinity of a vector moves: the next message goes to another CPU. */
Test(msix_connect, route_follows_an_open_entry)
{
	open_all();
	set_field(1, LOW, LAPIC | 0x3000);
	cr_expect_eq(fake.address[1], LAPIC | 0x3000);
	cr_expect_eq(fake.data[1], 0x21);
	set_field(1, DATA, 0x55);
	cr_expect_eq(fake.data[1], 0x55);
	table_write(MSIX_ENTRY_SIZE, 8, LAPIC | 0x4000);
	cr_expect_eq(fake.address[1], LAPIC | 0x4000);
	cr_expect_eq(fake.routes, 3);
	cr_expect_eq(fake.connects + fake.disconnects, 0);
	/* Under the mask it waits for the end of it. */
	set_field(1, CONTROL, 1);
	set_field(1, DATA, 0x66);
	set_field(1, DATA, 0x77);
	cr_expect_eq(fake.routes, 3);
	set_field(1, CONTROL, 0);
	cr_expect_eq(fake.routes, 4);
	cr_expect_eq(fake.data[1], 0x77);
	expect_connected(0, 1, 2);
}

Test(msix_connect, address_that_is_no_local_apic)
{
	static const struct {
		uint32_t low, high;
		bool good;
	} cases[] = {
		{ 0, 0, false },	  { 0x1000, 0, false },
		{ 0xfec00000, 0, false }, { 0xfedffffc, 0, false },
		{ 0xfee00000, 0, true },  { 0xfeeffffc, 0, true },
		{ 0xfef00000, 0, false }, { 0xfffffffc, 0, false },
		{ 0xfee00000, 1, false }, { 0xfee00000, 0xffffffff, false },
	};

	open_all();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_field(0, LOW, cases[i].low);
		set_field(0, HIGH, cases[i].high);
		cr_expect_eq(fake.connected[0] == 0, cases[i].good, "case %zu", i);
		cr_expect_eq(table_read(LOW, 4), cases[i].low);
		cr_expect_eq(table_read(HIGH, 4), cases[i].high);
		cr_expect_eq(msix_set_vector(&fake.msix, 0, 0), 0, "it may become good");
	}
	raise_source(0);
	cr_expect_eq(pending(0, 4), 1);
	set_field(0, HIGH, 0);
	set_field(0, LOW, LAPIC);
	expect_connected(0, 1, 2);
}

Test(msix_connect, vector_that_is_not_there)
{
	static const uint16_t vectors[] = { NR_VECTORS, MSIX_MAX_VECTORS, 0x7fff, 0xfffe, 0xffff };

	open_all();
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		cr_expect_eq(msix_set_vector(&fake.msix, 1, 1), 1);
		cr_expect_eq(fake.connected[1], 1);
		cr_expect_eq(msix_set_vector(&fake.msix, 1, vectors[i]), NONE);
		cr_expect_eq(msix_vector(&fake.msix, 1), NONE);
		expect_connected(0, NONE, 2);
	}
	cr_expect_eq(msix_set_vector(&fake.msix, 1, NR_VECTORS - 1), NR_VECTORS - 1);
}

Test(msix_connect, source_changes_its_vector)
{
	open_all();
	cr_expect_eq(msix_set_vector(&fake.msix, 0, 2), 2);
	cr_expect_eq(msix_vector(&fake.msix, 0), 2);
	expect_connected(2, 1, 2);
	cr_expect_eq(msix_set_vector(&fake.msix, 0, 3), 3);
	expect_connected(NONE, 1, 2);
	cr_expect_eq(msix_set_vector(&fake.msix, 0, 0), 0);
	expect_connected(0, 1, 2);
	cr_expect_eq(msix_set_vector(&fake.msix, 0, 0), 0);
	cr_expect_eq(fake.connects, 2);
	cr_expect_eq(fake.disconnects, 2);
	cr_expect_eq(fake.routes, 0);
}

/* Not even when it gets a vector before the next event. */
Test(msix_connect, events_without_a_vector_are_not_told_later)
{
	eventfd_t count;

	open_all();
	msix_set_vector(&fake.msix, 0, NONE);
	cr_assert_eq(eventfd_write(fake.fds[0], 3), 0);
	msix_set_vector(&fake.msix, 0, 0);
	expect_connected(0, 1, 2);
	cr_expect_eq(eventfd_read(fake.fds[0], &count), -1, "it would have been raised");
	/* What a masked vector counts is kept. */
	set_field(0, CONTROL, 1);
	cr_assert_eq(eventfd_write(fake.fds[0], 2), 0);
	set_field(0, CONTROL, 0);
	cr_expect_eq(eventfd_read(fake.fds[0], &count), 0);
	cr_expect_eq(count, 2);
}

Test(msix_connect, two_sources_on_one_vector)
{
	msix_set_control(&fake.msix, true, false);
	open_vector(3);
	cr_expect_eq(msix_set_vector(&fake.msix, 0, 3), 3);
	cr_expect_eq(msix_set_vector(&fake.msix, 2, 3), 3);
	expect_connected(3, NONE, 3);
	cr_expect_eq(fake.routes, 1);
	set_field(3, CONTROL, 1);
	expect_connected(NONE, NONE, NONE);
	raise_source(2);
	cr_expect_eq(pending(0, 8), 8);
	set_field(3, CONTROL, 0);
	expect_connected(3, NONE, 3);
	cr_expect_eq(msix_set_vector(&fake.msix, 0, NONE), NONE);
	expect_connected(NONE, NONE, 3);
	cr_expect_eq(fake.routes, 1);
}

/* The bits are the eventfds' counts, which looking at them leaves alone. */

/* Neither a route nor a count is lost, and no route is set again. */
Test(msix_connect, masked_and_unmasked_many_times)
{
	open_all();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		set_field(1, CONTROL, 1);
		set_field(1, CONTROL, 0);
	}
	cr_expect_eq(fake.routes, 0);
	cr_expect_eq(fake.connects, ROUNDS);
	cr_expect_eq(fake.disconnects, ROUNDS);
	expect_connected(0, 1, 2);
	for (unsigned int i = 0; i < ROUNDS; i++)
		set_field(1, CONTROL, 0);
	cr_expect_eq(fake.connects, ROUNDS);
}

/* What tear_down() expects counts while a test runs. */
Test(msix_connect, destroyed_while_connected)
{
	open_all();
	tear_down();
	set_up();
}

Test(msix_connect, route_that_fails)
{
	msix_set_control(&fake.msix, true, false);
	fake.route_result = -ENOSPC;
	open_vector(0);
	cr_expect_eq(msix_set_vector(&fake.msix, 0, 0), NONE, "it cannot be had");
	cr_expect_eq(msix_vector(&fake.msix, 0), NONE);
	expect_connected(NONE, NONE, NONE);
	/* A vector that was masked when it was chosen stays chosen, and is tried again. */
	cr_expect_eq(msix_set_vector(&fake.msix, 1, 1), 1);
	open_vector(1);
	expect_connected(NONE, NONE, NONE);
	raise_source(1);
	cr_expect_eq(pending(0, 4), 2);
	fake.route_result = 0;
	set_field(1, CONTROL, 0);
	expect_connected(NONE, 1, NONE);
}

/* What the old route would deliver is not what the guest asks for any more. */
Test(msix_connect, new_route_that_fails)
{
	open_all();
	fake.route_result = -EINVAL;
	set_field(1, DATA, 0x99);
	expect_connected(0, NONE, 2);
	cr_expect_eq(fake.data[1], 0x21);
	fake.route_result = 0;
	set_field(3, CONTROL, 0);
	expect_connected(0, 1, 2);
	cr_expect_eq(fake.data[1], 0x99);
}

Test(msix_connect, connection_that_fails)
{
	msix_set_control(&fake.msix, true, false);
	fake.connect_result = -EBUSY;
	open_vector(0);
	cr_expect_eq(msix_set_vector(&fake.msix, 0, 0), NONE);
	cr_expect_eq(msix_set_vector(&fake.msix, 1, 1), 1);
	open_vector(1);
	expect_connected(NONE, NONE, NONE);
	fake.connect_result = 0;
	msix_set_control(&fake.msix, true, false);
	expect_connected(NONE, 1, NONE);
	cr_expect_eq(msix_set_vector(&fake.msix, 0, 0), 0);
	expect_connected(0, 1, NONE);
	cr_expect_eq(fake.routes, 2);
}

/* It goes on where it is: a second connection of the same eventfd would fail. */
Test(msix_connect, disconnection_that_fails)
{
	open_all();
	fake.disconnect_result = -EIO;
	set_field(0, CONTROL, 1);
	cr_expect_eq(msix_set_vector(&fake.msix, 1, 2), NONE);
	expect_connected(0, 1, 2);
	cr_expect_eq(fake.connects, 0);
	fake.disconnect_result = 0;
	msix_set_control(&fake.msix, true, false);
	expect_connected(NONE, NONE, 2);
}

static void *use_table(void *opaque)
{
	(void)opaque;
	for (unsigned int i = 0; i < RACES; i++) {
		set_field(i % NR_VECTORS, CONTROL, i / 3 % 2);
		set_field(i % NR_VECTORS, LOW, i % 5 ? LAPIC | (i % 7) << 12 : 0x1000);
		cr_expect_leq(pending(0, 8), 15);
	}
	return NULL;
}

static void *use_vectors(void *opaque)
{
	(void)opaque;
	for (unsigned int i = 0; i < RACES; i++) {
		msix_set_vector(&fake.msix, i % NR_SOURCES, (uint16_t)(i % (NR_VECTORS + 1)));
		msix_vector(&fake.msix, i % NR_SOURCES);
		msix_set_control(&fake.msix, i % 4 != 0, i % 9 == 0);
	}
	return NULL;
}

Test(msix_connect, vcpus_do_as_they_like, .timeout = 30)
{
	static void *(*const jobs[])(void *) = { use_table, use_table, use_vectors, use_vectors };
	pthread_t threads[4];

	for (unsigned int i = 0; i < NR_VECTORS; i++)
		open_vector(i);
	for (unsigned int i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, jobs[i], NULL), 0);
	for (unsigned int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	cr_expect_gt(fake.connects, 0);
	msix_set_control(&fake.msix, false, false);
	cr_expect_eq(fake.connects, fake.disconnects);
}
