/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest-images/payloads/hostile/queue.h"

#include "guest-images/payloads/hostile/cpu.h"
#include "guest-images/payloads/payload.h"

#define LINE_SIZE	 16u
#define LINES_PER_SECTOR (SECTOR_SIZE / LINE_SIZE)

/* Each look at the status is an exit: one in so many turns. */
#define TURNS_PER_STATUS 512u

static void clear(uint64_t start, uint64_t size)
{
	for (uint64_t at = start; at < start + size; at += 8)
		*(volatile uint64_t *)at = 0;
}

void queue_init(struct queue *queue, const struct target *target, unsigned int index, uint16_t size)
{
	const uint64_t area = target->pool + QUEUE_AREA(index);

	clear(area, sizeof(struct descriptor) * size);
	clear(area + AREA_AVAIL, 2ull * size + 8);
	clear(area + AREA_USED, 8ull * size + 8);
	*queue = (struct queue){
		.target = target,
		.index = index,
		.size = size,
		.area = area,
		.desc = (volatile struct descriptor *)area,
		.avail = (volatile struct avail_ring *)(area + AREA_AVAIL),
		.used = (volatile struct used_ring *)(area + AREA_USED),
	};
}

void queue_tell(const struct queue *queue)
{
	const struct target *target = queue->target;
	const struct transport *transport = target->transport;

	transport->select(target, queue->index);
	transport->set_size(target, queue->size);
	transport->set_address(target, PART_DESC, queue->area);
	transport->set_address(target, PART_AVAIL, queue->area + AREA_AVAIL);
	transport->set_address(target, PART_USED, queue->area + AREA_USED);
	transport->enable(target, 1);
}

void queues_try_start(const struct target *target, struct queue *queues, unsigned int count,
		      uint16_t size)
{
	expect(target_negotiate(target, target_wanted(target)), "FEATURES_OK stands");
	for (unsigned int i = 0; i < count; i++) {
		queue_init(&queues[i], target, i, size);
		queue_tell(&queues[i]);
	}
	target->transport->write_status(target, RUNNING);
}

void queues_start(const struct target *target, struct queue *queues, unsigned int count,
		  uint16_t size)
{
	queues_try_start(target, queues, count, size);
	expect_equal(target->transport->status(target), RUNNING, "status of a device that runs");
}

void queue_publish(struct queue *queue, uint16_t head)
{
	queue->avail->ring[queue->published % queue->size] = head;
	queue->published++;
	__atomic_store_n(&queue->avail->idx, queue->published, __ATOMIC_RELEASE);
}

void queue_notify(const struct queue *queue)
{
	queue->target->transport->notify(queue->target, queue->index);
}

static uint16_t used_since(const struct queue *queue)
{
	return (uint16_t)(__atomic_load_n(&queue->used->idx, __ATOMIC_ACQUIRE) - queue->taken);
}

enum answer queue_await(const struct queue *queue, uint16_t count)
{
	const struct target *target = queue->target;
	const uint64_t start = clock_ns();

	for (uint64_t turn = 0; used_since(queue) < count; turn++) {
		if (turn % TURNS_PER_STATUS == 0) {
			if (target->transport->status(target) & NEEDS_RESET)
				return ANSWER_STOPPED;
			if (clock_ns() - start > ANSWER_NS)
				return ANSWER_NONE;
		}
		cpu_relax();
	}
	return ANSWER_USED;
}

uint32_t queue_take(struct queue *queue, uint16_t head)
{
	const uint16_t at = queue->taken % queue->size;

	expect(used_since(queue) > 0, "an entry in the used ring");
	expect_equal(queue->used->ring[at].id, head, "head of the used chain");
	queue->taken++;
	return queue->used->ring[at].len;
}

uint64_t request_header(const struct queue *queue, unsigned int index)
{
	return queue->area + AREA_HEADERS + (uint64_t)index * HEADER_STRIDE;
}

uint64_t request_status(const struct queue *queue, unsigned int index)
{
	return request_header(queue, index) + STATUS_OFFSET;
}

uint64_t request_data(const struct queue *queue, unsigned int index)
{
	return queue->area + AREA_DATA + (uint64_t)index * SECTOR_SIZE;
}

void request_fill(const struct queue *queue, unsigned int index, uint32_t type, uint64_t sector)
{
	const uint64_t header = request_header(queue, index);

	*(volatile uint32_t *)header = type;
	*(volatile uint32_t *)(header + 4) = 0;
	*(volatile uint64_t *)(header + 8) = sector;
	*(volatile uint8_t *)(header + STATUS_OFFSET) = STATUS_NONE;
	*(volatile uint8_t *)request_data(queue, index) = 0;
}

void request_chain(const struct queue *queue, unsigned int index, uint16_t head, uint64_t sector)
{
	volatile struct descriptor *desc = &queue->desc[head];

	request_fill(queue, index, BLOCK_IN, sector);
	desc[0] = (struct descriptor){ request_header(queue, index), HEADER_SIZE, NEXT, head + 1 };
	desc[1] = (struct descriptor){ request_data(queue, index), SECTOR_SIZE, NEXT | WRITE,
				       head + 2 };
	desc[2] = (struct descriptor){ request_status(queue, index), 1, WRITE, 0 };
}

uint8_t request_result(const struct queue *queue, unsigned int index)
{
	return *(volatile uint8_t *)request_status(queue, index);
}

/* The character at @position of a line: a number in 15 digits. */
static char line_char(uint64_t number, unsigned int position)
{
	if (position == LINE_SIZE - 1)
		return '\n';
	for (unsigned int i = position; i < LINE_SIZE - 2; i++)
		number /= 10;
	return (char)('0' + number % 10);
}

void request_check(const struct queue *queue, unsigned int index, uint64_t sector)
{
	volatile const char *data = (volatile const char *)request_data(queue, index);

	for (unsigned int i = 0; i < SECTOR_SIZE; i++)
		expect_equal((uint64_t)data[i],
			     (uint64_t)line_char(sector * LINES_PER_SECTOR + i / LINE_SIZE,
						 i % LINE_SIZE),
			     "what was read");
}

void queue_serve(struct queue *queue, uint64_t sector)
{
	request_chain(queue, 0, 0, sector);
	queue_publish(queue, 0);
	queue_notify(queue);
	expect_equal(queue_await(queue, 1), ANSWER_USED, "answer to a good request");
	expect_equal(queue_take(queue, 0), SECTOR_SIZE + 1, "length of a good request");
	expect_equal(request_result(queue, 0), 0, "status of a good request");
	request_check(queue, 0, sector);
}
