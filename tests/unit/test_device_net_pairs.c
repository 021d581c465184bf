/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* virtio-net with several pairs of queues, each over a descriptor of its own of one tap interface. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/tap_bench.h"

/* Index of the control queue with two pairs. */
#define CTRL_OF_TWO 4

static struct net_bench b;
static uint8_t frame[256];

static void set_up(void)
{
	tap_enter_namespace();
	tap_make_frame(frame, sizeof(frame));
}

static void tear_down(void)
{
	net_stop(&b);
}

TestSuite(device_net_pairs, .init = set_up, .fini = tear_down);

static uint8_t use_pairs(uint16_t pairs)
{
	const uint8_t command[] = { 4, 0, pairs & 0xff, pairs >> 8 };

	return net_command(&b, CTRL_OF_TWO, command, sizeof(command));
}

/*
 * Sends frames of many flows; returns how many came into the second pair's queue. It gets chains
 * only if @post says so.
 */
static unsigned int second_queue_share(bool post)
{
	const struct net_header plain = { 0 };
	struct virtq_used_elem elem;
	unsigned int share = 0;

	for (uint16_t i = 0; i < 64; i++) {
		net_post(&b, 0, i, 1526);
		if (post)
			net_post(&b, 2, i, 1526);
	}
	mock_kick(&b.fe, 0);
	if (post)
		mock_kick(&b.fe, 2);
	for (uint16_t i = 0; i < 64; i++) {
		struct net_header header;
		size_t len = tap_make_tcp(frame, 10, &header);

		frame[ETH_LEN + IP_LEN + 1] = i; /* the port */
		tap_peer_sends(&b, &plain, frame, len);
	}
	net_settle();
	while (mock_take_used(&b.fe.queues[2], &elem))
		share++;
	for (uint16_t i = share; i < 64; i++)
		mock_wait_used(&b.fe, 0);
	return share;
}

Test(device_net_pairs, pairs_are_used_as_the_driver_says)
{
	uint8_t config[10];
	unsigned int share;

	tap_start(&b, 2, 0, 5);
	cr_expect(b.fe.features & NET_F_MQ);
	net_get_config(&b, config, sizeof(config));
	cr_expect_eq(config[8], 2);
	cr_expect_eq(second_queue_share(true), 0, "one pair at first");
	net_submit(&b, 3, 0, &(struct net_header){ 0 }, frame, 60);
	mock_kick(&b.fe, 3);
	net_expect_used(&b, 3, 0, 0);
	cr_expect_eq(mock_report(&b.fe).request_errors, 1, "the second pair is not in use");

	/* The chains that were made available before are used, without a kick. */
	cr_expect_eq(use_pairs(2), 0);
	share = second_queue_share(false);
	cr_expect(share > 5 && share < 60, "%u", share);
	net_submit(&b, 3, 0, &(struct net_header){ 0 }, frame, 60);
	mock_kick(&b.fe, 3);
	net_expect_used(&b, 3, 0, 0);
	cr_expect_eq(mock_report(&b.fe).request_errors, 1);

	cr_expect_eq(use_pairs(1), 0);
	cr_expect_eq(second_queue_share(false), 0);
	cr_expect_eq(use_pairs(0), 1);
	cr_expect_eq(use_pairs(3), 1);
	cr_expect_eq(use_pairs(0xffff), 1);
	mock_expect_idle(&b.fe, "two pairs");
}

Test(device_net_pairs, without_mq_the_control_queue_is_the_third)
{
	const uint8_t command[] = { 0, 0, 1 };
	struct virtq_used_elem elem;

	tap_start(&b, 2, NET_F_MQ, 5);
	cr_expect_eq(net_command(&b, NET_CTRL, command, sizeof(command)), 0);
	/* The others are nobody's, and keep nobody busy. */
	for (unsigned int queue = 3; queue < 5; queue++) {
		mock_submit_buffer(&b.fe.queues[queue], 0, 64, 0);
		mock_kick(&b.fe, queue);
		mock_expect_idle(&b.fe, "no queue");
		cr_expect_not(mock_take_used(&b.fe.queues[queue], &elem));
	}
}

Test(device_net_pairs, inside_the_sandbox)
{
	b.confined = true;
	tap_start(&b, 2, 0, 5);
	cr_expect_eq(use_pairs(2), 0);
	cr_expect_gt(second_queue_share(true), 5);
	cr_expect_eq(use_pairs(1), 0);
	net_send(&b, 0, frame, 60);
	cr_expect_eq(mock_report(&b.fe).request_errors, 0);
}
