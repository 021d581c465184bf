/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What minivmm itself enforces of restricted DMA: the promise at FEATURES_OK and the place of the
 * rings at DRIVER_OK. (Buffers are checked by the device process, which cannot reach anything but
 * its windows anyway.) Whatever is refused is told in words, once on stderr and in the report.
 *
 * Called with the device's lock held.
 */
#ifndef VMM_VIRTIO_CONFINE_H
#define VMM_VIRTIO_CONFINE_H

#include <stdbool.h>

#include "devices/proto/report.h"

struct virtio_device;

/* Whether FEATURES_OK may stand. */
bool confine_features(struct virtio_device *device);

/*
 * Whether every part of every enabled queue lies inside one window of the device, is aligned, and
 * shares no byte with another one (virtio 1.3, 2.7).
 */
bool confine_rings(struct virtio_device *device);

/* Tells of and records an access that the device process refused. */
void confine_report_violation(struct virtio_device *device, const struct dma_violation *violation);

#endif
