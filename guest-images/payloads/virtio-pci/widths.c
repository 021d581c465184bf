/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Accesses of widths and at offsets that the registers do not have (virtio 1.3, 4.1.3.1): none of
 * them changes anything.
 */
#include "guest-images/payloads/payload.h"
#include "guest-images/payloads/virtio-pci/pci.h"
#include "guest-images/payloads/virtio-pci/scenario.h"

#define PART_SIZE  0x1000u
#define GAP	   0x6000u /* behind the last part */
#define TABLE_SIZE 32u	   /* of two vectors */
#define CONFIG_LEN 64u	   /* more than a disk's */

static const unsigned int sizes[] = { 1, 2, 4, 8 };
#define NR_SIZES (sizeof(sizes) / sizeof(sizes[0]))

struct field {
	uint8_t offset, width;
	bool writable;
};

/* Of the common configuration; addresses by their halves. */
static const struct field fields[] = {
	{ DEVICE_FEATURE_SELECT, 4, true },
	{ DEVICE_FEATURE, 4, false },
	{ DRIVER_FEATURE_SELECT, 4, true },
	{ DRIVER_FEATURE, 4, true },
	{ CONFIG_MSIX_VECTOR, 2, true },
	{ NUM_QUEUES, 2, false },
	{ DEVICE_STATUS, 1, true },
	{ CONFIG_GENERATION, 1, false },
	{ QUEUE_SELECT, 2, true },
	{ QUEUE_SIZE_FIELD, 2, true },
	{ QUEUE_MSIX_VECTOR, 2, true },
	{ QUEUE_ENABLE, 2, true },
	{ QUEUE_NOTIFY_OFF, 2, false },
	{ QUEUE_DESC, 4, true },
	{ QUEUE_DESC + 4, 4, true },
	{ QUEUE_DRIVER, 4, true },
	{ QUEUE_DRIVER + 4, 4, true },
	{ QUEUE_DEVICE, 4, true },
	{ QUEUE_DEVICE + 4, 4, true },
	{ 64, 4, false }, /* what proposals add */
	{ 68, 4, false },
	{ 72, 4, false },
	{ 76, 4, false },
};
#define NR_FIELDS  (sizeof(fields) / sizeof(fields[0]))
#define COMMON_END 96u

struct snapshot {
	uint64_t fields[NR_FIELDS];
	uint32_t table[TABLE_SIZE / 4];
	uint32_t config[CONFIG_LEN / 4];
};

static void take_snapshot(const struct device *device, struct snapshot *snapshot)
{
	const uint64_t table = device->registers + device->msix_table;
	const uint64_t config = device->registers + device->config.offset;

	for (unsigned int i = 0; i < NR_FIELDS; i++)
		snapshot->fields[i] =
			device_read(device, &device->common, fields[i].offset, fields[i].width);
	for (unsigned int i = 0; i < TABLE_SIZE / 4; i++)
		snapshot->table[i] = mmio_read32(table + 4ull * i);
	for (unsigned int i = 0; i < CONFIG_LEN / 4; i++)
		snapshot->config[i] = mmio_read32(config + 4ull * i);
}

static void expect_unchanged(const struct device *device, const struct snapshot *before)
{
	struct snapshot now;

	take_snapshot(device, &now);
	for (unsigned int i = 0; i < NR_FIELDS; i++)
		expect_equal(now.fields[i], before->fields[i], "field of the common configuration");
	for (unsigned int i = 0; i < TABLE_SIZE / 4; i++)
		expect_equal(now.table[i], before->table[i], "field of the MSI-X table");
	for (unsigned int i = 0; i < CONFIG_LEN / 4; i++)
		expect_equal(now.config[i], before->config[i], "device configuration");
}

/* Whether an access would be one to a writable register of the common configuration. */
static bool is_writable(uint32_t offset, unsigned int size)
{
	for (unsigned int i = 0; i < NR_FIELDS; i++)
		if (fields[i].offset == offset && fields[i].width == size)
			return fields[i].writable;
	return false;
}

/* Writes all sorts of values, and reads, with one size at one place. */
static void poke(uint64_t addr, unsigned int size)
{
	mmio_write(addr, size, 0);
	mmio_write(addr, size, 1);
	mmio_write(addr, size, UINT64_MAX);
	mmio_read(addr, size);
}

static void check_common(const struct device *device, const struct snapshot *before)
{
	const uint64_t common = device->registers + device->common.offset;

	for (uint32_t offset = 0; offset < COMMON_END; offset++) {
		for (unsigned int i = 0; i < NR_SIZES; i++)
			if (!is_writable(offset, sizes[i]))
				poke(common + offset, sizes[i]);
		expect_unchanged(device, before);
	}
}

/* Dwords of it, and aligned pairs of them, are registers. */
static void check_table(const struct device *device, const struct snapshot *before)
{
	const uint64_t table = device->registers + device->msix_table;

	for (uint32_t offset = 0; offset < TABLE_SIZE; offset++)
		for (unsigned int i = 0; i < NR_SIZES; i++)
			if (sizes[i] < 4 || offset % sizes[i] != 0)
				poke(table + offset, sizes[i]);
	for (unsigned int i = 0; i < NR_SIZES; i++) {
		poke(table + TABLE_SIZE, sizes[i]);
		poke(table + PART_SIZE - sizes[i], sizes[i]);
		poke(device->registers + device->msix_pending, sizes[i]);
		poke(device->registers + device->msix_pending + 8, sizes[i]);
	}
	expect_unchanged(device, before);
}

/* Read-only parts, gaps, and accesses that begin in the BAR and end behind it. */
static void check_rest(const struct device *device, const struct snapshot *before)
{
	const uint64_t registers = device->registers;

	for (unsigned int i = 0; i < NR_SIZES; i++) {
		for (uint32_t offset = 0; offset < CONFIG_LEN; offset++)
			poke(registers + device->config.offset + offset, sizes[i]);
		poke(registers + GAP, sizes[i]);
		poke(registers + REGISTERS_SIZE - sizes[i], sizes[i]);
	}
	poke(registers + REGISTERS_SIZE - 1, 2);
	poke(registers + REGISTERS_SIZE - 2, 4);
	poke(registers + REGISTERS_SIZE - 4, 8);
	expect_unchanged(device, before);
}

/* Of a queue that does not exist. */
static void check_no_queue(const struct device *device, const struct snapshot *before)
{
	static const uint16_t queues[] = { 1, 2, 0x8000, 0xffff };

	for (unsigned int i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
		device_write(device, &device->common, QUEUE_SELECT, 2, queues[i]);
		for (uint32_t offset = QUEUE_SIZE_FIELD; offset < QUEUE_DEVICE + 8; offset += 2) {
			const unsigned int size = offset < QUEUE_DESC ? 2 : 4;

			if (offset % size == 0)
				poke(device->registers + device->common.offset + offset, size);
		}
		expect_equal(device_read(device, &device->common, QUEUE_SIZE_FIELD, 2), 0,
			     "size of a queue that does not exist");
		expect_equal(device_read(device, &device->common, QUEUE_MSIX_VECTOR, 2), NO_VECTOR,
			     "vector of a queue that does not exist");
		expect_equal(device_read(device, &device->common, QUEUE_ENABLE, 2), 0,
			     "a queue that does not exist is not enabled");
	}
	device_write(device, &device->common, QUEUE_SELECT, 2, 0);
	expect_unchanged(device, before);
}

/* 1 enables a queue, and nothing else. */
static void check_enable(const struct device *device, const struct snapshot *before)
{
	device_write(device, &device->common, QUEUE_ENABLE, 2, 0);
	device_write(device, &device->common, QUEUE_ENABLE, 2, 2);
	device_write(device, &device->common, QUEUE_ENABLE, 2, 0xffff);
	expect_unchanged(device, before);
}

static void check_everything(const struct device *device)
{
	struct snapshot before;

	take_snapshot(device, &before);
	check_common(device, &before);
	check_table(device, &before);
	check_rest(device, &before);
	check_no_queue(device, &before);
	check_enable(device, &before);
}

/* A notification is a write to the queue's place, not beside it. */
static void check_notify(struct device *device)
{
	const uint64_t notify = device->registers + device->notify.offset + device->notify_offset;

	block_submit(device, 0, BLOCK_IN, 1, SECTOR_SIZE);
	for (uint64_t offset = 1; offset < 16; offset++)
		mmio_write(notify + offset, 1, 0);
	mmio_write(notify + 2, 2, 0);
	mmio_write(notify - 2, 2, 0);
	mmio_write(notify - 8, 8, 0);
	mmio_write(notify + PART_SIZE - 4, 4, 0);
	wait_a_moment();
	expect_equal(block_used(device), 0, "requests used without a notification");
	block_notify(device);
	block_await(device);
}

/* Only the byte itself, when it is read, acknowledges. */
static void check_isr(struct device *device)
{
	const uint64_t isr = device->registers + device->isr.offset;

	pci_write(device->slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	expect(device_status(device) & NEEDS_RESET, "the device needs a reset");
	for (unsigned int i = 0; i < NR_SIZES; i++) {
		mmio_write(isr, sizes[i], UINT64_MAX);
		if (sizes[i] > 1)
			mmio_read(isr, sizes[i]);
		mmio_read(isr + 1, sizes[i]);
	}
	pci_write(device->slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER);
	device_await_stop(device);
}

void scenario_widths(struct device *device)
{
	/* At rest, when most registers may be written; then at work. */
	device_write(device, &device->common, DRIVER_FEATURE_SELECT, 4, 1);
	device_write(device, &device->common, QUEUE_DESC, 4, 0x12345670);
	check_everything(device);
	device_set_up(device);
	check_everything(device);
	check_notify(device);
	check_isr(device);
	device_set_up(device);
	block_read(device, 5);
}
