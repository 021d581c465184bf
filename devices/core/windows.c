/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/core/windows.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Bytes of the page that a window begins in, before the window. */
static uint64_t bytes_before(uint64_t file_offset)
{
	return file_offset % (uint64_t)sysconf(_SC_PAGESIZE);
}

/*
 * Sizes are not rounded up: the rest of a last page must not become part of the window. Nor does the
 * page that it begins in, if it does not begin with it: where DMA addresses are offsets into a
 * device memory buffer, 0 is none, and the window begins at byte 1.
 */
static int map_region(struct dma_space *space, const struct vhost_user_memory_region *region,
		      int fd)
{
	struct dma_window window = {
		.base = region->guest_phys_addr,
		.size = region->memory_size,
		.user_base = region->userspace_addr,
		.prot = PROT_READ | PROT_WRITE,
		.file_offset = region->mmap_offset,
	};
	uint64_t before = bytes_before(region->mmap_offset);
	uint8_t *host;
	int rc;

	if (region->memory_size > SIZE_MAX - before || region->mmap_offset > INT64_MAX)
		return -EINVAL;
	rc = dma_add_window(space, &window);
	if (rc)
		return rc;
	host = mmap(NULL, window.size + before, window.prot, MAP_SHARED, fd,
		    (off_t)(region->mmap_offset - before));
	if (host == MAP_FAILED) {
		space->nr_windows--;
		return -errno;
	}
	space->windows[space->nr_windows - 1].host = host + before;
	return 0;
}

int windows_map(struct dma_space *space, const struct vhost_user_msg *msg)
{
	int rc = 0;

	for (uint32_t i = 0; i < msg->payload.memory.nregions && !rc; i++)
		rc = map_region(space, &msg->payload.memory.regions[i], msg->fds[i]);
	return rc;
}

void windows_unmap(struct dma_space *space)
{
	for (unsigned int i = 0; i < space->nr_windows; i++) {
		const struct dma_window *window = &space->windows[i];
		const uint64_t before = bytes_before(window->file_offset);

		munmap(window->host - before, window->size + before);
	}
	space->nr_windows = 0;
}

int windows_move(struct dma_space *space, const struct vhost_user_msg *msg)
{
	struct dma_space moved = { .report = space->report };
	int rc = 0;

	if (msg->payload.memory.nregions != space->nr_windows)
		return -EINVAL;
	for (uint32_t i = 0; i < space->nr_windows && !rc; i++) {
		const struct vhost_user_memory_region *region = &msg->payload.memory.regions[i];
		struct dma_window window = space->windows[i];

		if (region->memory_size != window.size || region->mmap_offset != window.file_offset)
			return -EINVAL;
		window.base = region->guest_phys_addr;
		window.user_base = region->userspace_addr;
		rc = dma_add_window(&moved, &window);
	}
	if (!rc)
		*space = moved;
	return rc;
}
