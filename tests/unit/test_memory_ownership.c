/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Who may do what to which kind of guest memory, and when: every pair of a state and an operation. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/memory.h"

#define RAM_SIZE  0x400000ull
#define POOL_SIZE 0x200000ull
#define HIGH	  0x100000000ull
#define PAGE	  4096

static const struct machine machine = {
	.ram = { { 0, RAM_SIZE } },
	.nr_ram = 1,
	.pools = { { RAM_SIZE, POOL_SIZE } },
	.nr_pools = 1,
	.device_memory = { { HIGH, POOL_SIZE } },
	.nr_device_memory = 1,
};

/* minivmm fills memory by these. */
static int vmm_writes(struct guest_memory *memory, const struct guest_region *region)
{
	return guest_memory_write(memory, region->range.base, "x", 1);
}

static int vmm_reads_file_into(struct guest_memory *memory, const struct guest_region *region)
{
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	int rc = guest_memory_read_file(memory, region->range.base, zero, 0, 1);

	close(zero);
	return rc;
}

static int child_has_it(struct guest_memory *memory, const struct guest_region *region)
{
	const pid_t pid = fork();
	unsigned char resident;
	int status = -1;

	(void)memory;
	if (pid == 0)
		_exit(mincore(region->host, 1, &resident) ? errno : 0);
	waitpid(pid, &status, 0);
	return -WEXITSTATUS(status);
}

/* A device process has the descriptor, and what it can do with it. */
static int device_maps(struct guest_memory *memory, const struct guest_region *region)
{
	void *map =
		mmap(NULL, region->range.size, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd, 0);

	(void)memory;
	if (map == MAP_FAILED)
		return -errno;
	munmap(map, region->range.size);
	return 0;
}

static int error_of(int rc)
{
	return rc < 0 ? -errno : 0;
}

static int device_shrinks(struct guest_memory *memory, const struct guest_region *region)
{
	(void)memory;
	return error_of(ftruncate(region->fd, (off_t)region->range.size - PAGE));
}

static int device_grows(struct guest_memory *memory, const struct guest_region *region)
{
	(void)memory;
	return error_of(ftruncate(region->fd, (off_t)region->range.size + PAGE));
}

static int device_allocates_more(struct guest_memory *memory, const struct guest_region *region)
{
	(void)memory;
	return error_of(fallocate(region->fd, 0, (off_t)region->range.size, PAGE));
}

static int device_writes_behind(struct guest_memory *memory, const struct guest_region *region)
{
	(void)memory;
	return error_of((int)pwrite(region->fd, "x", 1, (off_t)region->range.size));
}

static int device_seals(struct guest_memory *memory, const struct guest_region *region)
{
	(void)memory;
	return error_of(fcntl(region->fd, F_ADD_SEALS, F_SEAL_WRITE));
}

/* Its own pool: no worse than writing zeroes, and minivmm's mapping stays whole. */
static int device_punches_hole(struct guest_memory *memory, const struct guest_region *region)
{
	int rc = error_of(fallocate(region->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				    (off_t)region->range.size));

	(void)memory;
	if (!rc)
		cr_expect_eq(*(volatile uint8_t *)region->host, 0);
	return rc;
}

/* Restricted RAM, open RAM, a pool, device memory. */
enum { RAM, OPEN, POOL, DEVICE, NR_KINDS };

static const struct {
	const char *what;
	int (*operation)(struct guest_memory *memory, const struct guest_region *region);
	int preparing[NR_KINDS];
	int sealed[NR_KINDS];
} table[] = {
	{ "minivmm writes",
	  vmm_writes,
	  { 0, 0, -EFAULT, -EFAULT },
	  { -EPERM, -EPERM, -EPERM, -EPERM } },
	{ "minivmm reads a file into it",
	  vmm_reads_file_into,
	  { 0, 0, -EFAULT, -EFAULT },
	  { -EPERM, -EPERM, -EPERM, -EPERM } },
	{ "a child has a copy",
	  child_has_it,
	  { -ENOMEM, -ENOMEM, -ENOMEM, -ENOMEM },
	  { -ENOMEM, -ENOMEM, -ENOMEM, -ENOMEM } },
	{ "a device process maps it", device_maps, { -EBADF, 0, 0, 0 }, { -EBADF, 0, 0, 0 } },
	{ "... makes it shorter",
	  device_shrinks,
	  { -EBADF, -EPERM, -EPERM, -EPERM },
	  { -EBADF, -EPERM, -EPERM, -EPERM } },
	{ "... longer",
	  device_grows,
	  { -EBADF, -EPERM, -EPERM, -EPERM },
	  { -EBADF, -EPERM, -EPERM, -EPERM } },
	{ "... longer by fallocate()",
	  device_allocates_more,
	  { -EBADF, -EPERM, -EPERM, -EPERM },
	  { -EBADF, -EPERM, -EPERM, -EPERM } },
	{ "... longer by writing",
	  device_writes_behind,
	  { -EBADF, -EPERM, -EPERM, -EPERM },
	  { -EBADF, -EPERM, -EPERM, -EPERM } },
	{ "... adds a seal",
	  device_seals,
	  { -EBADF, -EPERM, -EPERM, -EPERM },
	  { -EBADF, -EPERM, -EPERM, -EPERM } },
	{ "... punches a hole", device_punches_hole, { -EBADF, 0, 0, 0 }, { -EBADF, 0, 0, 0 } },
};

/* Regions are in the order of their kinds. */
static void check_kind(int kind, size_t region, bool open_ram)
{
	static const char *const names[] = { "RAM", "open RAM", "pool", "device memory" };
	struct guest_memory memory;

	for (int sealed = 0; sealed <= 1; sealed++) {
		cr_assert_eq(guest_memory_create(&memory, &machine, open_ram), 0);
		if (sealed)
			guest_memory_seal(&memory);
		for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
			int expected = sealed ? table[i].sealed[kind] : table[i].preparing[kind];

			cr_expect_eq(table[i].operation(&memory, &memory.regions[region]), expected,
				     "%s, %s: %s", names[kind], sealed ? "sealed" : "preparing",
				     table[i].what);
		}
		guest_memory_destroy(&memory);
	}
}

Test(memory_ownership, every_operation_on_every_kind_in_every_state)
{
	check_kind(RAM, 0, false);
	check_kind(OPEN, 0, true);
	check_kind(POOL, 1, false);
	check_kind(DEVICE, 2, false);
}
