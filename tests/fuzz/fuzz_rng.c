/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The entropy device: its queue, and a host that is short of random bytes. */
#include "tests/fuzz/device_bench.h"

extern const struct device_ops rng_device_ops;

static void rng_step(struct device_bench *b, struct fuzz_input *in)
{
	const struct ring_piece piece = { memory_address(in), memory_length(in), true };

	device_bench_submit(b, 0, &piece, 1);
	device_bench_kick(b, 0);
}

static void rng_prove(struct device_bench *b)
{
	const struct ring_piece piece = { RING_DATA, 16, true };

	device_bench_submit(b, 0, &piece, 1);
	device_bench_kick(b, 0);
	fuzz_check(device_bench_take_used(b, 0, "16 bytes") == 16);
}

static struct device_bench bench = {
	.kind = { "rng", 4, RING_SIZE, 1, &rng_device_ops },
	.step = rng_step,
	.prove = rng_prove,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	if (!bench.state_before)
		device_bench_create(&bench, NULL);
	device_bench_run(&bench, &in);
	fuzz_check(ring_outstanding == 0);
	return 0;
}
