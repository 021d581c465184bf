/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* virtio-rng (virtio 1.3, 5.4): fills what the driver offers with the host's random bytes. */
#include <errno.h>
#include <sys/random.h>
#include <sys/syscall.h>

#include "devices/device.h"

/* More is the next request's business: one request must not keep the device busy for long. */
#define REQUEST_MAX 65536u

/* Returns how many bytes were written. */
static uint32_t fill(struct dma_buffers *buffers)
{
	uint32_t done = 0;

	while (buffers->count && done < REQUEST_MAX) {
		size_t want = buffers->iov[0].iov_len;
		ssize_t n;

		if (want > REQUEST_MAX - done)
			want = REQUEST_MAX - done;
		n = getrandom(buffers->iov[0].iov_base, want, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		dma_buffers_skip(buffers, n);
		done += n;
	}
	return done;
}

static bool rng_handle_queue(struct device *device, unsigned int index)
{
	struct virtqueue *vq = &device->queues[index].vq;
	struct virtqueue_chain chain;

	while (virtqueue_pop(vq, &chain) > 0) {
		uint32_t written = fill(&chain.writable);

		if (!chain.writable_len) {
			virtqueue_drop(vq, &chain);
			continue;
		}
		if (!written)
			device->report->request_errors++;
		virtqueue_push(vq, &chain, written);
	}
	return true;
}

static const int syscalls[] = {
	SYS_getrandom, /* the answer to every request */
	-1,
};

const struct device_ops rng_device_ops = {
	.syscalls = syscalls,
	.handle_queue = rng_handle_queue,
};
