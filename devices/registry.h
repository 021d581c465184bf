/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The devices that exist: one line each, known to both executables.
 *
 * X(name, virtio device id, queues at most, queue size)
 *
 * minivmm-device finds `struct device_ops NAME_device_ops` in devices/NAME.c; minivmm learns what
 * the transport offers. The size is what a driver may choose at most, unless the user says otherwise.
 */
#ifndef DEVICES_REGISTRY_H
#define DEVICES_REGISTRY_H

#define DEVICE_REGISTRY(X)    \
	X(blk, 2, 16, 256)    \
	X(console, 3, 18, 64) \
	X(net, 1, 17, 128)    \
	X(rng, 4, 1, 64)      \
	X(vsock, 19, 3, 128)

/* The most that a device has, over the whole registry, or that we drive of a foreign back-end. */
#define DEVICE_MAX_QUEUES 18

/* Descriptors of the host side that a device process starts with, at most. */
#define DEVICE_MAX_BACKENDS 16

#endif
