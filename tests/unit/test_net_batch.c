/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* virtio-net: what one run of a queue does at most, whatever the host sends. No process, no thread. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/net.h"
#include "devices/registry.h"
#include "tests/unit/mock_driver.h"

#define BASE   0x40000000ull
#define QUEUE  net_rx_queue(0)
#define SIZE   64
#define FRAMES 1000

static uint8_t memory[65536] __attribute__((aligned(4096)));
static struct device device;
static struct mock_driver driver;
static int peer;

static void start_queue(void)
{
	const struct dma_window window = { BASE,   sizeof(memory),	   BASE,
					   memory, PROT_READ | PROT_WRITE, 0 };
	struct device_queue *queue = &device.queues[QUEUE];

	cr_assert_eq(dma_add_window(&device.dma, &window), 0);
	mock_driver_init(&driver, memory, BASE, BASE, SIZE, 0);
	queue->kick_fd = eventfd(0, EFD_CLOEXEC);
	queue->call_fd = eventfd(0, EFD_CLOEXEC);
	queue->addr = (struct vhost_user_vring_addr){ .descriptor = driver.desc,
						      .available = driver.avail,
						      .used = driver.used };
	queue->has_addr = true;
	queue->enabled = true;
	queue->size = SIZE;
	cr_assert_eq(device_queue_start(&device, QUEUE), 0);
	cr_assert(queue->running);
}

static void set_up(void)
{
	struct device_options options = { .nr_backends = 1 };
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	peer = pair[0];
	options.backend_fds = &pair[1];
	cr_assert_eq(device_create(&device, device_kind_find("net"), &options), 0);
	start_queue();
}

static void tear_down(void)
{
	device_destroy(&device);
	close(peer);
}

TestSuite(net_batch, .init = set_up, .fini = tear_down);

static void send_frames(void)
{
	static uint8_t frames[FRAMES][sizeof(uint32_t) + 14];

	for (unsigned int i = 0; i < FRAMES; i++)
		memcpy(frames[i], &(uint32_t){ htonl(14) }, sizeof(uint32_t));
	cr_assert_eq(write(peer, frames, sizeof(frames)), (ssize_t)sizeof(frames));
}

/* Runs the queue until it has nothing more to do; each time something else has its turn. */
static unsigned int run(void)
{
	uint64_t errors = 0;
	unsigned int runs = 0;

	do {
		device_queue_run(&device, QUEUE);
		runs++;
		cr_expect_leq(device.report->request_errors - errors, SIZE, "run %u", runs);
		errors = device.report->request_errors;
	} while (device.queues[QUEUE].again);
	return runs;
}

/* A chain for a header and a byte. */
Test(net_batch, frames_that_are_too_long_for_a_chain)
{
	send_frames();
	mock_submit_buffer(&driver, 0, 13, VIRTQ_DESC_F_WRITE);
	cr_expect_geq(run(), FRAMES / SIZE);
	cr_expect_eq(device.report->request_errors, FRAMES);
	cr_expect_eq(device.report->requests, 0);
}

Test(net_batch, frames_that_are_too_long_for_all_chains)
{
	send_frames();
	device.features |= NET_F_MRG_RXBUF;
	mock_submit_buffer(&driver, 0, 13, VIRTQ_DESC_F_WRITE);
	cr_expect_geq(run(), FRAMES / SIZE);
	cr_expect_eq(device.report->request_errors, FRAMES);
}
