/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/virtio/confine.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "vmm/events.h"
#include "vmm/log.h"
#include "vmm/virtio/device.h"

#define HINT_MAX 160 /* bytes */

/* Bit that legacy drivers acknowledge wherever it is offered, VIRTIO_F_SWIOTLB or not. */
#define LEGACY_ANY_LAYOUT 27

static const char *const ring_part_names[VIRTIO_RING_PARTS] = {
	[VIRTIO_RING_DESC] = "descriptor table",
	[VIRTIO_RING_AVAIL] = "available ring",
	[VIRTIO_RING_USED] = "used ring",
};

static const char *const purpose_names[DMA_NR_PURPOSES] = {
	[DMA_RING] = "ring",
	[DMA_INDIRECT_TABLE] = "indirect table",
	[DMA_BUFFER] = "buffer",
};

uint64_t virtio_ring_bytes(enum virtio_ring_part part, uint16_t size)
{
	static const struct {
		uint32_t fixed, entry;
	} bytes[VIRTIO_RING_PARTS] = {
		[VIRTIO_RING_DESC] = { 0, 16 },
		[VIRTIO_RING_AVAIL] = { 6, 2 },
		[VIRTIO_RING_USED] = { 6, 8 },
	};

	return bytes[part].fixed + (uint64_t)bytes[part].entry * size;
}

static void refuse(struct virtio_device *device, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void refuse(struct virtio_device *device, const char *fmt, ...)
{
	struct report_device *report = device->report;
	char text[REPORT_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	log_limited(&device->log_limit, "%s: FEATURES_OK refused: %s", device->name, text);
	events_device(device->name, "refused", text);
	if (report->nr_refusals < REPORT_MAX_REFUSALS)
		snprintf(report->refusals[report->nr_refusals], REPORT_TEXT_MAX, "%s", text);
	report->nr_refusals++;
}

static uint32_t number(const struct virtio_device *device, enum proposal_key key)
{
	return device->proposal.value[key];
}

static bool accepted(const struct virtio_device *device, enum proposal_key bit)
{
	return device->accepted & (1ull << number(device, bit));
}

/* The promise to use the pool, by the mechanism that announces it, is not made. */
static void refuse_unpromised(struct virtio_device *device)
{
	switch (device->mechanism) {
	case MECHANISM_CAP:
	case MECHANISM_CONFIG:
		refuse(device,
		       "the driver did not accept VIRTIO_F_SWIOTLB (bit %u), so it does not know of "
		       "the pool that %s names; check that the guest kernel knows this proposal",
		       number(device, PROPOSAL_SWIOTLB_FEATURE),
		       device->mechanism == MECHANISM_CAP ? "VIRTIO_PCI_CAP_SWIOTLB"
							  : "the common configuration");
		break;
	case MECHANISM_DMB:
		refuse(device,
		       "the driver did not accept VIRTIO_F_DMB (bit %u) with VIRTIO_F_ACCESS_PLATFORM "
		       "(bit 33), so its addresses are no offsets into the device memory buffer; "
		       "check that the guest kernel knows this proposal",
		       number(device, PROPOSAL_DMB_FEATURE));
		break;
	default:
		refuse(device, "the driver did not accept VIRTIO_F_ACCESS_PLATFORM (bit 33), so "
			       "its addresses would bypass the pool; check that the guest's driver "
			       "uses the DMA API");
	}
}

bool confine_features(struct virtio_device *device)
{
	uint64_t unknown = device->accepted & ~device->offered;
	uint64_t missing = device->required & ~device->accepted;

	if (unknown) {
		refuse(device, "the driver accepted features that were not offered: %#llx",
		       (unsigned long long)unknown);
		return false;
	}
	if (missing & VIRTIO_F_VERSION_1) {
		refuse(device, "the driver did not accept VIRTIO_F_VERSION_1 (bit 32); legacy "
			       "drivers are not served");
		return false;
	}
	/* One half of a promise is none, whatever the policy. */
	if (device->mechanism == MECHANISM_DMB && accepted(device, PROPOSAL_DMB_FEATURE) &&
	    !(device->accepted & VIRTIO_F_ACCESS_PLATFORM))
		missing |= VIRTIO_F_ACCESS_PLATFORM;
	if (missing) {
		refuse_unpromised(device);
		return false;
	}
	return true;
}

static bool inside_windows(const struct virtio_device *device, uint64_t addr, uint64_t len)
{
	const struct report_device *report = device->report;

	/* Without the feature addresses are not offsets, and what looks like one is chance. */
	if (device->mechanism == MECHANISM_DMB && !accepted(device, PROPOSAL_DMB_FEATURE))
		return false;
	for (size_t i = 0; i < report->nr_windows; i++)
		if (machine_range_contains(&report->windows[i], addr, len))
			return true;
	return false;
}

/* What to look at when a guest uses memory that is not its pool. */
static void write_hint(const struct virtio_device *device, char *hint, size_t size)
{
	uint32_t swiotlb = number(device, PROPOSAL_SWIOTLB_FEATURE);

	switch (device->mechanism) {
	case MECHANISM_DT:
		snprintf(hint, size,
			 "; guest kernel lacks CONFIG_DMA_RESTRICTED_POOL, or found the device "
			 "without its device tree node?");
		break;
	case MECHANISM_CAP:
	case MECHANISM_CONFIG:
		if (accepted(device, PROPOSAL_SWIOTLB_FEATURE))
			snprintf(hint, size,
				 "; the driver acknowledged bit %u and does not keep to it%s",
				 swiotlb,
				 swiotlb == LEGACY_ANY_LAYOUT
					 ? ": does it take it for the legacy VIRTIO_F_ANY_LAYOUT?"
					 : "");
		else
			snprintf(hint, size,
				 "; the driver did not accept VIRTIO_F_SWIOTLB (bit %u)", swiotlb);
		break;
	case MECHANISM_DMB:
		if (!accepted(device, PROPOSAL_DMB_FEATURE))
			snprintf(hint, size, "; the driver did not accept VIRTIO_F_DMB (bit %u)",
				 number(device, PROPOSAL_DMB_FEATURE));
		break;
	default:
		break;
	}
}

/* One line: device, queue, address, length, what is wrong, what to check. */
static void tell_violation(struct virtio_device *device, const struct dma_violation *violation,
			   const char *what, const char *why, const char *hint)
{
	struct report_device *report = device->report;

	log_limited(&device->log_limit,
		    "%s: queue %u: %s at %#llx, %llu bytes: %s: device stopped%s", device->name,
		    violation->queue, what, (unsigned long long)violation->dma_addr,
		    (unsigned long long)violation->length, why, hint);
	events_violation(device->name, violation);
	if (report->nr_violations < DEVICE_REPORT_VIOLATIONS)
		report->violations[report->nr_violations] = *violation;
	report->nr_violations++;
}

static void tell_outside(struct virtio_device *device, const struct dma_violation *violation,
			 const char *what)
{
	char hint[HINT_MAX] = "";

	write_hint(device, hint, sizeof(hint));
	tell_violation(device, violation, what, "outside the device's DMA windows", hint);
}

void confine_report_violation(struct virtio_device *device, const struct dma_violation *violation)
{
	tell_outside(device, violation,
		     violation->purpose < DMA_NR_PURPOSES ? purpose_names[violation->purpose]
							  : "access");
}

/* A part of an enabled queue. */
struct ring {
	uint32_t queue;
	enum virtio_ring_part part;
	uint64_t addr, len;
};

static struct ring get_ring(const struct virtio_device *device, uint32_t queue,
			    enum virtio_ring_part part)
{
	const struct virtio_queue *vq = &device->queues[queue];

	return (struct ring){ queue, part, vq->addr[part], virtio_ring_bytes(part, vq->size) };
}

static struct dma_violation ring_violation(const struct ring *ring)
{
	return (struct dma_violation){
		.dma_addr = ring->addr,
		.length = ring->len,
		.purpose = DMA_RING,
		.direction = ring->part == VIRTIO_RING_USED ? DMA_FROM_DEVICE : DMA_TO_DEVICE,
		.queue = ring->queue,
		.descriptor = UINT32_MAX,
	};
}

static bool confine_ring(struct virtio_device *device, const struct ring *ring)
{
	static const uint64_t alignment[VIRTIO_RING_PARTS] = {
		[VIRTIO_RING_DESC] = 16,
		[VIRTIO_RING_AVAIL] = 2,
		[VIRTIO_RING_USED] = 4,
	};
	const struct dma_violation violation = ring_violation(ring);

	if (ring->addr % alignment[ring->part] != 0) {
		tell_violation(device, &violation, ring_part_names[ring->part], "misaligned", "");
		return false;
	}
	if (!inside_windows(device, ring->addr, ring->len)) {
		tell_outside(device, &violation, ring_part_names[ring->part]);
		return false;
	}
	return true;
}

/* By differences: a ring may end with the address space. */
static bool overlap(const struct ring *a, const struct ring *b)
{
	return a->addr - b->addr < b->len || b->addr - a->addr < a->len;
}

static bool keep_apart(struct virtio_device *device, const struct ring *ring,
		       const struct ring *other)
{
	const struct dma_violation violation = ring_violation(ring);
	char why[64];

	if (!overlap(ring, other))
		return true;
	snprintf(why, sizeof(why), "overlaps the %s of queue %u", ring_part_names[other->part],
		 other->queue);
	tell_violation(device, &violation, ring_part_names[ring->part], why, "");
	return false;
}

/*
 * Rings are at places of their own, as virtio 1.3, 2.7, has them: what the device writes into a used
 * ring must not become descriptors, or another ring.
 */
bool confine_rings(struct virtio_device *device)
{
	struct ring rings[DEVICE_MAX_QUEUES * VIRTIO_RING_PARTS];
	size_t count = 0;

	for (uint32_t queue = 0; queue < device->nr_queues; queue++)
		for (int part = 0; part < VIRTIO_RING_PARTS; part++)
			if (device->queues[queue].enabled)
				rings[count++] =
					get_ring(device, queue, (enum virtio_ring_part)part);
	for (size_t i = 0; i < count; i++)
		if (!confine_ring(device, &rings[i]))
			return false;
	for (size_t i = 1; i < count; i++)
		for (size_t k = 0; k < i; k++)
			if (!keep_apart(device, &rings[i], &rings[k]))
				return false;
	return true;
}
