/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* virtio-pci (virtio 1.3, 4.1.4.3), by the registers in its BAR. */
#include "guest-images/payloads/hostile/target.h"
#include "guest-images/payloads/payload.h"
#include "guest-images/payloads/virtio-pci/pci.h"

static uint64_t get(const struct target *target, uint32_t offset, unsigned int size)
{
	return device_read(&target->pci, &target->pci.common, offset, size);
}

static void set(const struct target *target, uint32_t offset, unsigned int size, uint64_t value)
{
	device_write(&target->pci, &target->pci.common, offset, size, value);
}

static uint8_t status(const struct target *target)
{
	return device_status(&target->pci);
}

static void write_status(const struct target *target, uint8_t value)
{
	set(target, DEVICE_STATUS, 1, value);
}

static uint64_t features(const struct target *target)
{
	return device_features(&target->pci);
}

static void accept(const struct target *target, uint64_t value)
{
	for (unsigned int half = 0; half < 2; half++) {
		set(target, DRIVER_FEATURE_SELECT, 4, half);
		set(target, DRIVER_FEATURE, 4, value >> (32 * half));
	}
}

static void select_queue(const struct target *target, uint32_t queue)
{
	set(target, QUEUE_SELECT, 2, queue);
}

static uint32_t max_size(const struct target *target)
{
	return (uint32_t)get(target, QUEUE_SIZE_FIELD, 2);
}

static void set_size(const struct target *target, uint32_t size)
{
	set(target, QUEUE_SIZE_FIELD, 2, size);
}

static void set_address(const struct target *target, enum ring_part part, uint64_t address)
{
	static const uint32_t offsets[] = {
		[PART_DESC] = QUEUE_DESC,
		[PART_AVAIL] = QUEUE_DRIVER,
		[PART_USED] = QUEUE_DEVICE,
	};

	set(target, offsets[part], 4, (uint32_t)address);
	set(target, offsets[part] + 4, 4, address >> 32);
}

static void enable(const struct target *target, uint32_t value)
{
	set(target, QUEUE_ENABLE, 2, value);
}

static uint32_t enabled(const struct target *target)
{
	return (uint32_t)get(target, QUEUE_ENABLE, 2);
}

/* Queue N is N places behind the first one; those that do not exist would be there, too. */
static void notify(const struct target *target, uint32_t queue)
{
	const struct device *device = &target->pci;
	const uint64_t offset = (uint64_t)device->notify_multiplier * queue;

	if (device->notify.offset + offset + 2 > REGISTERS_SIZE)
		return;
	mmio_write(device->registers + device->notify.offset + offset, 2, queue);
}

static bool take_config_interrupt(const struct target *target)
{
	return device_read(&target->pci, &target->pci.isr, 0, 1) & ISR_CONFIG;
}

static uint32_t config(const struct target *target, uint32_t offset)
{
	return (uint32_t)device_read(&target->pci, &target->pci.config, offset, 4);
}

const struct transport transport_pci = {
	.name = "pci",
	.status = status,
	.write_status = write_status,
	.features = features,
	.accept = accept,
	.select = select_queue,
	.max_size = max_size,
	.set_size = set_size,
	.set_address = set_address,
	.enable = enable,
	.enabled = enabled,
	.notify = notify,
	.take_config_interrupt = take_config_interrupt,
	.config = config,
};

void target_find_pci(struct target *target, unsigned int index, uint64_t pool, uint64_t pool_size)
{
	*target = (struct target){ .transport = &transport_pci };
	expect(device_find(&target->pci, index), "there is a disk on PCI");
	device_find_pool(&target->pci, pool, pool_size);
	expect(target->pci.kind == POOL_IN_MEMORY, "the pool is in system memory");
	target->pool = target->pci.pool.cpu;
	target->pool_size = target->pci.pool_size;
}
