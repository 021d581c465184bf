/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a guest sees of MSI-X: the table and the pending bits. */
#include "tests/unit/msix_bench.h"

TestSuite(msix, .init = set_up, .fini = tear_down);

Test(msix, sizes)
{
	static const unsigned int cases[][3] = {
		{ 1, 16, 8 }, { 4, 64, 8 }, { 64, 1024, 8 }, { 65, 1040, 16 }
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(msix_table_size(cases[i][0]), cases[i][1]);
		cr_expect_eq(msix_pending_size(cases[i][0]), cases[i][2]);
	}
}

Test(msix, entries_after_reset)
{
	for (unsigned int at = 0; at < NR_VECTORS * MSIX_ENTRY_SIZE; at += 4)
		cr_expect_eq(table_read(at, 4), at % MSIX_ENTRY_SIZE == CONTROL, "0x%x", at);
	for (unsigned int i = 0; i < NR_SOURCES; i++)
		cr_expect_eq(msix_vector(&fake.msix, i), NONE);
}

Test(msix, writable_bits)
{
	static const uint32_t expected[] = { 0xfffffffc, 0xffffffff, 0xffffffff, 1 };

	for (unsigned int at = 0; at < NR_VECTORS * MSIX_ENTRY_SIZE; at += 4) {
		table_write(at, 4, UINT32_MAX);
		cr_expect_eq(table_read(at, 4), expected[at / 4 % 4], "0x%x", at);
		table_write(at, 4, 0);
		cr_expect_eq(table_read(at, 4), 0, "0x%x", at);
	}
}

Test(msix, dwords_and_qwords)
{
	table_write(16, 8, 0x1122334455667788);
	table_write(24, 8, 0xfffffffe99aabbcc);
	cr_expect_eq(table_read(16, 4), 0x55667788);
	cr_expect_eq(table_read(20, 4), 0x11223344);
	cr_expect_eq(table_read(24, 4), 0x99aabbcc);
	cr_expect_eq(table_read(28, 4), 0);
	cr_expect_eq(table_read(16, 8), 0x1122334455667788);
	set_field(1, CONTROL, 1);
	cr_expect_eq(table_read(24, 8), 0x199aabbcc);
	cr_expect_eq(table_read(0, 8) | table_read(32, 8), 0, "the neighbours");
}

Test(msix, table_is_accessed_in_whole_fields)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8 };
	const uint64_t end = msix_table_size(NR_VECTORS);
	struct msix_entry before[NR_VECTORS];

	for (unsigned int i = 0; i < NR_VECTORS; i++)
		set_field(i, LOW, 0x11223340 + 0x100 * i);
	memcpy(before, fake.msix.entries, sizeof(before));
	for (uint64_t at = 0; at < end + 64; at++) {
		for (unsigned int i = 0; i < 4; i++) {
			if (at < end && sizes[i] >= 4 && at % sizes[i] == 0)
				continue;
			table_write(at, sizes[i], 0xa5a5a5a5a5a5a5a5);
			cr_expect_eq(table_read(at, sizes[i]), 0, "%u bytes", sizes[i]);
		}
	}
	table_write(UINT64_MAX - 7, 8, 0);
	cr_expect_eq(table_read(UINT64_MAX - 3, 4), 0);
	cr_expect_arr_eq(before, fake.msix.entries, sizeof(before));
}

Test(msix, pending_bits)
{
	eventfd_t count = 0;

	open_all();
	raise_source(0);
	raise_source(2);
	raise_source(2);
	cr_expect_eq(pending(0, 8), 0, "connected");
	set_field(2, CONTROL, 1);
	cr_expect_eq(pending(0, 8), 4);
	msix_set_control(&fake.msix, true, true);
	cr_expect_eq(pending(0, 8), 5);
	cr_expect_eq(pending(0, 4), 5);
	cr_expect_eq(pending(4, 4), 0);
	cr_expect_eq(msix_set_vector(&fake.msix, 2, 1), 1);
	cr_expect_eq(pending(0, 8), 3, "it moves with the vector");
	cr_expect_eq(msix_set_vector(&fake.msix, 2, NONE), NONE);
	cr_expect_eq(pending(0, 8), 1);
	cr_expect_eq(eventfd_read(fake.fds[2], &count), 0);
	cr_expect_eq(count, 2);
	msix_set_control(&fake.msix, true, false);
	cr_expect_eq(pending(0, 8), 0);
}

/* An event that nobody can raise: the descriptor is not open. */
Test(msix, no_event_is_not_pending)
{
	const unsigned int source = msix_add_source(&fake.msix, 1 << 20);

	cr_expect_eq(msix_set_vector(&fake.msix, source, 1), 1);
	cr_expect_eq(pending(0, 8), 0);
}

Test(msix, pending_bits_of_bad_accesses)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8 };

	for (unsigned int i = 0; i < NR_SOURCES; i++) {
		cr_expect_eq(msix_set_vector(&fake.msix, i, (uint16_t)i), i);
		raise_source(i);
	}
	for (uint64_t at = 0; at < 24; at++) {
		for (unsigned int i = 0; i < 4; i++) {
			struct bus_access write = { .offset = at,
						    .size = sizes[i],
						    .is_write = true };

			msix_pending_access(&fake.msix, &write);
			cr_expect_eq(pending(at, sizes[i]), at == 0 && sizes[i] >= 4 ? 7 : 0);
		}
	}
}
