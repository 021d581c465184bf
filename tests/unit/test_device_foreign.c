/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Devices behind a front-end that is not minivmm: it has other windows at times, also while queues
 * run, as QEMU does when the firmware turns ranges of RAM into ROM.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/mock_frontend.h"

#define HALF (MOCK_POOL / 2)

static const struct device_options no_options = { 0 };
static struct mock_frontend fe;

/* Sends a table with the same descriptor for each region; returns what mock_ack() does. */
static int send_table(const struct vhost_user_memory_region *regions, uint32_t n, int fd)
{
	struct vhost_user_msg msg = {
		.hdr = { VHOST_USER_SET_MEM_TABLE, VHOST_USER_VERSION | VHOST_USER_NEED_REPLY,
			 8 + n * (uint32_t)sizeof(*regions) },
		.nr_fds = n,
	};
	uint64_t status;

	msg.payload.memory.nregions = n;
	for (uint32_t i = 0; i < n; i++) {
		msg.payload.memory.regions[i] = regions[i];
		msg.fds[i] = fd;
	}
	cr_assert_eq(vhost_user_send(fe.sock, &msg), 0);
	return mock_reply(&fe, VHOST_USER_SET_MEM_TABLE, &status, sizeof(status)) ? (int)status
										  : -1;
}

static struct vhost_user_memory_region region(uint64_t offset, uint64_t size)
{
	return (struct vhost_user_memory_region){ MOCK_BASE + offset, size, MOCK_USER_BASE + offset,
						  MOCK_FENCE + offset };
}

/* The device fills the @len bytes at @addr. */
static void expect_filled(uint64_t addr, uint32_t len, const char *what)
{
	const struct virtq_desc desc = { addr, len, VIRTQ_DESC_F_WRITE, 0 };
	static const uint8_t zeroes[64];
	uint8_t *buffer = mock_ptr(&fe.queues[0], addr);
	struct virtq_used_elem used;

	memset(buffer, 0, len);
	mock_set_desc(mock_desc_table(&fe.queues[0]), 5, desc);
	mock_submit(&fe.queues[0], 5);
	used = mock_complete(&fe, 0);
	cr_expect_eq(used.id, 5, "%s", what);
	cr_expect_eq(used.len, len, "%s", what);
	cr_expect_neq(memcmp(buffer, zeroes, 64), 0, "%s", what);
}

static unsigned int count_mappings(void)
{
	char path[32], line[256];
	unsigned int n = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", fe.pid);
	maps = fopen(path, "re");
	cr_assert_not_null(maps);
	while (fgets(line, sizeof(line), maps))
		n += strstr(line, "rw-s") != NULL;
	fclose(maps);
	return n;
}

/* The queue of a device, in full confinement or without, goes on where it was. */
static void split_windows(bool confined)
{
	const struct vhost_user_memory_region one[] = { region(0, MOCK_POOL) };
	const struct vhost_user_memory_region two[] = { region(0, HALF), region(HALF, HALF) };

	mock_start_foreign(&fe, "rng", &no_options, confined);
	mock_connect(&fe, 1, 64);
	expect_filled(MOCK_BASE + HALF + 4096, 64, "one window");
	cr_expect_eq(send_table(two, 2, fe.pool_fd), 0);
	expect_filled(MOCK_BASE + HALF + 4096, 64, "two windows");
	expect_filled(MOCK_BASE + HALF - 64, 64, "the end of the first");
	if (!confined)
		cr_expect_eq(count_mappings(), 2);
	for (unsigned int i = 0; i < 100; i++)
		cr_assert_eq(send_table(one, 1, fe.pool_fd), 0);
	expect_filled(MOCK_BASE + HALF - 32, 64, "one window again");
	if (!confined)
		cr_expect_eq(count_mappings(), 1);
	cr_expect_eq(mock_report(&fe).nr_violations, 0);
	cr_expect_eq(mock_stop_queue(&fe, 0), 4, "nothing was lost or done twice");
	cr_expect_eq(mock_stop(&fe), 0);
}

Test(device_foreign, windows_change_under_a_running_queue)
{
	split_windows(false);
}

Test(device_foreign, windows_change_in_the_sandbox)
{
	split_windows(true);
}

/* It is the file that counts, and not what was there before. */
Test(device_foreign, windows_of_another_file)
{
	const struct vhost_user_memory_region all[] = { region(0, MOCK_POOL) };
	const size_t len = MOCK_FENCE + MOCK_POOL + MOCK_FENCE;
	int other = memfd_create("other", MFD_CLOEXEC);
	uint8_t *old, *file;

	cr_assert_eq(ftruncate(other, len), 0);
	mock_start_foreign(&fe, "rng", &no_options, false);
	mock_connect(&fe, 1, 64);
	expect_filled(MOCK_BASE + HALF, 64, "first file");
	old = fe.pool;
	file = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
	cr_assert_neq(file, MAP_FAILED);
	memcpy(file, old - MOCK_FENCE, len);
	fe.pool = file + MOCK_FENCE;
	memset(old, 0, MOCK_POOL);
	fe.queues[0].mem = fe.pool;
	cr_expect_eq(send_table(all, 1, other), 0);
	expect_filled(MOCK_BASE + HALF, 64, "second file");
	cr_expect_eq(old[HALF], 0);
	cr_expect_eq(mock_stop(&fe), 0);
}

/* A ring that is in no window any more is broken, and the front-end is told both ways. */
Test(device_foreign, a_window_with_a_ring_goes)
{
	const struct vhost_user_memory_region upper[] = { region(HALF, HALF) };
	const struct vhost_user_memory_region all[] = { region(0, MOCK_POOL) };

	mock_start_foreign(&fe, "rng", &no_options, false);
	mock_connect(&fe, 1, 64);
	cr_expect_eq(send_table(upper, 1, fe.pool_fd), 1);
	cr_expect(mock_signalled(fe.err[0], MOCK_TIMEOUT));
	cr_expect_eq(mock_report(&fe).nr_violations, 3, "its three parts");
	/* Another table does not mend it: that is a reset's to do. */
	cr_expect_eq(send_table(all, 1, fe.pool_fd), 0);
	mock_kick(&fe, 0);
	cr_expect_not(mock_signalled(fe.call[0], 50));
	mock_stop_queue(&fe, 0);
	mock_start_queue(&fe, 0, 64);
	expect_filled(MOCK_BASE + HALF, 64, "after a reset");
	cr_expect_eq(mock_stop(&fe), 0);
}

Test(device_foreign, windows_that_cannot_be)
{
	const struct vhost_user_memory_region overlap[] = { region(0, HALF), region(4096, HALF) };

	mock_start_foreign(&fe, "rng", &no_options, false);
	mock_connect(&fe, 1, 64);
	cr_expect_eq(send_table(overlap, 2, fe.pool_fd), -1, "the connection ends");
	mock_wait(&fe);
}
