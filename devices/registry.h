/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The devices that exist: one line each, known to both executables.
 *
 * X(name, virtio device id, queues, largest queue size)
 *
 * minivmm-device finds `struct device_ops NAME_device_ops` in devices/NAME.c; minivmm learns how
 * many queues the transport must offer and how large they may be.
 */
#ifndef DEVICES_REGISTRY_H
#define DEVICES_REGISTRY_H

#define DEVICE_REGISTRY(X)   \
	X(blk, 2, 1, 256)    \
	X(console, 3, 2, 64) \
	X(rng, 4, 1, 64)

/* The queue that a device with the most queues has, over the whole registry. */
#define DEVICE_MAX_QUEUES 4

#endif
