/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A block device under attack, whatever its transport: what both have in common (virtio 1.3, 4.1.4.3
 * and 4.2.2), so that a scenario of the rings is written once.
 */
#ifndef PAYLOAD_TARGET_H
#define PAYLOAD_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "guest-images/payloads/virtio-pci/device.h"
#include "guest-images/payloads/virtio.h"

#define F_EVENT_IDX	  (1ull << 29)
#define F_INDIRECT_DESC	  (1ull << 28)
#define F_VERSION_1	  (1ull << 32)
#define F_ACCESS_PLATFORM (1ull << 33)

enum ring_part { PART_DESC, PART_AVAIL, PART_USED };

struct target {
	const struct transport *transport;
	uint64_t pool, pool_size;
	uint64_t mmio;	   /* the window of registers; 0: it is on PCI */
	struct device pci; /* as device_find() found it */
};

/* Each is one access to a register, or the few that belong together. */
struct transport {
	const char *name;
	uint8_t (*status)(const struct target *target);
	void (*write_status)(const struct target *target, uint8_t status);
	uint64_t (*features)(const struct target *target);
	void (*accept)(const struct target *target, uint64_t features);
	/* What follows is of the queue that was selected last. */
	void (*select)(const struct target *target, uint32_t queue);
	uint32_t (*max_size)(const struct target *target);
	void (*set_size)(const struct target *target, uint32_t size);
	void (*set_address)(const struct target *target, enum ring_part part, uint64_t address);
	void (*enable)(const struct target *target, uint32_t value);
	uint32_t (*enabled)(const struct target *target);
	/* A kick; the queue need not exist. */
	void (*notify)(const struct target *target, uint32_t queue);
	/* Whether a change of the configuration was told; acknowledges it. */
	bool (*take_config_interrupt)(const struct target *target);
	uint32_t (*config)(const struct target *target, uint32_t offset);
};

extern const struct transport transport_mmio, transport_pci;

/* Block device @index of virtio-mmio, whose pool is at @pool. */
void target_find_mmio(struct target *target, unsigned int index, uint64_t pool, uint64_t pool_size);
/* The same of PCI. */
void target_find_pci(struct target *target, unsigned int index, uint64_t pool, uint64_t pool_size);

/* All that we may accept: what is offered of the rings' features, and the promise. */
uint64_t target_wanted(const struct target *target);
/* Reset, then up to FEATURES_OK: whether it stands. */
bool target_negotiate(const struct target *target, uint64_t features);

#endif
