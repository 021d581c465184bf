/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The device of virtio_bench.h as a PCI function, as a guest's loads and stores reach it, and what
 * it asks of its transport.
 */
#ifndef TESTS_UNIT_VIRTIO_PCI_BENCH_H
#define TESTS_UNIT_VIRTIO_PCI_BENCH_H

#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/unit/virtio_bench.h"
#include "vmm/virtio/pci.h"

/* The common configuration (virtio 1.3, 4.1.4.3). */
enum {
	C_DEVICE_FEATURE_SELECT = 0,
	C_DEVICE_FEATURE = 4,
	C_DRIVER_FEATURE_SELECT = 8,
	C_DRIVER_FEATURE = 12,
	C_CONFIG_MSIX_VECTOR = 16,
	C_NUM_QUEUES = 18,
	C_DEVICE_STATUS = 20,
	C_CONFIG_GENERATION = 21,
	C_QUEUE_SELECT = 22,
	C_QUEUE_SIZE = 24,
	C_QUEUE_MSIX_VECTOR = 26,
	C_QUEUE_ENABLE = 28,
	C_QUEUE_NOTIFY_OFF = 30,
	C_QUEUE_DESC = 32,
	C_QUEUE_DRIVER = 40,
	C_QUEUE_DEVICE = 48,
	C_QUEUE_NOTIF_CONFIG_DATA = 56,
	C_QUEUE_RESET = 58,
	C_ADMIN_QUEUE_INDEX = 60,
	C_ADMIN_QUEUE_NUM = 62,
	C_END = 64,
};

/* The other parts of the register BAR. */
#define B_ISR	  0x1000
#define B_CONFIG  0x2000
#define B_NOTIFY  0x3000
#define B_TABLE	  0x4000
#define B_PENDING 0x5000

#define PCI_BENCH_GPA	  0xe0000000u
#define PCI_BENCH_VECTORS (BENCH_QUEUES + 1)

struct pci_bench {
	struct virtio_bench virtio;
	struct virtio_pci pci;
	struct proposal proposal;
	int fds[PCI_BENCH_VECTORS]; /* of the configuration, then of each queue */
	unsigned int notified[BENCH_QUEUES];
	/* What the transport was told last. */
	uint64_t registers_at, memory_at;
	bool registers_mapped, memory_mapped;
	uint64_t route_address;
	uint32_t route_data;
	int connected[PCI_BENCH_VECTORS]; /* descriptor that raises the vector, or -1 */
};

static inline void pci_bench_notify(void *opaque, uint32_t queue)
{
	struct pci_bench *b = opaque;

	cr_assert_lt(queue, BENCH_QUEUES);
	b->notified[queue]++;
}

static inline void pci_bench_place_registers(void *opaque, uint64_t gpa, bool mapped)
{
	struct pci_bench *b = opaque;

	b->registers_at = gpa;
	b->registers_mapped = mapped;
}

static inline void pci_bench_place_memory(void *opaque, uint64_t gpa, bool mapped)
{
	struct pci_bench *b = opaque;

	b->memory_at = gpa;
	b->memory_mapped = mapped;
}

static inline int pci_bench_set_route(void *opaque, unsigned int vector, uint64_t address,
				      uint32_t data)
{
	struct pci_bench *b = opaque;

	cr_assert_lt(vector, PCI_BENCH_VECTORS);
	b->route_address = address;
	b->route_data = data;
	return 0;
}

static inline int pci_bench_connect(void *opaque, unsigned int vector, int fd)
{
	struct pci_bench *b = opaque;

	b->connected[vector] = fd;
	return 0;
}

static inline int pci_bench_disconnect(void *opaque, unsigned int vector, int fd)
{
	struct pci_bench *b = opaque;

	cr_assert_eq(b->connected[vector], fd);
	b->connected[vector] = -1;
	return 0;
}

/* With @pool announced, NULL for none; without numbers of its own it has the usual ones. */
static inline void pci_bench_init_pool(struct pci_bench *b, const struct virtio_pci_pool *pool)
{
	static const struct virtio_pci_ops ops = {
		.notify = pci_bench_notify,
		.place_registers = pci_bench_place_registers,
		.place_memory = pci_bench_place_memory,
		.msix = {
			.set_route = pci_bench_set_route,
			.connect = pci_bench_connect,
			.disconnect = pci_bench_disconnect,
		},
	};
	struct virtio_pci_pool announced = { 0 };

	*b = (struct pci_bench){ 0 };
	proposal_init(&b->proposal);
	if (pool)
		announced = *pool;
	if (!announced.proposal)
		announced.proposal = &b->proposal;
	bench_init(&b->virtio);
	virtio_pci_init(&b->pci, &b->virtio.device, &announced, PCI_BENCH_GPA, &ops, b);
	for (unsigned int i = 0; i < PCI_BENCH_VECTORS; i++) {
		b->connected[i] = -1;
		b->fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		cr_assert_eq(msix_add_source(&b->pci.msix, b->fds[i]), i);
	}
}

static inline void pci_bench_init(struct pci_bench *b)
{
	pci_bench_init_pool(b, NULL);
}

static inline void pci_bench_destroy(struct pci_bench *b)
{
	virtio_pci_destroy(&b->pci);
	virtio_device_destroy(&b->virtio.device);
	for (unsigned int i = 0; i < PCI_BENCH_VECTORS; i++)
		close(b->fds[i]);
}

/* Accesses to BAR 0. */
static inline uint64_t bar_read(struct pci_bench *b, uint64_t offset, unsigned int size)
{
	struct bus_access access = { .offset = offset, .size = size };

	cr_assert_eq(virtio_pci_access(&b->pci, 0, &access), BUS_HANDLED);
	return access.value;
}

static inline void bar_write(struct pci_bench *b, uint64_t offset, unsigned int size,
			     uint64_t value)
{
	struct bus_access access = {
		.offset = offset,
		.size = size,
		.is_write = true,
		.value = value,
	};

	cr_assert_eq(virtio_pci_access(&b->pci, 0, &access), BUS_HANDLED);
}

/* Accesses to configuration space. */
static inline uint32_t config_read(struct pci_bench *b, unsigned int offset, unsigned int size)
{
	return pci_function_config_read(&b->pci.function, offset, size);
}

static inline void config_write(struct pci_bench *b, unsigned int offset, unsigned int size,
				uint32_t value)
{
	pci_function_config_write(&b->pci.function, offset, size, value);
}

/* As firmware or a driver leaves it before it touches a register. */
static inline void pci_bench_enable(struct pci_bench *b)
{
	config_write(b, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER);
}

/* bench_reach() of a device that may do DMA. */
static inline void pci_bench_reach(struct pci_bench *b, uint8_t status)
{
	pci_bench_enable(b);
	bench_reach(&b->virtio, status);
}

/* Offset in configuration space of the capability with @cfg_type, 0 if there is none. */
static inline unsigned int find_virtio_cap(struct pci_bench *b, uint8_t cfg_type)
{
	unsigned int at = config_read(b, PCI_CAPABILITIES, 1);

	while (at &&
	       (config_read(b, at, 1) != PCI_CAP_VENDOR || config_read(b, at + 3, 1) != cfg_type))
		at = config_read(b, at + 1, 1);
	return at;
}

/* Everything that a guest could change, to see that it did not. */
struct pci_snapshot {
	struct device_snapshot device;
	uint8_t config[PCI_CONFIG_SIZE];
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select;
	uint16_t vectors[PCI_BENCH_VECTORS];
	struct msix_entry entries[PCI_BENCH_VECTORS];
	unsigned int notified[BENCH_QUEUES];
};

static inline struct pci_snapshot pci_take_snapshot(const struct pci_bench *b)
{
	struct pci_snapshot s;

	memset(&s, 0, sizeof(s));
	bench_snapshot(&b->virtio, &s.device);
	memcpy(s.config, b->pci.function.config, sizeof(s.config));
	s.device_feature_select = b->pci.device_feature_select;
	s.driver_feature_select = b->pci.driver_feature_select;
	s.queue_select = b->pci.queue_select;
	for (unsigned int i = 0; i < PCI_BENCH_VECTORS; i++)
		s.vectors[i] = b->pci.msix.sources[i].vector;
	memcpy(s.entries, b->pci.msix.entries, sizeof(s.entries));
	memcpy(s.notified, b->notified, sizeof(s.notified));
	return s;
}

static inline bool pci_unchanged(const struct pci_bench *b, const struct pci_snapshot *before)
{
	const struct pci_snapshot now = pci_take_snapshot(b);

	return memcmp(&now, before, sizeof(now)) == 0;
}

#endif
