/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* An evil device, and a driver that looks at what it is given. */
#ifndef TESTS_UNIT_EVIL_BENCH_H
#define TESTS_UNIT_EVIL_BENCH_H

#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "devices/proto/evil.h"
#include "tests/unit/blk_bench.h"

#define EVIL_SIZE   64 /* of the queue */
#define EVIL_BUFFER 64 /* bytes, of rng */

struct evil_bench {
	struct blk_bench blk; /* its front-end is that of the other kinds, too */
	char setting[EVIL_SETTING_MAX + 8];
};

static inline struct mock_frontend *evil_fe(struct evil_bench *b)
{
	return &b->blk.fe;
}

/* An rng that @how makes evil; it is in the whole sandbox if @confined. */
static inline void evil_start_rng(struct evil_bench *b, const char *how, bool confined)
{
	const char *const settings[] = { b->setting, NULL };
	const struct device_options options = { NULL, 0, settings };

	snprintf(b->setting, sizeof(b->setting), "evil=%s", how);
	mock_start(evil_fe(b), "rng", &options, confined);
	mock_connect(evil_fe(b), 1, EVIL_SIZE);
}

/* A disk of SECTORS sectors. */
static inline void evil_start_blk(struct evil_bench *b, const char *how, bool read_only,
				  bool confined)
{
	const char *const settings[] = { b->setting, read_only ? "ro" : NULL, NULL };
	int file = blk_bench_file(SECTORS, 0);
	const struct device_options options = { &file, 1, settings };

	snprintf(b->setting, sizeof(b->setting), "evil=%s", how);
	b->blk.file = file;
	mock_start(evil_fe(b), "blk", &options, confined);
	mock_connect(evil_fe(b), 1, EVIL_SIZE);
}

/* The place of the one request that evil_submit_blk() makes. */
#define EVIL_HEADER (MOCK_BASE + 0x80000)
#define EVIL_STATUS (EVIL_HEADER + 0x1000)
#define EVIL_DATA   (EVIL_HEADER + 0x2000)

/* One sector at EVIL_DATA, to be read or written; the device does not know yet. */
static inline void evil_offer_blk(struct evil_bench *b, uint32_t type, uint64_t sector)
{
	struct mock_driver *driver = &evil_fe(b)->queues[0];
	uint16_t index = 0;

	memset(mock_ptr(driver, EVIL_HEADER), 0, 16);
	memcpy(mock_ptr(driver, EVIL_HEADER), &(uint32_t){ htole32(type) }, 4);
	memcpy(mock_ptr(driver, EVIL_HEADER + 8), &(uint64_t){ htole64(sector) }, 8);
	*(uint8_t *)mock_ptr(driver, EVIL_STATUS) = NONE;
	index = blk_bench_add(driver, index, EVIL_HEADER, 16, 0, 0);
	index = blk_bench_add(driver, index, EVIL_DATA, 512, type == IN ? W : 0, 0);
	index = blk_bench_add(driver, index, EVIL_STATUS, 1, W, 0);
	mock_desc_table(driver)[index - 1].flags &= ~VIRTQ_DESC_F_NEXT;
	mock_submit(driver, 0);
}

static inline void evil_submit_blk(struct evil_bench *b, uint32_t type, uint64_t sector)
{
	evil_offer_blk(b, type, sector);
	mock_kick(evil_fe(b), 0);
}

/* One buffer of an rng at a fixed place; returns its address. */
static inline uint64_t evil_submit_rng(struct evil_bench *b, uint16_t head)
{
	struct mock_driver *driver = &evil_fe(b)->queues[0];
	uint64_t addr = EVIL_DATA + head * 0x100ull;

	mock_set_desc(mock_desc_table(driver), head,
		      (struct virtq_desc){ addr, EVIL_BUFFER, VIRTQ_DESC_F_WRITE, 0 });
	mock_submit(driver, head);
	return addr;
}

static inline uint64_t evil_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline uint16_t evil_used_idx(struct evil_bench *b)
{
	return __atomic_load_n(&mock_used(&evil_fe(b)->queues[0])->idx, __ATOMIC_ACQUIRE);
}

/* The tricks played by the device's own account. */
static inline uint32_t evil_played(struct evil_bench *b, enum evil_trick trick)
{
	return mock_report(evil_fe(b)).tricks[trick];
}

#endif
