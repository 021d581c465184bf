/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The status machine and feature negotiation (virtio 1.3, 2.1, 2.2, 3.1.1). */
#include <errno.h>

#include "tests/unit/virtio_bench.h"

TestSuite(virtio_status, .init = cr_redirect_stderr);

/* Every value that the register can have. */
static const uint8_t states[] = {
	0,
	ACK,
	DRIVER,
	FEATURES_OK,
	RUNNING,
	NEEDS_RESET,
	STATUS_FAILED,
	ACK | STATUS_FAILED,
	DRIVER | STATUS_FAILED,
	FEATURES_OK | STATUS_FAILED,
	RUNNING | STATUS_FAILED,
	NEEDS_RESET | STATUS_FAILED,
};

/* The only writes that add a bit other than FAILED. */
static const struct {
	uint8_t from, written;
} steps[] = {
	{ 0, ACK },
	{ 0, DRIVER },
	{ ACK, DRIVER },
	{ DRIVER, FEATURES_OK },
	{ FEATURES_OK, RUNNING },
};

static uint8_t next_state(uint8_t from, uint8_t written)
{
	if (written == 0)
		return 0;
	if (written & STATUS_FAILED)
		return from | STATUS_FAILED;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (steps[i].from == from && steps[i].written == written)
			return written;
	return from;
}

Test(virtio_status, every_state_and_every_written_value)
{
	struct virtio_bench b;

	bench_init(&b);
	for (size_t i = 0; i < sizeof(states); i++) {
		for (unsigned int written = 0; written <= UINT8_MAX; written++) {
			const uint8_t expected = next_state(states[i], (uint8_t)written);

			bench_reach(&b, states[i]);
			virtio_device_write_status(&b.device, (uint8_t)written);
			cr_expect_eq(virtio_device_status(&b.device), expected,
				     "0x%02x, 0x%02x written: 0x%02x, expected 0x%02x", states[i],
				     written, virtio_device_status(&b.device), expected);
		}
	}
}

/* The same in numbers, for a reader and against a mistake in the rule above. */
Test(virtio_status, writes_that_matter)
{
	static const struct {
		const char *what;
		uint8_t from, written, expected;
	} cases[] = {
		{ "acknowledge", 0x00, 0x01, 0x01 },
		{ "driver", 0x01, 0x03, 0x03 },
		{ "features ok", 0x03, 0x0b, 0x0b },
		{ "driver ok", 0x0b, 0x0f, 0x0f },
		{ "driver without acknowledge", 0x00, 0x02, 0x00 },
		{ "features ok alone", 0x00, 0x08, 0x00 },
		{ "driver ok alone", 0x00, 0x04, 0x00 },
		{ "acknowledge and driver at once", 0x00, 0x03, 0x03 },
		{ "three steps at once", 0x00, 0x0b, 0x00 },
		{ "driver and features ok at once", 0x01, 0x0b, 0x01 },
		{ "all steps at once", 0x00, 0x0f, 0x00 },
		{ "driver ok without features ok", 0x03, 0x07, 0x03 },
		{ "features ok and driver ok at once", 0x03, 0x0f, 0x03 },
		{ "the new bit without the old ones", 0x01, 0x02, 0x01 },
		{ "driver ok without acknowledge", 0x0b, 0x0e, 0x0b },
		{ "the same again", 0x0b, 0x0b, 0x0b },
		{ "features ok cleared", 0x0b, 0x03, 0x0b },
		{ "driver ok cleared", 0x0f, 0x0b, 0x0f },
		{ "acknowledge cleared", 0x0f, 0x0e, 0x0f },
		{ "reserved bit 4", 0x00, 0x11, 0x00 },
		{ "reserved bit 5", 0x0b, 0x2f, 0x0b },
		{ "needs reset by the driver", 0x0f, 0x4f, 0x0f },
		{ "needs reset cleared by the driver", 0x4f, 0x0f, 0x4f },
		{ "failed by the driver", 0x03, 0x83, 0x83 },
		{ "failed with a step", 0x03, 0x8b, 0x83 },
		{ "failed alone keeps the others", 0x0f, 0x80, 0x8f },
		{ "failed after needs reset", 0x4f, 0xcf, 0xcf },
		{ "on after failed", 0x83, 0x0b, 0x83 },
		{ "failed cleared", 0x8f, 0x0f, 0x8f },
		{ "reset", 0x0f, 0x00, 0x00 },
		{ "reset after needs reset", 0x4f, 0x00, 0x00 },
		{ "reset after failed", 0x8f, 0x00, 0x00 },
	};
	struct virtio_bench b;

	bench_init(&b);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bench_reach(&b, cases[i].from);
		virtio_device_write_status(&b.device, cases[i].written);
		cr_expect_eq(virtio_device_status(&b.device), cases[i].expected, "%s: 0x%02x",
			     cases[i].what, virtio_device_status(&b.device));
	}
}

/* Policies by what is offered and required. */
Test(virtio_status, features_agreed_or_refused)
{
	static const uint64_t v1 = VIRTIO_F_VERSION_1, platform = VIRTIO_F_ACCESS_PLATFORM;
	const struct {
		const char *policy;
		uint64_t offered, required, accepted;
		const char *refusal; /* NULL: FEATURES_OK stands */
	} cases[] = {
		{ "require", BENCH_OFFERED, v1 | platform, v1 | platform, NULL },
		{ "require", BENCH_OFFERED, v1 | platform, BENCH_OFFERED, NULL },
		{ "require", BENCH_OFFERED, v1 | platform, v1,
		  "VIRTIO_F_ACCESS_PLATFORM (bit 33)" },
		{ "require", BENCH_OFFERED, v1 | platform, platform,
		  "VIRTIO_F_VERSION_1 (bit 32)" },
		{ "require", BENCH_OFFERED, v1 | platform, 0, "VIRTIO_F_VERSION_1 (bit 32)" },
		{ "require", BENCH_OFFERED, v1 | platform, BENCH_OFFERED | 1, "not offered: 0x1" },
		{ "require", BENCH_OFFERED, v1 | platform, UINT64_MAX,
		  "not offered: 0xfffffffcfffffdff" },
		{ "hope", BENCH_OFFERED, v1, v1 | platform, NULL },
		{ "hope", BENCH_OFFERED, v1, v1, NULL },
		{ "hope", BENCH_OFFERED, v1, platform, "VIRTIO_F_VERSION_1 (bit 32)" },
		{ "unrestricted", v1, v1, v1, NULL },
		{ "unrestricted", v1, v1, v1 | platform, "not offered: 0x200000000" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const bool agreed = !cases[i].refusal;
		struct virtio_bench b;

		bench_init(&b);
		b.device.offered = cases[i].offered;
		b.device.required = cases[i].required;
		bench_reach(&b, DRIVER);
		bench_accept(&b, cases[i].accepted);
		virtio_device_write_status(&b.device, FEATURES_OK);
		cr_expect_eq(virtio_device_status(&b.device), agreed ? FEATURES_OK : DRIVER,
			     "case %zu", i);
		cr_expect_eq(b.report.features_negotiated, agreed ? cases[i].accepted : 0,
			     "case %zu", i);
		cr_expect_eq(b.report.nr_refusals, !agreed, "case %zu", i);
		if (!agreed) {
			cr_expect_not_null(strstr(b.report.refusals[0], cases[i].refusal),
					   "case %zu: %s", i, b.report.refusals[0]);
			bench_expect_line("minivmm: blk0: FEATURES_OK refused: ");
		}
	}
}

Test(virtio_status, a_refused_driver_may_choose_again)
{
	struct virtio_bench b;

	bench_init(&b);
	bench_reach(&b, DRIVER);
	bench_accept(&b, VIRTIO_F_VERSION_1);
	virtio_device_write_status(&b.device, FEATURES_OK);
	cr_expect_eq(virtio_device_status(&b.device), DRIVER);
	bench_accept(&b, VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM);
	virtio_device_write_status(&b.device, FEATURES_OK);
	cr_expect_eq(virtio_device_status(&b.device), FEATURES_OK);
	cr_expect_eq(b.report.nr_refusals, 1);
}

Test(virtio_status, refusals_beyond_those_kept_are_counted)
{
	struct virtio_bench b;

	bench_init(&b);
	for (int i = 0; i < REPORT_MAX_REFUSALS + 3; i++) {
		bench_reach(&b, DRIVER);
		bench_accept(&b, 1ull << i);
		virtio_device_write_status(&b.device, FEATURES_OK);
	}
	cr_expect_eq(b.report.nr_refusals, REPORT_MAX_REFUSALS + 3);
	cr_expect_not_null(strstr(b.report.refusals[0], ": 0x1"));
	cr_expect_not_null(strstr(b.report.refusals[REPORT_MAX_REFUSALS - 1], ": 0x8"));
}

Test(virtio_status, features_are_frozen_by_features_ok)
{
	struct virtio_bench b;

	bench_init(&b);
	bench_reach(&b, FEATURES_OK);
	bench_accept(&b, 0);
	cr_expect_eq(b.device.accepted, BENCH_OFFERED);
	virtio_device_write_status(&b.device, RUNNING);
	bench_accept(&b, VIRTIO_F_VERSION_1);
	cr_expect_eq(b.device.accepted, BENCH_OFFERED);
	virtio_device_write_status(&b.device, 0);
	cr_expect_eq(b.device.accepted, 0, "a reset forgets them");
}

Test(virtio_status, driver_ok_starts_the_backend_once)
{
	struct virtio_bench b;

	bench_init(&b);
	bench_reach(&b, FEATURES_OK);
	cr_expect_eq(b.starts, 0);
	cr_expect_not(b.report.driven);
	virtio_device_write_status(&b.device, RUNNING);
	virtio_device_write_status(&b.device, RUNNING);
	cr_expect_eq(b.starts, 1);
	cr_expect_eq(b.started_with, BENCH_OFFERED);
	cr_expect(b.report.driven);
	cr_expect_eq(b.stops, 0);
}

Test(virtio_status, reset_stops_the_backend_and_forgets_the_queues)
{
	struct virtio_bench b;

	bench_init(&b);
	bench_reach(&b, RUNNING);
	virtio_device_write_status(&b.device, 0);
	cr_expect_eq(b.stops, 1);
	cr_expect_not(virtio_device_queue_enabled(&b.device, 0));
	cr_expect_eq(b.device.queues[0].size, 0);
	cr_expect_eq(b.device.queues[0].addr[VIRTIO_RING_USED], 0);
	cr_expect_eq(b.report.resets, 1);
	virtio_device_write_status(&b.device, 0);
	cr_expect_eq(b.stops, 1, "it was stopped already");
	cr_expect_eq(b.report.resets, 1, "only a device in use is reset");
	bench_reach(&b, RUNNING);
	cr_expect_eq(b.starts, 2);
}

Test(virtio_status, a_driver_that_gives_up_stops_the_backend)
{
	struct virtio_bench b;

	bench_init(&b);
	bench_reach(&b, RUNNING);
	virtio_device_write_status(&b.device, RUNNING | STATUS_FAILED);
	cr_expect_eq(b.stops, 1);
	virtio_device_write_status(&b.device, 0);
	cr_expect_eq(b.stops, 1);
}

Test(virtio_status, failure_of_a_running_device_is_told_once)
{
	struct virtio_bench b;
	uint32_t generation;

	bench_init(&b);
	bench_reach(&b, RUNNING);
	generation = virtio_device_config_generation(&b.device);
	virtio_device_fail(&b.device);
	virtio_device_fail(&b.device);
	cr_expect_eq(virtio_device_status(&b.device), NEEDS_RESET);
	cr_expect_eq(b.stops, 1);
	cr_expect_eq(b.interrupts, 1);
	cr_expect(virtio_device_config_changed(&b.device));
	cr_expect_neq(virtio_device_config_generation(&b.device), generation);

	bench_reach(&b, RUNNING);
	cr_expect_eq(b.starts, 2, "a reset brings it back");
	cr_expect_not(virtio_device_config_changed(&b.device));
}

Test(virtio_status, failure_of_a_device_not_in_use_is_silent)
{
	static const uint8_t idle[] = { 0, ACK, DRIVER, FEATURES_OK, DRIVER | STATUS_FAILED };
	struct virtio_bench b;

	bench_init(&b);
	for (size_t i = 0; i < sizeof(idle); i++) {
		bench_reach(&b, idle[i]);
		virtio_device_fail(&b.device);
		cr_expect_eq(virtio_device_status(&b.device), idle[i]);
	}
	cr_expect_eq(b.interrupts, 0);
	cr_expect_eq(b.stops, 0);
}

Test(virtio_status, a_backend_that_does_not_start_needs_a_reset)
{
	struct virtio_bench b;

	bench_init(&b);
	b.start_result = -ETIMEDOUT;
	bench_reach(&b, FEATURES_OK);
	bench_set_up_queue(&b, 0);
	virtio_device_write_status(&b.device, RUNNING);
	cr_expect_eq(virtio_device_status(&b.device), NEEDS_RESET);
	cr_expect_eq(b.stops, 1, "half-started rings are stopped");
	cr_expect_eq(b.interrupts, 1);
	bench_expect_line("blk0: start: Connection timed out");
	b.start_result = 0;
	bench_reach(&b, RUNNING);
}

Test(virtio_status, a_ring_outside_the_window_never_reaches_the_backend)
{
	struct virtio_bench b;

	bench_init(&b);
	bench_reach(&b, FEATURES_OK);
	virtio_device_set_queue_size(&b.device, 0, 8);
	virtio_device_enable_queue(&b.device, 0); /* all rings at 0 */
	virtio_device_write_status(&b.device, RUNNING);
	cr_expect_eq(virtio_device_status(&b.device), NEEDS_RESET);
	cr_expect_eq(b.starts, 0);
	cr_expect_eq(b.stops, 0);
	cr_expect_eq(b.interrupts, 1);
	cr_expect_eq(b.report.nr_violations, 1);
	cr_expect(b.report.driven);
}

Test(virtio_status, another_configuration_is_told_to_a_running_driver)
{
	uint8_t config[BENCH_CONFIG];
	struct virtio_bench b;
	uint32_t generation;

	bench_init(&b);
	memcpy(config, b.device.config, sizeof(config));
	config[3] ^= 0xff;
	generation = virtio_device_config_generation(&b.device);

	virtio_device_change_config(&b.device, config, sizeof(config));
	cr_expect_eq(b.interrupts, 0, "nobody drives the device yet");
	cr_expect_eq(virtio_device_read_config(&b.device, 3, 1), config[3]);
	cr_expect_eq(virtio_device_config_generation(&b.device), generation + 1);

	bench_reach(&b, RUNNING);
	virtio_device_change_config(&b.device, config, sizeof(config));
	cr_expect_eq(b.interrupts, 0, "nothing has changed");
	config[0] ^= 0xff;
	virtio_device_change_config(&b.device, config, sizeof(config));
	cr_expect_eq(b.interrupts, 1);
	cr_expect(virtio_device_config_changed(&b.device));
	cr_expect_eq(virtio_device_read_config(&b.device, 0, 1), config[0]);
	cr_expect_eq(virtio_device_config_generation(&b.device), generation + 2);
	cr_expect_eq(b.stops, 0, "it goes on");

	config[0] ^= 0xff;
	virtio_device_change_config(&b.device, config, sizeof(config) - 1);
	cr_expect_eq(b.interrupts, 1, "that is not all of it");
}
