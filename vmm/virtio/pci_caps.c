/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/virtio/pci_caps.h"

#include <endian.h>
#include <string.h>

/* cfg_type (virtio 1.3, 4.1.4). */
enum {
	CFG_COMMON = 1,
	CFG_NOTIFY = 2,
	CFG_ISR = 3,
	CFG_DEVICE = 4,
	CFG_PCI_ACCESS = 5,
	CFG_SHARED_MEMORY = 8,
};

/* Up to admin_queue_num (virtio 1.3, 4.1.4.3). */
#define COMMON_SIZE 64u

/* struct virtio_pci_cap and what may follow it; "len" says how much of it there is. */
struct __attribute__((packed)) cap {
	uint8_t vndr, next, len, cfg_type, bar, id, padding[2];
	uint32_t offset, length;
	union {
		uint32_t notify_off_multiplier;
		uint8_t access_data[4];
		struct __attribute__((packed)) {
			uint32_t offset_hi, length_hi; /* struct virtio_pci_cap64 */
			uint8_t group[VIRTIO_PCI_UUID_SIZE];
		};
	};
};

#define CAP_LEN	      16
#define CAP_LEN_TAIL4 20
#define CAP_LEN_64    24
#define CAP_LEN_GROUP 40

_Static_assert(sizeof(struct cap) == CAP_LEN_GROUP, "no padding");

static unsigned int add_cap(struct virtio_pci *pci, struct cap *cap, uint8_t cfg_type, uint8_t len)
{
	cap->vndr = PCI_CAP_VENDOR;
	cap->len = len;
	cap->cfg_type = cfg_type;
	return pci_function_add_capability(&pci->function, cap, len);
}

/* A part of the register BAR. */
static void add_part(struct virtio_pci *pci, uint8_t cfg_type, uint32_t offset, uint32_t length)
{
	struct cap cap = { .offset = htole32(offset), .length = htole32(length) };

	add_cap(pci, &cap, cfg_type, CAP_LEN);
}

static void add_notify(struct virtio_pci *pci)
{
	uint32_t stride = VIRTIO_PCI_NOTIFY(1) - VIRTIO_PCI_NOTIFY(0);
	struct cap cap = {
		.offset = htole32(VIRTIO_PCI_NOTIFY(0)),
		.length = htole32(stride * pci->device->nr_queues),
		.notify_off_multiplier = htole32(stride),
	};

	add_cap(pci, &cap, CFG_NOTIFY, CAP_LEN_TAIL4);
}

static void add_access(struct virtio_pci *pci)
{
	struct cap cap = { 0 };
	uint8_t *writable;

	pci->access_cap = add_cap(pci, &cap, CFG_PCI_ACCESS, CAP_LEN_TAIL4);
	writable = pci->function.writable + pci->access_cap;
	writable[VIRTIO_PCI_ACCESS_BAR] = 0xff;
	memset(writable + VIRTIO_PCI_ACCESS_OFFSET, 0xff, CAP_LEN_TAIL4 - VIRTIO_PCI_ACCESS_OFFSET);
}

static void add_msix(struct virtio_pci *pci)
{
	struct __attribute__((packed)) {
		uint8_t id, next;
		uint16_t control;
		uint32_t table, pending; /* offset, with the BAR in the low three bits */
	} cap = {
		.id = PCI_CAP_MSIX,
		.control = htole16((uint16_t)(pci->msix.nr_vectors - 1)),
		.table = htole32(VIRTIO_PCI_MSIX_TABLE | VIRTIO_PCI_REGISTERS_BAR),
		.pending = htole32(VIRTIO_PCI_MSIX_PENDING | VIRTIO_PCI_REGISTERS_BAR),
	};
	uint8_t *writable;

	pci->msix_cap = pci_function_add_capability(&pci->function, &cap, sizeof(cap));
	writable = pci->function.writable + pci->msix_cap;
	writable[MSIX_CONTROL + 1] = (MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK) >> 8;
}

/* A range of memory as struct virtio_pci_cap64: in our BAR, or of system memory. */
static struct cap pool_cap(const struct virtio_pci_pool *pool)
{
	bool in_bar = pool->place == POOL_IN_BAR && pool->range.size > 0;
	uint64_t offset = in_bar ? 0 : pool->range.base;

	return (struct cap){
		.bar = in_bar ? VIRTIO_PCI_MEMORY_BAR : VIRTIO_PCI_BAR_NONE,
		.offset = htole32((uint32_t)offset),
		.offset_hi = htole32((uint32_t)(offset >> 32)),
		.length = htole32((uint32_t)pool->range.size),
		.length_hi = htole32((uint32_t)(pool->range.size >> 32)),
	};
}

/*
 * VIRTIO_PCI_CAP_SWIOTLB (RFC of 2025-04-02, 3/3). Where devices share a pool by name, the name
 * follows the 24 bytes; a device that has only the name refers to the one that has the range too.
 */
static void add_swiotlb(struct virtio_pci *pci)
{
	const struct virtio_pci_pool *pool = &pci->pool;
	uint8_t cfg_type = (uint8_t)pool->proposal->value[PROPOSAL_SWIOTLB_CFG_TYPE];
	struct cap cap = pool_cap(pool);

	if (pool->group)
		memcpy(cap.group, pool->group, sizeof(cap.group));
	add_cap(pci, &cap, cfg_type, pool->group ? CAP_LEN_GROUP : CAP_LEN_64);
}

/* The region that dmb_shm_id names (virtio 1.3, 4.1.4.7). */
static void add_shared_memory(struct virtio_pci *pci)
{
	struct cap cap = pool_cap(&pci->pool);

	cap.id = (uint8_t)pci->pool.proposal->value[PROPOSAL_DMB_SHM_ID];
	add_cap(pci, &cap, CFG_SHARED_MEMORY, CAP_LEN_64);
}

/* With what the mechanism adds to it. */
static uint32_t common_size(const struct virtio_pci_pool *pool)
{
	if (pool->mechanism == MECHANISM_CONFIG)
		return pool->proposal->value[PROPOSAL_SWIOTLB_CONFIG] + 2 * sizeof(uint64_t);
	if (pool->mechanism == MECHANISM_DMB)
		return pool->proposal->value[PROPOSAL_DMB_CONFIG] + sizeof(uint32_t);
	return COMMON_SIZE;
}

void virtio_pci_add_capabilities(struct virtio_pci *pci)
{
	pci->common_size = common_size(&pci->pool);
	add_msix(pci);
	add_part(pci, CFG_COMMON, VIRTIO_PCI_COMMON, pci->common_size);
	add_notify(pci);
	add_part(pci, CFG_ISR, VIRTIO_PCI_ISR, 1);
	add_part(pci, CFG_DEVICE, VIRTIO_PCI_CONFIG, (uint32_t)pci->device->config_len);
	add_access(pci);
	if (pci->pool.mechanism == MECHANISM_CAP)
		add_swiotlb(pci);
	if (pci->pool.mechanism == MECHANISM_DMB)
		add_shared_memory(pci);
}
