/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A virtio-pci function in its host, with each mechanism: configuration space, the PCI access
 * capability, the registers of BAR 0 wherever the guest puts it, MSI-X with events that come in
 * between.
 */
#include "tests/fuzz/host.h"
#include "tests/fuzz/virtio_check.h"
#include "tests/unit/virtio_pci_bench.h"
#include "vmm/pci/host.h"
#include "vmm/virtio/pci_caps.h"

#define SLOT	  2
#define ECAM_BASE UINT64_C(0xf0000000)
#define LOW_BASE  UINT64_C(0xe0000000) /* PCI_BENCH_GPA */
#define HIGH_BASE UINT64_C(0x4000000000)
#define POOL_SIZE UINT64_C(0x400000)

struct machine_bench {
	struct bus mmio;
	struct pci_host host;
	struct pci_bench pci;
};

static const struct virtio_pci_pool pools[] = {
	{ 0 },
	{ .mechanism = MECHANISM_CAP, .range = { BENCH_WINDOW, BENCH_WINDOW_SZ } },
	{ .mechanism = MECHANISM_CAP, .place = POOL_IN_BAR, .range = { HIGH_BASE, POOL_SIZE } },
	{ .mechanism = MECHANISM_CONFIG, .range = { BENCH_WINDOW, BENCH_WINDOW_SZ } },
	{ .mechanism = MECHANISM_DMB, .place = POOL_IN_BAR, .range = { HIGH_BASE, POOL_SIZE } },
};

#define NR_POOLS (sizeof(pools) / sizeof(pools[0]))

/* One that runs; those of each kind as they were made. */
static struct machine_bench now[NR_POOLS], before[NR_POOLS];
static struct host_snapshot hosts[NR_POOLS];

static void create(unsigned int i)
{
	static const struct host_snapshot nothing;
	const struct machine_pci places = {
		.present = true,
		.ecam = { ECAM_BASE, 0x100000 },
		.low = { LOW_BASE, 0x8000000 },
		.high = { HIGH_BASE, 0x40000000 },
	};

	struct virtio_device *device;

	host_begin(&nothing);
	fuzz_check(pci_host_init(&now[i].host, &places, &now[i].mmio) == 0);
	pci_bench_init_pool(&now[i].pci, &pools[i]);
	device = &now[i].pci.virtio.device;
	if (i) {
		device->mechanism = pools[i].mechanism;
		device->offered |= mechanism_features(device->mechanism, &device->proposal);
		device->required = VIRTIO_F_VERSION_1 |
				   mechanism_promise(device->mechanism, &device->proposal);
	}
	pci_host_add(&now[i].host, SLOT, &now[i].pci.pci.function);
	host_keep(&hosts[i]);
	before[i] = now[i];
}

static uint64_t access_bus(struct machine_bench *b, uint64_t address, unsigned int size, bool write,
			   uint64_t value)
{
	bus_access(&b->mmio, address, size, write, &value);
	return value;
}

static void write_config(struct machine_bench *b, unsigned int offset, unsigned int size,
			 uint64_t value)
{
	access_bus(b, ECAM_BASE + (SLOT << 15) + offset, size, true, value);
}

/* Through the PCI access capability (virtio 1.3, 4.1.4.9). */
static void access_window(struct machine_bench *b, uint8_t op, struct fuzz_input *in)
{
	const unsigned int cap = b->pci.pci.access_cap;

	write_config(b, cap + VIRTIO_PCI_ACCESS_BAR, 1, op & 0x80 ? fuzz_u8(in) : 0);
	write_config(b, cap + VIRTIO_PCI_ACCESS_OFFSET, 4,
		     op & 0x40 ? fuzz_number(in) : (uint64_t)(op >> 4 & 3) * 0x1000 + fuzz_u8(in));
	write_config(b, cap + VIRTIO_PCI_ACCESS_LENGTH, 4, fuzz_u8(in) & 7);
	access_bus(b, ECAM_BASE + (SLOT << 15) + cap + VIRTIO_PCI_ACCESS_DATA, 4, op & 8,
		   fuzz_number(in));
}

static void place_ring(struct machine_bench *b, unsigned int part, uint64_t address)
{
	const uint64_t at = b->pci.registers_at + C_QUEUE_DESC + part * 8ull;

	access_bus(b, at, 4, true, (uint32_t)address);
	access_bus(b, at + 4, 4, true, address >> 32);
}

static void set_up_queue(struct machine_bench *b, uint8_t op)
{
	const uint64_t common = b->pci.registers_at;

	access_bus(b, common + C_QUEUE_SELECT, 2, true, op >> 7);
	access_bus(b, common + C_QUEUE_SIZE, 2, true, 1u << (op >> 3 & 15));
	access_bus(b, common + C_QUEUE_MSIX_VECTOR, 2, true, op >> 4 & 3);
	access_bus(b, common + C_QUEUE_ENABLE, 2, true, 1);
}

static void step(struct machine_bench *b, struct fuzz_input *in)
{
	static const uint16_t parts[] = { 0,	   B_ISR,     B_CONFIG, B_NOTIFY,
					  B_TABLE, B_PENDING, 0x6000,	0 };
	const uint8_t op = fuzz_u8(in);
	const uint64_t bar = b->pci.registers_at;
	struct virtio_bench *device = &b->pci.virtio;

	switch (op & 7) {
	case 0:
		write_config(b, fuzz_u8(in), 1u << (op >> 3 & 3), fuzz_number(in));
		break;
	case 1:
		access_window(b, op, in);
		break;
	case 2:
		access_bus(b, bar + parts[op >> 3 & 7] + fuzz_u8(in), 1u << fuzz_u8(in) % 4,
			   op & 0x40, fuzz_number(in));
		break;
	case 3:
		place_ring(b, (op >> 3 & 3) % 3, ring_address(in));
		break;
	case 4:
		if (op & 8)
			disturb_device(device, in);
		else
			host_get(b->pci.fds[(op >> 4 & 3) % PCI_BENCH_VECTORS])->taken++;
		break;
	case 5:
		bench_accept(device, device->device.offered ^ (op & 8 ? fuzz_u64(in) : 0));
		break;
	case 6:
		set_up_queue(b, op);
		break;
	default:
		write_config(b, PCI_COMMAND, 2,
			     op >> 6 ? PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER : op >> 4);
		access_bus(b, bar + C_DEVICE_STATUS, 1, true,
			   op & 8 ? fuzz_u8(in) : (device->device.status | (op >> 4)));
	}
	check_device(device);
}

static void check_end(struct machine_bench *b, const struct machine_bench *then)
{
	const struct pci_function *function = &b->pci.pci.function;
	const unsigned int data = b->pci.pci.access_cap + VIRTIO_PCI_ACCESS_DATA;

	for (unsigned int at = 0; at < PCI_CONFIG_SIZE; at++)
		if (at < data || at >= data + 4)
			fuzz_check(!((function->config[at] ^ then->pci.pci.function.config[at]) &
				     ~function->writable[at]),
				   "byte %#x of configuration space", at);
	/* Switched off, no interrupt is connected; the BARs go with decoding. */
	write_config(b, b->pci.pci.msix_cap + MSIX_CONTROL, 2, 0);
	for (unsigned int i = 0; i < PCI_BENCH_VECTORS; i++)
		fuzz_check(b->pci.connected[i] == -1, "vector %u is connected", i);
	write_config(b, PCI_COMMAND, 2, 0);
	fuzz_check(!b->pci.registers_mapped && !b->pci.memory_mapped);
	fuzz_check(!b->pci.virtio.device.started, "runs without bus mastering");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	const unsigned int i = fuzz_u8(&in) % NR_POOLS;
	struct machine_bench *b = &now[i];

	if (!before[i].host.places.present)
		create(i);
	host_begin(&hosts[i]);
	*b = before[i];
	write_config(b, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER);
	while (in.left)
		step(b, &in);
	check_end(b, &before[i]);
	return 0;
}
