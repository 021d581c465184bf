/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Registers of a virtio-pci function in configuration space: access capability, MSI-X, command. */
#include <pthread.h>

#include "tests/unit/virtio_pci_bench.h"

/* Of the MSI-X capability, and of the PCI access capability. */
#define MSIX_CONTROL_AT 0x42u
#define ACCESS_AT	0x90u
#define ACCESS_BAR	(ACCESS_AT + 4)
#define ACCESS_OFFSET	(ACCESS_AT + 8)
#define ACCESS_LENGTH	(ACCESS_AT + 12)
#define ACCESS_DATA	(ACCESS_AT + 16)

static struct pci_bench b;

static void set_up(void)
{
	cr_redirect_stderr();
	pci_bench_init(&b);
	cr_assert_eq(find_virtio_cap(&b, 5), ACCESS_AT);
}

static void tear_down(void)
{
	pci_bench_destroy(&b);
}

TestSuite(virtio_pci_config, .init = set_up, .fini = tear_down);

static void aim(uint8_t bar, uint32_t offset, uint32_t length)
{
	config_write(&b, ACCESS_BAR, 1, bar);
	config_write(&b, ACCESS_OFFSET, 4, offset);
	config_write(&b, ACCESS_LENGTH, 4, length);
}

/* virtio 1.3, 4.1.4.9: for firmware that cannot reach BARs. */
Test(virtio_pci_config, access_capability_reads)
{
	static const struct {
		uint32_t offset, length, value;
	} cases[] = {
		{ C_NUM_QUEUES, 2, BENCH_QUEUES },
		{ C_QUEUE_SIZE, 2, BENCH_QUEUE_MAX },
		{ C_DEVICE_FEATURE, 4, 0x200 },
		{ C_DEVICE_STATUS, 1, ACK },
		{ B_CONFIG, 1, 0x80 },
		{ B_CONFIG + 2, 2, 0x8382 },
		{ B_CONFIG + 4, 4, 0x87868584 },
		{ B_ISR, 1, 1 },
		{ B_TABLE + 12, 4, 1 },
		{ C_NUM_QUEUES, 1, 0 },
		{ 0x7ffc, 4, 0 },
	};

	pci_bench_reach(&b, ACK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		aim(0, cases[i].offset, cases[i].length);
		config_write(&b, ACCESS_BAR, 1, 0);
		cr_expect_eq(config_read(&b, ACCESS_DATA, 4), cases[i].value, "case %zu", i);
		cr_expect_eq(config_read(&b, ACCESS_DATA, 1), cases[i].value & 0xff, "case %zu", i);
		cr_expect_eq(config_read(&b, ACCESS_DATA, 2), cases[i].value & 0xffff, "case %zu",
			     i);
	}
}

Test(virtio_pci_config, access_capability_writes)
{
	aim(0, C_DEVICE_STATUS, 1);
	config_write(&b, ACCESS_DATA, 1, ACK);
	cr_expect_eq(b.virtio.device.status, ACK);
	config_write(&b, ACCESS_DATA, 4, 0xffffff00 | DRIVER);
	cr_expect_eq(b.virtio.device.status, DRIVER, "no more bytes than its length");
	aim(0, C_QUEUE_SELECT, 2);
	config_write(&b, ACCESS_DATA, 4, 0xabcd0001);
	cr_expect_eq(b.pci.queue_select, 1);
	aim(0, C_QUEUE_DESC, 4);
	config_write(&b, ACCESS_DATA, 4, 0x40001000);
	cr_expect_eq(b.virtio.device.queues[1].addr[VIRTIO_RING_DESC], 0x40001000);
	aim(0, B_NOTIFY + 4, 2);
	config_write(&b, ACCESS_DATA, 2, 1);
	cr_expect_eq(b.notified[1], 1);
}

/* Reading the ISR status acknowledges also in this way; aiming at it does not. */
Test(virtio_pci_config, access_capability_acts_on_its_data_only)
{
	pci_bench_reach(&b, RUNNING);
	virtio_device_fail(&b.virtio.device);
	aim(0, B_ISR, 1);
	for (unsigned int at = ACCESS_AT; at < ACCESS_DATA; at++)
		config_read(&b, at, 1);
	cr_expect(virtio_device_config_changed(&b.virtio.device));
	cr_expect_eq(config_read(&b, ACCESS_DATA, 4), 3);
	cr_expect_not(virtio_device_config_changed(&b.virtio.device));
	cr_expect_eq(config_read(&b, ACCESS_DATA, 4), 1);
}

/* What names no access that could be made does nothing, and shows what was written. */
Test(virtio_pci_config, access_capability_refuses)
{
	static const struct {
		const char *what;
		uint8_t bar;
		uint32_t offset, length;
	} cases[] = {
		{ "BAR that is not there", 1, C_DEVICE_STATUS, 1 },
		{ "memory BAR", 2, C_DEVICE_STATUS, 1 },
		{ "last BAR", 5, C_DEVICE_STATUS, 1 },
		{ "reserved BAR", 6, C_DEVICE_STATUS, 1 },
		{ "BAR 255", 255, C_DEVICE_STATUS, 1 },
		{ "length 0", 0, C_DEVICE_STATUS, 0 },
		{ "length 3", 0, B_CONFIG, 3 },
		{ "length 5", 0, B_CONFIG, 5 },
		{ "length 8", 0, B_CONFIG, 8 },
		{ "length 257", 0, C_DEVICE_STATUS, 0x101 },
		{ "length 2^31", 0, C_DEVICE_STATUS, 0x80000000 },
		{ "length 2^32 - 1", 0, C_DEVICE_STATUS, UINT32_MAX },
		{ "misaligned by 1", 0, C_QUEUE_SELECT - 1, 2 },
		{ "misaligned by 2", 0, C_QUEUE_DESC + 2, 4 },
		{ "end of the BAR", 0, VIRTIO_PCI_REGISTERS_SIZE, 1 },
		{ "across the end of the BAR", 0, VIRTIO_PCI_REGISTERS_SIZE - 2, 4 },
		{ "a multiple of the BAR", 0, 0x80000000 + C_DEVICE_STATUS, 1 },
		{ "wraps", 0, UINT32_MAX - 3, 4 },
		{ "wraps by a byte", 0, UINT32_MAX, 1 },
		{ "wraps, misaligned", 0, UINT32_MAX, 4 },
	};

	pci_bench_reach(&b, RUNNING);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pci_snapshot before;

		aim(cases[i].bar, cases[i].offset, cases[i].length);
		config_write(&b, ACCESS_DATA, 4, 0);
		before = pci_take_snapshot(&b);
		cr_expect_eq(config_read(&b, ACCESS_DATA, 4), 0, "%s", cases[i].what);
		config_write(&b, ACCESS_DATA, 4, 0);
		cr_expect(pci_unchanged(&b, &before), "%s", cases[i].what);
		config_write(&b, ACCESS_DATA, 4, 0xa5a5a5a5);
		cr_expect_eq(config_read(&b, ACCESS_DATA, 4), 0xa5a5a5a5, "%s", cases[i].what);
		config_write(&b, ACCESS_DATA, 4, 0);
		cr_expect(pci_unchanged(&b, &before), "%s", cases[i].what);
	}
}

/* Lets vector 1, of queue 0, out as far as the table goes. */
static void open_vector(void)
{
	bar_write(&b, C_QUEUE_MSIX_VECTOR, 2, 1);
	bar_write(&b, B_TABLE + 16, 4, 0xfee01000);
	bar_write(&b, B_TABLE + 24, 4, 0x4021);
	bar_write(&b, B_TABLE + 28, 4, 0);
}

Test(virtio_pci_config, msix_control)
{
	static const struct {
		unsigned int offset, size;
		uint32_t value;
		bool connected;
	} writes[] = {
		{ MSIX_CONTROL_AT, 2, 0x8000, true },
		{ MSIX_CONTROL_AT, 2, 0xc000, false }, /* function masked */
		{ MSIX_CONTROL_AT, 2, 0x8000, true },
		{ MSIX_CONTROL_AT, 2, 0x0000, false },
		{ MSIX_CONTROL_AT + 1, 1, 0x80, true },
		{ MSIX_CONTROL_AT, 1, 0x00, true }, /* the size, which is read-only */
		{ MSIX_CONTROL_AT - 2, 4, 0x40000000, false },
		{ MSIX_CONTROL_AT - 2, 4, 0x80000000, true },
	};

	open_vector();
	cr_expect_eq(b.connected[1], -1);
	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		config_write(&b, writes[i].offset, writes[i].size, writes[i].value);
		cr_expect_eq(b.connected[1], writes[i].connected ? b.fds[1] : -1, "write %zu", i);
		cr_expect_eq(config_read(&b, MSIX_CONTROL_AT, 1), PCI_BENCH_VECTORS - 1);
	}
	cr_expect_eq(b.route_address, 0xfee01000);
	cr_expect_eq(b.route_data, 0x4021);
	cr_expect_eq(b.connected[0], -1);
	cr_expect_eq(b.connected[2], -1);
}

Test(virtio_pci_config, a_vector_taken_back_by_a_reset_is_disconnected)
{
	pci_bench_reach(&b, RUNNING);
	open_vector();
	config_write(&b, MSIX_CONTROL_AT, 2, 0x8000);
	cr_expect_eq(b.connected[1], b.fds[1]);
	bar_write(&b, C_DEVICE_STATUS, 1, 0);
	cr_expect_eq(b.connected[1], -1);
}

/* A vector that does not exist: no interrupt, not even that of another one. */
Test(virtio_pci_config, a_refused_vector_raises_nothing)
{
	open_vector();
	config_write(&b, MSIX_CONTROL_AT, 2, 0x8000);
	bar_write(&b, C_QUEUE_MSIX_VECTOR, 2, PCI_BENCH_VECTORS);
	for (unsigned int i = 0; i < PCI_BENCH_VECTORS; i++)
		cr_expect_eq(b.connected[i], -1);
}

/* The count of an eventfd that nobody reads is the pending bit. */
Test(virtio_pci_config, pending_bits)
{
	open_vector();
	config_write(&b, MSIX_CONTROL_AT, 2, 0xc000);
	cr_expect_eq(bar_read(&b, B_PENDING, 8), 0);
	eventfd_write(b.fds[1], 1);
	cr_expect_eq(bar_read(&b, B_PENDING, 8), 2);
	cr_expect_eq(bar_read(&b, B_PENDING, 4), 2);
	bar_write(&b, B_PENDING, 8, 0);
	cr_expect_eq(bar_read(&b, B_PENDING, 8), 2, "read-only");
	cr_expect_eq(bar_read(&b, B_PENDING, 1) | bar_read(&b, B_PENDING, 2), 0);
}

static void expect_stopped(const char *what)
{
	cr_expect_eq(bar_read(&b, C_DEVICE_STATUS, 1), NEEDS_RESET, "%s", what);
	cr_expect_eq(b.virtio.starts, b.virtio.stops, "%s: no DMA", what);
	bench_expect_line("minivmm: blk0: bus mastering is off: device stopped\n");
}

Test(virtio_pci_config, no_start_without_bus_mastering)
{
	bench_reach(&b.virtio, FEATURES_OK);
	bench_set_up_queue(&b.virtio, 0);
	bar_write(&b, C_DEVICE_STATUS, 1, RUNNING);
	expect_stopped("started without");
	cr_expect_eq(b.virtio.starts, 0);
	cr_expect_eq(b.virtio.interrupts, 1);

	config_write(&b, PCI_COMMAND, 2, PCI_COMMAND_BUS_MASTER);
	cr_expect_eq(bar_read(&b, C_DEVICE_STATUS, 1), NEEDS_RESET, "only a reset leads on");
	pci_bench_reach(&b, RUNNING);
	cr_expect_eq(b.virtio.starts, 1);
}

Test(virtio_pci_config, no_dma_after_bus_mastering_was_switched_off)
{
	static const struct {
		unsigned int offset, size;
	} writes[] = { { PCI_COMMAND, 1 }, { PCI_COMMAND, 2 }, { PCI_COMMAND, 4 } };

	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		pci_bench_reach(&b, RUNNING);
		cr_expect_eq(b.virtio.starts, i + 1, "a reset with it on works again");
		config_write(&b, writes[i].offset, writes[i].size, PCI_COMMAND_MEMORY);
		expect_stopped("switched off");
	}
}

Test(virtio_pci_config, the_command_register_matters_while_the_device_runs)
{
	pci_bench_reach(&b, RUNNING);
	config_write(&b, PCI_COMMAND, 2, PCI_COMMAND_BUS_MASTER);
	config_write(&b, PCI_STATUS, 2, 0);
	config_write(&b, PCI_COMMAND + 1, 1, 0);
	cr_expect_eq(bar_read(&b, C_DEVICE_STATUS, 1), RUNNING,
		     "bus mastering was on all the time");
	bar_write(&b, C_DEVICE_STATUS, 1, 0);
	config_write(&b, PCI_COMMAND, 2, 0);
	cr_expect_eq(bar_read(&b, C_DEVICE_STATUS, 1), 0);
	cr_expect_eq(b.virtio.interrupts, 0);
	pci_bench_reach(&b, RUNNING);
}

static _Atomic bool stop_reading;
static _Atomic unsigned int changes_seen, strange_values;

/* Not by bar_read(): Criterion's assertions are for one thread. */
static void *read_isr(void *opaque)
{
	(void)opaque;
	while (!stop_reading) {
		struct bus_access access = { .offset = B_ISR, .size = 1 };

		virtio_pci_access(&b.pci, 0, &access);
		if (access.value == 3)
			changes_seen++;
		else if (access.value != 1)
			strange_values++;
	}
	return NULL;
}

/* Reading clears, so two vCPUs that read at once must not lose a change between them. */
Test(virtio_pci_config, isr_read_by_two_vcpus, .timeout = 30)
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, read_isr, NULL), 0);
	for (int round = 0; round < 200; round++) {
		unsigned int before;

		pci_bench_reach(&b, RUNNING);
		before = changes_seen;
		virtio_device_fail(&b.virtio.device);
		for (int ms = 0; changes_seen == before && ms < 2000; ms++)
			usleep(1000);
		cr_assert_neq(changes_seen, before, "round %d", round);
	}
	stop_reading = true;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(strange_values, 0);
}
