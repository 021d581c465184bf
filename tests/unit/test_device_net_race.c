/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The header of a frame that another vCPU changes while the device sends it: it is fetched once. */
#include "tests/unit/flipper.h"
#include "tests/unit/net_bench.h"

#define FRAME_LEN 60u

static struct net_bench b;
static uint8_t frame[FRAME_LEN];

static bool peer_has_something(void)
{
	struct pollfd pfd = { .fd = b.peer, .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

/* Each one either gets out as it is, or is dropped and counted. */
Test(device_net_race, a_header_that_was_not_negotiated, .timeout = 120)
{
	struct flipper flipper = { .good = NET_HDR_GSO_NONE, .bad = 0x7f };
	unsigned int submitted = 0, sent = 0, dropped = 0;
	struct mock_driver *driver = &b.fe.queues[NET_TX];
	struct net_header *header;
	uint64_t addr;

	net_start_stream(&b, NULL, 0, 8);
	net_pattern(frame, FRAME_LEN, 1);
	addr = mock_alloc(driver, sizeof(*header) + FRAME_LEN);
	header = mock_ptr(driver, addr);
	memcpy(header + 1, frame, FRAME_LEN);
	mock_set_desc(mock_desc_table(driver), 0,
		      (struct virtq_desc){ addr, sizeof(*header) + FRAME_LEN, 0, 0 });
	flipper_start(&flipper, &header->gso_type, sizeof(header->gso_type));
	while (!flipper_done(&flipper) || !sent || !dropped) {
		mock_submit(driver, 0);
		mock_kick(&b.fe, NET_TX);
		net_expect_used(&b, NET_TX, 0, 0);
		submitted++;
		for (; peer_has_something(); sent++)
			peer_expects(&b, frame, FRAME_LEN);
		dropped = mock_report(&b.fe).request_errors;
	}
	flipper_stop(&flipper);
	for (; sent + dropped < submitted; sent++)
		peer_expects(&b, frame, FRAME_LEN);
	cr_expect_eq(sent + dropped, submitted);
	peer_expects_nothing(&b);
	net_stop(&b);
}
