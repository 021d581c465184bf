/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A second look at a chain that the device is about to give back: where its descriptors and its bytes
 * are. Bounded and inside the windows like the first one, but nothing of it is counted or refused: the
 * first look has decided about the driver, and this one serves the tricks alone.
 */
#ifndef DEVICES_CORE_EVIL_CHAIN_H
#define DEVICES_CORE_EVIL_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/core/virtqueue.h"

#define EVIL_CHAIN_MAX 64 /* descriptors that are looked at */

/* Memory that one descriptor names. */
struct evil_piece {
	uint8_t *at;
	uint64_t dma_addr;
	uint32_t len;
	bool writable;
};

struct evil_chain {
	uint8_t *descriptors[EVIL_CHAIN_MAX]; /* 16 bytes each */
	unsigned int nr_descriptors;
	struct evil_piece pieces[EVIL_CHAIN_MAX];
	unsigned int nr_pieces;
	uint64_t readable; /* bytes of all pieces */
	uint64_t writable;
};

/* Looks at the chain at @head, as far as it can be followed. */
void evil_chain_find(const struct virtqueue *vq, uint16_t head, struct evil_chain *chain);

/* Byte @offset of what the device may write, or of what it may only read; NULL when there is none. */
const struct evil_piece *evil_chain_at(const struct evil_chain *chain, bool writable,
				       uint64_t offset, uint32_t *in_piece);

#endif
