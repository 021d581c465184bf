/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * virtio-blk (virtio 1.3, 5.2) over a file or a block device, see blk_file.h.
 *
 * Requests are served one after the other, those of a queue in order: with the file in the page
 * cache that costs the fewest instructions per request.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "devices/blk_file.h"
#include "devices/core/log.h"
#include "devices/device.h"

#define BLK_F_SIZE_MAX	   (1ull << 1)
#define BLK_F_SEG_MAX	   (1ull << 2)
#define BLK_F_RO	   (1ull << 5)
#define BLK_F_BLK_SIZE	   (1ull << 6)
#define BLK_F_FLUSH	   (1ull << 9)
#define BLK_F_MQ	   (1ull << 12)
#define BLK_F_DISCARD	   (1ull << 13)
#define BLK_F_WRITE_ZEROES (1ull << 14)

enum blk_type {
	BLK_T_IN = 0,
	BLK_T_OUT = 1,
	BLK_T_FLUSH = 4,
	BLK_T_GET_ID = 8,
	BLK_T_DISCARD = 11,
	BLK_T_WRITE_ZEROES = 13,
};

enum blk_status { BLK_S_OK = 0, BLK_S_IOERR = 1, BLK_S_UNSUPP = 2 };

/* 5.2.4, as far as our features reach. Little-endian. */
struct blk_config {
	uint64_t capacity; /* sectors */
	uint32_t size_max; /* bytes of one segment */
	uint32_t seg_max;  /* segments of one request */
	uint8_t geometry[4];
	uint32_t blk_size; /* bytes */
	uint8_t topology[8];
	uint8_t writeback;
	uint8_t unused;
	uint16_t num_queues;
	uint32_t max_discard_sectors; /* of one range; likewise below */
	uint32_t max_discard_seg;     /* ranges of one request */
	uint32_t discard_sector_alignment;
	uint32_t max_write_zeroes_sectors;
	uint32_t max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap;
	uint8_t padding[7];
};

/* 5.2.6. Little-endian. Data and the status byte follow. */
struct blk_header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};

/* The data of DISCARD and WRITE_ZEROES. Little-endian. */
struct blk_range {
	uint64_t sector;
	uint32_t num_sectors;
	uint32_t flags;
};

#define BLK_RANGE_UNMAP 1u

_Static_assert(offsetof(struct blk_config, num_queues) == 34, "as the specification has it");
_Static_assert(offsetof(struct blk_config, write_zeroes_may_unmap) == 56, "likewise");
_Static_assert(sizeof(struct blk_header) == 16, "likewise");
_Static_assert(sizeof(struct blk_range) == 16, "likewise");

/*
 * Limits for the driver. A guest bounces whole requests through the pool, so one of them must never
 * need more than a part of it: Linux retries for ever when the pool cannot hold a single request.
 */
#define SEGMENT_MAX  65536u /* bytes */
#define SEGMENTS_MAX 126u   /* with header and status: 128 descriptors */
#define POOL_SHARE   4	    /* a request takes at most a quarter of the smallest window */
#define SERIAL_MAX   20u    /* bytes, of GET_ID (5.2.6) */
#define MIN_QUEUE    4	    /* a request with data has three descriptors */

/*
 * Ranges carry little data, but take their time. Giving back 256 MiB takes a moment; for zeroes we
 * may have to write every one, and other requests wait.
 */
#define DISCARD_SECTORS	     (256u << 11)
#define DISCARD_RANGES	     32u
#define WRITE_ZEROES_SECTORS (32u << 11)
#define WRITE_ZEROES_RANGES  1u
#define FILE_BLOCK	     4096u /* bytes: what file systems commonly give back at least */

struct blk {
	uint64_t capacity; /* sectors, as the driver was told last */
	bool read_only;
	char serial[SERIAL_MAX]; /* padded with 0 */
	struct blk_file file;
};

/* In device->kept->state. */
struct blk_kept {
	uint8_t sync_failed; /* written data may be lost: no flush can succeed any more */
};

static int take_serial(struct blk *blk, const struct device_options *options)
{
	const char *serial = device_setting(options, "serial");
	size_t len = serial ? strlen(serial) : 0;

	if (len > sizeof(blk->serial)) {
		device_log("serial: %s: longer than %u bytes", serial, SERIAL_MAX);
		return -EINVAL;
	}
	if (len)
		memcpy(blk->serial, serial, len);
	return 0;
}

static int take_queues(struct device *device, const struct device_options *options)
{
	uint64_t queues = 1, size = device->queue_size;
	int rc = device_setting_number(options, "queues", 1, device->nr_queues, &queues);

	if (!rc)
		rc = device_setting_number(options, "queue-size", MIN_QUEUE, DEVICE_MAX_QUEUE_SIZE,
					   &size);
	if (rc)
		return rc;
	if (size & (size - 1)) {
		device_log("queue-size: %llu: not a power of two", (unsigned long long)size);
		return -EINVAL;
	}
	device->nr_queues = queues;
	device->queue_size = size;
	return 0;
}

static int take_cache(bool *direct, const struct device_options *options)
{
	const char *cache = device_setting(options, "cache");

	*direct = cache && !strcmp(cache, "none");
	if (!cache || *direct || !strcmp(cache, "writeback"))
		return 0;
	device_log("cache: %s: neither writeback nor none", cache);
	return -EINVAL;
}

static void offer_features(struct device *device, const struct blk *blk)
{
	if (device->nr_queues > 1)
		device->offered |= BLK_F_MQ;
	if (blk->read_only)
		device->offered |= BLK_F_RO;
	else
		device->offered |= BLK_F_DISCARD | BLK_F_WRITE_ZEROES;
}

/* Releases nothing when it fails: blk_destroy() does. */
static int set_up(struct device *device, struct blk *blk, const struct device_options *options)
{
	uint64_t bytes = 0;
	bool direct;
	int rc = take_serial(blk, options);

	if (!rc)
		rc = take_queues(device, options);
	if (!rc)
		rc = take_cache(&direct, options);
	if (!rc)
		rc = blk_file_init(&blk->file, device->backends[0].fd, blk->read_only, direct);
	if (rc == -EOPNOTSUPP)
		device_log("cache: none: the file system has no direct I/O");
	if (!rc)
		rc = blk_file_size(&blk->file, &bytes);
	if (rc)
		return rc;
	blk->capacity = bytes / BLK_SECTOR_SIZE;
	offer_features(device, blk);
	return 0;
}

static int blk_create(struct device *device, const struct device_options *options)
{
	struct blk *blk = calloc(1, sizeof(*blk));

	if (!blk)
		return -ENOMEM;
	device->state = blk;
	blk->read_only = device_setting(options, "ro") != NULL;
	return set_up(device, blk, options);
}

/* An end in good order, SIGTERM included, leaves nothing to the host's page cache alone. */
static void flush_at_end(struct blk *blk)
{
	bool opened = blk->capacity > 0;
	int rc = opened && !blk->read_only ? blk_file_sync(&blk->file) : 0;

	if (rc)
		device_log("what was written last may be lost: %s", strerror(-rc));
}

static void blk_destroy(struct device *device)
{
	struct blk *blk = device->state;

	if (blk) {
		flush_at_end(blk);
		blk_file_destroy(&blk->file);
	}
	free(blk);
}

/* How many segments of how many bytes a request may have at most. */
static void fill_segments(struct blk_config *config, uint64_t request, uint32_t block_size,
			  uint16_t queue_size)
{
	uint32_t size_max = SEGMENT_MAX;
	uint32_t seg_max = SEGMENTS_MAX;

	if (request < size_max)
		size_max = request < block_size ? block_size : request & ~(block_size - 1ull);
	if (queue_size - 2u < seg_max)
		seg_max = queue_size - 2u;
	if (request / size_max < seg_max)
		seg_max = request < size_max ? 1 : request / size_max;
	config->size_max = htole32(size_max);
	config->seg_max = htole32(seg_max);
}

static void fill_ranges(struct blk_config *config, uint64_t request, uint32_t block_size)
{
	uint64_t fit = request / sizeof(struct blk_range);
	uint32_t ranges = fit < DISCARD_RANGES ? fit : DISCARD_RANGES;
	uint32_t alignment = block_size > FILE_BLOCK ? block_size : FILE_BLOCK;

	config->max_discard_sectors = htole32(DISCARD_SECTORS);
	config->max_discard_seg = htole32(ranges ? ranges : 1);
	config->discard_sector_alignment = htole32(alignment / BLK_SECTOR_SIZE);
	config->max_write_zeroes_sectors = htole32(WRITE_ZEROES_SECTORS);
	config->max_write_zeroes_seg = htole32(WRITE_ZEROES_RANGES);
	config->write_zeroes_may_unmap = 1;
}

/* The file may have got another size since the last time. */
static void blk_get_config(struct device *device, void *buf)
{
	struct blk *blk = device->state;
	uint64_t window = dma_smallest_window(&device->dma);
	uint64_t request = window ? window / POOL_SHARE : UINT64_MAX;
	struct blk_config *config = buf;
	uint64_t bytes;

	if (!blk_file_size(&blk->file, &bytes))
		blk->capacity = bytes / BLK_SECTOR_SIZE;
	config->capacity = htole64(blk->capacity);
	config->blk_size = htole32(blk->file.block_size);
	config->num_queues = htole16(device->nr_queues);
	fill_segments(config, request, blk->file.block_size, device->queue_size);
	if (!blk->read_only)
		fill_ranges(config, request, blk->file.block_size);
}

static bool in_capacity(const struct blk *blk, uint64_t sector, uint64_t len)
{
	return len % BLK_SECTOR_SIZE == 0 && sector <= blk->capacity &&
	       len / BLK_SECTOR_SIZE <= blk->capacity - sector;
}

static uint8_t transfer(struct blk *blk, struct dma_buffers *buffers, bool write, uint64_t sector)
{
	if (!in_capacity(blk, sector, buffers->len) ||
	    blk_file_transfer(&blk->file, buffers, write, sector * BLK_SECTOR_SIZE))
		return BLK_S_IOERR;
	return BLK_S_OK;
}

/*
 * After a failed write-back Linux drops the pages and reports success the next time. Claiming then
 * that old data is durable would be a lie, so once is for ever, for processes after this one too.
 */
static uint8_t flush(const struct device *device, struct blk *blk)
{
	struct blk_kept *kept = (struct blk_kept *)device->kept->state;

	if (!kept->sync_failed && blk_file_sync(&blk->file))
		kept->sync_failed = 1;
	return kept->sync_failed ? BLK_S_IOERR : BLK_S_OK;
}

/* 5.2.6.2: a driver that cannot flush is promised write-through. */
static uint8_t finish_write(const struct device *device, struct blk *blk, uint8_t status)
{
	return status != BLK_S_OK || device->features & BLK_F_FLUSH ? status : flush(device, blk);
}

static uint8_t write_sectors(const struct device *device, struct blk *blk,
			     struct dma_buffers *buffers, uint64_t sector)
{
	if (blk->read_only)
		return BLK_S_IOERR;
	return finish_write(device, blk, transfer(blk, buffers, true, sector));
}

/* The status for flags of @type that we do not know, or for a range that does not exist. */
static uint8_t check_range(const struct blk *blk, uint32_t type, const struct blk_range *range)
{
	uint32_t known = type == BLK_T_WRITE_ZEROES ? BLK_RANGE_UNMAP : 0;
	uint32_t sectors_max = type == BLK_T_WRITE_ZEROES ? WRITE_ZEROES_SECTORS : DISCARD_SECTORS;
	uint32_t sectors = le32toh(range->num_sectors);

	if (le32toh(range->flags) & ~known)
		return BLK_S_UNSUPP;
	if (sectors > sectors_max ||
	    !in_capacity(blk, le64toh(range->sector), (uint64_t)sectors * BLK_SECTOR_SIZE))
		return BLK_S_IOERR;
	return BLK_S_OK;
}

static uint8_t clear_range(struct blk *blk, uint32_t type, const struct blk_range *range)
{
	uint64_t offset = le64toh(range->sector) * BLK_SECTOR_SIZE;
	uint64_t len = (uint64_t)le32toh(range->num_sectors) * BLK_SECTOR_SIZE;
	bool unmap = le32toh(range->flags) & BLK_RANGE_UNMAP;
	int rc;

	if (type == BLK_T_WRITE_ZEROES)
		rc = blk_file_zero(&blk->file, offset, len, unmap);
	else
		rc = blk_file_discard(&blk->file, offset, len);
	if (rc == -EOPNOTSUPP)
		return BLK_S_UNSUPP;
	return rc ? BLK_S_IOERR : BLK_S_OK;
}

/* DISCARD or WRITE_ZEROES: nothing happens unless all of the @buffers is good. */
static uint8_t clear_ranges(struct blk *blk, uint32_t type, struct dma_buffers *buffers)
{
	uint32_t max = type == BLK_T_WRITE_ZEROES ? WRITE_ZEROES_RANGES : DISCARD_RANGES;
	struct blk_range ranges[DISCARD_RANGES];
	uint8_t status = BLK_S_OK;
	uint32_t count;

	if (!buffers->len || buffers->len % sizeof(ranges[0]) ||
	    buffers->len > max * sizeof(ranges[0]))
		return BLK_S_IOERR;
	count = dma_buffers_read(buffers, ranges, sizeof(ranges)) / sizeof(ranges[0]);
	for (uint32_t i = 0; i < count && status == BLK_S_OK; i++)
		status = check_range(blk, type, &ranges[i]);
	for (uint32_t i = 0; i < count && status == BLK_S_OK; i++)
		status = clear_range(blk, type, &ranges[i]);
	return status;
}

/* Returns the status; what was put into @chain->writable is off its front. */
static uint8_t serve(const struct device *device, struct blk *blk, struct virtqueue_chain *chain)
{
	struct blk_header header;
	uint32_t type;

	if (dma_buffers_read(&chain->readable, &header, sizeof(header)) != sizeof(header))
		return BLK_S_IOERR;
	type = le32toh(header.type);
	switch (type) {
	case BLK_T_IN:
		if (chain->readable.len)
			return BLK_S_IOERR;
		return transfer(blk, &chain->writable, false, le64toh(header.sector));
	case BLK_T_OUT:
		if (chain->writable.len)
			return BLK_S_IOERR;
		return write_sectors(device, blk, &chain->readable, le64toh(header.sector));
	case BLK_T_FLUSH:
		return flush(device, blk);
	case BLK_T_GET_ID:
		dma_buffers_write(&chain->writable, blk->serial, sizeof(blk->serial));
		return BLK_S_OK;
	case BLK_T_DISCARD:
	case BLK_T_WRITE_ZEROES:
		if (!(device->offered & BLK_F_DISCARD))
			return BLK_S_UNSUPP;
		if (chain->writable.len)
			return BLK_S_IOERR;
		return finish_write(device, blk, clear_ranges(blk, type, &chain->readable));
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
			device->report->request_errors++;
		virtqueue_push(vq, &chain, room - chain.writable.len + sizeof(status));
	}
	return true;
}

static const char *const settings[] = {
	"ro",	      /* the driver may only read */
	"serial",     /* =S: what GET_ID answers */
	"queues",     /* =N */
	"queue-size", /* =N: entries of each */
	"cache",      /* =writeback, or =none for direct I/O */
	NULL,
};

static const int syscalls[] = {
	SYS_pread64,   /* IN with one buffer */
	SYS_preadv,    /* ... with several */
	SYS_pwrite64,  /* OUT with one buffer */
	SYS_pwritev,   /* ... with several */
	SYS_fdatasync, /* FLUSH */
	SYS_fallocate, /* DISCARD and WRITE_ZEROES */
	SYS_lseek,     /* the size, when the front-end asks anew, and after WRITE_ZEROES */
	-1,
};

const struct device_ops blk_device_ops = {
	.features = BLK_F_SIZE_MAX | BLK_F_SEG_MAX | BLK_F_BLK_SIZE | BLK_F_FLUSH,
	.settings = settings,
	.min_backends = 1,
	.max_backends = 1,
	.writes_files = true,
	.syscalls = syscalls,
	.create = blk_create,
	.get_config = blk_get_config,
	.handle_queue = blk_handle_queue,
	.destroy = blk_destroy,
};
