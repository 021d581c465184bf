/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Requests with one answer each: sectors of a disk, and random bytes.
 *
 * Each slot has a part of the disk to itself and writes or reads a sector of it. A sector holds its
 * number and how often it was written, all over: what is read must be what was written last, also when
 * the device was reset or killed in between. A write that a reset gave up has not been done at all.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/endurance/traffic.h"

#define SECTOR	     512u
#define SLOT_SECTORS 256u
#define SECTORS	     (DRIVER_SLOTS * SLOT_SECTORS)
#define HEADER	     16u
#define RNG_BYTES    64u

enum { BLK_READ, BLK_WRITE };

/* Where in a slot the status is: behind what is before it, either way. */
#define AT_STATUS (HEADER + SECTOR)

struct blk_header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};

static struct {
	uint32_t type[DRIVER_SLOTS];
	uint32_t sector[DRIVER_SLOTS];
	bool busy[DRIVER_SLOTS];
	uint32_t written[SECTORS]; /* how often */
} blk;

static void fill_sector(uint64_t *words, uint32_t sector, uint32_t times)
{
	for (unsigned int i = 0; i < SECTOR / sizeof(*words); i++)
		words[i] = (uint64_t)sector << 40 | (uint64_t)times << 8 | i;
}

static int blk_prepare(struct run *run)
{
	uint64_t words[SECTOR / sizeof(uint64_t)];
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/disk", run->folder);
	file = fopen(path, "we");
	for (uint32_t sector = 0; file && sector < SECTORS; sector++) {
		fill_sector(words, sector, 0);
		if (fwrite(words, SECTOR, 1, file) != 1)
			break;
	}
	if (!file || fclose(file)) {
		perror(path);
		return -EIO;
	}
	run_add_word(run, "--file");
	run_add_word(run, "%s", path);
	return 0;
}

static void blk_ask(struct run *run, unsigned int slot)
{
	struct driver_queue *queue = &run->driver.queues[0];
	uint8_t *at = driver_slot(queue, slot);
	uint32_t sector = slot * SLOT_SECTORS + run_random(run, SLOT_SECTORS);
	struct blk_header header = { .type = run_random(run, 2), .sector = sector };

	blk.type[slot] = header.type;
	blk.sector[slot] = sector;
	blk.busy[slot] = true;
	memcpy(at, &header, sizeof(header));
	at[AT_STATUS] = 0xff;
	if (header.type == BLK_WRITE) {
		fill_sector((uint64_t *)(at + HEADER), sector, blk.written[sector] + 1);
		driver_offer(queue, slot, HEADER + SECTOR, 1);
	} else {
		memset(at + HEADER, 0xee, SECTOR);
		driver_offer(queue, slot, HEADER, SECTOR + 1);
	}
}

static int blk_look(const struct run *run, unsigned int slot, uint32_t written)
{
	const uint8_t *at = driver_slot(&run->driver.queues[0], slot);
	uint64_t expected[SECTOR / sizeof(uint64_t)];
	const uint32_t sector = blk.sector[slot];
	bool is_write = blk.type[slot] == BLK_WRITE;

	if (is_write)
		blk.written[sector]++;
	fill_sector(expected, sector, blk.written[sector]);
	if (blk.busy[slot] && at[AT_STATUS] == 0 && written == (is_write ? 1 : SECTOR + 1) &&
	    memcmp(at + HEADER, expected, SECTOR) == 0) {
		blk.busy[slot] = false;
		return 0;
	}
	fprintf(stderr, "endurance: blk: %s of sector %u: status %u, %u bytes, %s\n",
		is_write ? "write" : "read", sector, at[AT_STATUS], written,
		blk.busy[slot] ? "or other contents than expected" : "and nobody asked");
	return -EIO;
}

static int one_begin(struct run *run)
{
	(void)run;
	/* What a reset gave up was not done, and is not asked for again. */
	memset(blk.busy, 0, sizeof(blk.busy));
	return 0;
}

static int one_resume(struct run *run)
{
	(void)run;
	return 0;
}

static void rng_ask(struct run *run, unsigned int slot)
{
	struct driver_queue *queue = &run->driver.queues[0];

	memset(driver_slot(queue, slot), 0, 2 * RNG_BYTES);
	driver_offer(queue, slot, 0, RNG_BYTES);
	blk.busy[slot] = true;
}

/* 64 bytes are never all zero, nor what the previous answer was; what lies behind them stays. */
static int rng_look(const struct run *run, unsigned int slot, uint32_t written)
{
	static uint8_t previous[RNG_BYTES];
	const uint8_t *at = driver_slot(&run->driver.queues[0], slot);
	static const uint8_t zeroes[RNG_BYTES];

	if (!blk.busy[slot] || written != RNG_BYTES || memcmp(at, zeroes, RNG_BYTES) == 0 ||
	    memcmp(at, previous, RNG_BYTES) == 0 ||
	    memcmp(at + RNG_BYTES, zeroes, RNG_BYTES) != 0) {
		fprintf(stderr, "endurance: rng: %u bytes, or not random, or too many\n", written);
		return -EIO;
	}
	memcpy(previous, at, RNG_BYTES);
	blk.busy[slot] = false;
	return 0;
}

static int one_step(struct run *run, bool more, void (*ask)(struct run *run, unsigned int slot),
		    int (*look)(const struct run *run, unsigned int slot, uint32_t written))
{
	struct driver_queue *queue = &run->driver.queues[0];
	int rc, did = 0;
	unsigned int slot;
	uint32_t written;

	while ((rc = driver_take(queue, &slot, &written)) > 0) {
		rc = look(run, slot, written);
		if (rc)
			return rc;
		did++;
	}
	for (slot = 0; slot < DRIVER_SLOTS && more; slot++) {
		if (blk.busy[slot])
			continue;
		ask(run, slot);
		did++;
	}
	driver_publish(&run->driver, 0);
	return rc ? rc : did;
}

static int blk_step(struct run *run, bool more)
{
	return one_step(run, more, blk_ask, blk_look);
}

static int rng_step(struct run *run, bool more)
{
	return one_step(run, more, rng_ask, rng_look);
}

static int rng_prepare(struct run *run)
{
	(void)run;
	return 0;
}

static bool one_at_rest(const struct run *run)
{
	return run->driver.queues[0].in_flight == 0;
}

static int no_host(const struct run *run, short *events)
{
	(void)run;
	*events = 0;
	return -1;
}

const struct traffic blk_traffic = {
	.kind = "blk",
	.nr_queues = 1,
	.interruptible = true,
	.prepare = blk_prepare,
	.begin = one_begin,
	.resume = one_resume,
	.step = blk_step,
	.at_rest = one_at_rest,
	.host = no_host,
};

const struct traffic rng_traffic = {
	.kind = "rng",
	.nr_queues = 1,
	.interruptible = true,
	.prepare = rng_prepare,
	.begin = one_begin,
	.resume = one_resume,
	.step = rng_step,
	.at_rest = one_at_rest,
	.host = no_host,
};
