/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What lies behind a disk: a regular file or a block device, with the host's page cache or without.
 *
 * Transfers take guest memory as it is, so that no copy of ours lies in between. Only direct I/O
 * (O_DIRECT) may ask for more than a guest has promised: offsets, lengths and addresses must be
 * multiples of what the file system says. What is not goes through one bounce buffer:
 *
 *	offset            offset + len                        (bytes of the file)
 *	   |==================|
 *	|-----------|-----------|-----------|                 blocks
 *	<-- start                                             a write reads the two ends first
 */
#ifndef DEVICES_BLK_FILE_H
#define DEVICES_BLK_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/core/buffers.h"

#define BLK_SECTOR_SIZE 512u /* bytes, whatever the block size (virtio 1.3, 5.2.4) */
#define BLK_BOUNCE_SIZE 65536u

struct blk_file {
	int fd;		       /* not owned */
	uint32_t block_size;   /* bytes, a power of two, at least a sector */
	uint32_t memory_align; /* of addresses, for direct I/O; a power of two */
	uint8_t *bounce;       /* BLK_BOUNCE_SIZE bytes, aligned; owned; NULL: no direct I/O */
};

/*
 * Looks at what @fd is. @direct: past the host's page cache. Returns 0; -ENOTBLK for no disk,
 * -EACCES when the mode of @fd does not allow what is needed, -EOPNOTSUPP when the file system has
 * no direct I/O or none with blocks of up to BLK_BOUNCE_SIZE; or -errno. Then there is nothing to
 * destroy.
 */
int blk_file_init(struct blk_file *file, int fd, bool read_only, bool direct);
void blk_file_destroy(struct blk_file *file);

/* How much of it is shown: whole blocks, in bytes. 0 or -errno. */
int blk_file_size(const struct blk_file *file, uint64_t *bytes);

/*
 * Moves all of @buffers from or to @offset and on, and takes off them what was moved. Offset and
 * length are multiples of BLK_SECTOR_SIZE, inside the size. Returns 0 or -errno; -EIO when the file
 * has become shorter in the meantime.
 */
int blk_file_transfer(struct blk_file *file, struct dma_buffers *buffers, bool write,
		      uint64_t offset);

/*
 * Makes durable what was written. 0, or -errno: then some of it may be lost, and later calls do not
 * tell of that any more.
 */
int blk_file_sync(const struct blk_file *file);

/*
 * Ranges as for a transfer. Discarding gives the space back: 0, -EOPNOTSUPP where that is not
 * possible, or -errno. Zeroing takes the shortest way there is, with @unmap one that gives the
 * space back.
 */
int blk_file_discard(const struct blk_file *file, uint64_t offset, uint64_t len);
int blk_file_zero(struct blk_file *file, uint64_t offset, uint64_t len, bool unmap);

#endif
