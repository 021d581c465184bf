/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/bench/vhost_driver.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/common/vhost_client.h"

#define DMA_BASE 0x100000000ull /* DMA address of our memory, which is not our own address for it */
#define FEATURES (1ull << 32 | 1ull << 30 | 1ull << 29) /* VERSION_1, protocol, EVENT_IDX */
#define PROTOCOL (1ull << VHOST_USER_PROTOCOL_F_CONFIG | 1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK)

/* Where what lies in our memory. */
enum {
	AT_DESC = 0,
	AT_AVAIL = 0x1000,
	AT_USED = 0x2000,
	AT_REQUESTS = 0x4000, /* a struct request for each slot */
	AT_DATA = 0x8000,
};

#define SLOTS (VHOST_DRIVER_QUEUE_SIZE / 3)

struct request {
	uint32_t type; /* 0: read */
	uint32_t reserved;
	uint64_t sector;
	uint8_t status;
};

static int negotiate(struct vhost_driver *driver)
{
	struct vhost_user_msg owner = { .hdr.request = VHOST_USER_SET_OWNER };
	struct vhost_user_msg config = {
		.hdr = { .request = VHOST_USER_GET_CONFIG, .size = 12 + 8 },
		.payload.config = { .size = 8 },
	};
	const int sock = driver->sock;
	uint64_t features, protocol;
	int rc = vhost_client_get_u64(sock, VHOST_USER_GET_FEATURES, &features);

	if (!rc && (features & FEATURES) != FEATURES)
		rc = -ENOTSUP;
	if (!rc)
		rc = vhost_client_get_u64(sock, VHOST_USER_GET_PROTOCOL_FEATURES, &protocol);
	if (!rc)
		rc = vhost_client_set_u64(sock, VHOST_USER_SET_PROTOCOL_FEATURES,
					  protocol & PROTOCOL, -1);
	if (!rc)
		rc = vhost_client_transact(sock, &owner, false);
	if (!rc)
		rc = vhost_client_set_u64(sock, VHOST_USER_SET_FEATURES, FEATURES, -1);
	if (!rc)
		rc = vhost_client_transact(sock, &config, true);
	memcpy(&driver->capacity, config.payload.config.region, sizeof(driver->capacity));
	return rc;
}

static int share_memory(struct vhost_driver *driver)
{
	int fd = memfd_create("bench", MFD_CLOEXEC);
	int rc = 0;

	if (fd < 0 || ftruncate(fd, (off_t)driver->mem_size))
		rc = -errno;
	driver->mem = rc ? MAP_FAILED
			 : mmap(NULL, driver->mem_size, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_POPULATE, fd, 0);
	if (!rc && driver->mem == MAP_FAILED)
		rc = -errno;
	if (!rc)
		rc = vhost_client_share(driver->sock, fd, DMA_BASE, driver->mem_size);
	close(fd);
	return rc;
}

static int start_queue(struct vhost_driver *driver)
{
	const struct vhost_client_queue queue = {
		.size = VHOST_DRIVER_QUEUE_SIZE,
		.desc = DMA_BASE + AT_DESC,
		.avail = DMA_BASE + AT_AVAIL,
		.used = DMA_BASE + AT_USED,
		.kick = driver->kick = eventfd(0, EFD_CLOEXEC),
		.call = driver->call = eventfd(0, EFD_CLOEXEC),
	};
	int rc = vhost_client_start(driver->sock, &queue);

	return rc ? rc : vhost_client_sync(driver->sock);
}

/* The rings, and the three descriptors of each request, which stay as they are. */
static void lay_out_memory(struct vhost_driver *driver)
{
	driver->desc = (void *)(driver->mem + AT_DESC);
	driver->avail = (void *)(driver->mem + AT_AVAIL);
	driver->used = (void *)(driver->mem + AT_USED);
	for (unsigned int slot = 0; slot < SLOTS; slot++) {
		uint64_t request = DMA_BASE + AT_REQUESTS + slot * sizeof(struct request);
		uint64_t data = DMA_BASE + AT_DATA + (uint64_t)slot * driver->bytes;
		uint16_t head = (uint16_t)(slot * 3);

		driver->desc[head] =
			(struct virtq_desc){ request, 16, VIRTQ_DESC_F_NEXT, head + 1 };
		driver->desc[head + 1] =
			(struct virtq_desc){ data, driver->bytes,
					     VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, head + 2 };
		driver->desc[head + 2] =
			(struct virtq_desc){ request + 16, 1, VIRTQ_DESC_F_WRITE, 0 };
	}
}

int vhost_driver_connect(struct vhost_driver *driver, const char *path, uint32_t bytes)
{
	int rc;

	*driver = (struct vhost_driver){ .bytes = bytes };
	driver->mem_size = (AT_DATA + (size_t)SLOTS * bytes + 0xfff) & ~0xfffull;
	driver->sock = vhost_client_connect(path);
	if (driver->sock < 0)
		return driver->sock;
	rc = negotiate(driver);
	if (!rc)
		rc = share_memory(driver);
	if (!rc)
		lay_out_memory(driver);
	return rc ? rc : start_queue(driver);
}

void vhost_driver_submit(struct vhost_driver *driver, unsigned int slot, uint64_t sector)
{
	struct request *request = (struct request *)(driver->mem + AT_REQUESTS) + slot;

	*request = (struct request){ .sector = sector, .status = 0xff };
	driver->avail->ring[driver->avail_idx++ % VHOST_DRIVER_QUEUE_SIZE] = (uint16_t)(slot * 3);
}

void vhost_driver_publish(struct vhost_driver *driver)
{
	const uint16_t *avail_event = (uint16_t *)&driver->used->ring[VHOST_DRIVER_QUEUE_SIZE];
	uint16_t old = driver->avail->idx, event;

	__atomic_store_n(&driver->avail->idx, driver->avail_idx, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	event = __atomic_load_n(avail_event, __ATOMIC_RELAXED);
	if ((uint16_t)(driver->avail_idx - event - 1) < (uint16_t)(driver->avail_idx - old)) {
		driver->kicks++;
		eventfd_write(driver->kick, 1);
	}
}

/* Asks for a signal with the next completion and sleeps, unless there is one by now. */
static void wait_used(struct vhost_driver *driver)
{
	uint16_t *used_event = &driver->avail->ring[VHOST_DRIVER_QUEUE_SIZE];
	eventfd_t value;

	__atomic_store_n(used_event, driver->last_used, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	while (__atomic_load_n(&driver->used->idx, __ATOMIC_ACQUIRE) == driver->last_used)
		eventfd_read(driver->call, &value);
}

int vhost_driver_complete(struct vhost_driver *driver, unsigned int *slots, int max, bool block)
{
	uint16_t idx = __atomic_load_n(&driver->used->idx, __ATOMIC_ACQUIRE);
	int n = 0;

	if (idx == driver->last_used && block) {
		wait_used(driver);
		idx = __atomic_load_n(&driver->used->idx, __ATOMIC_ACQUIRE);
	}
	for (; n < max && driver->last_used != idx; n++) {
		uint16_t at = driver->last_used++ % VHOST_DRIVER_QUEUE_SIZE;
		unsigned int slot = driver->used->ring[at].id / 3;
		const struct request *request = (struct request *)(driver->mem + AT_REQUESTS);

		if (slot >= SLOTS || request[slot].status != 0)
			return -EIO;
		slots[n] = slot;
	}
	/* When it polls, it wants no signals: far behind, the event is not passed soon. */
	if (!block)
		driver->avail->ring[VHOST_DRIVER_QUEUE_SIZE] = (uint16_t)(driver->last_used - 1);
	return n;
}
