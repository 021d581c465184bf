/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Devices behind somebody else's back-end: what is offered to the guest of what it says. */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/fd_count.h"
#include "tests/unit/vhost_session.h"
#include "vmm/config.h"
#include "vmm/vhost/foreign.h"

#define F_PROTOCOL (1ull << VHOST_USER_F_PROTOCOL_FEATURES)
#define EVERYTHING UINT64_MAX

static struct config_device configured(const char *kind, unsigned int queues,
				       unsigned int queue_size)
{
	struct config_device config = {
		.kind = CONFIG_VHOST_USER,
		.queues = queues,
		.queue_size = queue_size,
		.vhost_user = { .kind = kind, .virtio_id = 42, .path = "/run/x", .tag = "share" },
	};

	return config;
}

Test(vhost_foreign, what_the_kind_says)
{
	static const struct {
		const char *kind;
		unsigned int queues, queue_size;
		uint32_t virtio_id;
		unsigned int nr_queues;
		uint16_t queue_max;
	} cases[] = {
		{ "blk", 0, 0, 2, 1, 128 },	 { "blk", 16, 1024, 2, 16, 1024 },
		{ "net", 0, 0, 1, 2, 128 },	 { "net", 1, 512, 1, 2, 512 },
		{ "fs", 0, 0, 26, 2, 128 },	 { "fs", 16, 0, 26, 17, 128 },
		{ "generic", 0, 0, 42, 1, 128 }, { "generic", 3, 64, 42, 3, 64 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct config_device config =
			configured(cases[i].kind, cases[i].queues, cases[i].queue_size);
		struct foreign_device foreign;

		foreign_describe(&foreign, &config);
		cr_expect_str_eq(foreign.name, cases[i].kind);
		cr_expect_eq(foreign.virtio_id, cases[i].virtio_id, "case %zu", i);
		cr_expect_eq(foreign.nr_queues, cases[i].nr_queues, "case %zu", i);
		cr_expect_eq(foreign.queue_max, cases[i].queue_max, "case %zu", i);
	}
}

/* One connection of a device of @kind to @backend, as far as it goes. */
struct meeting {
	struct scripted_backend backend;
	struct session session;
	struct foreign_device foreign;
	int agreed;
	int read; /* foreign_read_config() */
	uint8_t config[VHOST_USER_MAX_CONFIG];
};

static void meeting_init(struct meeting *meeting)
{
	scripted_backend_init(&meeting->backend);
	meeting->backend.features = EVERYTHING;
	session_init(&meeting->session);
	memset(meeting->config, 0xaa, sizeof(meeting->config));
}

static void meet(struct meeting *meeting, const char *kind, unsigned int queues)
{
	const struct config_device config = configured(kind, queues, 0);
	struct vhost_frontend *fe = &meeting->session.fe;

	foreign_describe(&meeting->foreign, &config);
	cr_assert_eq(vhost_frontend_open(fe, scripted_backend_start(&meeting->backend), PATIENCE_MS,
					 -1, meeting->session.windows, NR_WINDOWS),
		     0);
	meeting->agreed = foreign_agree(&meeting->foreign, fe);
	meeting->read = foreign_read_config(&meeting->foreign, fe, meeting->config);
	vhost_frontend_close(fe);
	scripted_backend_join(&meeting->backend);
	scripted_backend_destroy(&meeting->backend);
	session_destroy(&meeting->session);
}

/* Of a back-end that offers every bit there is. */
Test(vhost_foreign, features_that_a_guest_is_offered)
{
	const uint64_t rings = VIRTIO_F_VERSION_1 | 1ull << 28 | 1ull << 29;
	const uint64_t no_config = ~(1ull << VHOST_USER_PROTOCOL_F_CONFIG);
	const struct {
		const char *kind;
		unsigned int queues;
		uint64_t protocol_features, expected;
	} cases[] = {
		{ "blk", 1, EVERYTHING, rings | 0xfce7ff }, /* no CONFIG_WCE, MQ, ... */
		{ "blk", 2, EVERYTHING, rings | 0xfcf7ff },
		{ "net", 1, EVERYTHING, rings | 0x01fffb }, /* nothing of the control queue's */
		{ "net", 1, no_config, rings | 0x00ffd3 },  /* nor MTU, MAC, STATUS */
		{ "fs", 1, no_config, rings },
		{ "generic", 1, EVERYTHING, rings | 0xffffff },
		{ "generic", 1, no_config, rings | 0xffffff },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct meeting meeting;

		meeting_init(&meeting);
		meeting.backend.protocol_features = cases[i].protocol_features;
		meet(&meeting, cases[i].kind, cases[i].queues);
		cr_expect_eq(meeting.agreed, 0, "case %zu", i);
		cr_expect_eq(meeting.session.fe.features, cases[i].expected, "case %zu: %#llx", i,
			     (unsigned long long)meeting.session.fe.features);
	}
}

Test(vhost_foreign, backends_without_what_is_needed)
{
	const uint64_t no_config = ~(1ull << VHOST_USER_PROTOCOL_F_CONFIG);
	const uint64_t no_mq = ~(1ull << VHOST_USER_PROTOCOL_F_MQ);
	const struct {
		const char *kind;
		unsigned int queues;
		uint64_t features, protocol_features, queue_num;
		int expected;
	} cases[] = {
		{ "blk", 1, F_PROTOCOL, EVERYTHING, 1, -EPROTONOSUPPORT }, /* legacy */
		{ "fs", 1, ~VIRTIO_F_VERSION_1, EVERYTHING, 2, -EPROTONOSUPPORT },
		{ "blk", 1, EVERYTHING, no_config, 1, -ENODATA },
		{ "blk", 1, EVERYTHING, no_mq, 0, 0 },
		{ "blk", 4, EVERYTHING, EVERYTHING, 4, 0 },
		{ "blk", 4, EVERYTHING, EVERYTHING, 3, -ECHRNG },
		{ "blk", 2, EVERYTHING, no_mq, 4, -ECHRNG },
		{ "fs", 1, EVERYTHING, no_mq, 0, 0 },
		{ "fs", 2, EVERYTHING, EVERYTHING, 2, -ECHRNG },
		{ "fs", 2, EVERYTHING, EVERYTHING, 3, 0 },
		{ "net", 1, EVERYTHING, EVERYTHING, 1, 0 }, /* pairs */
		{ "generic", 3, EVERYTHING, EVERYTHING, UINT64_MAX, 0 },
		{ "generic", 3, EVERYTHING, EVERYTHING, 0, -ECHRNG },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct meeting meeting;

		meeting_init(&meeting);
		meeting.backend.features = cases[i].features;
		meeting.backend.protocol_features = cases[i].protocol_features;
		meeting.backend.queue_num = cases[i].queue_num;
		meet(&meeting, cases[i].kind, cases[i].queues);
		cr_expect_eq(meeting.agreed, cases[i].expected, "case %zu", i);
	}
}

/* The scripted back-end fills its configuration space with 0x40, 0x41, ... */
static void expect_backends(const struct meeting *meeting, size_t len)
{
	for (size_t i = 0; i < VHOST_USER_MAX_CONFIG; i++)
		cr_expect_eq(meeting->config[i], i < len ? (uint8_t)(0x40 + i) : 0, "byte %zu", i);
}

Test(vhost_foreign, configuration_of_blk)
{
	struct meeting meeting;
	uint16_t queues;

	meeting_init(&meeting);
	meeting.backend.config_len = 60; /* more is refused */
	meet(&meeting, "blk", 2);
	cr_assert_eq(meeting.read, 0);
	memcpy(&queues, meeting.config + 34, sizeof(queues));
	cr_expect_eq(le16toh(queues), 2, "and not what the back-end has");
	meeting.config[34] = 0x40 + 34;
	meeting.config[35] = 0x40 + 35;
	expect_backends(&meeting, 60);

	meeting_init(&meeting);
	meeting.backend.config_len = 59;
	meet(&meeting, "blk", 1);
	cr_expect_eq(meeting.read, -EREMOTEIO);
}

Test(vhost_foreign, configuration_of_net)
{
	struct meeting meeting;

	meeting_init(&meeting);
	meeting.backend.config_len = 12;
	meet(&meeting, "net", 1);
	cr_expect_eq(meeting.read, 0);
	expect_backends(&meeting, 12);

	meeting_init(&meeting);
	meeting.backend.protocol_features &= ~(1ull << VHOST_USER_PROTOCOL_F_CONFIG);
	meet(&meeting, "net", 1);
	cr_expect_eq(meeting.read, 0);
	expect_backends(&meeting, 0);
}

/* Ours, also where the back-end would have one: virtio 1.3, 5.11.4. */
Test(vhost_foreign, configuration_of_fs)
{
	static const char *const tags[] = { "share", "t",
					    "a tag of 36 bytes, and not one too much" };

	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		struct foreign_device foreign;
		struct config_device config = configured("fs", 3, 0);
		struct vhost_frontend fe = { .sock = -1, .channel = { .fd = -1 } };
		uint8_t space[VHOST_USER_MAX_CONFIG];
		uint8_t expected[VHOST_USER_MAX_CONFIG] = { [36] = 3 };
		const size_t len = strnlen(tags[i], CONFIG_TAG_MAX);

		memset(space, 0xaa, sizeof(space));
		memcpy(expected, tags[i], len);
		memset(config.vhost_user.tag, 0, sizeof(config.vhost_user.tag));
		memcpy(config.vhost_user.tag, tags[i], len);
		foreign_describe(&foreign, &config);
		cr_expect_eq(foreign_read_config(&foreign, &fe, space), 0);
		cr_expect_arr_eq(space, expected, sizeof(space), "%s", tags[i]);
	}
}

/* Nobody knows how much there is but the back-end. */
Test(vhost_foreign, configuration_of_an_unknown_device)
{
	static const uint32_t sizes[] = { VHOST_USER_MAX_CONFIG, 60, 4, 0 };
	struct meeting meeting;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		meeting_init(&meeting);
		meeting.backend.config_len = sizes[i];
		meet(&meeting, "generic", 1);
		cr_expect_eq(meeting.read, 0, "%u bytes", sizes[i]);
		expect_backends(&meeting, sizes[i]);
	}
	meeting_init(&meeting);
	meeting.backend.protocol_features &= ~(1ull << VHOST_USER_PROTOCOL_F_CONFIG);
	meet(&meeting, "generic", 1);
	cr_expect_eq(meeting.read, 0);
	expect_backends(&meeting, 0);
}

Test(vhost_foreign, a_connection_that_ends)
{
	static const char *const kinds[] = { "blk", "net", "generic" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct meeting meeting;

		meeting_init(&meeting);
		meeting.backend.hang_up_at = VHOST_USER_GET_CONFIG;
		meet(&meeting, kinds[i], 1);
		cr_expect_eq(meeting.read, -ECONNRESET, "%s", kinds[i]);

		meeting_init(&meeting);
		meeting.backend.hang_up_at = VHOST_USER_GET_QUEUE_NUM;
		meet(&meeting, kinds[i], 2);
		cr_expect_eq(meeting.agreed, i == 1 ? 0 : -ECONNRESET, "%s", kinds[i]);
	}
}
