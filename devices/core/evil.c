/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/core/evil.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "devices/core/evil_state.h"
#include "devices/core/log.h"

#define TICK_MS	       10
#define REORDER_MAX_MS 100 /* a completion does not wait longer for others */
#define CALL_MIN_MS    50
#define CALL_MAX_MS    500
#define TRUTH_ONE_IN   4 /* reads of configuration space that is lied about */

_Static_assert(EVIL_NR_TRICKS <= DEVICE_REPORT_TRICKS, "the report has room for all");

uint64_t evil_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void record(struct evil *evil, enum evil_trick trick, uint16_t queue, uint64_t completion)
{
	struct device *device = evil->device;

	device->report->last_plays[device->report->plays++ % DEVICE_REPORT_PLAYS] =
		(struct evil_play){ .completion = completion, .trick = trick, .queue = queue };
	device->report->tricks[trick]++;
}

/* Trick number @n, counted from 0, of the set. */
static enum evil_trick nth_trick(uint32_t tricks, unsigned int n)
{
	while (n-- > 0)
		tricks &= tricks - 1;
	return (enum evil_trick)__builtin_ctz(tricks);
}

/* Which trick, if any: this depends on the seed and the number of the completion alone. */
static void draw(struct evil_queue *queue, struct evil_completion *completion)
{
	struct evil *evil = queue->evil;
	const struct evil_settings *settings = &evil->settings;
	unsigned int count = (unsigned int)__builtin_popcount(settings->tricks);
	struct evil_random random;
	uint64_t first;

	if (++queue->completions <= settings->after)
		return;
	random = evil_random_at(settings->seed, queue->index, queue->completions);
	if (evil_random_below(&random, EVIL_RATE_MAX) >= settings->rate)
		return;
	first = evil_random_below(&random, count);
	evil_chain_find(queue->vq, (uint16_t)completion->id, &completion->chain);
	/* The next one where there is nothing to play it on. */
	for (unsigned int i = 0; i < count; i++) {
		enum evil_trick trick = nth_trick(settings->tricks, (first + i) % count);

		completion->random = random;
		if (!evil_play_trick(trick, queue, completion))
			continue;
		record(evil, trick, (uint16_t)queue->index, queue->completions);
		return;
	}
}

/* Puts the element on the ring, now or when its time has come. */
static void give(struct evil_queue *queue, uint32_t id, uint32_t len, uint64_t delay,
		 uint64_t after)
{
	uint64_t due = queue->stalled_until;

	if (!due && !delay && !after) {
		virtqueue_put_used(queue->vq, id, len);
		return;
	}
	if (after)
		delay = REORDER_MAX_MS;
	if (due != EVIL_NEVER && delay && due < evil_now_ms() + delay)
		due = evil_now_ms() + delay;
	/* There is room for all that a driver can have outstanding, but not for more elements. */
	if (queue->nr_held == queue->vq->max_size) {
		if (due != EVIL_NEVER)
			virtqueue_put_used(queue->vq, id, len);
		return;
	}
	queue->held[queue->nr_held++] = (struct evil_held){
		.id = id,
		.len = len,
		.due = due,
		.after = after ? queue->completions + after : EVIL_NEVER,
	};
}

static bool is_due(const struct evil_queue *queue, const struct evil_held *held, uint64_t now)
{
	return held->due <= now || (!queue->stalled_until && held->after <= queue->completions);
}

/* Gives back what waited until @now. Returns whether there was anything. */
static bool release(struct evil_queue *queue, uint64_t now)
{
	unsigned int kept = 0, count = queue->nr_held;

	for (unsigned int i = 0; i < count; i++) {
		struct evil_held held = queue->held[i];

		if (is_due(queue, &held, now))
			virtqueue_put_used(queue->vq, held.id, held.len);
		else
			queue->held[kept++] = held;
	}
	queue->nr_held = kept;
	return kept < count;
}

void evil_complete(struct evil_queue *queue, uint16_t head, uint32_t written)
{
	struct evil_completion completion = { .id = head, .len = written };

	draw(queue, &completion);
	if (!completion.lost)
		give(queue, completion.id, completion.len, completion.delay, completion.after);
	if (completion.twice)
		give(queue, completion.second_id, completion.second_len, 0, 0);
	if (queue->nr_held)
		release(queue, 0);
}

void evil_complete_held(struct evil_queue *queue)
{
	struct virtqueue *vq = queue->vq;
	uint16_t first = vq->mark.used_idx;
	uint16_t count = vq->used_idx - first;

	/* A trick may put further elements between them. */
	for (uint16_t i = 0; i < count && i < vq->size; i++)
		queue->batch[i] = vq->used->ring[(uint16_t)(first + i) & (vq->size - 1)];
	vq->used_idx = first;
	for (uint16_t i = 0; i < count && i < vq->size; i++)
		evil_complete(queue, (uint16_t)le32toh(queue->batch[i].id),
			      le32toh(queue->batch[i].len));
}

/* The front-end takes it for a queue that the device cannot use, and asks the driver for a reset. */
static void fail_queue(struct evil_queue *queue)
{
	const uint64_t one = 1;
	int fd = queue->evil->device->queues[queue->index].err_fd;

	queue->fail = false;
	queue->stalled_until = EVIL_NEVER;
	device_log_guest("EVIL DEVICE: queue %u asks for a reset, for no reason", queue->index);
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

/* Of any queue that runs. */
static void call_at_random(struct evil_queue *queue)
{
	struct device *device = queue->evil->device;
	unsigned int index = (unsigned int)evil_random_below(&queue->end, device->nr_queues);

	device_queue_call(device, device->queues[index].running ? index : queue->index);
}

bool evil_end_batch(struct evil *evil, unsigned int index, bool wants)
{
	struct evil_queue *queue = &evil->queues[index];

	if (queue->fail)
		fail_queue(queue);
	for (; queue->spurious; queue->spurious--)
		call_at_random(queue);
	evil_forge_used(queue);
	if (wants && queue->postpone)
		queue->call_at = evil_now_ms() + CALL_MIN_MS +
				 evil_random_below(&queue->end, CALL_MAX_MS - CALL_MIN_MS + 1);
	if (wants && (queue->mute || queue->postpone)) {
		queue->mute = queue->postpone = false;
		return false;
	}
	return wants;
}

static void reset_queue(struct evil_queue *queue)
{
	*queue = (struct evil_queue){
		.evil = queue->evil,
		.vq = queue->vq,
		.index = queue->index,
		.completions = queue->completions,
		.held = queue->held,
		.batch = queue->batch,
	};
}

void evil_stop_queue(struct evil *evil, unsigned int index)
{
	struct evil_queue *queue = &evil->queues[index];

	if (!queue->vq->broken) {
		evil_restore_used(queue);
		release(queue, EVIL_NEVER);
	}
	reset_queue(queue);
}

/* Kinds of device differ in how much they have; none ends in a field that is always 0. */
static uint32_t config_length(const uint8_t *config)
{
	uint32_t len = VHOST_USER_MAX_CONFIG;

	while (len && !config[len - 1])
		len--;
	return (len + 7) / 8 * 8;
}

void evil_forge_config(struct evil *evil, uint8_t *config)
{
	const struct evil_settings *settings = &evil->settings;
	uint32_t len = config_length(config);
	struct evil_random random;

	if (!len || !(settings->tricks & EVIL_BIT(EVIL_CONFIG)))
		return;
	random = evil_random_at(settings->seed, EVIL_CONFIG_STREAM, ++evil->config_reads);
	/* What a driver is told first it believes most. */
	if (evil->config_reads == 1)
		evil->lying = settings->after == 0 &&
			      evil_random_below(&random, EVIL_RATE_MAX) < settings->rate;
	else if (evil_random_below(&random, TRUTH_ONE_IN) == 0)
		return;
	if (!evil->lying)
		return;
	evil_forge_field(&random, config, len);
	record(evil, EVIL_CONFIG, UINT16_MAX, evil->config_reads);
}

static void flip_late(struct evil_queue *queue, uint64_t now)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < queue->nr_late; i++) {
		struct evil_late late = queue->late[i];
		uint8_t *byte = dma_find(queue->vq->dma, late.dma_addr, 1, PROT_WRITE);

		if (now < late.due)
			queue->late[kept++] = late;
		else if (byte)
			*byte ^= late.mask;
	}
	queue->nr_late = kept;
}

/* Whether the time at *@at has come; then it is 0. */
static bool take_due(uint64_t *at, uint64_t now)
{
	if (!*at || now < *at)
		return false;
	*at = 0;
	return true;
}

static void wake_queue(struct evil_queue *queue, uint64_t now)
{
	struct device *device = queue->evil->device;
	bool shown;

	evil_restore_avail(queue);
	take_due(&queue->stalled_until, now);
	flip_late(queue, now);
	shown = release(queue, now);
	if (shown) {
		/* For its barrier. */
		virtqueue_finish(queue->vq, false);
		if (virtqueue_should_notify(queue->vq))
			device_queue_call(device, queue->index);
	}
	if (take_due(&queue->call_at, now))
		device_queue_call(device, queue->index);
	if (take_due(&queue->repair_at, now)) {
		evil_restore_used(queue);
		device_queue_call(device, queue->index);
		device_queue_run(device, queue->index);
	}
}

static bool runs(const struct device *device, unsigned int index)
{
	return device->queues[index].running && !device->queues[index].vq.broken;
}

void evil_wake(struct evil *evil)
{
	uint64_t now = evil_now_ms();

	for (unsigned int i = 0; i < evil->device->nr_queues; i++)
		if (runs(evil->device, i))
			wake_queue(&evil->queues[i], now);
}

static bool is_waiting(const struct evil_queue *queue)
{
	return queue->nr_held || queue->nr_late || queue->call_at || queue->repair_at;
}

void evil_sleep(struct evil *evil)
{
	struct device *device = evil->device;
	bool waiting = false;

	for (unsigned int i = 0; i < device->nr_queues; i++) {
		if (!runs(device, i))
			continue;
		/* A queue that goes on at once looks at its ring now. */
		if (!device->queues[i].again)
			evil_forge_avail(&evil->queues[i]);
		waiting |= is_waiting(&evil->queues[i]);
	}
	device->loop.timeout_ms = waiting ? TICK_MS : -1;
}

/* Where a device writes files, what it may change must not become what is written. */
static int check_tricks(const struct device *device, const struct device_options *options,
			uint32_t tricks)
{
	if (!(tricks & evil_tricks_with(EVIL_NEEDS_OWN_POOL)) || !device->ops->writes_files ||
	    device_setting(options, "ro"))
		return 0;
	device_log("evil: data-late and request need a device that is ro");
	return -EINVAL;
}

static int parse_settings(const struct device *device, const struct device_options *options,
			  struct evil_settings *settings)
{
	const char *text = device_setting(options, "evil");

	*settings = (struct evil_settings){
		.rate = EVIL_DEFAULT_RATE,
		.tricks = evil_default_tricks(false),
	};
	if (evil_parse(text, settings)) {
		device_log("evil: %s: expected seed=N,rate=N,after=N,tricks=NAME+NAME...", text);
		return -EINVAL;
	}
	return check_tricks(device, options, settings->tricks);
}

static int create_queue(struct evil *evil, unsigned int index)
{
	struct virtqueue *vq = &evil->device->queues[index].vq;
	struct evil_queue *queue = &evil->queues[index];

	queue->evil = evil;
	queue->vq = vq;
	queue->index = index;
	queue->held = calloc(vq->max_size, sizeof(*queue->held));
	queue->batch = calloc(vq->max_size, sizeof(*queue->batch));
	vq->evil = queue;
	return queue->held && queue->batch ? 0 : -ENOMEM;
}

int evil_create(struct device *device, const struct device_options *options)
{
	struct evil *evil;
	int rc;

	if (!device_setting(options, "evil"))
		return 0;
	evil = calloc(1, sizeof(*evil));
	if (!evil)
		return -ENOMEM;
	device->evil = evil;
	evil->device = device;
	rc = parse_settings(device, options, &evil->settings);
	for (unsigned int i = 0; i < device->nr_queues && !rc; i++)
		rc = create_queue(evil, i);
	if (!rc)
		device_log("EVIL DEVICE: misbehaves on purpose: seed=%u, %d tricks, %u of 1000 "
			   "completions",
			   evil->settings.seed, __builtin_popcount(evil->settings.tricks),
			   evil->settings.rate);
	return rc;
}

void evil_destroy(struct device *device)
{
	struct evil *evil = device->evil;

	for (unsigned int i = 0; evil && i < device->nr_queues; i++) {
		free(evil->queues[i].held);
		free(evil->queues[i].batch);
	}
	free(evil);
	device->evil = NULL;
}
