/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A device that misbehaves on purpose, for those who harden drivers: the setting "evil" of any kind.
 *
 * The device itself stays what it is. Its completions are changed on their way to the driver:
 *
 *	device: virtqueue_push() --> evil_complete() --> none or one trick, chosen by
 *	                                  |              hash(seed, queue, number of the completion)
 *	                                  v
 *	        used ring, interrupt, memory of the chain, configuration space
 *
 * Nothing here reaches further than the device could anyway: the memory of its windows, its eventfds and
 * its answers to the front-end. No system call is needed that other devices do not make. What the driver
 * sent has been used before anything is changed, so that a disk image gets what the driver wrote.
 *
 * One that is NULL costs a completion one branch.
 */
#ifndef DEVICES_CORE_EVIL_H
#define DEVICES_CORE_EVIL_H

#include <stdbool.h>
#include <stdint.h>

struct device;
struct device_options;
struct evil;
struct evil_queue;

/*
 * Makes @device evil if the options say so. Its queues are there. Returns 0, or -errno after a line in
 * the log; evil_destroy() releases it in either case.
 */
int evil_create(struct device *device, const struct device_options *options);
void evil_destroy(struct device *device);

/* Instead of virtqueue_put_used(), and of showing all that was held (virtqueue_hold()). */
void evil_complete(struct evil_queue *queue, uint16_t head, uint32_t written);
void evil_complete_held(struct evil_queue *queue);

/*
 * After a batch of device_queue_run(). Returns whether to send an interrupt, where an honest device
 * would have done as @wants.
 */
bool evil_end_batch(struct evil *evil, unsigned int index, bool wants);

/* The queue stops: what was held back is given back first. */
void evil_stop_queue(struct evil *evil, unsigned int index);

/* What the front-end is to believe of the VHOST_USER_MAX_CONFIG bytes at @config. */
void evil_forge_config(struct evil *evil, uint8_t *config);

/* After each wait of the event loop, does what has become due; and before it. */
void evil_wake(struct evil *evil);
void evil_sleep(struct evil *evil);

#endif
