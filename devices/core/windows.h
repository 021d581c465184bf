/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * SET_MEM_TABLE -> mapped DMA windows. With minivmm the first table is the only mapping step in the
 * life of a device process; a later one only tells new addresses of the same windows. A foreign
 * front-end has other windows at times: QEMU when the firmware turns ranges of RAM into ROM.
 */
#ifndef DEVICES_CORE_WINDOWS_H
#define DEVICES_CORE_WINDOWS_H

#include "devices/core/dma.h"
#include "devices/proto/vhost_user.h"

/*
 * Maps every region of @msg, a SET_MEM_TABLE that vhost_user_check_request() let through, into
 * @space. The descriptors stay the message's. Returns 0, or -errno: -EINVAL for a region that is
 * empty, wraps or begins beyond any file, -EEXIST for two that overlap, or that of mmap().
 * The windows mapped by then stay: the process is about to end.
 */
int windows_map(struct dma_space *space, const struct vhost_user_msg *msg);

/*
 * Gives the windows the addresses of @msg, a later SET_MEM_TABLE. What is mapped stays: its
 * descriptors are not looked at. Returns 0, or with nothing changed -EINVAL when these are not the
 * same windows by number, size and place in the file, or as above.
 */
int windows_move(struct dma_space *space, const struct vhost_user_msg *msg);

/* Unmaps all windows; pointers into them are of no use any more. */
void windows_unmap(struct dma_space *space);

#endif
