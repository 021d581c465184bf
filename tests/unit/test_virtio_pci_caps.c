/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Configuration space of a virtio-pci function without a pool, byte by byte. */
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

TestSuite(virtio_pci_caps, .init = set_up, .fini = tear_down);

/* virtio 1.3, 4.1.2: a modern device, which legacy drivers do not take for theirs. */
Test(virtio_pci_caps, identity)
{
	static const uint8_t header[PCI_CAPABILITIES + 1] = {
		[PCI_VENDOR_ID] = 0xf4,
		0x1a, /* vendor 0x1af4 */
		0x42,
		0x10, /* device 0x1040 + 2 */
		[PCI_STATUS] = 0x10,
		[PCI_REVISION] = 1,
		[PCI_CLASS + 2] = 0xff,
		[PCI_BAR(0) + 3] = 0xe0,
		[PCI_SUBSYSTEM_VENDOR] = 0xf4,
		0x1a,
		0x40,
		[PCI_CAPABILITIES] = PCI_FIRST_CAPABILITY,
	};

	for (unsigned int i = 0; i < sizeof(header); i++)
		cr_expect_eq(config_read(&b, i, 1), header[i], "byte %#x is %#x", i,
			     config_read(&b, i, 1));
	cr_expect_eq(config_read(&b, 0x3d, 1), 0, "no interrupt pin");
}

Test(virtio_pci_caps, the_device_id_follows_the_type)
{
	static const struct {
		uint32_t type;
		uint16_t id;
	} cases[] = { { 1, 0x1041 }, { 2, 0x1042 }, { 3, 0x1043 }, { 4, 0x1044 }, { 63, 0x107f } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct virtio_pci_pool none = { 0 };
		struct virtio_device device = { .id = cases[i].type, .nr_queues = 1 };
		struct virtio_pci pci;

		virtio_device_init(&device);
		virtio_pci_init(&pci, &device, &none, PCI_BENCH_GPA, b.pci.ops, &b);
		cr_expect_eq(pci_function_get16(&pci.function, PCI_DEVICE_ID), cases[i].id);
		virtio_pci_destroy(&pci);
		virtio_device_destroy(&device);
	}
}

/* The registers alone: 32 bits, not prefetchable, and no I/O ports (modern only). */
Test(virtio_pci_caps, bars)
{
	config_write(&b, PCI_BAR(0), 4, UINT32_MAX);
	cr_expect_eq(config_read(&b, PCI_BAR(0), 4), 0xffff8000);
	for (unsigned int bar = 1; bar < PCI_NR_BARS; bar++) {
		config_write(&b, PCI_BAR(bar), 4, UINT32_MAX);
		cr_expect_eq(config_read(&b, PCI_BAR(bar), 4), 0, "BAR %u", bar);
	}
}

/* From 0x40, in the order of the list; the second byte of each is where the next one is. */
static const uint8_t capabilities[] = {
	/* MSI-X: 3 vectors, table and pending bits in BAR 0 */
	0x11,
	0x4c,
	0x02,
	0x00, /* */
	0x00,
	0x40,
	0x00,
	0x00, /* */
	0x00,
	0x50,
	0x00,
	0x00,
	/* common configuration */
	0x09,
	0x5c,
	0x10,
	0x01, /* */
	0x00,
	0x00,
	0x00,
	0x00, /* */
	0x00,
	0x00,
	0x00,
	0x00, /* offset */
	0x40,
	0x00,
	0x00,
	0x00, /* length */
	/* notifications */
	0x09,
	0x70,
	0x14,
	0x02, /* */
	0x00,
	0x00,
	0x00,
	0x00, /* */
	0x00,
	0x30,
	0x00,
	0x00, /* */
	0x08,
	0x00,
	0x00,
	0x00, /* */
	0x04,
	0x00,
	0x00,
	0x00, /* multiplier */
	/* ISR status */
	0x09,
	0x80,
	0x10,
	0x03, /* */
	0x00,
	0x00,
	0x00,
	0x00, /* */
	0x00,
	0x10,
	0x00,
	0x00, /* */
	0x01,
	0x00,
	0x00,
	0x00,
	/* device configuration */
	0x09,
	0x90,
	0x10,
	0x04, /* */
	0x00,
	0x00,
	0x00,
	0x00, /* */
	0x00,
	0x20,
	0x00,
	0x00, /* */
	0x18,
	0x00,
	0x00,
	0x00,
	/* PCI access: the last one */
	0x09,
	0x00,
	0x14,
	0x05, /* */
	0x00,
	0x00,
	0x00,
	0x00, /* */
	0x00,
	0x00,
	0x00,
	0x00, /* */
	0x00,
	0x00,
	0x00,
	0x00, /* */
	0x00,
	0x00,
	0x00,
	0x00,
};

Test(virtio_pci_caps, the_list)
{
	for (unsigned int i = 0; i < sizeof(capabilities); i++)
		cr_expect_eq(config_read(&b, PCI_FIRST_CAPABILITY + i, 1), capabilities[i],
			     "byte %#x is %#x", PCI_FIRST_CAPABILITY + i,
			     config_read(&b, PCI_FIRST_CAPABILITY + i, 1));
	for (unsigned int i = PCI_FIRST_CAPABILITY + sizeof(capabilities); i < PCI_CONFIG_SIZE; i++)
		cr_expect_eq(config_read(&b, i, 1), 0, "byte %#x, behind the last", i);
}

/* What a guest may change of it: two bits of MSI-X, and the fields of the access capability. */
Test(virtio_pci_caps, the_list_is_read_only)
{
	const unsigned int access = find_virtio_cap(&b, 5);
	uint8_t writable[PCI_CONFIG_SIZE] = { [PCI_FIRST_CAPABILITY + 3] = 0xc0 };

	cr_assert_eq(access, 0x90);
	writable[access + 4] = 0xff;
	memset(writable + access + 8, 0xff, 12);
	for (unsigned int i = PCI_FIRST_CAPABILITY; i < PCI_CONFIG_SIZE; i++) {
		const uint32_t before = config_read(&b, i, 1);

		config_write(&b, i, 1, ~before & 0xff);
		/* Data would show what the fields before it name. */
		if (i < access + 16 || i >= access + 20)
			cr_expect_eq(config_read(&b, i, 1), before ^ writable[i], "byte %#x", i);
	}
}

Test(virtio_pci_caps, identity_is_read_only)
{
	for (unsigned int i = 0; i < PCI_FIRST_CAPABILITY; i++) {
		const uint32_t before = config_read(&b, i, 1);

		if (i == PCI_COMMAND || (i >= PCI_BAR(0) && i < PCI_BAR(1)))
			continue;
		config_write(&b, i, 1, ~before & 0xff);
		cr_expect_eq(config_read(&b, i, 1), before, "byte %#x", i);
	}
	config_write(&b, PCI_COMMAND, 2, 0xffff);
	cr_expect_eq(config_read(&b, PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER);
}
