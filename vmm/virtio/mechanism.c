/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/virtio/mechanism.h"

#include <errno.h>
#include <string.h>

#include "vmm/virtio/device.h"

/* Bits @first to @last, both included. */
#define BITS(first, last) ((UINT64_MAX >> (63 - ((last) - (first)))) << (first))

#define BY(mechanism) (1u << (mechanism))

/*
 * Feature bits that are taken (virtio 1.3, 2.2 and 6): those of device types, INDIRECT_DESC and
 * EVENT_IDX, bit 30, which is not to be negotiated, and VERSION_1 to ADMIN_VQ. Free are those that
 * had a meaning in the legacy interface only (24 NOTIFY_ON_EMPTY, 27 ANY_LAYOUT), and those that
 * nobody has.
 */
#define TAKEN_FEATURES (BITS(0, 23) | BITS(28, 30) | BITS(32, 41) | BITS(50, 63))

/* cfg_type: common, notify, ISR, device, PCI access, shared memory, vendor (virtio 1.3, 4.1.4). */
#define TAKEN_CFG_TYPES (BITS(1, 5) | BITS(8, 9))

/* The common configuration ends behind admin_queue_num (virtio 1.3, 4.1.4.3). */
#define COMMON_END 64
#define COMMON_MAX 1024 /* ours: well inside the page that the registers have */

/* No device type of ours has a shared memory region, so any id would do. */
#define DMB_SHM_ID 0x0d

const struct proposal_number proposal_numbers[NR_PROPOSAL_KEYS] = {
	[PROPOSAL_SWIOTLB_FEATURE] = { "swiotlb-feature", 27, 0, 63, 1, TAKEN_FEATURES,
				       BY(MECHANISM_CAP) | BY(MECHANISM_CONFIG), "feature bit" },
	[PROPOSAL_SWIOTLB_CFG_TYPE] = { "swiotlb-cfg-type", 10, 1, UINT8_MAX, 1, TAKEN_CFG_TYPES,
					BY(MECHANISM_CAP), "cfg_type" },
	[PROPOSAL_SWIOTLB_CONFIG] = { "swiotlb-config", 64, COMMON_END, COMMON_MAX, 8, 0,
				      BY(MECHANISM_CONFIG), "offset" },
	[PROPOSAL_DMB_FEATURE] = { "dmb-feature", 44, 0, 63, 1, TAKEN_FEATURES, BY(MECHANISM_DMB),
				   "feature bit" },
	[PROPOSAL_DMB_CONFIG] = { "dmb-config", 64, COMMON_END, COMMON_MAX, 4, 0, BY(MECHANISM_DMB),
				  "offset" },
	[PROPOSAL_DMB_SHM_ID] = { "dmb-shm-id", DMB_SHM_ID, 0, UINT8_MAX, 1, 0, BY(MECHANISM_DMB),
				  "shared memory id" },
};

void proposal_init(struct proposal *proposal)
{
	for (int key = 0; key < NR_PROPOSAL_KEYS; key++)
		proposal->value[key] = proposal_numbers[key].initial;
}

int proposal_find(const char *name)
{
	for (int key = 0; key < NR_PROPOSAL_KEYS; key++) {
		if (strcmp(proposal_numbers[key].name, name) == 0)
			return key;
	}
	return -ENOENT;
}

int proposal_set(struct proposal *proposal, const char *name, uint64_t number)
{
	const int key = proposal_find(name);
	const struct proposal_number *row;

	if (key < 0)
		return key;
	row = &proposal_numbers[key];
	if (number < row->min || number > row->max)
		return -ERANGE;
	if (number % row->align != 0)
		return -EINVAL;
	if (number < 64 && row->taken >> number & 1)
		return -EEXIST;
	proposal->value[key] = (uint32_t)number;
	return 0;
}

const char *mechanism_name(enum mechanism mechanism)
{
	static const char *const names[NR_MECHANISMS] = {
		[MECHANISM_NONE] = "none",     [MECHANISM_DT] = "dt",	[MECHANISM_CAP] = "cap",
		[MECHANISM_CONFIG] = "config", [MECHANISM_DMB] = "dmb",
	};

	return names[mechanism];
}

/* The bit that a proposal defines; 0 for mechanisms that need none. */
static uint64_t proposed_feature(enum mechanism mechanism, const struct proposal *proposal)
{
	switch (mechanism) {
	case MECHANISM_CAP:
	case MECHANISM_CONFIG:
		return UINT64_C(1) << proposal->value[PROPOSAL_SWIOTLB_FEATURE];
	case MECHANISM_DMB:
		return UINT64_C(1) << proposal->value[PROPOSAL_DMB_FEATURE];
	default:
		return 0;
	}
}

uint64_t mechanism_features(enum mechanism mechanism, const struct proposal *proposal)
{
	if (mechanism == MECHANISM_NONE)
		return 0;
	return VIRTIO_F_ACCESS_PLATFORM | proposed_feature(mechanism, proposal);
}

uint64_t mechanism_promise(enum mechanism mechanism, const struct proposal *proposal)
{
	if (mechanism == MECHANISM_CAP || mechanism == MECHANISM_CONFIG)
		return proposed_feature(mechanism, proposal);
	return mechanism_features(mechanism, proposal);
}
