/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The device's side of a split virtqueue (virtio 1.3, 2.7), with INDIRECT_DESC and EVENT_IDX.
 *
 * Three areas in guest memory; the queue size N is a power of two:
 *
 *	descriptor table       available ring            used ring
 *	written by driver      written by driver         written by device
 *	16 * N bytes           6 + 2 * N bytes           6 + 8 * N bytes
 *	+-----------------+    +--------------------+    +------------------------+
 *	| addr le64       |    | flags le16         |    | flags le16             |
 *	| len le32        |    | idx le16           |    | idx le16               |
 *	| flags le16      |    | ring[N] le16 ------|-+  | ring[N]                |
 *	| next le16 ----+ |    | used_event le16    | |  |   { id le32, len le32 }|
 *	| ...           | |    +--------------------+ |  | avail_event le16       |
 *	+-----------------+                           |  +------------------------+
 *	   ^ chain <----+   head of a chain <---------+
 *
 * The driver makes a chain of descriptors (readable ones first, then writable ones), stores the
 * index of its head in avail.ring[avail.idx % N] and increments avail.idx. The device answers with
 * the head and the number of bytes written in used.ring[used.idx % N] and increments used.idx. Both
 * indices run freely from 65535 to 0.
 *
 * Two ways to save notifications: without EVENT_IDX each side sets a flag ("do not tell me"); with
 * it each side publishes the index at which it wants to be told next (used_event, avail_event).
 *
 * All of this is memory that a hostile guest writes while we look at it. Therefore:
 *  - each descriptor and each index is fetched once, into a local, then checked, then used;
 *  - our own indices are never read back from guest memory;
 *  - a chain has at most N descriptors, so a loop ends;
 *  - what a chain names becomes a pointer by dma_map() only.
 *
 * How it goes wrong, and what follows:
 *
 *	the chain is malformed (loop, index >= N, readable after writable, a bad indirect table)
 *		-> dropped: used with length 0 and counted; the queue goes on
 *	the ring is unusable (avail.idx ran ahead by more than N, a head >= N), or any address lies
 *	outside the windows
 *		-> the queue is broken: it is not touched again until it is started anew
 */
#ifndef DEVICES_CORE_VIRTQUEUE_H
#define DEVICES_CORE_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/core/buffers.h"
#include "devices/core/dma.h"

#define VIRTQ_DESC_F_NEXT	   1
#define VIRTQ_DESC_F_WRITE	   2
#define VIRTQ_DESC_F_INDIRECT	   4
#define VIRTQ_AVAIL_F_NO_INTERRUPT 1
#define VIRTQ_USED_F_NO_NOTIFY	   1

struct virtq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct virtq_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[]; /* N entries, then used_event */
};

struct virtq_used_elem {
	uint32_t id;
	uint32_t len;
};

struct virtq_used {
	uint16_t flags;
	uint16_t idx;
	struct virtq_used_elem ring[]; /* N entries, then avail_event */
};

/* One request: copied out of the rings, its memory mapped. Valid until the next pop. */
struct virtqueue_chain {
	uint16_t head;
	struct dma_buffers readable; /* what the driver sent */
	struct dma_buffers writable; /* room for the answer */
	uint64_t readable_len;	     /* as they were before the device took anything off */
	uint64_t writable_len;
};

/* Where virtqueue_rewind() goes back to. */
struct virtqueue_mark {
	uint16_t last_avail;
	uint16_t used_idx;
	uint16_t budget;
	uint64_t requests; /* of the report, like the next two */
	uint64_t bytes_to_device;
	uint64_t bytes_from_device;
};

struct evil_queue;

struct virtqueue {
	struct dma_space *dma;	 /* not owned */
	struct evil_queue *evil; /* what else happens to completions; NULL: nothing; not owned */
	unsigned int index;	 /* of this queue in its device */
	uint16_t max_size;
	struct iovec *iov; /* max_size entries for the one chain that is out; owned */

	uint16_t size; /* N */
	bool event_idx;
	bool indirect;
	bool broken;
	int error; /* why it is broken: -EFAULT, -EPROTO or -EINVAL */
	const struct virtq_desc *desc;
	const struct virtq_avail *avail;
	struct virtq_used *used;

	uint16_t last_avail;	 /* next entry of avail.ring to take */
	uint16_t seen_avail;	 /* avail.idx as last fetched */
	uint16_t used_idx;	 /* ours; used.idx in guest memory is only written */
	uint16_t *kept_next;	 /* used_idx as last published, for a successor; not owned */
	uint16_t not_kept;	 /* its place when there will be none */
	uint16_t signalled_used; /* used_idx when the driver was last considered for an interrupt */
	uint16_t budget;	 /* chains left in this batch */
	bool held;		 /* used.idx stays behind used_idx */
	struct virtqueue_mark mark;
};

/* Where the driver put the rings (DMA addresses) and what was negotiated. */
struct virtqueue_layout {
	uint64_t desc;
	uint64_t avail;
	uint64_t used;
	uint16_t size; /* power of two, at most max_size */
	uint16_t base; /* both indices start here, and used.idx is set to it */
	bool event_idx;
	bool indirect;
};

/* Allocates what the data path needs. Returns 0 or -ENOMEM; virtqueue_destroy() releases it. */
int virtqueue_init(struct virtqueue *vq, struct dma_space *dma, unsigned int index,
		   uint16_t max_size);
void virtqueue_destroy(struct virtqueue *vq);

/*
 * Maps the rings. Returns 0, -EINVAL for a bad size or alignment (2.7: 16, 2 and 4 bytes), -EFAULT
 * when a ring is not inside one window (recorded as a violation). On error the queue is broken.
 */
int virtqueue_start(struct virtqueue *vq, const struct virtqueue_layout *layout);

/* Breaks the queue, for a reason that virtqueue_start() cannot see. Returns @error. */
int virtqueue_break(struct virtqueue *vq, int error);

/*
 * A batch: begin, pop and push until nothing is left, finish. In between the driver is asked not to
 * kick. A batch is at most N chains long, so that one busy queue leaves time for everything else.
 *
 * virtqueue_finish() asks for kicks again when @want_kick, and then returns true if chains are
 * waiting that nobody will kick for: either they came in just now or the batch was cut short. A
 * device that has to wait for its host side first, before it takes another chain, wants no kick.
 * virtqueue_finish() is also the barrier that virtqueue_should_notify() needs.
 */
void virtqueue_begin(struct virtqueue *vq);
bool virtqueue_finish(struct virtqueue *vq, bool want_kick);

/*
 * True when a chain is waiting that virtqueue_pop() may return. For devices that take a chain only
 * once they have something to put in. A broken ring has none.
 */
bool virtqueue_has_chain(struct virtqueue *vq);

/*
 * Takes the next chain. Returns 1, 0 when none is left in this batch, -EFAULT or -EPROTO when the
 * queue is broken (see above). Malformed chains are completed here and never returned.
 */
int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain);

/* Puts the chain that was popped last, and not pushed, back. */
void virtqueue_unpop(struct virtqueue *vq);

/* Work that took no chain was as much as a chain: the batch, if it is not over, is shorter by one. */
void virtqueue_spend(struct virtqueue *vq);

/* Completes @chain: @written bytes of its writable part were filled, from the front. */
void virtqueue_push(struct virtqueue *vq, const struct virtqueue_chain *chain, uint32_t written);

/* Completes a chain that makes no sense to the device, as a malformed one. */
void virtqueue_drop(struct virtqueue *vq, const struct virtqueue_chain *chain);

/*
 * Several chains for one thing, of which the driver must see all or none (5.1.6.4.1): the chain that
 * was popped last, and those popped from here on, are completed out of the driver's sight. The
 * budget does not end in between. Then either virtqueue_publish() shows them, all at once, or
 * virtqueue_rewind() puts them back as if they had never been popped.
 */
void virtqueue_hold(struct virtqueue *vq);
void virtqueue_publish(struct virtqueue *vq);
void virtqueue_rewind(struct virtqueue *vq);

/*
 * One element of the used ring as it is, whatever it says, and an index of that ring: for devices that
 * do not keep to the rules (devices/core/evil.h).
 */
void virtqueue_put_used(struct virtqueue *vq, uint32_t id, uint32_t len);
void virtqueue_show_used(struct virtqueue *vq, uint16_t index);

/*
 * True when the driver wants an interrupt for what was pushed since the last call (2.7.7, 2.7.10).
 * To be called after virtqueue_finish().
 */
bool virtqueue_should_notify(struct virtqueue *vq);

#endif
