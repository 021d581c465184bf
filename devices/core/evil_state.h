/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Inside devices/core/evil*.c only: what an evil device remembers. */
#ifndef DEVICES_CORE_EVIL_STATE_H
#define DEVICES_CORE_EVIL_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/core/evil_chain.h"
#include "devices/core/evil_random.h"
#include "devices/core/evil.h"
#include "devices/device.h"
#include "devices/proto/evil.h"

#define EVIL_NEVER    UINT64_MAX /* a time that does not come */
#define EVIL_LATE_MAX 8

/* A completion that waits until @due, or until so many others have been drawn. */
struct evil_held {
	uint32_t id;
	uint32_t len;
	uint64_t due; /* of evil_now_ms(), like all times here */
	uint64_t after;
};

/* A bit that will be flipped in memory that the driver has back. */
struct evil_late {
	uint64_t dma_addr;
	uint64_t due;
	uint8_t mask;
};

/* Of one queue. What a trick wants done at the end of the batch stands here until then. */
struct evil_queue {
	struct evil *evil;
	struct virtqueue *vq;
	unsigned int index;
	uint64_t completions;	/* drawn for, ever */
	struct evil_held *held; /* vq->max_size of them; owned, like batch */
	unsigned int nr_held;
	struct virtq_used_elem *batch; /* for evil_complete_held() */
	struct evil_late late[EVIL_LATE_MAX];
	unsigned int nr_late;
	uint64_t stalled_until; /* nothing is given back before; 0: it is */
	uint64_t repair_at;	/* the used ring tells the truth again; 0: it does */
	uint64_t call_at;	/* an interrupt; 0: none */
	struct evil_random end; /* for what is done at the end of the batch */
	unsigned int spurious;	/* interrupts */
	bool mute;		/* no interrupt for this batch */
	bool postpone;		/* it comes later */
	bool fail;		/* the front-end is told that the queue is broken */
	uint16_t back;		/* used.idx is shown so much too low */
	bool forge_flags;
	bool forge_avail;
	bool avail_forged; /* avail.idx is not what the driver wrote: */
	uint16_t avail_before;
	uint16_t avail_forgery;
};

struct evil {
	struct device *device;
	struct evil_settings settings;
	uint64_t config_reads;	   /* of what is not empty */
	uint64_t config_announced; /* config_reads when it last changed */
	bool lying;		   /* about configuration space */
	struct evil_queue queues[DEVICE_MAX_QUEUES];
};

/* A completion on its way, which tricks change. */
struct evil_completion {
	struct evil_random random;
	struct evil_chain chain;
	uint32_t id;
	uint32_t len;
	bool lost;
	bool twice; /* a second element follows: */
	uint32_t second_id;
	uint32_t second_len;
	uint64_t delay; /* milliseconds */
	uint64_t after; /* others that come first */
};

/* Plays @trick; false when there is nothing to play it on, and nothing has happened. */
bool evil_play_trick(enum evil_trick trick, struct evil_queue *queue,
		     struct evil_completion *completion);

uint64_t evil_now_ms(void);

/* What tricks want shown of the used ring after a batch, and an end to it. */
void evil_forge_used(struct evil_queue *queue);
void evil_restore_used(struct evil_queue *queue);

/* Likewise of the available ring, while the device does not look at it. */
void evil_forge_avail(struct evil_queue *queue);
void evil_restore_avail(struct evil_queue *queue);

/* One field, or one bit, of the @len bytes of configuration space. */
void evil_forge_field(struct evil_random *random, uint8_t *config, uint32_t len);

#endif
