/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Where the pool is: by a capability of the device, or by its common configuration. */
#include "guest-images/payloads/payload.h"
#include "guest-images/payloads/virtio-pci/device.h"
#include "guest-images/payloads/virtio-pci/pci.h"

/* Of struct virtio_pci_cap64 (virtio 1.3, 4.1.4). */
#define CAP_LEN	      2u
#define CAP_CFG_TYPE  3u
#define CAP_BAR	      4u
#define CAP_ID	      5u
#define CAP_OFFSET    8u
#define CAP_LENGTH    12u
#define CAP_OFFSET_HI 16u
#define CAP_LENGTH_HI 20u
#define CAP_SIZE      24u

#define CFG_SHARED_MEMORY 8u
#define CFG_SWIOTLB	  10u

#define BAR_NONE 0xffu /* system memory */

/* What proposals add to the common configuration. */
#define COMMON_SWIOTLB	   64u /* le64 base, le64 length */
#define COMMON_SWIOTLB_END 80u
#define COMMON_DMB_SHM_ID  64u

#define MIN_SIZE (DATA_OFFSET + NR_REQUESTS * DATA_SIZE)

static uint64_t cap_field(const struct device *device, unsigned int low, unsigned int high)
{
	const unsigned int cap = device->pool_cap;

	return pci_read(device->slot, cap + low, 4) |
	       (uint64_t)pci_read(device->slot, cap + high, 4) << 32;
}

/* The pool is [@offset, @offset + pool_size) of BAR 2. */
static void find_in_bar(struct device *device, uint64_t offset)
{
	expect_equal(pci_read(device->slot, device->pool_cap + CAP_BAR, 1), MEMORY_BAR,
		     "BAR of the pool");
	expect(pci_read(device->slot, PCI_BAR(MEMORY_BAR), 4) & PCI_BAR_PREFETCHABLE,
	       "BAR 2 is prefetchable");
	expect(pci_bar_size(device->slot, MEMORY_BAR) >= offset + device->pool_size,
	       "BAR 2 holds the pool");
	/* The scenarios move it as a whole. */
	expect_equal(offset, 0, "offset of the pool in its BAR");
	device->pool.cpu = pci_bar_address(device->slot, MEMORY_BAR);
}

static void find_by_capability(struct device *device)
{
	const uint64_t offset = cap_field(device, CAP_OFFSET, CAP_OFFSET_HI);

	expect(pci_read(device->slot, device->pool_cap + CAP_LEN, 1) >= CAP_SIZE,
	       "the capability of the pool has 64-bit fields");
	device->pool_size = cap_field(device, CAP_LENGTH, CAP_LENGTH_HI);
	switch (pci_read(device->slot, device->pool_cap + CAP_CFG_TYPE, 1)) {
	case CFG_SHARED_MEMORY:
		expect_equal(pci_read(device->slot, device->pool_cap + CAP_ID, 1),
			     device_read(device, &device->common, COMMON_DMB_SHM_ID, 1),
			     "id of the shared memory region");
		find_in_bar(device, offset);
		device->kind = POOL_OFFSETS;
		device->promise = F_DMB;
		break;
	case CFG_SWIOTLB:
		device->promise = F_SWIOTLB;
		if (pci_read(device->slot, device->pool_cap + CAP_BAR, 1) == BAR_NONE) {
			device->pool.cpu = offset;
		} else {
			find_in_bar(device, offset);
			device->kind = POOL_IN_BAR;
		}
		device->pool.dma = device->pool.cpu;
		break;
	default:
		expect(false, "the capability is a known one");
	}
}

static uint64_t common_field(const struct device *device, uint32_t offset)
{
	return device_read(device, &device->common, offset, 4) |
	       device_read(device, &device->common, offset + 4, 4) << 32;
}

void device_find_pool(struct device *device, uint64_t gpa, uint64_t size)
{
	device->pool = (struct place){ gpa, gpa };
	device->pool_size = size;
	if (device->pool_cap != 0) {
		find_by_capability(device);
	} else if (device->common.length >= COMMON_SWIOTLB_END) {
		device->pool.cpu = common_field(device, COMMON_SWIOTLB);
		device->pool.dma = device->pool.cpu;
		device->pool_size = common_field(device, COMMON_SWIOTLB + 8);
		device->promise = F_SWIOTLB;
	}
	expect(device->pool_size >= MIN_SIZE, "the pool has a size");
	expect_equal(device_features(device) & (F_SWIOTLB | F_DMB), device->promise,
		     "the feature that goes with it");
}
