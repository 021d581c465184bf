/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A disk that is honest until the guest writes to it for the first time, and then lies: to the driver in
 * the used ring, to minivmm on all that connects the two, or with all its might. Which way is its serial
 * number; "honest" never lies.
 */
#include "tests/attack/liar.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/core/backend.h"
#include "devices/core/sandbox.h"
#include "tests/attack/attack.h"

#define FLOOD	  10000000ul
#define FEW	  1000000ul
#define MANY_FDS  253 /* as many as the kernel lets through at once */
#define LATER_FDS 64

static struct device device;
static struct device_ops ops;
static bool (*honest)(struct device *device, unsigned int index);
static const struct attack *attack;
static int control;

static const struct lie {
	const char *name;
	void (*tell)(struct device_queue *queue);
} * lie;

static struct virtq_used_elem *next_used(struct device_queue *queue)
{
	return &queue->vq.used->ring[queue->vq.used->idx % queue->vq.size];
}

static void show_used(struct device_queue *queue, uint32_t id, uint32_t len)
{
	*next_used(queue) = (struct virtq_used_elem){ id, len };
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	queue->vq.used->idx++;
	device_queue_call(&device, queue->vq.index);
}

static uint16_t offered_head(const struct device_queue *queue)
{
	return queue->vq.avail->ring[queue->vq.last_avail % queue->vq.size];
}

static void jump_ahead(struct device_queue *queue)
{
	queue->vq.used->idx += 1000;
	device_queue_call(&device, queue->vq.index);
}

static void use_large_id(struct device_queue *queue)
{
	show_used(queue, UINT32_MAX - 7, 1);
	show_used(queue, queue->vq.size, 1);
}

static void use_foreign_id(struct device_queue *queue)
{
	show_used(queue, (offered_head(queue) + 1u) % queue->vq.size, 1);
}

static void use_much(struct device_queue *queue)
{
	show_used(queue, offered_head(queue), UINT32_MAX);
}

/* The guest's memory is what it may write to: all of it, again and again. */
static void scribble(struct device_queue *queue)
{
	const struct dma_window *window = &device.dma.windows[0];

	for (unsigned int byte = 0;; byte++) {
		memset(window->host, (int)byte, window->size);
		device_queue_call(&device, queue->vq.index);
	}
}

static void flood(int fd, unsigned long times)
{
	const uint64_t one = 1;

	for (unsigned long i = 0; i < times; i++)
		(void)!write(fd, &one, sizeof(one));
}

static void flood_call(struct device_queue *queue)
{
	flood(queue->call_fd, FLOOD);
}

/* And no answer to what is asked about it. */
static void flood_err(struct device_queue *queue)
{
	flood(queue->err_fd, FLOOD);
}

/* With an answer each time. */
static void flood_err_politely(struct device_queue *queue)
{
	struct backend backend = { .device = &device, .sock = control };
	const uint64_t all = ~0ull;

	backend.protocol_features = all;
	do {
		uint8_t byte;

		flood(queue->err_fd, 1);
		while (recv(control, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1)
			if (backend_handle_message(&backend) <= 0)
				_exit(EXIT_FAILURE);
	} while (queue->err_fd >= 0 && queue->running);
}

static void flood_log(struct device_queue *queue)
{
	static const char line[] = "minivmm: blk0: this is not the truth\n";

	(void)queue;
	for (unsigned long i = 0; i < FEW; i++)
		(void)!write(STDERR_FILENO, line, sizeof(line) - 1);
}

static void flood_channel(struct device_queue *queue)
{
	(void)queue;
	for (unsigned long i = 0; i < FEW && device.backend_channel >= 0; i++)
		device_config_changed(&device);
}

static void send_garbage(struct device_queue *queue)
{
	uint8_t bytes[64];

	(void)queue;
	memset(bytes, 0xa5, sizeof(bytes));
	for (unsigned long i = 0; i < FEW; i++) {
		(void)send(device.backend_channel, bytes, sizeof(bytes),
			   MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)send(control, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

static void send_descriptors(struct device_queue *queue)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * MANY_FDS)];
	} rights = { .align = { .cmsg_len = CMSG_LEN(sizeof(int) * MANY_FDS),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS } };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	const struct msghdr msg = { .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = rights.bytes,
				    .msg_controllen = sizeof(rights.bytes) };

	for (int i = 0; i < MANY_FDS; i++)
		memcpy(CMSG_DATA(&rights.align) + (size_t)i * sizeof(int), &queue->call_fd,
		       sizeof(int));
	for (unsigned long i = 0; i < 1000; i++) {
		(void)sendmsg(device.backend_channel, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)sendmsg(control, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

/* Half of a message, and the end. */
static void leave_in_the_middle(struct device_queue *queue)
{
	(void)queue;
	(void)send(device.backend_channel, "\2\0\0\0\1", 5, MSG_NOSIGNAL);
	(void)send(control, "\1\0\0\0\5", 5, MSG_NOSIGNAL);
	_exit(EXIT_SUCCESS);
}

/* No lie: it breaks out, or tries to. Nobody has told it anything of this minivmm. */
static void attack_now(struct device_queue *queue)
{
	const struct target target = { .vmm = 1,
				       .pool_fd = control,
				       .pool = device.dma.windows[0].host,
				       .pool_size = device.dma.windows[0].size,
				       .backend_fd = device.backends[0].fd };
	uint8_t secret[SECRET_LEN];

	(void)queue;
	(void)attack->run(&target, secret);
}

static const struct lie lies[] = {
	{ "lie-used-index", jump_ahead },
	{ "lie-used-id", use_large_id },
	{ "lie-foreign-id", use_foreign_id },
	{ "lie-used-length", use_much },
	{ "lie-scribble", scribble },
	{ "lie-call-flood", flood_call },
	{ "lie-err-flood", flood_err },
	{ "lie-err-politely", flood_err_politely },
	{ "lie-log-flood", flood_log },
	{ "lie-channel-flood", flood_channel },
	{ "lie-garbage", send_garbage },
	{ "lie-descriptors", send_descriptors },
	{ "lie-half-message", leave_in_the_middle },
	{ "honest", NULL },
};

bool liar_knows(const char *serial)
{
	static const struct lie attacking = { "attack", attack_now };

	attack = attack_find(serial);
	lie = attack && attack->run ? &attacking : NULL;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
		if (strcmp(lies[i].name, serial) == 0)
			lie = &lies[i];
	return lie != NULL;
}

static const void *at(uint64_t addr)
{
	const struct dma_window *window = &device.dma.windows[0];

	return window->host + (addr - window->base);
}

/* Is the next request a write? Its header is the first thing in it, also in an indirect table. */
static bool writes(const struct device_queue *queue)
{
	const struct virtq_desc *desc = &queue->vq.desc[offered_head(queue)];

	if (desc->flags & VIRTQ_DESC_F_INDIRECT)
		desc = at(desc->addr);
	return *(const uint32_t *)at(desc->addr) == 1;
}

static bool handle_queue(struct device *dev, unsigned int index)
{
	struct device_queue *queue = &dev->queues[index];
	static bool told;

	if (!told && lie->tell && virtqueue_has_chain(&queue->vq) && writes(queue)) {
		told = true;
		lie->tell(queue);
	}
	/* And then it does nothing more for the driver. */
	return told ? true : honest(dev, index);
}

int liar_main(const char *kind, int sock, const struct device_options *options)
{
	int fds[] = { sock, -1, options->backend_fds[0], -1 };
	struct sandbox sandbox = { .full = true, .fds = fds, .later_fds = LATER_FDS };
	struct backend backend = { .device = &device, .sandbox = &sandbox, .sock = sock };

	if (device_create(&device, device_kind_find(kind), options))
		return EXIT_FAILURE;
	ops = *device.ops;
	honest = ops.handle_queue;
	ops.handle_queue = handle_queue;
	device.ops = &ops;
	control = sock;
	fds[1] = device.loop.epoll_fd;
	sandbox.syscalls = ops.syscalls;
	sandbox.ioctls = ops.ioctls;
	sandbox.writes_files = ops.writes_files;
	if (sandbox_enter(&sandbox) || backend_run(&backend))
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}
