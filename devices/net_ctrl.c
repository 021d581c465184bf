/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The control queue (virtio 1.3, 5.1.6.5): a command in, one byte out that tells whether it was
 * carried out.
 *
 * The commands that choose which frames to receive succeed and change nothing: a device may pass
 * more frames than it was asked for (5.1.6.5.2), and the driver's network stack looks anyway. Their
 * length is checked all the same.
 */
#include <endian.h>

#include "devices/net.h"

enum ctrl_class { CTRL_RX, CTRL_MAC, CTRL_MQ = 4 };
enum ctrl_rx { RX_PROMISC, RX_ALLMULTI };
enum ctrl_mac { MAC_TABLE_SET };
enum ctrl_mq { MQ_VQ_PAIRS_SET };
enum ctrl_ack { CTRL_OK, CTRL_ERR };

struct ctrl_header {
	uint8_t class;
	uint8_t command;
};

#define MAC_SIZE 6

static bool set_rx_mode(struct dma_buffers *data)
{
	uint8_t on;

	return dma_buffers_read(data, &on, sizeof(on)) == sizeof(on) && !data->len;
}

/* A number of addresses, and the addresses: once for unicast, once for multicast. */
static bool set_mac_table(struct dma_buffers *data)
{
	for (int table = 0; table < 2; table++) {
		uint32_t entries;
		uint64_t bytes;

		if (dma_buffers_read(data, &entries, sizeof(entries)) != sizeof(entries))
			return false;
		bytes = (uint64_t)le32toh(entries) * MAC_SIZE;
		if (bytes > data->len)
			return false;
		dma_buffers_skip(data, bytes);
	}
	return !data->len;
}

static bool set_pairs(struct device *device, struct dma_buffers *data)
{
	const struct net *net = device->state;
	uint16_t pairs;

	if (dma_buffers_read(data, &pairs, sizeof(pairs)) != sizeof(pairs) || data->len)
		return false;
	pairs = le16toh(pairs);
	return pairs && pairs <= net->max_pairs && net_use_pairs(device, pairs) == 0;
}

static bool execute(struct device *device, struct dma_buffers *command)
{
	struct ctrl_header header;

	if (dma_buffers_read(command, &header, sizeof(header)) != sizeof(header))
		return false;
	switch (header.class) {
	case CTRL_RX:
		return device->features & NET_F_CTRL_RX && header.command <= RX_ALLMULTI &&
		       set_rx_mode(command);
	case CTRL_MAC:
		return device->features & NET_F_CTRL_RX && header.command == MAC_TABLE_SET &&
		       set_mac_table(command);
	case CTRL_MQ:
		return device->features & NET_F_MQ && header.command == MQ_VQ_PAIRS_SET &&
		       set_pairs(device, command);
	default:
		return false;
	}
}

bool net_handle_ctrl(struct device *device, unsigned int queue)
{
	struct virtqueue *vq = &device->queues[queue].vq;
	struct virtqueue_chain chain;

	while (virtqueue_pop(vq, &chain) > 0) {
		uint8_t ack = CTRL_OK;

		if (!chain.writable_len) {
			virtqueue_drop(vq, &chain);
			continue;
		}
		if (!execute(device, &chain.readable)) {
			ack = CTRL_ERR;
			net_count_error(device);
		}
		dma_buffers_write(&chain.writable, &ack, sizeof(ack));
		virtqueue_push(vq, &chain, sizeof(ack));
	}
	return true;
}
