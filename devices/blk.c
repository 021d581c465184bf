/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * virtio-blk (virtio 1.3, 5.2) over a file or a block device.
 *
 * The kernel reads and writes the guest's buffers in the pool directly: no copy of ours lies in
 * between. Requests are served one after the other, in order: with the file in the page cache that
 * costs the fewest instructions per request.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "devices/device.h"

#define SECTOR_SIZE 512u /* bytes, whatever the block size (5.2.4) */

#define BLK_F_SIZE_MAX (1ull << 1)
#define BLK_F_SEG_MAX  (1ull << 2)
#define BLK_F_RO       (1ull << 5)
#define BLK_F_BLK_SIZE (1ull << 6)
#define BLK_F_FLUSH    (1ull << 9)

enum blk_type { BLK_T_IN = 0, BLK_T_OUT = 1, BLK_T_FLUSH = 4, BLK_T_GET_ID = 8 };
enum blk_status { BLK_S_OK = 0, BLK_S_IOERR = 1, BLK_S_UNSUPP = 2 };

/* 5.2.4, as far as our features reach. Little-endian. */
struct blk_config {
	uint64_t capacity; /* sectors */
	uint32_t size_max; /* bytes of one segment */
	uint32_t seg_max;  /* segments of one request */
	uint8_t geometry[4];
	uint32_t blk_size; /* bytes */
};

/* 5.2.6. Little-endian. Data and the status byte follow. */
struct blk_header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};

_Static_assert(sizeof(struct blk_config) == 24, "as the specification has it");
_Static_assert(sizeof(struct blk_header) == 16, "likewise");

/*
 * Limits for the driver. A guest bounces whole requests through the pool, so one of them must never
 * need more than a part of it: Linux retries for ever when the pool cannot hold a single request.
 */
#define SEGMENT_MAX  65536u /* bytes */
#define SEGMENTS_MAX 126u   /* with header and status: 128 descriptors */
#define POOL_SHARE   4	    /* a request takes at most a quarter of the smallest window */

struct blk {
	uint64_t capacity; /* sectors; a rest of the file behind the last one is not shown */
	bool read_only;
	bool sync_failed;
	char serial[DEVICE_SERIAL_MAX]; /* padded with 0 */
};

static int check_backend(const struct device_options *options, uint64_t *bytes)
{
	struct stat st;
	int flags;
	off_t end;

	if (fstat(options->backend_fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -ENOTBLK;
	flags = fcntl(options->backend_fd, F_GETFL);
	if (flags < 0)
		return -errno;
	if ((flags & O_ACCMODE) == O_WRONLY ||
	    ((flags & O_ACCMODE) == O_RDONLY && !options->read_only))
		return -EACCES;
	end = lseek(options->backend_fd, 0, SEEK_END);
	if (end < 0)
		return -errno;
	*bytes = end;
	return 0;
}

static int blk_create(struct device *device, const struct device_options *options)
{
	struct blk *blk;
	uint64_t bytes = 0;
	int rc = check_backend(options, &bytes);

	if (rc)
		return rc;
	blk = calloc(1, sizeof(*blk));
	if (!blk)
		return -ENOMEM;
	blk->capacity = bytes / SECTOR_SIZE;
	blk->read_only = options->read_only;
	memcpy(blk->serial, options->serial, strnlen(options->serial, sizeof(blk->serial)));
	if (blk->read_only)
		device->offered |= BLK_F_RO;
	device->state = blk;
	return 0;
}

static void blk_destroy(struct device *device)
{
	free(device->state);
}

static void blk_get_config(const struct device *device, void *buf)
{
	const struct blk *blk = device->state;
	uint64_t window = dma_smallest_window(&device->dma);
	uint64_t request = window ? window / POOL_SHARE : UINT64_MAX;
	uint32_t size_max = SEGMENT_MAX;
	uint32_t seg_max = SEGMENTS_MAX;
	struct blk_config *config = buf;

	if (request < size_max)
		size_max = request < SECTOR_SIZE ? SECTOR_SIZE : request & ~(SECTOR_SIZE - 1ull);
	if (request / size_max < seg_max)
		seg_max = request < size_max ? 1 : request / size_max;
	config->capacity = htole64(blk->capacity);
	config->size_max = htole32(size_max);
	config->seg_max = htole32(seg_max);
	config->blk_size = htole32(SECTOR_SIZE);
}

/*
 * After a failed write-back Linux drops the pages and reports success the next time. Claiming then
 * that old data is durable would be a lie, so once is for ever: the way out is a new process.
 */
static uint8_t sync_file(const struct device *device, struct blk *blk)
{
	int rc;

	if (blk->sync_failed)
		return BLK_S_IOERR;
	do
		rc = fdatasync(device->backend_fd);
	while (rc && errno == EINTR);
	blk->sync_failed = rc != 0;
	return rc ? BLK_S_IOERR : BLK_S_OK;
}

static bool in_capacity(const struct blk *blk, uint64_t sector, uint64_t len)
{
	return len % SECTOR_SIZE == 0 && sector <= blk->capacity &&
	       len / SECTOR_SIZE <= blk->capacity - sector;
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

/* Moves all of @buffers. A file that was cut short in the meantime is an error. */
static uint8_t transfer(const struct device *device, const struct blk *blk,
			struct dma_buffers *buffers, bool write, uint64_t sector)
{
	uint64_t offset = sector * SECTOR_SIZE;

	if (!in_capacity(blk, sector, buffers->len))
		return BLK_S_IOERR;
	while (buffers->count) {
		ssize_t n = transfer_once(device->backend_fd, buffers, write, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return BLK_S_IOERR;
		dma_buffers_skip(buffers, n);
		offset += n;
	}
	return BLK_S_OK;
}

static uint8_t write_sectors(const struct device *device, struct blk *blk,
			     struct dma_buffers *buffers, uint64_t sector)
{
	uint8_t status =
		blk->read_only ? BLK_S_IOERR : transfer(device, blk, buffers, true, sector);

	/* 5.2.6.2: a driver that cannot flush is promised write-through. */
	if (status != BLK_S_OK || device->features & BLK_F_FLUSH)
		return status;
	return sync_file(device, blk);
}

/* Returns the status; what was put into @chain->writable is off its front. */
static uint8_t serve(const struct device *device, struct blk *blk, struct virtqueue_chain *chain)
{
	struct blk_header header;

	if (dma_buffers_read(&chain->readable, &header, sizeof(header)) != sizeof(header))
		return BLK_S_IOERR;
	switch (le32toh(header.type)) {
	case BLK_T_IN:
		if (chain->readable.len)
			return BLK_S_IOERR;
		return transfer(device, blk, &chain->writable, false, le64toh(header.sector));
	case BLK_T_OUT:
		if (chain->writable.len)
			return BLK_S_IOERR;
		return write_sectors(device, blk, &chain->readable, le64toh(header.sector));
	case BLK_T_FLUSH:
		return sync_file(device, blk);
	case BLK_T_GET_ID:
		dma_buffers_write(&chain->writable, blk->serial, sizeof(blk->serial));
		return BLK_S_OK;
	default:
		return BLK_S_UNSUPP;
	}
}

static bool blk_handle_queue(struct device *device, unsigned int index)
{
	struct virtqueue *vq = &device->queues[index].vq;
	struct blk *blk = device->state;
	struct virtqueue_chain chain;

	while (virtqueue_pop(vq, &chain) > 0) {
		uint8_t *status_byte = dma_buffers_take_last(&chain.writable);
		uint64_t room = chain.writable.len;
		uint8_t status;

		if (!status_byte) {
			virtqueue_drop(vq, &chain);
			continue;
		}
		status = serve(device, blk, &chain);
		*status_byte = status;
		if (status != BLK_S_OK)
			device->report.request_errors++;
		virtqueue_push(vq, &chain, room - chain.writable.len + sizeof(status));
	}
	return true;
}

static const int syscalls[] = {
	SYS_pread64,   /* IN with one buffer */
	SYS_preadv,    /* ... with several */
	SYS_pwrite64,  /* OUT with one buffer */
	SYS_pwritev,   /* ... with several */
	SYS_fdatasync, /* FLUSH */
	-1,
};

const struct device_ops blk_device_ops = {
	.features = BLK_F_SIZE_MAX | BLK_F_SEG_MAX | BLK_F_BLK_SIZE | BLK_F_FLUSH,
	.needs_backend = true,
	.writes_files = true,
	.syscalls = syscalls,
	.create = blk_create,
	.get_config = blk_get_config,
	.handle_queue = blk_handle_queue,
	.destroy = blk_destroy,
};
