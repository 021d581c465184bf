/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The queue registers and the vectors of virtio-pci, for a guest that keeps no rule. */
#include "tests/unit/virtio_pci_bench.h"

static struct pci_bench b;

static void set_up(void)
{
	cr_redirect_stderr();
	pci_bench_init(&b);
}

static void tear_down(void)
{
	pci_bench_destroy(&b);
}

TestSuite(virtio_pci_queues, .init = set_up, .fini = tear_down);

Test(virtio_pci_queues, a_queue_that_does_not_exist)
{
	static const uint16_t selects[] = { BENCH_QUEUES, DEVICE_MAX_QUEUES, 0x8000, 0xffff };
	struct pci_snapshot before;

	pci_bench_reach(&b, FEATURES_OK);
	for (size_t i = 0; i < sizeof(selects) / sizeof(selects[0]); i++) {
		bar_write(&b, C_QUEUE_SELECT, 2, selects[i]);
		cr_expect_eq(bar_read(&b, C_QUEUE_SELECT, 2), selects[i]);
		before = pci_take_snapshot(&b);
		cr_expect_eq(bar_read(&b, C_QUEUE_SIZE, 2), 0);
		cr_expect_eq(bar_read(&b, C_QUEUE_MSIX_VECTOR, 2), MSIX_NO_VECTOR);
		cr_expect_eq(bar_read(&b, C_QUEUE_ENABLE, 2), 0);
		cr_expect_eq(bar_read(&b, C_QUEUE_NOTIFY_OFF, 2), 0);
		bar_write(&b, C_QUEUE_SIZE, 2, 8);
		bar_write(&b, C_QUEUE_MSIX_VECTOR, 2, 0);
		for (uint64_t offset = C_QUEUE_DESC; offset < C_QUEUE_NOTIF_CONFIG_DATA;
		     offset += 4) {
			bar_write(&b, offset, 4, 0x40000000);
			cr_expect_eq(bar_read(&b, offset, 4), 0);
		}
		bar_write(&b, C_QUEUE_ENABLE, 2, 1);
		cr_expect_eq(bar_read(&b, C_QUEUE_MSIX_VECTOR, 2), MSIX_NO_VECTOR);
		cr_expect_eq(bar_read(&b, C_QUEUE_ENABLE, 2), 0);
		cr_expect(pci_unchanged(&b, &before), "queue %u", selects[i]);
	}
}

Test(virtio_pci_queues, queues_that_exist)
{
	cr_expect_eq(bar_read(&b, C_NUM_QUEUES, 2), BENCH_QUEUES);
	for (uint16_t queue = 0; queue < BENCH_QUEUES; queue++) {
		bar_write(&b, C_QUEUE_SELECT, 2, queue);
		cr_expect_eq(bar_read(&b, C_QUEUE_SIZE, 2), BENCH_QUEUE_MAX);
		cr_expect_eq(bar_read(&b, C_QUEUE_NOTIFY_OFF, 2), queue);
		cr_expect_eq(bar_read(&b, C_QUEUE_ENABLE, 2), 0);
		cr_expect_eq(bar_read(&b, C_QUEUE_MSIX_VECTOR, 2), MSIX_NO_VECTOR);
	}
}

/* A refused size leaves the one before, and that is what is read. */
Test(virtio_pci_queues, queue_sizes)
{
	static const struct {
		uint16_t size;
		bool good;
	} cases[] = {
		{ 1, true },	{ 2, true },	  { 128, true },    { 256, true },
		{ 0, false },	{ 3, false },	  { 255, false },   { 257, false },
		{ 512, false }, { 32768, false }, { 65535, false },
	};

	pci_bench_reach(&b, FEATURES_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bar_write(&b, C_QUEUE_SIZE, 2, 64);
		bar_write(&b, C_QUEUE_SIZE, 2, cases[i].size);
		cr_expect_eq(bar_read(&b, C_QUEUE_SIZE, 2), cases[i].good ? cases[i].size : 64,
			     "size %u", cases[i].size);
	}
}

/* virtio 1.3, 4.1.4.3: the register holds the maximum, and a driver may leave it at that. */
Test(virtio_pci_queues, a_queue_whose_size_was_not_written_has_the_maximum)
{
	pci_bench_reach(&b, FEATURES_OK);
	bar_write(&b, C_QUEUE_SIZE, 2, 0);
	bar_write(&b, C_QUEUE_ENABLE, 2, 1);
	cr_expect_eq(bar_read(&b, C_QUEUE_ENABLE, 2), 1);
	cr_expect_eq(bar_read(&b, C_QUEUE_SIZE, 2), BENCH_QUEUE_MAX);
	cr_expect_eq(b.virtio.device.queues[0].size, BENCH_QUEUE_MAX);
}

Test(virtio_pci_queues, queue_enable)
{
	static const uint16_t others[] = { 0, 2, 0x101, 0x8000, 0xffff };

	pci_bench_reach(&b, FEATURES_OK);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		bar_write(&b, C_QUEUE_ENABLE, 2, others[i]);
		cr_expect_eq(bar_read(&b, C_QUEUE_ENABLE, 2), 0, "%#x", others[i]);
	}
	bar_write(&b, C_QUEUE_SIZE, 2, 16);
	bar_write(&b, C_QUEUE_ENABLE, 2, 1);
	bar_write(&b, C_QUEUE_ENABLE, 2, 1);
	cr_expect_eq(bar_read(&b, C_QUEUE_ENABLE, 2), 1);
	cr_expect_eq(bar_read(&b, C_QUEUE_SIZE, 2), 16, "enabling twice is enabling once");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		bar_write(&b, C_QUEUE_ENABLE, 2, others[i]);
		cr_expect_eq(bar_read(&b, C_QUEUE_ENABLE, 2), 1, "only a reset disables");
	}
	bar_write(&b, C_DEVICE_STATUS, 1, 0);
	cr_expect_eq(bar_read(&b, C_QUEUE_ENABLE, 2), 0);
	cr_expect_eq(bar_read(&b, C_QUEUE_SIZE, 2), BENCH_QUEUE_MAX);
}

static void write_queue_registers(void)
{
	static const uint16_t queue_sizes[] = { 0, 4, 32768 };

	for (size_t i = 0; i < sizeof(queue_sizes) / sizeof(queue_sizes[0]); i++)
		bar_write(&b, C_QUEUE_SIZE, 2, queue_sizes[i]);
	for (uint64_t offset = C_QUEUE_DESC; offset < C_QUEUE_NOTIF_CONFIG_DATA; offset += 4)
		bar_write(&b, offset, 4, 0x5a5a5a50);
}

Test(virtio_pci_queues, queue_registers_are_frozen_once_enabled)
{
	struct pci_snapshot before;

	pci_bench_reach(&b, FEATURES_OK);
	bench_set_up_queue(&b.virtio, 0);
	before = pci_take_snapshot(&b);
	write_queue_registers();
	cr_expect(pci_unchanged(&b, &before));
}

/* Also those of a queue that was left out. */
Test(virtio_pci_queues, queue_registers_are_frozen_by_driver_ok)
{
	static const uint8_t frozen[] = { RUNNING, NEEDS_RESET, RUNNING | STATUS_FAILED };

	for (size_t i = 0; i < sizeof(frozen); i++) {
		for (uint16_t queue = 0; queue < BENCH_QUEUES; queue++) {
			struct pci_snapshot before;

			pci_bench_reach(&b, frozen[i]);
			bar_write(&b, C_QUEUE_SELECT, 2, queue);
			before = pci_take_snapshot(&b);
			write_queue_registers();
			bar_write(&b, C_QUEUE_ENABLE, 2, 1);
			bar_write(&b, C_QUEUE_ENABLE, 2, 0);
			cr_expect(pci_unchanged(&b, &before), "status %#x, queue %u", frozen[i],
				  queue);
		}
	}
}

Test(virtio_pci_queues, address_halves_in_any_order)
{
	static const uint64_t fields[VIRTIO_RING_PARTS] = { C_QUEUE_DESC, C_QUEUE_DRIVER,
							    C_QUEUE_DEVICE };

	pci_bench_reach(&b, FEATURES_OK);
	for (int part = 0; part < VIRTIO_RING_PARTS; part++) {
		const uint64_t *addr = &b.virtio.device.queues[0].addr[part];

		bar_write(&b, fields[part] + 4, 4, 0xffffffff);
		cr_expect_eq(*addr, 0xffffffff00000000);
		bar_write(&b, fields[part], 4, 0x80001000);
		cr_expect_eq(*addr, 0xffffffff80001000);
		bar_write(&b, fields[part] + 4, 4, 1);
		cr_expect_eq(*addr, 0x180001000);
		cr_expect_eq(bar_read(&b, fields[part], 4), 0x80001000);
		cr_expect_eq(bar_read(&b, fields[part] + 4, 4), 1);
	}
}

Test(virtio_pci_queues, a_queue_without_addresses_needs_a_reset)
{
	pci_bench_reach(&b, FEATURES_OK);
	bar_write(&b, C_QUEUE_ENABLE, 2, 1);
	bar_write(&b, C_DEVICE_STATUS, 1, RUNNING);
	cr_expect_eq(bar_read(&b, C_DEVICE_STATUS, 1), NEEDS_RESET);
	cr_expect_eq(b.virtio.starts, 0);
	pci_bench_reach(&b, RUNNING);
}

/* virtio 1.3, 4.1.5.1.2.1: what cannot be mapped reads back as NO_VECTOR. */
Test(virtio_pci_queues, vectors)
{
	static const struct {
		uint16_t written, read;
	} cases[] = {
		{ 0, 0 },
		{ PCI_BENCH_VECTORS - 1, PCI_BENCH_VECTORS - 1 },
		{ PCI_BENCH_VECTORS, MSIX_NO_VECTOR },
		{ 1, 1 },
		{ MSIX_NO_VECTOR, MSIX_NO_VECTOR },
		{ MSIX_MAX_VECTORS, MSIX_NO_VECTOR },
		{ 2, 2 },
		{ 0x7ff, MSIX_NO_VECTOR },
		{ 0x8000, MSIX_NO_VECTOR },
		{ 0x100, MSIX_NO_VECTOR },
		{ 0xfffe, MSIX_NO_VECTOR },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bar_write(&b, C_CONFIG_MSIX_VECTOR, 2, cases[i].written);
		cr_expect_eq(bar_read(&b, C_CONFIG_MSIX_VECTOR, 2), cases[i].read, "%#x",
			     cases[i].written);
		for (uint16_t queue = 0; queue < BENCH_QUEUES; queue++) {
			bar_write(&b, C_QUEUE_SELECT, 2, queue);
			bar_write(&b, C_QUEUE_MSIX_VECTOR, 2, cases[i].written);
			cr_expect_eq(bar_read(&b, C_QUEUE_MSIX_VECTOR, 2), cases[i].read, "%#x",
				     cases[i].written);
		}
	}
}

/* Which event has which vector. */
Test(virtio_pci_queues, each_event_has_its_own_vector)
{
	bar_write(&b, C_CONFIG_MSIX_VECTOR, 2, 2);
	bar_write(&b, C_QUEUE_SELECT, 2, 1);
	bar_write(&b, C_QUEUE_MSIX_VECTOR, 2, 0);
	cr_expect_eq(b.pci.msix.sources[0].vector, 2, "configuration");
	cr_expect_eq(b.pci.msix.sources[1].vector, MSIX_NO_VECTOR, "queue 0");
	cr_expect_eq(b.pci.msix.sources[2].vector, 0, "queue 1");
}

Test(virtio_pci_queues, a_reset_takes_the_vectors_back)
{
	pci_bench_reach(&b, RUNNING);
	bar_write(&b, C_CONFIG_MSIX_VECTOR, 2, 0);
	for (uint16_t queue = 0; queue < BENCH_QUEUES; queue++) {
		bar_write(&b, C_QUEUE_SELECT, 2, queue);
		bar_write(&b, C_QUEUE_MSIX_VECTOR, 2, 1);
	}
	bar_write(&b, C_DEVICE_STATUS, 1, RUNNING);
	cr_expect_eq(bar_read(&b, C_CONFIG_MSIX_VECTOR, 2), 0, "no reset");
	bar_write(&b, C_DEVICE_STATUS, 1, 0);
	cr_expect_eq(bar_read(&b, C_CONFIG_MSIX_VECTOR, 2), MSIX_NO_VECTOR);
	for (uint16_t queue = 0; queue < BENCH_QUEUES; queue++) {
		bar_write(&b, C_QUEUE_SELECT, 2, queue);
		cr_expect_eq(bar_read(&b, C_QUEUE_MSIX_VECTOR, 2), MSIX_NO_VECTOR);
	}
}
