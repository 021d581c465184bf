/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/core/windows.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

/* Sizes are not rounded up: the rest of a last page must not become part of the window. */
static int map_region(struct dma_space *space, const struct vhost_user_memory_region *region,
		      int fd)
{
	struct dma_window window = {
		.base = region->guest_phys_addr,
		.size = region->memory_size,
		.user_base = region->userspace_addr,
		.prot = PROT_READ | PROT_WRITE,
	};

	void *host;
	int rc;

	if (region->memory_size > SIZE_MAX || region->mmap_offset > INT64_MAX)
		return -EINVAL;
	rc = dma_add_window(space, &window);
	if (rc)
		return rc;
	host = mmap(NULL, window.size, window.prot, MAP_SHARED, fd, region->mmap_offset);
	if (host == MAP_FAILED) {
		space->nr_windows--;
		return -errno;
	}
	space->windows[space->nr_windows - 1].host = host;
	return 0;
}

int windows_map(struct dma_space *space, const struct vhost_user_msg *msg)
{
	int rc = 0;

	for (uint32_t i = 0; i < msg->payload.memory.nregions && !rc; i++)
		rc = map_region(space, &msg->payload.memory.regions[i], msg->fds[i]);
	return rc;
}
