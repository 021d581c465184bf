/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The registers of virtio-mmio: reads and writes of any width, anywhere, of any value. */
#include "tests/fuzz/virtio_check.h"
#include "tests/unit/mmio_bench.h"

static const uint16_t registers[] = {
	R_DEVICE_FEATURES_SEL,
	R_DRIVER_FEATURES,
	R_DRIVER_FEATURES_SEL,
	R_QUEUE_SEL,
	R_QUEUE_NUM,
	R_QUEUE_READY,
	R_QUEUE_NOTIFY,
	R_INTERRUPT_ACK,
	R_STATUS,
	R_QUEUE_DESC_LOW,
	R_QUEUE_DESC_HIGH,
	R_QUEUE_DRIVER_LOW,
	R_QUEUE_DRIVER_HIGH,
	R_QUEUE_DEVICE_LOW,
	R_QUEUE_DEVICE_HIGH,
	R_SHM_SEL,
};

static struct virtio_bench bench;

static void write_any(struct fuzz_input *in)
{
	static const unsigned int sizes[] = { 4, 1, 2, 8 };
	const uint8_t how = fuzz_u8(in);

	write_wide(&bench, fuzz_u16(in) % MMIO_WINDOW, sizes[how & 3], fuzz_number(in));
}

/* Reading changes nothing. */
static void read_any(struct fuzz_input *in)
{
	static const unsigned int sizes[] = { 4, 1, 2, 8 };
	const struct snapshot before = take_snapshot(&bench);
	const uint8_t how = fuzz_u8(in);
	const uint64_t offset = fuzz_u16(in) % MMIO_WINDOW;
	const unsigned int size = sizes[how & 3];
	const uint64_t value = read_wide(&bench, offset, size);

	fuzz_check(unchanged(&bench, &before), "reading %#llx", (unsigned long long)offset);
	if (offset >= R_CONFIG && offset - R_CONFIG + size > BENCH_CONFIG)
		fuzz_check(value == 0, "beyond configuration space");
}

/* Both halves of an address. */
static void place_ring(uint16_t low, uint64_t address)
{
	reg_write(&bench, low, (uint32_t)address);
	reg_write(&bench, low + 4, (uint32_t)(address >> 32));
}

static void step(struct fuzz_input *in)
{
	const uint8_t op = fuzz_u8(in);

	switch (op & 7) {
	case 0:
		read_any(in);
		break;
	case 1:
		write_any(in);
		break;
	case 2:
		reg_write(&bench, registers[op >> 3 & 15], (uint32_t)fuzz_number(in));
		break;
	case 3:
		place_ring(R_QUEUE_DESC_LOW + (op >> 3 & 3) % 3 * 0x10, ring_address(in));
		break;
	case 4:
		disturb_device(&bench, in);
		break;
	case 5:
		bench_accept(&bench, BENCH_OFFERED ^ (op & 8 ? fuzz_u64(in) : 0));
		break;
	case 6:
		reg_write(&bench, R_QUEUE_SEL, op >> 7);
		reg_write(&bench, R_QUEUE_NUM, 1u << (op >> 3 & 15));
		reg_write(&bench, R_QUEUE_READY, 1);
		break;
	default:
		reg_write(&bench, R_STATUS,
			  (bench.device.status | (op >> 3)) & (op & 0x80 ? 0xff : 0xf));
	}
	check_device(&bench);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	bench_init(&bench);
	while (in.left)
		step(&in);
	/* Whatever was done: a reset leads to a device that works. */
	bench.start_result = 0;
	bench_reach(&bench, RUNNING);
	check_device(&bench);
	return 0;
}
