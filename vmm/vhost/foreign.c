/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/vhost/foreign.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/registry.h"
#include "vmm/config.h"
#include "vmm/vhost/frontend.h"
#include "vmm/virtio/device.h"

/* What most back-ends can have; none says how much. */
#define DEFAULT_QUEUE_SIZE 128

#define ID_NET 1 /* virtio 1.3, 5 */
#define ID_BLK 2
#define ID_FS  26

/* Bits of the device type (virtio 1.3, 2.2), and of the rings: INDIRECT_DESC, EVENT_IDX. */
#define TYPE_FEATURES 0xffffffull
#define RING_FEATURES ((1ull << 28) | (1ull << 29))

#define BLK_F_CONFIG_WCE   (1ull << 11) /* virtio 1.3, 5.2.3 */
#define BLK_F_MQ	   (1ull << 12)
#define BLK_F_SECURE_ERASE (1ull << 16)
#define BLK_F_ZONED	   (1ull << 17)
#define BLK_NUM_QUEUES	   34 /* offset in its configuration space, le16 */

#define NET_F_CTRL_GUEST_OFFLOADS (1ull << 2) /* virtio 1.3, 5.1.3 */
#define NET_F_MTU		  (1ull << 3)
#define NET_F_MAC		  (1ull << 5)
#define NET_F_STATUS		  (1ull << 16)
#define NET_F_CTRL_VQ		  (1ull << 17)
#define NET_F_CTRL_RX		  (1ull << 18)
#define NET_F_CTRL_VLAN		  (1ull << 19)
#define NET_F_CTRL_RX_EXTRA	  (1ull << 20)
#define NET_F_GUEST_ANNOUNCE	  (1ull << 21)
#define NET_F_MQ		  (1ull << 22)
#define NET_F_CTRL_MAC_ADDR	  (1ull << 23)

#define FS_NUM_REQUEST_QUEUES 36 /* offset in its configuration space, le32 (virtio 1.3, 5.11.4) */

/* Where configuration space comes from. */
enum config_source {
	CONFIG_OURS,	/* the back-end has none */
	CONFIG_NEEDED,	/* the back-end's */
	CONFIG_IF_ANY,	/* likewise; without, features that need it are not offered */
	CONFIG_UNKNOWN, /* likewise, and as much as it has */
};

static const struct foreign_kind {
	const char *name;
	uint32_t virtio_id; /* 0: the user says */
	enum config_source config;
	uint32_t config_len;	  /* bytes; back-ends refuse to be asked for more than they have */
	uint64_t hidden;	  /* features that take more than the back-end can do alone */
	uint64_t config_features; /* those that make no sense without configuration space */
} kinds[] = {
	{
		.name = "blk",
		.virtio_id = ID_BLK,
		.config = CONFIG_NEEDED,
		.config_len = 60, /* up to those of WRITE_ZEROES, which every back-end has */
		/* A guest that could turn the cache off would rely on it, and we pass no writes on. */
		.hidden = BLK_F_CONFIG_WCE | BLK_F_SECURE_ERASE | BLK_F_ZONED,
	},
	{
		.name = "net",
		.virtio_id = ID_NET,
		.config = CONFIG_IF_ANY,
		.config_len = 12, /* mac, status, max_virtqueue_pairs, mtu */
		/* It never sees a control queue, and all of these are done by one. */
		.hidden = NET_F_CTRL_GUEST_OFFLOADS | NET_F_CTRL_VQ | NET_F_CTRL_RX |
			  NET_F_CTRL_VLAN | NET_F_CTRL_RX_EXTRA | NET_F_GUEST_ANNOUNCE | NET_F_MQ |
			  NET_F_CTRL_MAC_ADDR,
		.config_features = NET_F_MTU | NET_F_MAC | NET_F_STATUS,
	},
	{
		.name = "fs",
		.virtio_id = ID_FS,
		.config = CONFIG_OURS,
		.hidden = TYPE_FEATURES, /* a notification queue would be one more queue */
	},
	{
		.name = "generic",
		.config = CONFIG_UNKNOWN,
		.config_len = VHOST_USER_MAX_CONFIG,
	},
};

static const struct foreign_kind *find_kind(const char *name)
{
	size_t i = 0;

	while (strcmp(kinds[i].name, name) != 0)
		i++;
	return &kinds[i];
}

/* num-queues= counts queues; of fs those of requests, of net pairs, of which there is one. */
static unsigned int count_queues(const struct foreign_kind *kind, unsigned int queues)
{
	if (queues == 0)
		queues = 1;
	if (kind->virtio_id == ID_FS)
		return 1 + queues; /* virtio 1.3, 5.11.2: before them, the one of high priority */
	return kind->virtio_id == ID_NET ? 2 : queues;
}

void foreign_describe(struct foreign_device *foreign, const struct config_device *config)
{
	const struct config_vhost_user *given = &config->vhost_user;
	const struct foreign_kind *kind = find_kind(given->kind);

	*foreign = (struct foreign_device){
		.name = kind->name,
		.tag = given->tag,
		.virtio_id = kind->virtio_id ? kind->virtio_id : given->virtio_id,
		.nr_queues = count_queues(kind, config->queues),
		.queue_max = config->queue_size ? (uint16_t)config->queue_size : DEFAULT_QUEUE_SIZE,
	};
}

static bool has_config(const struct vhost_frontend *fe)
{
	return fe->protocol_features & (1ull << VHOST_USER_PROTOCOL_F_CONFIG);
}

static int check_queues(const struct foreign_device *foreign, struct vhost_frontend *fe)
{
	/* Of fs there are 2 at least; a back-end that cannot count them still has those. */
	const unsigned int least = foreign->virtio_id == ID_FS ? 2 : 1;
	const unsigned int wanted = foreign->virtio_id == ID_NET ? 1 : foreign->nr_queues;
	uint64_t queues;
	int ret = wanted > least ? vhost_frontend_get_queue_num(fe, &queues) : 0;

	if (ret || wanted <= least || wanted <= queues)
		return ret;
	return -ECHRNG;
}

int foreign_agree(const struct foreign_device *foreign, struct vhost_frontend *fe)
{
	const struct foreign_kind *kind = find_kind(foreign->name);

	if (!(fe->features & VIRTIO_F_VERSION_1))
		return -EPROTONOSUPPORT;
	if (kind->config == CONFIG_NEEDED && !has_config(fe))
		return -ENODATA;
	fe->features &= TYPE_FEATURES | RING_FEATURES | VIRTIO_F_VERSION_1;
	fe->features &= ~kind->hidden;
	if (!has_config(fe))
		fe->features &= ~kind->config_features;
	if (kind->virtio_id == ID_BLK && foreign->nr_queues == 1)
		fe->features &= ~BLK_F_MQ;
	return check_queues(foreign, fe);
}

/*
 * Of a device that we do not know: as much as there is. A back-end says neither how much that is
 * nor which part of more it would have.
 */
static int read_unknown_config(struct vhost_frontend *fe, uint8_t *config)
{
	int ret = -EREMOTEIO;

	for (size_t len = VHOST_USER_MAX_CONFIG; len > 0 && ret == -EREMOTEIO; len -= 4)
		ret = vhost_frontend_get_config(fe, config, len);
	return ret == -EREMOTEIO ? 0 : ret;
}

static int read_backend_config(const struct foreign_kind *kind, struct vhost_frontend *fe,
			       uint8_t *config)
{
	if (kind->config == CONFIG_OURS || (kind->config != CONFIG_NEEDED && !has_config(fe)))
		return 0;
	if (kind->config == CONFIG_UNKNOWN)
		return read_unknown_config(fe, config);
	return vhost_frontend_get_config(fe, config, kind->config_len);
}

int foreign_read_config(const struct foreign_device *foreign, struct vhost_frontend *fe,
			uint8_t *config)
{
	const struct foreign_kind *kind = find_kind(foreign->name);
	const uint32_t requests = htole32(foreign->nr_queues - 1);
	const uint16_t queues = htole16((uint16_t)foreign->nr_queues);
	int ret;

	memset(config, 0, VHOST_USER_MAX_CONFIG);
	ret = read_backend_config(kind, fe, config);
	if (ret)
		return ret;
	if (kind->virtio_id == ID_FS) {
		memcpy(config, foreign->tag, strlen(foreign->tag));
		memcpy(config + FS_NUM_REQUEST_QUEUES, &requests, sizeof(requests));
	} else if (kind->virtio_id == ID_BLK) {
		/* The back-end's number may be larger than what the transport has. */
		memcpy(config + BLK_NUM_QUEUES, &queues, sizeof(queues));
	}
	return 0;
}

const char *foreign_strerror(int error)
{
	switch (error) {
	case -ENOTSUP:
		return "the back-end knows no protocol features";
	case -EPROTONOSUPPORT:
		return "the back-end knows no virtio 1";
	case -ENODATA:
		return "the back-end has no configuration space, as this kind of device needs it";
	case -EREMOTEIO:
		return "the back-end refuses a request that this kind of device needs";
	case -ECHRNG:
		return "the back-end has fewer queues than num-queues= says";
	case -EPROTO:
	case -EMSGSIZE:
		return "what is there does not speak vhost-user";
	case -EAGAIN:
		return "the back-end has others to serve first";
	case -ETIMEDOUT:
		return "the back-end does not answer";
	default:
		return strerror(-error);
	}
}
