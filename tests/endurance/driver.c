/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/endurance/driver.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/common/vhost_client.h"

#define DMA_BASE    0x100000000ull /* of our memory; not our own address for it */
#define F_VERSION_1 (1ull << 32)
#define F_PROTOCOL  (1ull << VHOST_USER_F_PROTOCOL_FEATURES)
#define F_EVENT_IDX (1ull << 29)
#define PROTOCOL    (1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK)

/* Where what lies in the part of a queue. */
enum {
	AT_DESC = 0,
	AT_AVAIL = 0x1000,
	AT_USED = 0x2000,
	AT_SLOTS = 0x4000,
	QUEUE_BYTES = 0x10000,
};

_Static_assert(AT_SLOTS + DRIVER_SLOTS * DRIVER_SLOT_BYTES <= QUEUE_BYTES, "slots fit");

static int set_features(struct driver *driver)
{
	uint64_t features = F_VERSION_1 | F_PROTOCOL | (driver->event_idx ? F_EVENT_IDX : 0);

	return vhost_client_set_u64(driver->sock, VHOST_USER_SET_FEATURES, features, -1);
}

static int connect_device(struct driver *driver)
{
	struct vhost_user_msg owner = { .hdr.request = VHOST_USER_SET_OWNER };
	uint64_t features;
	int sock, rc;

	driver->sock = sock = vhost_client_connect(driver->path);
	if (sock < 0)
		return sock;
	rc = vhost_client_get_u64(sock, VHOST_USER_GET_FEATURES, &features);
	if (!rc)
		rc = vhost_client_get_u64(sock, VHOST_USER_GET_PROTOCOL_FEATURES, &features);
	if (!rc)
		rc = vhost_client_set_u64(sock, VHOST_USER_SET_PROTOCOL_FEATURES,
					  features & PROTOCOL, -1);
	if (!rc)
		rc = vhost_client_transact(sock, &owner, false);
	if (!rc)
		rc = set_features(driver);
	return rc ? rc
		  : vhost_client_share(sock, driver->mem_fd, DMA_BASE,
				       (uint64_t)driver->nr_queues * QUEUE_BYTES);
}

static void close_notifiers(struct driver *driver)
{
	for (unsigned int i = 0; i < driver->nr_queues; i++) {
		close(driver->queues[i].kick);
		close(driver->queues[i].call);
	}
}

/* Starts the queues at the entry behind the last one that was used. */
static int start_queues(struct driver *driver)
{
	int rc = 0;

	for (unsigned int i = 0; i < driver->nr_queues && !rc; i++) {
		struct driver_queue *queue = &driver->queues[i];
		const uint64_t at = DMA_BASE + (uint64_t)i * QUEUE_BYTES;
		const struct vhost_client_queue start = {
			.index = i,
			.size = DRIVER_QUEUE_SIZE,
			.base = queue->used->idx,
			.desc = at + AT_DESC,
			.avail = at + AT_AVAIL,
			.used = at + AT_USED,
			.kick = queue->kick = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK),
			.call = queue->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		};

		rc = vhost_client_start(driver->sock, &start);
	}
	return rc ? rc : vhost_client_sync(driver->sock);
}

static void clear_rings(struct driver *driver)
{
	for (unsigned int i = 0; i < driver->nr_queues; i++) {
		struct driver_queue *queue = &driver->queues[i];
		uint8_t *mem = driver->mem + (size_t)i * QUEUE_BYTES;

		memset(mem, 0, AT_SLOTS);
		queue->desc = (void *)(mem + AT_DESC);
		queue->avail = (void *)(mem + AT_AVAIL);
		queue->used = (void *)(mem + AT_USED);
		queue->slots = mem + AT_SLOTS;
		queue->slots_dma = DMA_BASE + (uint64_t)i * QUEUE_BYTES + AT_SLOTS;
		queue->avail_idx = 0;
		queue->last_used = 0;
		queue->in_flight = 0;
	}
}

int driver_open(struct driver *driver, const char *path, unsigned int nr_queues)
{
	const size_t bytes = (size_t)nr_queues * QUEUE_BYTES;
	int rc;

	*driver = (struct driver){ .path = path, .event_idx = true, .nr_queues = nr_queues };
	driver->mem_fd = memfd_create("endurance", MFD_CLOEXEC);
	if (driver->mem_fd < 0 || ftruncate(driver->mem_fd, (off_t)bytes))
		return -errno;
	driver->mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, driver->mem_fd, 0);
	if (driver->mem == MAP_FAILED)
		return -errno;
	clear_rings(driver);
	rc = connect_device(driver);
	return rc ? rc : start_queues(driver);
}

void driver_close(struct driver *driver)
{
	close_notifiers(driver);
	close(driver->sock);
	munmap(driver->mem, (size_t)driver->nr_queues * QUEUE_BYTES);
	close(driver->mem_fd);
}

int driver_stop(struct driver *driver)
{
	int rc = 0;

	for (unsigned int i = 0; i < driver->nr_queues && !rc; i++) {
		struct vhost_user_msg msg = {
			.hdr = { .request = VHOST_USER_GET_VRING_BASE,
				 .size = sizeof(msg.payload.state) },
			.payload.state = { .index = i },
		};

		rc = vhost_client_transact(driver->sock, &msg, true);
		/* It keeps nothing back: what it has taken is used. */
		if (!rc && msg.payload.state.num != driver->queues[i].used->idx) {
			fprintf(stderr, "endurance: queue %u: stopped at %u, but used %u\n", i,
				msg.payload.state.num, driver->queues[i].used->idx);
			rc = -EPROTO;
		}
	}
	return rc;
}

int driver_restart(struct driver *driver)
{
	int rc;

	clear_rings(driver);
	close_notifiers(driver);
	driver->event_idx = !driver->event_idx;
	rc = set_features(driver);
	return rc ? rc : start_queues(driver);
}

int driver_reconnect(struct driver *driver)
{
	int rc;

	close_notifiers(driver);
	close(driver->sock);
	rc = connect_device(driver);
	return rc ? rc : start_queues(driver);
}

uint8_t *driver_slot(const struct driver_queue *queue, unsigned int slot)
{
	return queue->slots + (size_t)slot * DRIVER_SLOT_BYTES;
}

void driver_offer(struct driver_queue *queue, unsigned int slot, uint32_t readable,
		  uint32_t writable)
{
	const uint64_t dma = queue->slots_dma + (uint64_t)slot * DRIVER_SLOT_BYTES;
	const uint16_t head = (uint16_t)(slot * 2);

	if (readable && writable) {
		queue->desc[head] =
			(struct virtq_desc){ dma, readable, VIRTQ_DESC_F_NEXT, head + 1 };
		queue->desc[head + 1] =
			(struct virtq_desc){ dma + readable, writable, VIRTQ_DESC_F_WRITE, 0 };
	} else {
		queue->desc[head] = (struct virtq_desc){ dma, readable + writable,
							 writable ? VIRTQ_DESC_F_WRITE : 0, 0 };
	}
	queue->avail->ring[queue->avail_idx++ % DRIVER_QUEUE_SIZE] = head;
	queue->in_flight++;
}

void driver_publish(struct driver *driver, unsigned int index)
{
	struct driver_queue *queue = &driver->queues[index];
	const uint16_t *avail_event = (uint16_t *)&queue->used->ring[DRIVER_QUEUE_SIZE];
	uint16_t old = queue->avail->idx;
	bool kick;

	if (old == queue->avail_idx)
		return;
	__atomic_store_n(&queue->avail->idx, queue->avail_idx, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (driver->event_idx) {
		uint16_t event = __atomic_load_n(avail_event, __ATOMIC_RELAXED);

		kick = (uint16_t)(queue->avail_idx - event - 1) <
		       (uint16_t)(queue->avail_idx - old);
	} else {
		kick = !(__atomic_load_n(&queue->used->flags, __ATOMIC_RELAXED) &
			 VIRTQ_USED_F_NO_NOTIFY);
	}
	if (kick)
		eventfd_write(queue->kick, 1);
}

int driver_take(struct driver_queue *queue, unsigned int *slot, uint32_t *written)
{
	const struct virtq_used_elem *elem =
		&queue->used->ring[queue->last_used % DRIVER_QUEUE_SIZE];

	if (__atomic_load_n(&queue->used->idx, __ATOMIC_ACQUIRE) == queue->last_used)
		return 0;
	*slot = elem->id / 2;
	*written = elem->len;
	if (elem->id % 2 || *slot >= DRIVER_SLOTS || !queue->in_flight) {
		fprintf(stderr, "endurance: used entry %u: id %u with %u requests in flight\n",
			queue->last_used, elem->id, queue->in_flight);
		return -EPROTO;
	}
	queue->in_flight--;
	queue->completed++;
	if (++queue->last_used == 0)
		queue->wraps++;
	return 1;
}

/* Asks for a signal with the next completion of each queue; false when there is one by now. */
static bool ask_for_calls(struct driver *driver)
{
	for (unsigned int i = 0; i < driver->nr_queues; i++) {
		struct driver_queue *queue = &driver->queues[i];

		/* used_event; nobody reads it if it was not negotiated */
		__atomic_store_n(&queue->avail->ring[DRIVER_QUEUE_SIZE], queue->last_used,
				 __ATOMIC_RELAXED);
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned int i = 0; i < driver->nr_queues; i++) {
		const struct driver_queue *queue = &driver->queues[i];

		if (__atomic_load_n(&queue->used->idx, __ATOMIC_ACQUIRE) != queue->last_used)
			return false;
	}
	return true;
}

int driver_wait(struct driver *driver, int fd, short events)
{
	struct pollfd pfds[DRIVER_MAX_QUEUES + 1];
	eventfd_t value;
	int rc;

	if (!ask_for_calls(driver))
		return 0;
	for (unsigned int i = 0; i < driver->nr_queues; i++)
		pfds[i] = (struct pollfd){ .fd = driver->queues[i].call, .events = POLLIN };
	pfds[driver->nr_queues] = (struct pollfd){ .fd = fd, .events = events };
	do {
		rc = poll(pfds, driver->nr_queues + 1, VHOST_CLIENT_TIMEOUT);
	} while (rc < 0 && errno == EINTR);
	for (unsigned int i = 0; i < driver->nr_queues; i++)
		eventfd_read(driver->queues[i].call, &value);
	if (rc > 0)
		return 0;
	fprintf(stderr, "endurance: nothing happens any more\n");
	return rc ? -errno : -ETIMEDOUT;
}

uint64_t driver_completed(const struct driver *driver)
{
	uint64_t completed = 0;

	for (unsigned int i = 0; i < driver->nr_queues; i++)
		completed += driver->queues[i].completed;
	return completed;
}
