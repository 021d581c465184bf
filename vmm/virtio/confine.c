/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/virtio/confine.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "vmm/log.h"
#include "vmm/virtio/device.h"

/* What to look at when a guest uses memory that is not its pool. */
#define NO_POOL_HINT                                                                               \
	"; guest kernel lacks CONFIG_DMA_RESTRICTED_POOL, or found the device without its device " \
	"tree node?"

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
	if (report->nr_refusals < REPORT_MAX_REFUSALS)
		snprintf(report->refusals[report->nr_refusals], REPORT_TEXT_MAX, "%s", text);
	report->nr_refusals++;
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
	if (missing & VIRTIO_F_ACCESS_PLATFORM) {
		refuse(device, "the driver did not accept VIRTIO_F_ACCESS_PLATFORM (bit 33), so "
			       "its addresses would bypass the pool; check that the guest's driver "
			       "uses the DMA API");
		return false;
	}
	if (missing) {
		refuse(device, "the driver did not accept features that are required: %#llx",
		       (unsigned long long)missing);
		return false;
	}
	return true;
}

static bool inside_windows(const struct report_device *report, uint64_t addr, uint64_t len)
{
	for (size_t i = 0; i < report->nr_windows; i++)
		if (machine_range_contains(&report->windows[i], addr, len))
			return true;
	return false;
}

/* One line: device, queue, address, length, what to check. */
static void tell_violation(struct virtio_device *device, const struct dma_violation *violation,
			   const char *what, bool outside)
{
	const char *why = outside ? "outside the device's DMA windows" : "misaligned";
	const char *hint = "";
	struct report_device *report = device->report;

	if (outside && (device->offered & VIRTIO_F_ACCESS_PLATFORM))
		hint = NO_POOL_HINT;
	log_limited(&device->log_limit,
		    "%s: queue %u: %s at %#llx, %llu bytes: %s: device stopped%s", device->name,
		    violation->queue, what, (unsigned long long)violation->dma_addr,
		    (unsigned long long)violation->length, why, hint);
	if (report->nr_violations < DEVICE_REPORT_VIOLATIONS)
		report->violations[report->nr_violations] = *violation;
	report->nr_violations++;
}

void confine_report_violation(struct virtio_device *device, const struct dma_violation *violation)
{
	tell_violation(device, violation,
		       violation->purpose < DMA_NR_PURPOSES ? purpose_names[violation->purpose]
							    : "access",
		       true);
}

static bool confine_ring(struct virtio_device *device, uint32_t queue, enum virtio_ring_part part)
{
	static const uint64_t alignment[VIRTIO_RING_PARTS] = {
		[VIRTIO_RING_DESC] = 16,
		[VIRTIO_RING_AVAIL] = 2,
		[VIRTIO_RING_USED] = 4,
	};
	const struct virtio_queue *vq = &device->queues[queue];
	struct dma_violation violation = {
		.dma_addr = vq->addr[part],
		.length = virtio_ring_bytes(part, vq->size),
		.purpose = DMA_RING,
		.direction = part == VIRTIO_RING_USED ? DMA_FROM_DEVICE : DMA_TO_DEVICE,
		.queue = queue,
		.descriptor = UINT32_MAX,
	};

	if (violation.dma_addr % alignment[part] != 0) {
		tell_violation(device, &violation, ring_part_names[part], false);
		return false;
	}
	if (!inside_windows(device->report, violation.dma_addr, violation.length)) {
		tell_violation(device, &violation, ring_part_names[part], true);
		return false;
	}
	return true;
}

bool confine_rings(struct virtio_device *device)
{
	for (uint32_t queue = 0; queue < device->nr_queues; queue++)
		for (int part = 0; part < VIRTIO_RING_PARTS; part++)
			if (device->queues[queue].enabled &&
			    !confine_ring(device, queue, (enum virtio_ring_part)part))
				return false;
	return true;
}
