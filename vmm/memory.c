/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE ((size_t)2 << 20)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

/*
 * Shared memory that a device process may hold. Without the seals its ftruncate() would turn our
 * next access into SIGBUS.
 */
int memory_create_sealed_memfd(const char *name, uint64_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/*
 * Maps @len bytes at an address that is a multiple of HUGE_PAGE, as guest physical addresses are, so
 * that KVM can map huge pages. MAP_FAILED with errno on error.
 */
static void *map_aligned(size_t len, int flags, int fd)
{
	uint8_t *room = mmap(NULL, len + HUGE_PAGE, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t skip;
	void *host;

	if (room == MAP_FAILED)
		return MAP_FAILED;
	skip = -(uintptr_t)room & (HUGE_PAGE - 1);
	host = mmap(room + skip, len, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE | MAP_FIXED, fd,
		    0);
	if (host == MAP_FAILED) {
		munmap(room, len + HUGE_PAGE);
		return MAP_FAILED;
	}
	if (skip > 0)
		munmap(room, skip);
	munmap(room + skip + len, HUGE_PAGE - skip);
	return host;
}

static int map_region(struct guest_region *region)
{
	size_t len = region->range.size;
	void *host = map_aligned(len, region->fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS,
				 region->fd);

	if (host == MAP_FAILED)
		return -errno;
	region->host = host;
	/* A child gets no copy; a core dump of ours holds no guest data. */
	if (madvise(host, len, MADV_DONTFORK) < 0 || madvise(host, len, MADV_DONTDUMP) < 0)
		return -errno;
	/* Fewer faults; where the host has no huge pages to give, nothing is lost. */
	(void)madvise(host, len, MADV_HUGEPAGE);
	return 0;
}

static int add_region(struct guest_memory *memory, struct machine_range range,
		      enum guest_region_kind kind, bool shared)
{
	struct guest_region *region = &memory->regions[memory->nr_regions];
	int ret;

	*region = (struct guest_region){ .range = range, .fd = -1, .kind = kind };
	memory->nr_regions++;
	if (shared) {
		ret = memory_create_sealed_memfd(kind == GUEST_RAM ? "open-ram" : "dma-pool",
						 range.size);
		if (ret < 0)
			return ret;
		region->fd = ret;
	}
	return map_region(region);
}

int guest_memory_create(struct guest_memory *memory, const struct machine *machine, bool open_ram)
{
	int ret = 0;

	*memory = (struct guest_memory){ 0 };
	for (size_t i = 0; i < machine->nr_ram && !ret; i++)
		ret = add_region(memory, machine->ram[i], GUEST_RAM, open_ram);
	for (size_t i = 0; i < machine->nr_pools && !ret; i++)
		ret = add_region(memory, machine->pools[i], GUEST_POOL, true);
	for (size_t i = 0; i < machine->nr_device_memory && !ret; i++)
		ret = add_region(memory, machine->device_memory[i], GUEST_DEVICE_MEMORY, true);
	if (ret)
		guest_memory_destroy(memory);
	return ret;
}

void guest_memory_destroy(struct guest_memory *memory)
{
	while (memory->nr_regions > 0) {
		struct guest_region *region = &memory->regions[--memory->nr_regions];

		if (region->host)
			munmap(region->host, region->range.size);
		if (region->fd >= 0)
			close(region->fd);
	}
}

/* Host address of [gpa, gpa + len) if it lies inside one RAM region that may still be written. */
static int ram_address(struct guest_memory *memory, uint64_t gpa, size_t len, uint8_t **host)
{
	if (memory->sealed)
		return -EPERM;
	for (size_t i = 0; i < memory->nr_regions; i++) {
		const struct guest_region *region = &memory->regions[i];

		if (region->kind == GUEST_RAM && machine_range_contains(&region->range, gpa, len)) {
			*host = region->host + (gpa - region->range.base);
			return 0;
		}
	}
	return -EFAULT;
}

int guest_memory_write(struct guest_memory *memory, uint64_t gpa, const void *src, size_t len)
{
	uint8_t *host;
	int ret = ram_address(memory, gpa, len, &host);

	if (!ret)
		memcpy(host, src, len);
	return ret;
}

int guest_memory_read_file(struct guest_memory *memory, uint64_t gpa, int fd, off_t offset,
			   size_t len)
{
	uint8_t *host;
	int ret = ram_address(memory, gpa, len, &host);

	while (!ret && len > 0) {
		ssize_t n = pread(fd, host, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			ret = n < 0 ? -errno : -EIO;
			break;
		}
		host += n;
		offset += n;
		len -= (size_t)n;
	}
	return ret;
}

void guest_memory_seal(struct guest_memory *memory)
{
	memory->sealed = true;
}

void guest_memory_collapse_pools(const struct guest_memory *memory)
{
	for (size_t i = 0; i < memory->nr_regions; i++) {
		const struct guest_region *region = &memory->regions[i];

		if (region->kind == GUEST_RAM)
			continue;
		/* What is collapsed has at least one page: a look brings it there. */
		for (size_t at = 0; at < region->range.size; at += HUGE_PAGE)
			(void)*(const volatile uint8_t *)(region->host + at);
		(void)madvise(region->host, region->range.size, MADV_COLLAPSE);
	}
}

/* The region of @kind that has @index others of its kind before it; nr_regions when there is none.
 */
static size_t find_region(const struct guest_memory *memory, enum guest_region_kind kind,
			  size_t index)
{
	size_t i;

	for (i = 0; i < memory->nr_regions; i++)
		if (memory->regions[i].kind == kind && index-- == 0)
			break;
	return i;
}

static struct dma_window region_window(const struct guest_memory *memory, size_t at)
{
	if (at == memory->nr_regions)
		return (struct dma_window){ .fd = -1 };
	return (struct dma_window){ .range = memory->regions[at].range,
				    .fd = memory->regions[at].fd };
}

struct dma_window guest_memory_pool_window(const struct guest_memory *memory, size_t index)
{
	return region_window(memory, find_region(memory, GUEST_POOL, index));
}

struct dma_window guest_memory_device_window(const struct guest_memory *memory, size_t index)
{
	return region_window(memory, find_region(memory, GUEST_DEVICE_MEMORY, index));
}

size_t guest_memory_find_device_memory(const struct guest_memory *memory, size_t index)
{
	return find_region(memory, GUEST_DEVICE_MEMORY, index);
}

size_t guest_memory_ram_windows(const struct guest_memory *memory, struct dma_window *windows,
				size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < memory->nr_regions && n < max; i++) {
		const struct guest_region *region = &memory->regions[i];

		if (region->kind == GUEST_RAM && region->fd >= 0)
			windows[n++] = region_window(memory, i);
	}
	return n;
}
