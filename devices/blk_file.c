/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/blk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define ZERO_PAGE 4096u /* bytes */

/* In the executable's read-only data: costs no memory until it is needed. */
static const uint8_t zero_page[ZERO_PAGE] __attribute__((aligned(ZERO_PAGE)));

static int check_kind(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	return S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ? 0 : -ENOTBLK;
}

/* The flags of @fd, with O_DIRECT among them if that is what @direct wants; or -errno. */
static int find_flags(int fd, bool read_only, bool direct)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	if ((flags & O_ACCMODE) == O_WRONLY || ((flags & O_ACCMODE) == O_RDONLY && !read_only))
		return -EACCES;
	/* Linux would have pwrite() append, whatever the offset. */
	if (flags & O_APPEND && !read_only)
		return -EACCES;
	if (!direct || flags & O_DIRECT)
		return flags;
	if (fcntl(fd, F_SETFL, flags | O_DIRECT))
		return errno == EINVAL ? -EOPNOTSUPP : -errno;
	return flags | O_DIRECT;
}

static bool is_power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

/* Not every file system tells, and those that do not are content with sectors. */
static int prepare_direct(struct blk_file *file)
{
	struct statx stx;

	if (statx(file->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx))
		return -errno;
	if (stx.stx_mask & STATX_DIOALIGN) {
		if (!is_power_of_two(stx.stx_dio_offset_align) ||
		    !is_power_of_two(stx.stx_dio_mem_align) ||
		    stx.stx_dio_offset_align > BLK_BOUNCE_SIZE ||
		    stx.stx_dio_mem_align > BLK_BOUNCE_SIZE)
			return -EOPNOTSUPP;
		file->memory_align = stx.stx_dio_mem_align;
		if (stx.stx_dio_offset_align > file->block_size)
			file->block_size = stx.stx_dio_offset_align;
	}
	file->bounce = aligned_alloc(BLK_BOUNCE_SIZE, BLK_BOUNCE_SIZE);
	return file->bounce ? 0 : -ENOMEM;
}

int blk_file_init(struct blk_file *file, int fd, bool read_only, bool direct)
{
	int flags, rc;

	*file = (struct blk_file){
		.fd = fd,
		.block_size = BLK_SECTOR_SIZE,
		.memory_align = BLK_SECTOR_SIZE,
	};
	rc = check_kind(fd);
	if (rc)
		return rc;
	flags = find_flags(fd, read_only, direct);
	if (flags < 0)
		return flags;
	return flags & O_DIRECT ? prepare_direct(file) : 0;
}

void blk_file_destroy(struct blk_file *file)
{
	free(file->bounce);
	file->bounce = NULL;
}

int blk_file_size(const struct blk_file *file, uint64_t *bytes)
{
	off_t end = lseek(file->fd, 0, SEEK_END);

	if (end < 0)
		return -errno;
	*bytes = (uint64_t)end & ~(file->block_size - 1ull);
	return 0;
}

static ssize_t transfer_once(int fd, const struct dma_buffers *buffers, bool write, off_t offset)
{
	const struct iovec *iov = buffers->iov;

	if (buffers->count == 1)
		return write ? pwrite(fd, iov->iov_base, iov->iov_len, offset)
			     : pread(fd, iov->iov_base, iov->iov_len, offset);
	return write ? pwritev(fd, iov, buffers->count, offset)
		     : preadv(fd, iov, buffers->count, offset);
}

static int transfer_all(int fd, struct dma_buffers *buffers, bool write, uint64_t offset)
{
	while (buffers->count) {
		ssize_t n = transfer_once(fd, buffers, write, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		if ((uint64_t)n == buffers->len) {
			*buffers = (struct dma_buffers){ 0 };
			return 0;
		}
		dma_buffers_skip(buffers, n);
		offset += n;
	}
	return 0;
}

static int transfer_bounce(struct blk_file *file, bool write, uint64_t offset, size_t len)
{
	struct iovec iov = { file->bounce, len };
	struct dma_buffers all = { &iov, 1, len };

	return transfer_all(file->fd, &all, write, offset);
}

/* Up to a bounce buffer full from @offset on; returns how many bytes of @buffers, or -errno. */
static ssize_t bounce_some(struct blk_file *file, struct dma_buffers *buffers, bool write,
			   uint64_t offset)
{
	const uint32_t mask = file->block_size - 1;
	const size_t skip = offset & mask, room = BLK_BOUNCE_SIZE - skip;
	const size_t len = buffers->len < room ? buffers->len : room;
	const size_t blocks = (skip + len + mask) & ~(size_t)mask; /* bytes */
	int rc = 0;

	if (!write || blocks != len)
		rc = transfer_bounce(file, false, offset - skip, blocks);
	if (rc)
		return rc;
	if (!write)
		return dma_buffers_write(buffers, file->bounce + skip, len);
	dma_buffers_read(buffers, file->bounce + skip, len);
	rc = transfer_bounce(file, true, offset - skip, blocks);
	return rc ? rc : (ssize_t)len;
}

static int transfer_bounced(struct blk_file *file, struct dma_buffers *buffers, bool write,
			    uint64_t offset)
{
	while (buffers->count) {
		ssize_t n = bounce_some(file, buffers, write, offset);

		if (n < 0)
			return n;
		offset += n;
	}
	return 0;
}

static bool is_aligned(const struct blk_file *file, const struct dma_buffers *buffers,
		       uint64_t offset)
{
	uint64_t blocks = offset; /* whatever must be a multiple of a block */
	uintptr_t addresses = 0;

	for (unsigned int i = 0; i < buffers->count; i++) {
		blocks |= buffers->iov[i].iov_len;
		addresses |= (uintptr_t)buffers->iov[i].iov_base;
	}
	return !(blocks & (file->block_size - 1)) && !(addresses & (file->memory_align - 1));
}

/* Not inline: it would have the common way save registers. */
static __attribute__((noinline)) int
transfer_direct(struct blk_file *file, struct dma_buffers *buffers, bool write, uint64_t offset)
{
	if (is_aligned(file, buffers, offset))
		return transfer_all(file->fd, buffers, write, offset);
	return transfer_bounced(file, buffers, write, offset);
}

int blk_file_transfer(struct blk_file *file, struct dma_buffers *buffers, bool write,
		      uint64_t offset)
{
	return file->bounce ? transfer_direct(file, buffers, write, offset)
			    : transfer_all(file->fd, buffers, write, offset);
}

int blk_file_sync(const struct blk_file *file)
{
	int rc;

	do
		rc = fdatasync(file->fd);
	while (rc && errno == EINTR);
	return rc ? -errno : 0;
}

/* -EOPNOTSUPP also where only the alignment is wrong, as on block devices with large sectors. */
static int allocate(const struct blk_file *file, int mode, uint64_t offset, uint64_t len)
{
	int rc;

	if (!len)
		return 0;
	do
		rc = fallocate(file->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len);
	while (rc && errno == EINTR);
	if (!rc)
		return 0;
	return errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

int blk_file_discard(const struct blk_file *file, uint64_t offset, uint64_t len)
{
	return allocate(file, FALLOC_FL_PUNCH_HOLE, offset, len);
}

static int write_zeroes(struct blk_file *file, uint64_t offset, uint64_t len)
{
	int rc = 0;

	while (len && !rc) {
		struct iovec iov[BLK_BOUNCE_SIZE / ZERO_PAGE];
		struct dma_buffers zeroes = { .iov = iov };
		uint64_t n;

		for (; zeroes.len < len && zeroes.count < BLK_BOUNCE_SIZE / ZERO_PAGE;
		     zeroes.len += n) {
			n = len - zeroes.len < ZERO_PAGE ? len - zeroes.len : ZERO_PAGE;
			iov[zeroes.count++] = (struct iovec){ (void *)zero_page, n };
		}
		n = zeroes.len;
		rc = blk_file_transfer(file, &zeroes, true, offset);
		offset += n;
		len -= n;
	}
	return rc;
}

int blk_file_zero(struct blk_file *file, uint64_t offset, uint64_t len, bool unmap)
{
	int rc = allocate(file, unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE, offset, len);

	/* Where the file has become shorter nothing came into being: there it is written, as any data. */
	if (!rc && lseek(file->fd, 0, SEEK_END) < (off_t)(offset + len))
		rc = -EOPNOTSUPP;
	return rc == -EOPNOTSUPP ? write_zeroes(file, offset, len) : rc;
}
