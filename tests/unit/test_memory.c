/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Guest memory: who can reach which of its kinds, and where writing ends. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/fd_count.h"
#include "vmm/memory.h"

#define RAM_SIZE  0x400000ull
#define POOL_SIZE 0x200000ull
#define HIGH	  0x100000000ull

/* RAM and two pools without gaps between them, and RAM above 4 GiB. */
static const struct machine machine = {
	.ram = { { 0, RAM_SIZE }, { HIGH, RAM_SIZE } },
	.nr_ram = 2,
	.pools = { { RAM_SIZE, POOL_SIZE }, { RAM_SIZE + POOL_SIZE, POOL_SIZE } },
	.nr_pools = 2,
};

static const uint8_t pattern[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

/* What ends in guest memory, seen past the accessors. */
static const uint8_t *host_of(const struct guest_memory *memory, uint64_t gpa)
{
	for (size_t i = 0; i < memory->nr_regions; i++)
		if (machine_range_contains(&memory->regions[i].range, gpa, 1))
			return memory->regions[i].host + (gpa - memory->regions[i].range.base);
	cr_assert_fail("no memory there");
	return NULL;
}

static void create(struct guest_memory *memory, bool open_ram)
{
	cr_assert_eq(guest_memory_create(memory, &machine, open_ram), 0);
	cr_assert_eq(memory->nr_regions, 4);
}

Test(memory, writes_stay_inside_one_ram_region)
{
	static const struct {
		const char *what;
		uint64_t gpa;
		size_t len;
		int expected;
	} cases[] = {
		{ "first bytes", 0, 8, 0 },
		{ "last bytes", RAM_SIZE - 8, 8, 0 },
		{ "high, first bytes", HIGH, 8, 0 },
		{ "high, last bytes", HIGH + RAM_SIZE - 8, 8, 0 },
		{ "nothing", 0x1000, 0, 0 },
		{ "one byte into the pool", RAM_SIZE - 7, 8, -EFAULT },
		{ "the pool", RAM_SIZE, 8, -EFAULT },
		{ "the second pool", RAM_SIZE + POOL_SIZE, 1, -EFAULT },
		{ "one byte past the end", HIGH + RAM_SIZE - 7, 8, -EFAULT },
		{ "past the end", HIGH + RAM_SIZE, 1, -EFAULT },
		{ "one byte below", HIGH - 1, 8, -EFAULT },
		{ "the hole", 0xc0000000, 8, -EFAULT },
		{ "wraps to 0", UINT64_MAX - 7, 8, -EFAULT },
		{ "wraps past 0", UINT64_MAX, 8, -EFAULT },
	};
	struct guest_memory memory;

	create(&memory, false);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(guest_memory_write(&memory, cases[i].gpa, pattern, cases[i].len),
			     cases[i].expected, "%s", cases[i].what);
		if (cases[i].expected == 0 && cases[i].len > 0)
			cr_expect_arr_eq(host_of(&memory, cases[i].gpa), pattern, cases[i].len,
					 "%s", cases[i].what);
	}
	cr_expect_eq(guest_memory_write(&memory, 0, pattern, SIZE_MAX), -EFAULT);
	cr_expect_eq(guest_memory_write(&memory, 8, pattern, SIZE_MAX - 7), -EFAULT);
	cr_expect_eq(*host_of(&memory, RAM_SIZE), 0, "the pool is untouched");
	guest_memory_destroy(&memory);
}

static int file_with(const void *data, size_t len)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	cr_assert_eq(write(fd, data, len), (ssize_t)len);
	return fd;
}

Test(memory, files_are_read_whole_or_not)
{
	static const struct {
		const char *what;
		uint64_t gpa;
		off_t offset;
		size_t len;
		int expected;
	} cases[] = {
		{ "all of it", 0x1000, 0, 8, 0 },
		{ "its middle", 0x2000, 3, 4, 0 },
		{ "its last byte", RAM_SIZE - 1, 7, 1, 0 },
		{ "nothing", 0x3000, 100, 0, 0 },
		{ "one byte too much", 0x3000, 0, 9, -EIO },
		{ "after its end", 0x3000, 8, 1, -EIO },
		{ "outside RAM", RAM_SIZE - 7, 0, 8, -EFAULT },
		{ "before its start", 0x3000, -1, 1, -EINVAL },
	};
	const int fd = file_with(pattern, sizeof(pattern));
	struct guest_memory memory;

	create(&memory, false);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(guest_memory_read_file(&memory, cases[i].gpa, fd, cases[i].offset,
						    cases[i].len),
			     cases[i].expected, "%s", cases[i].what);
		if (cases[i].expected == 0 && cases[i].len > 0)
			cr_expect_arr_eq(host_of(&memory, cases[i].gpa), pattern + cases[i].offset,
					 cases[i].len, "%s", cases[i].what);
	}
	cr_expect_eq(guest_memory_read_file(&memory, 0, -1, 0, 8), -EBADF);
	cr_expect_eq(lseek(fd, 0, SEEK_CUR), 8, "the file position stays");
	close(fd);
	guest_memory_destroy(&memory);
}

Test(memory, sealed_memory_is_not_written)
{
	const int fd = file_with(pattern, sizeof(pattern));
	struct guest_memory memory;

	create(&memory, false);
	guest_memory_seal(&memory);
	cr_expect_eq(guest_memory_write(&memory, 0, pattern, 8), -EPERM);
	cr_expect_eq(guest_memory_write(&memory, RAM_SIZE, pattern, 8), -EPERM);
	cr_expect_eq(guest_memory_read_file(&memory, 0, fd, 0, 8), -EPERM);
	cr_expect_eq(*host_of(&memory, 0), 0);
	close(fd);
	guest_memory_destroy(&memory);
}

/* What has no descriptor cannot leak to a device process. */
Test(memory, restricted_ram_has_no_descriptor)
{
	const unsigned int fds = fd_count();
	struct guest_memory memory;
	struct dma_window windows[MACHINE_MAX_RAM_RANGES];

	create(&memory, false);
	for (size_t i = 0; i < memory.nr_regions; i++)
		cr_expect_eq(memory.regions[i].fd >= 0, memory.regions[i].kind == GUEST_POOL);
	cr_expect_eq(fd_count(), fds + machine.nr_pools);
	cr_expect_eq(guest_memory_ram_windows(&memory, windows, MACHINE_MAX_RAM_RANGES), 0);
	guest_memory_destroy(&memory);
	cr_expect_eq(fd_count(), fds);
}

Test(memory, pool_windows_are_the_pools_in_their_order)
{
	struct guest_memory memory;

	create(&memory, false);
	for (size_t i = 0; i < machine.nr_pools; i++) {
		const struct dma_window window = guest_memory_pool_window(&memory, i);

		cr_expect_eq(window.range.base, machine.pools[i].base);
		cr_expect_eq(window.range.size, machine.pools[i].size);
		cr_expect_eq(pwrite(window.fd, pattern, 8, 16), 8);
		cr_expect_arr_eq(host_of(&memory, window.range.base + 16), pattern, 8,
				 "what a device writes is what the guest sees");
	}
	cr_expect_neq(guest_memory_pool_window(&memory, 0).fd,
		      guest_memory_pool_window(&memory, 1).fd);
	cr_expect_eq(guest_memory_pool_window(&memory, machine.nr_pools).fd, -1);
	guest_memory_destroy(&memory);
}

/* RAM, a pool, and two pools that are no system memory: the guest decides where it sees those. */
static const struct machine with_bars = {
	.ram = { { 0, RAM_SIZE } },
	.nr_ram = 1,
	.pools = { { RAM_SIZE, POOL_SIZE } },
	.nr_pools = 1,
	.device_memory = { { HIGH, POOL_SIZE }, { HIGH + POOL_SIZE, 2 * POOL_SIZE } },
	.nr_device_memory = 2,
};

Test(memory, device_memory_is_a_kind_of_its_own)
{
	const unsigned int fds = fd_count();
	struct guest_memory memory;

	cr_assert_eq(guest_memory_create(&memory, &with_bars, false), 0);
	cr_assert_eq(memory.nr_regions, 4);
	cr_expect_eq(fd_count(), fds + 3, "a pool each");
	for (size_t i = 0; i < with_bars.nr_device_memory; i++) {
		const struct dma_window window = guest_memory_device_window(&memory, i);
		const size_t at = guest_memory_find_device_memory(&memory, i);

		cr_assert_eq(at, 2 + i);
		cr_expect_eq(memory.regions[at].kind, GUEST_DEVICE_MEMORY);
		cr_expect_eq(memory.regions[at].fd, window.fd);
		cr_expect_eq(window.range.base, with_bars.device_memory[i].base);
		cr_expect_eq(window.range.size, with_bars.device_memory[i].size);
		cr_expect_eq(window.offset, 0);
		cr_expect_eq(fcntl(window.fd, F_GET_SEALS),
			     F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
		cr_expect_eq(pwrite(window.fd, pattern, 8, 16), 8);
		cr_expect_arr_eq(memory.regions[at].host + 16, pattern, 8);
	}
	guest_memory_destroy(&memory);
	cr_expect_eq(fd_count(), fds);
}

/* Each index counts its own kind, and there is nothing behind the last. */
Test(memory, device_memory_and_pools_are_counted_apart)
{
	struct guest_memory memory;

	cr_assert_eq(guest_memory_create(&memory, &with_bars, false), 0);
	cr_expect_eq(guest_memory_pool_window(&memory, 0).range.base, RAM_SIZE);
	cr_expect_eq(guest_memory_pool_window(&memory, 1).fd, -1);
	cr_expect_eq(guest_memory_device_window(&memory, 2).fd, -1);
	cr_expect_eq(guest_memory_device_window(&memory, SIZE_MAX).fd, -1);
	guest_memory_destroy(&memory);
	create(&memory, false);
	cr_expect_eq(guest_memory_device_window(&memory, 0).fd, -1);
	guest_memory_destroy(&memory);
}

/* No segment of a boot image is ever meant for a BAR. */
Test(memory, device_memory_is_not_written)
{
	const int fd = file_with(pattern, sizeof(pattern));
	struct guest_memory memory;

	cr_assert_eq(guest_memory_create(&memory, &with_bars, false), 0);
	cr_expect_eq(guest_memory_write(&memory, HIGH, pattern, 8), -EFAULT);
	cr_expect_eq(guest_memory_read_file(&memory, HIGH, fd, 0, 8), -EFAULT);
	cr_expect_eq(*host_of(&memory, HIGH), 0);
	close(fd);
	guest_memory_destroy(&memory);
}

Test(memory, open_ram_is_a_window_for_each_range)
{
	struct guest_memory memory;
	struct dma_window windows[MACHINE_MAX_RAM_RANGES];

	create(&memory, true);
	cr_assert_eq(guest_memory_ram_windows(&memory, windows, MACHINE_MAX_RAM_RANGES), 2);
	for (size_t i = 0; i < 2; i++) {
		cr_expect_eq(windows[i].range.base, machine.ram[i].base);
		cr_expect_eq(windows[i].range.size, machine.ram[i].size);
		cr_expect_eq(pwrite(windows[i].fd, pattern, 8, 0), 8);
		cr_expect_arr_eq(host_of(&memory, windows[i].range.base), pattern, 8);
	}
	cr_expect_eq(guest_memory_ram_windows(&memory, windows, 1), 1, "no more than asked for");
	guest_memory_destroy(&memory);
}

/* Otherwise a device process could turn our next access into SIGBUS. */
Test(memory, shared_memory_cannot_be_resized_or_unsealed)
{
	struct guest_memory memory;

	create(&memory, true);
	for (size_t i = 0; i < memory.nr_regions; i++) {
		const int fd = memory.regions[i].fd;
		const off_t size = (off_t)memory.regions[i].range.size;
		struct stat st;

		cr_expect_eq(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
		cr_expect_lt(ftruncate(fd, 0), 0);
		cr_expect_lt(ftruncate(fd, size + 4096), 0);
		cr_expect_lt(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
		cr_expect_eq(fstat(fd, &st), 0);
		cr_expect_eq(st.st_size, size);
		cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	}
	guest_memory_destroy(&memory);
}

/* Exit status of a child: how many regions it still has a mapping of. */
static int mapped_in_child(const struct guest_memory *memory)
{
	const pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		int mapped = 0;

		for (size_t i = 0; i < memory->nr_regions; i++) {
			unsigned char resident;

			mapped += mincore(memory->regions[i].host, 1, &resident) == 0;
		}
		_exit(mapped);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

/* The guest already runs when that happens. */
Test(memory, collapsing_changes_no_byte)
{
	struct guest_memory memory;
	unsigned char resident[POOL_SIZE / 4096];
	const uint8_t *pool;

	create(&memory, false);
	pool = host_of(&memory, RAM_SIZE);
	cr_assert_eq((uintptr_t)pool % POOL_SIZE, 0, "fit for a huge page");
	cr_assert_eq(pwrite(memory.regions[2].fd, pattern, sizeof(pattern), 0x5000), 8);
	guest_memory_collapse_pools(&memory);
	cr_expect_arr_eq(pool + 0x5000, pattern, sizeof(pattern));
	cr_expect_eq(pool[0], 0);
	cr_assert_eq(mincore((void *)pool, POOL_SIZE, resident), 0);
	cr_expect(resident[0] & 1, "at least the first one");
	guest_memory_destroy(&memory);
}

Test(memory, a_child_has_none_of_it)
{
	struct guest_memory memory;

	cr_assert_eq(guest_memory_create(&memory, &with_bars, false), 0);
	cr_expect_eq(mapped_in_child(&memory), 0);
	guest_memory_destroy(&memory);
	create(&memory, true);
	cr_expect_eq(mapped_in_child(&memory), 0);
	guest_memory_destroy(&memory);
}

/* The VmFlags line of the mapping at @host in /proc/self/smaps. */
static void read_vm_flags(const void *host, char *flags, size_t size)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	bool found = false;
	char line[256];

	flags[0] = '\0';
	while (fgets(line, sizeof(line), smaps)) {
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			found = start <= (unsigned long)host && (unsigned long)host < end;
		else if (found && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(flags, size, "%s", line);
	}
	fclose(smaps);
}

Test(memory, a_core_dump_has_none_of_it)
{
	struct guest_memory memory;

	cr_assert_eq(guest_memory_create(&memory, &with_bars, false), 0);
	for (size_t i = 0; i < memory.nr_regions; i++) {
		char flags[256];

		read_vm_flags(memory.regions[i].host, flags, sizeof(flags));
		cr_expect_not_null(strstr(flags, " dd"), "region %zu: %s", i, flags);
	}
	guest_memory_destroy(&memory);
}

Test(memory, a_failed_creation_leaves_nothing)
{
	static const struct machine cases[] = {
		{ .ram = { { 0, RAM_SIZE }, { HIGH, 1ull << 60 } }, .nr_ram = 2 },
		{ .ram = { { 0, RAM_SIZE } },
		  .nr_ram = 1,
		  .pools = { { RAM_SIZE, POOL_SIZE }, { HIGH, 1ull << 60 } },
		  .nr_pools = 2 },
		{ .ram = { { 0, RAM_SIZE } },
		  .nr_ram = 1,
		  .pools = { { RAM_SIZE, POOL_SIZE }, { HIGH, UINT64_MAX } },
		  .nr_pools = 2 },
		{ .ram = { { 0, 0 } }, .nr_ram = 1 },
		{ .ram = { { 0, RAM_SIZE } },
		  .nr_ram = 1,
		  .pools = { { RAM_SIZE, POOL_SIZE } },
		  .nr_pools = 1,
		  .device_memory = { { HIGH, POOL_SIZE }, { 2 * HIGH, UINT64_MAX } },
		  .nr_device_memory = 2 },
	};
	const unsigned int fds = fd_count();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct guest_memory memory;

		cr_expect_lt(guest_memory_create(&memory, &cases[i], false), 0, "case %zu", i);
		cr_expect_eq(memory.nr_regions, 0);
		cr_expect_eq(fd_count(), fds, "case %zu", i);
		guest_memory_destroy(&memory);
	}
}
