/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Disks: one to be written, one to be read only, one with direct I/O. The host's file fails, is short
 * and changes its size. A disk that is read only stays as it is, and what was written is read again.
 */
#include <endian.h>
#include <string.h>

#include "tests/fuzz/device_bench.h"

extern const struct device_ops blk_device_ops;

#define IN	     0
#define OUT	     1
#define FLUSH	     4
#define GET_ID	     8
#define DISCARD	     11
#define WRITE_ZEROES 13

#define SECTOR	  512u
#define SECTORS	  32u
#define HEADER	  RING_DATA
#define STATUS	  (RING_DATA + 16)
#define DATA	  (RING_DATA + 32)
#define NO_STATUS 0xee

struct header {
	uint32_t type, reserved;
	uint64_t sector;
};

struct range {
	uint64_t sector;
	uint32_t sectors, flags;
};

static void write_header(uint32_t type, uint64_t sector)
{
	const struct header header = { htole32(type), 0, htole64(sector) };
	const uint8_t none = NO_STATUS;

	memory_write(HEADER, &header, sizeof(header));
	memory_write(STATUS, &none, 1);
}

static uint32_t choose_type(struct fuzz_input *in)
{
	static const uint32_t types[] = { IN, OUT, OUT, FLUSH, GET_ID, DISCARD, WRITE_ZEROES };
	const uint8_t how = fuzz_u8(in);

	return how & 0x80 ? (uint32_t)fuzz_number(in) : types[how % 7];
}

static uint32_t write_ranges(struct fuzz_input *in)
{
	const unsigned int n = 1 + (fuzz_u8(in) & 3);

	for (unsigned int i = 0; i < n; i++) {
		const struct range range = { htole64(fuzz_number(in)),
					     htole32((uint32_t)fuzz_number(in)),
					     htole32(fuzz_u8(in) & 3u) };

		memory_write(DATA + i * sizeof(range), &range, sizeof(range));
	}
	return n * (uint32_t)sizeof(struct range);
}

/* A request that is well formed but for its numbers. */
static void blk_step(struct device_bench *b, struct fuzz_input *in)
{
	const uint8_t how = fuzz_u8(in);
	const uint32_t type = choose_type(in);
	const uint64_t sector = how & 1 ? fuzz_number(in) : fuzz_u8(in) % SECTORS;
	uint32_t len = how & 2 ? memory_length(in) : (how >> 4) * SECTOR;
	struct ring_piece pieces[8];
	unsigned int n;

	if (how & 4)
		host_disk.size = fuzz_number(in) % (HOST_DISK_MAX + 1);
	write_header(type, sector);
	if ((type == DISCARD || type == WRITE_ZEROES) && !(how & 2))
		len = write_ranges(in);
	n = device_bench_pieces(in, pieces, 0, HEADER, sizeof(struct header), false);
	n = device_bench_pieces(in, pieces, n, how & 8 ? memory_address(in) : DATA, len,
				type == IN || type == GET_ID);
	n = device_bench_pieces(NULL, pieces, n, STATUS, 1, true);
	device_bench_submit(b, how % b->device.nr_queues, pieces, n);
	device_bench_kick(b, how % b->device.nr_queues);
}

static uint8_t perform(struct device_bench *b, uint32_t type, uint64_t sector, uint32_t len)
{
	struct ring_piece pieces[3];
	unsigned int n;

	write_header(type, sector);
	n = device_bench_pieces(NULL, pieces, 0, HEADER, sizeof(struct header), false);
	n = device_bench_pieces(NULL, pieces, n, DATA, len, type != OUT);
	n = device_bench_pieces(NULL, pieces, n, STATUS, 1, true);
	device_bench_submit(b, 0, pieces, n);
	device_bench_kick(b, 0);
	fuzz_check(device_bench_take_used(b, 0, "request") == (type == OUT ? 1 : len + 1));
	return *(uint8_t *)memory_at(STATUS, 1);
}

static void blk_prove(struct device_bench *b)
{
	static const uint8_t pattern[SECTOR] = { 1, 2, 3 };
	const bool read_only = host_disk.read_only;
	uint8_t config[VHOST_USER_MAX_CONFIG];

	b->device.ops->get_config(&b->device, config);
	fuzz_check(perform(b, GET_ID, 0, 20) == 0, "GET_ID");
	fuzz_check(!memcmp(memory_at(DATA, 6), "serial", 6));
	if (host_disk.size < HOST_DISK_MAX)
		return;
	memory_write(DATA, pattern, sizeof(pattern));
	fuzz_check(perform(b, OUT, 3, SECTOR) == (read_only ? 1 : 0), "OUT");
	memset(memory_at(DATA, SECTOR), 0xff, SECTOR);
	fuzz_check(perform(b, IN, 3, SECTOR) == 0, "IN");
	if (!read_only)
		fuzz_check(!memcmp(memory_at(DATA, SECTOR), pattern, SECTOR),
			   "not what was written");
}

static struct device_bench benches[] = {
	{ .kind = { "blk", 2, RING_SIZE, 2, &blk_device_ops },
	  .backends = { HOST_DISK },
	  .settings = { "serial=serial", "queues=2" },
	  .step = blk_step,
	  .prove = blk_prove },
	{ .kind = { "blk", 2, RING_SIZE, 2, &blk_device_ops },
	  .backends = { HOST_DISK },
	  .settings = { "serial=serial", "ro" },
	  .step = blk_step,
	  .prove = blk_prove },
	{ .kind = { "blk", 2, RING_SIZE, 2, &blk_device_ops },
	  .backends = { HOST_DISK },
	  .settings = { "serial=serial", "cache=none" },
	  .step = blk_step,
	  .prove = blk_prove },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	const unsigned int i = fuzz_u8(&in) % 3;
	const struct host_disk disk = { i == 2, i == 1, HOST_DISK_MAX, false };

	if (!benches[i].state_before)
		device_bench_create(&benches[i], &disk);
	device_bench_run(&benches[i], &in);
	fuzz_check(ring_outstanding == 0);
	return 0;
}
