/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/fuzz/device_bench.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "devices/core/ring_features.h"

#define STEPS_MAX 96 /* of one run */

/* For what an input makes and the host keeps. */
static uint8_t arena[4096];
static size_t arena_used;

static void open_queues(struct device *device)
{
	const int call = host_open(HOST_EVENT), err = host_open(HOST_EVENT);

	for (unsigned int i = 0; i < device->nr_queues; i++) {
		device->queues[i].kick_fd = host_open(HOST_EVENT);
		device->queues[i].call_fd = call;
		device->queues[i].err_fd = err;
	}
}

void device_bench_create(struct device_bench *b, const struct host_disk *disk)
{
	static const struct host_snapshot nothing;
	struct device_options options = { .settings = b->settings };
	int fds[DEVICE_BENCH_BACKENDS];
	size_t size;

	host_begin(&nothing);
	host_disk = disk ? *disk : (struct host_disk){ 0 };
	options.backend_fds = fds;
	while (b->backends[options.nr_backends] != HOST_CLOSED) {
		fds[options.nr_backends] = host_open(b->backends[options.nr_backends]);
		options.nr_backends++;
	}
	memory_reset();
	fuzz_check(device_create(&b->device, &b->kind, &options) == 0, "%s", b->kind.name);
	memory_add_windows(&b->device.dma);
	open_queues(&b->device);
	/* The state of every device is one block, and what it points to stays where it is. */
	size = b->device.state ? malloc_usable_size(b->device.state) : 0;
	b->state_before = malloc(size + 1);
	fuzz_check(b->state_before);
	memcpy(b->state_before, b->device.state ? b->device.state : "", size);
	b->before = b->device;
	b->kept_before = *b->device.kept;
	host_keep(&b->host_before);
}

static void begin(struct device_bench *b)
{
	host_begin(&b->host_before);
	b->device = b->before;
	*b->device.kept = b->kept_before;
	if (b->device.state)
		memcpy(b->device.state, b->state_before, malloc_usable_size(b->device.state));
	memory_reset();
	ring_outstanding = 0;
	arena_used = 0;
}

static uint64_t user_address(uint64_t dma_addr)
{
	return dma_addr + (dma_addr < MEMORY_BASE + MEMORY_WINDOW0 ? MEMORY_USER : 2 * MEMORY_USER);
}

/* @in: NULL for a driver that means well. */
static void start(struct device_bench *b, unsigned int i, struct fuzz_input *in)
{
	struct device_queue *queue = &b->device.queues[i];
	const uint8_t how = in ? fuzz_u8(in) : 0;
	struct mock_driver *driver = &b->drivers[i];

	device_queue_stop(&b->device, i);
	ring_place(driver, i, how & 1 ? fuzz_u16(in) : queue->base);
	queue->addr = (struct vhost_user_vring_addr){
		.index = i,
		.descriptor = user_address(driver->desc),
		.available = user_address(driver->avail),
		.used = user_address(driver->used),
	};
	if (how & 2)
		queue->addr.descriptor = user_address(memory_address(in));
	if (how & 4)
		queue->addr.available = user_address(memory_address(in));
	if (how & 8)
		queue->addr.used = user_address(memory_address(in));
	queue->has_addr = true;
	queue->enabled = true;
	queue->size = RING_SIZE;
	queue->base = driver->avail_idx;
	device_queue_start(&b->device, i);
	fuzz_check(in || queue->running, "queue %u does not start", i);
}

static void stop_all(struct device_bench *b)
{
	for (unsigned int i = 0; i < b->device.nr_queues; i++)
		device_queue_stop(&b->device, i);
}

static void set_features(struct device_bench *b, uint64_t features)
{
	stop_all(b);
	b->device.features = (features & b->device.offered) | RING_F_VERSION_1;
	if (b->device.ops->set_features)
		b->device.ops->set_features(&b->device);
}

static void check(const struct device_bench *b)
{
	for (unsigned int i = 0; i < b->device.nr_queues; i++)
		if (b->device.queues[i].running)
			ring_check(&b->device.queues[i].vq);
}

void device_bench_kick(struct device_bench *b, unsigned int index)
{
	device_queue_run(&b->device, index);
	check(b);
}

void device_bench_events(struct device_bench *b, unsigned int rounds, unsigned int from)
{
	while (rounds--) {
		struct host_event events[LOOP_MAX_EVENTS];
		const unsigned int n = host_events(events, LOOP_MAX_EVENTS, from);

		/* All of them, even if an earlier one has closed the descriptor of a later one. */
		for (unsigned int i = 0; i < n; i++)
			b->device.ops->handle_host(&b->device, events[i].source - LOOP_HOST,
						   events[i].events);
		for (unsigned int i = 0; i < b->device.nr_queues; i++)
			if (b->device.queues[i].again)
				device_queue_run(&b->device, i);
		check(b);
		if (!n)
			break;
	}
}

void device_bench_submit(struct device_bench *b, unsigned int index,
			 const struct ring_piece *pieces, unsigned int n)
{
	struct mock_driver *driver = &b->drivers[index];

	if (b->device.queues[index].running)
		ring_submit(driver, pieces, n, (uint16_t)(driver->avail_idx * 4), 0);
}

unsigned int device_bench_pieces(struct fuzz_input *in, struct ring_piece *pieces, unsigned int n,
				 uint64_t addr, uint32_t len, bool write)
{
	const uint8_t cut = in ? fuzz_u8(in) : 0;

	if (!len)
		return n;
	if (!cut || cut >= len) {
		pieces[n] = (struct ring_piece){ addr, len, write };
		return n + 1;
	}
	pieces[n] = (struct ring_piece){ addr, cut, write };
	pieces[n + 1] = (struct ring_piece){ addr + cut, len - cut, write };
	return n + 2;
}

uint32_t device_bench_take_used(struct device_bench *b, unsigned int index, const char *what)
{
	struct virtq_used_elem elem;

	fuzz_check(mock_take_used(&b->drivers[index], &elem), "%s: no answer", what);
	return elem.len;
}

uint8_t *device_bench_bytes(size_t len)
{
	if (len > sizeof(arena) - arena_used)
		return NULL;
	arena_used += len;
	return arena + arena_used - len;
}

void device_bench_peer(struct fuzz_input *in, enum host_kind kind)
{
	const uint8_t how = fuzz_u8(in);
	const int fd = host_pick(kind, how >> 4);
	struct host_fd *file = host_get(fd);
	const uint8_t *bytes;
	size_t len;

	if (!file)
		return;
	switch (how & 7) {
	case 0:
		file->hung_up = true;
		break;
	case 1:
		file->room = fuzz_number(in);
		break;
	case 2:
		file->waiting += 1 + (how >> 4);
		break;
	case 3:
		host_feed(fd, NULL, fuzz_number(in) % (128u << 10));
		break;
	default:
		bytes = fuzz_bytes(in, fuzz_u8(in) & 0x3f, &len);
		host_feed(fd, bytes, len);
	}
}

void device_bench_take_all(enum host_kind kind)
{
	for (unsigned int i = 0; i < HOST_MAX_FDS; i++) {
		struct host_fd *file = host_get(HOST_FIRST_FD + (int)i);

		if (file && file->kind == kind)
			file->room = UINT64_MAX;
	}
}

static void configure(struct device_bench *b, struct fuzz_input *in)
{
	uint8_t config[VHOST_USER_MAX_CONFIG] = { 0 };
	const uint8_t *bytes;
	uint32_t offset;
	size_t len;

	if (b->device.ops->get_config)
		b->device.ops->get_config(&b->device, config);
	offset = fuzz_u8(in);
	bytes = fuzz_bytes(in, 8, &len);
	if (b->device.ops->set_config && len && offset + len <= VHOST_USER_MAX_CONFIG)
		b->device.ops->set_config(&b->device, offset, bytes, (uint32_t)len);
}

/* What can go wrong with a host. */
static void spoil(struct fuzz_input *in)
{
	static const int errors[] = { EAGAIN, EINTR,  EIO,    ENOSPC,  EPIPE,
				      ENOMEM, EINVAL, EMFILE, ENOBUFS, EOPNOTSUPP };
	const uint8_t how = fuzz_u8(in);

	if (how & 1)
		host_fail(how >> 4, errors[fuzz_u8(in) % (sizeof(errors) / sizeof(errors[0]))]);
	if (how & 2)
		host_limit(fuzz_u16(in));
}

static void step(struct device_bench *b, struct fuzz_input *in)
{
	const uint8_t op = fuzz_u8(in);
	unsigned int i;

	fuzz_check(b->device.nr_queues > 0);
	i = (op >> 4) % b->device.nr_queues;
	switch (op & 15) {
	case 0:
		start(b, i, in);
		break;
	case 1:
		device_queue_stop(&b->device, i);
		break;
	case 2:
		set_features(b, fuzz_u64(in) | (op & 0x10 ? UINT64_MAX : 0));
		break;
	case 3:
		configure(b, in);
		break;
	case 4:
		spoil(in);
		break;
	case 5:
	case 6:
		if (b->device.queues[i].running)
			ring_step(&b->drivers[i], in);
		break;
	case 7:
	case 8:
		device_bench_kick(b, i);
		break;
	case 9:
	case 10:
		device_bench_events(b, 1 + (op >> 4), op >> 4);
		break;
	default:
		b->step(b, in);
	}
	check(b);
}

/* A driver that begins anew, and a host that works. */
static void start_over(struct device_bench *b)
{
	host_fail(UINT32_MAX - 1, 0);
	host_limit(0);
	stop_all(b);
	for (unsigned int i = 0; i < b->device.nr_queues; i++)
		b->device.queues[i].base = 0;
	memory_reset();
	set_features(b, UINT64_MAX);
	for (unsigned int i = 0; i < b->device.nr_queues; i++)
		start(b, i, NULL);
}

void device_bench_run(struct device_bench *b, struct fuzz_input *in)
{
	begin(b);
	set_features(b, UINT64_MAX);
	for (unsigned int i = 0; i < b->device.nr_queues; i++)
		start(b, i, NULL);
	for (unsigned int i = 0; in->left && i < STEPS_MAX; i++)
		step(b, in);
	start_over(b);
	b->prove(b);
	stop_all(b);
	memory_check();
	fuzz_check(host_count() <= b->host_before.nr_files + b->keeps_fds, "%u descriptors",
		   host_count());
}
