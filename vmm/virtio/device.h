/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A virtio device as its transport sees it: feature negotiation, the status machine, queue
 * addresses, configuration space. Transports are thin decoders over these functions; what the
 * device does is behind struct virtio_backend_ops, in another process. No function here reads a
 * virtqueue.
 *
 * Every function takes the device's lock, so that any vCPU may call it at any time.
 */
#ifndef VMM_VIRTIO_DEVICE_H
#define VMM_VIRTIO_DEVICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot/machine.h"
#include "devices/proto/vhost_user.h"
#include "devices/registry.h"
#include "vmm/log.h"
#include "vmm/report.h"
#include "vmm/virtio/mechanism.h"

/* Device status (virtio 1.3, 2.1). */
#define VIRTIO_STATUS_ACKNOWLEDGE 0x01u
#define VIRTIO_STATUS_DRIVER	  0x02u
#define VIRTIO_STATUS_DRIVER_OK	  0x04u
#define VIRTIO_STATUS_FEATURES_OK 0x08u
#define VIRTIO_STATUS_NEEDS_RESET 0x40u
#define VIRTIO_STATUS_FAILED	  0x80u

#define VIRTIO_F_VERSION_1	 (1ull << 32)
#define VIRTIO_F_ACCESS_PLATFORM (1ull << 33)

/* The parts of a split virtqueue (virtio 1.3, 2.7) by the registers that name them. */
enum virtio_ring_part {
	VIRTIO_RING_DESC,
	VIRTIO_RING_AVAIL, /* "driver area" */
	VIRTIO_RING_USED,  /* "device area" */
	VIRTIO_RING_PARTS,
};

struct virtio_queue {
	uint16_t size; /* entries, as the driver chose */
	bool enabled;
	uint64_t addr[VIRTIO_RING_PARTS]; /* DMA addresses */
};

struct virtio_device;

struct virtio_backend_ops {
	/* DRIVER_OK: rings were checked, features are final. 0 or -errno: the device then fails. */
	int (*start)(void *opaque, const struct virtio_device *device);
	/* Reset, or the end: after it returns the back-end touches no ring. */
	void (*stop)(void *opaque);
	/* Raises the device's interrupt for a configuration change. */
	void (*config_interrupt)(void *opaque);
};

struct virtio_device {
	pthread_mutex_t lock;
	const char *name; /* "blk0" */
	uint32_t id;	  /* virtio device id */
	uint64_t offered;
	uint64_t required;	  /* FEATURES_OK is refused without all of these */
	enum mechanism mechanism; /* how the driver learns of its pool; NONE: not restricted */
	struct proposal proposal;
	uint64_t accepted; /* as the driver writes them; frozen by FEATURES_OK */
	uint8_t status;
	bool started;	     /* the back-end runs */
	bool dma_allowed;    /* by the transport; true where it has no such switch */
	bool config_changed; /* interrupt cause not yet acknowledged */
	uint32_t config_generation;
	unsigned int nr_queues;
	uint16_t queue_max;
	struct virtio_queue queues[DEVICE_MAX_QUEUES];
	uint8_t config[VHOST_USER_MAX_CONFIG];
	size_t config_len;
	struct report_device *report; /* windows, refusals, violations: the caller's */
	const struct virtio_backend_ops *backend;
	void *backend_opaque;
	struct log_limit log_limit;
};

/*
 * Makes the lock and allows DMA. The caller fills in name, id, offered, required, mechanism,
 * proposal, nr_queues, queue_max, config, report and backend before the first vCPU runs.
 */
void virtio_device_init(struct virtio_device *device);
void virtio_device_destroy(struct virtio_device *device);

uint8_t virtio_device_status(struct virtio_device *device);

/*
 * The driver writes @status. 0 resets; one step forward along virtio 1.3, 3.1.1 is taken if the
 * device agrees; ACKNOWLEDGE and DRIVER may come together; FAILED may always be added; anything else
 * is ignored.
 */
void virtio_device_write_status(struct virtio_device *device, uint8_t status);

/* 32 of the offered features; 0 for @select > 1. */
uint32_t virtio_device_features(struct virtio_device *device, uint32_t select);

/* The driver's choice; ignored for @select > 1 and after FEATURES_OK. */
void virtio_device_accept_features(struct virtio_device *device, uint32_t select, uint32_t value);
uint32_t virtio_device_accepted_features(struct virtio_device *device, uint32_t select);

/* Queue registers; a queue that does not exist reads 0 and ignores writes, as does one that is
 * enabled or whose device is running. */
uint16_t virtio_device_queue_max(struct virtio_device *device, uint32_t queue);
/* As the driver chose; the maximum before. */
uint16_t virtio_device_queue_size(struct virtio_device *device, uint32_t queue);
void virtio_device_set_queue_size(struct virtio_device *device, uint32_t queue, uint32_t size);
void virtio_device_set_queue_addr(struct virtio_device *device, uint32_t queue,
				  enum virtio_ring_part part, bool high, uint32_t value);
uint32_t virtio_device_queue_addr(struct virtio_device *device, uint32_t queue,
				  enum virtio_ring_part part, bool high);
void virtio_device_enable_queue(struct virtio_device *device, uint32_t queue);
/* Only before DRIVER_OK: a queue in use ends with a reset of the device. */
void virtio_device_disable_queue(struct virtio_device *device, uint32_t queue);
bool virtio_device_queue_enabled(struct virtio_device *device, uint32_t queue);

/* Little-endian read of @size bytes of configuration space; 0 beyond its end. */
uint64_t virtio_device_read_config(struct virtio_device *device, uint64_t offset,
				   unsigned int size);
uint32_t virtio_device_config_generation(struct virtio_device *device);

/* The back-end has another configuration now: the driver is told if it differs. @len: config_len. */
void virtio_device_change_config(struct virtio_device *device, const void *config, size_t len);

/* Whether a configuration change waits to be acknowledged; virtio_device_ack_config() does that. */
bool virtio_device_config_changed(struct virtio_device *device);
void virtio_device_ack_config(struct virtio_device *device);

/*
 * The device cannot go on: DEVICE_NEEDS_RESET, the back-end is stopped, the driver is told. The
 * caller has said why. Nothing happens to a device that is not running.
 */
void virtio_device_fail(struct virtio_device *device);

/*
 * Whether the device may access memory at all (PCI: bus mastering). A device that runs while the
 * permission is withdrawn, or is started without, stops and needs a reset.
 */
void virtio_device_allow_dma(struct virtio_device *device, bool allowed);

/* The DMA window of the device was moved to @base. Holds from the next DRIVER_OK on. */
void virtio_device_move_window(struct virtio_device *device, uint64_t base);

/* The run is over: the back-end stops, as in a reset, but the driver had no part in it. */
void virtio_device_stop(struct virtio_device *device);

/* Bytes of a ring part for a queue of @size entries, event index included (virtio 1.3, 2.7). */
uint64_t virtio_ring_bytes(enum virtio_ring_part part, uint16_t size);

#endif
