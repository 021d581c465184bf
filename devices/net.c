/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * virtio-net (virtio 1.3, 5.1): start, configuration space, features, link, and who runs when.
 *
 *	queue 0, 1, 2, 3, ...	receive and transmit of pair 0, 1, ...
 *	the last one		control (5.1.2: behind the largest number of pairs with MQ, else 2)
 */
#include "devices/net.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "devices/core/log.h"

#define NET_S_LINK_UP 1
#define MAC_TEXT_LEN  17 /* 52:54:00:12:34:56 */

/* Only a tap can have these: its kernel does the work. */
#define TAP_FEATURES                                                                             \
	(NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_GUEST_ECN | \
	 NET_F_HOST_TSO4 | NET_F_HOST_TSO6 | NET_F_HOST_ECN)

/* 5.1.4: the start of it. */
struct net_config {
	uint8_t mac[6];
	uint16_t status;
	uint16_t max_virtqueue_pairs;
} __attribute__((packed));

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_mac(const char *text, uint8_t mac[6])
{
	uint8_t any = 0;

	if (strlen(text) != MAC_TEXT_LEN)
		return false;
	for (int i = 0; i < 6; i++, text += 3) {
		int high = hex_digit(text[0]);
		int low = hex_digit(text[1]);

		if (high < 0 || low < 0 || (i < 5 && text[2] != ':'))
			return false;
		mac[i] = high << 4 | low;
		any |= mac[i];
	}
	/* The first bit is that of groups. */
	return any && !(mac[0] & 1);
}

static int take_settings(struct device *device, struct net *net,
			 const struct device_options *options)
{
	const char *mac = device_setting(options, "mac");
	uint64_t size = device->queue_size;
	int rc = device_setting_number(options, "queue-size", 2, DEVICE_MAX_QUEUE_SIZE, &size);

	if (rc)
		return rc;
	if (size & (size - 1)) {
		device_log("queue-size: %u: not a power of two", (unsigned int)size);
		return -EINVAL;
	}
	device->queue_size = size;
	net->has_mac = mac != NULL;
	if (mac && !parse_mac(mac, net->mac)) {
		device_log("mac: %s: not the address of one interface", mac);
		return -EINVAL;
	}
	return 0;
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ? -errno : 0;
}

/* TUN_F_* for the offloads that the driver lets us use towards it. */
static unsigned int offloads(uint64_t features)
{
	unsigned int flags = TUN_F_CSUM;

	if (!(features & NET_F_GUEST_CSUM))
		return 0;
	if (features & NET_F_GUEST_TSO4)
		flags |= TUN_F_TSO4;
	if (features & NET_F_GUEST_TSO6)
		flags |= TUN_F_TSO6;
	if (features & NET_F_GUEST_ECN && flags != TUN_F_CSUM)
		flags |= TUN_F_TSO_ECN;
	return flags;
}

/*
 * Another program may have opened it: what can be set is set, the rest must be as we need it. That
 * goes for IFF_NO_PI too, but TUNGETIFF uses its bit for something else.
 */
static int prepare_tap(int fd, bool one_of_several)
{
	const int needed = IFF_TAP | IFF_VNET_HDR | (one_of_several ? IFF_MULTI_QUEUE : 0);
	const int header = NET_HEADER_SIZE;
	const int little_endian = 1;
	struct ifreq ifr;

	/* A process before us may have left it detached: it then has no interface to tell of. */
	if (one_of_several)
		(void)ioctl(fd, TUNSETQUEUE, &(struct ifreq){ .ifr_flags = IFF_ATTACH_QUEUE });
	if (ioctl(fd, TUNGETIFF, &ifr)) {
		int rc = -errno;

		device_log("descriptor %d: neither a tap interface nor a stream socket", fd);
		return rc;
	}
	if ((ifr.ifr_flags & needed) != needed) {
		device_log("descriptor %d: needs IFF_TAP, IFF_VNET_HDR%s", fd,
			   one_of_several ? ", IFF_MULTI_QUEUE" : "");
		return -EINVAL;
	}
	if (ioctl(fd, TUNSETVNETHDRSZ, &header) || ioctl(fd, TUNSETVNETLE, &little_endian) ||
	    ioctl(fd, TUNSETOFFLOAD, offloads(TAP_FEATURES)))
		return -errno;
	return set_nonblocking(fd);
}

static int prepare_stream(int fd)
{
	socklen_t len = sizeof(int);
	int type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len))
		return -errno;
	if (type != SOCK_STREAM) {
		device_log("descriptor %d: not a stream socket", fd);
		return -EINVAL;
	}
	return set_nonblocking(fd);
}

static int prepare_host(const struct device *device, struct net *net)
{
	struct stat st;
	int rc = 0;

	if (fstat(device->backends[0].fd, &st))
		return -errno;
	net->is_stream = S_ISSOCK(st.st_mode);
	net->max_pairs = device->nr_backends;
	if (net->is_stream && net->max_pairs > 1) {
		device_log("%u descriptors: a stream socket is alone", net->max_pairs);
		return -EINVAL;
	}
	if (net->is_stream)
		return prepare_stream(device->backends[0].fd);
	for (unsigned int i = 0; i < net->max_pairs && !rc; i++)
		rc = prepare_tap(device->backends[i].fd, net->max_pairs > 1);
	return rc;
}

static int allocate(const struct device *device, struct net *net)
{
	/* One more than a chain has pieces: for what comes before or behind. */
	net->iov = calloc(device->queue_size + 1, sizeof(*net->iov));
	net->frame = malloc(NET_FRAME_MAX);
	if (!net->iov || !net->frame)
		return -ENOMEM;
	if (net->is_stream)
		return net_stream_init(&net->stream);
	for (unsigned int i = 0; i < net->max_pairs; i++) {
		net->pair[i].spill = malloc(NET_SPILL);
		if (!net->pair[i].spill)
			return -ENOMEM;
	}
	return 0;
}

static int watch_host(struct device *device, struct net *net)
{
	int rc = 0;

	for (unsigned int i = 0; i < net->max_pairs && !rc; i++) {
		net->pair[i].attached = true;
		net->pair[i].readable = true;
		rc = device_watch(device, &device->backends[i], NET_WATCH);
	}
	net->pairs = net->max_pairs;
	net->link_up = true;
	return rc;
}

static void offer(struct device *device, const struct net *net)
{
	if (net->has_mac)
		device->offered |= NET_F_MAC;
	if (!net->is_stream)
		device->offered |= TAP_FEATURES;
	if (net->max_pairs > 1)
		device->offered |= NET_F_MQ;
	device->nr_queues = 2 * net->max_pairs + 1;
}

static int net_create(struct device *device, const struct device_options *options)
{
	struct net *net = calloc(1, sizeof(*net));
	int rc;

	if (!net)
		return -ENOMEM;
	device->state = net;
	rc = take_settings(device, net, options);
	if (!rc)
		rc = prepare_host(device, net);
	if (!rc)
		rc = allocate(device, net);
	if (!rc)
		rc = watch_host(device, net);
	if (!rc)
		offer(device, net);
	return rc;
}

static void net_destroy(struct device *device)
{
	struct net *net = device->state;

	if (!net)
		return;
	/* As we were given them: the next front-end may need all. */
	if (net->pairs)
		net_use_pairs(device, net->max_pairs);
	net_stream_destroy(&net->stream);
	for (unsigned int i = 0; i < net->max_pairs; i++)
		free(net->pair[i].spill);
	free(net->frame);
	free(net->iov);
	free(net);
}

static void net_get_config(struct device *device, void *buf)
{
	const struct net *net = device->state;
	struct net_config *config = buf;

	memcpy(config->mac, net->mac, sizeof(config->mac));
	config->status = htole16(net->link_up ? NET_S_LINK_UP : 0);
	config->max_virtqueue_pairs = htole16(net->max_pairs);
}

/* The kernel spreads frames over the attached descriptors of an interface. */
static int attach(const struct device *device, unsigned int pair, bool wanted)
{
	struct ifreq ifr = { .ifr_flags = wanted ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };
	int fd = device->backends[pair].fd;

	return fd < 0 || ioctl(fd, TUNSETQUEUE, &ifr) == 0 ? 0 : -errno;
}

static struct net_kept *kept(const struct device *device)
{
	return (struct net_kept *)device->kept->state;
}

/* With a stream there is one pair, always in use. */
int net_use_pairs(struct device *device, unsigned int pairs)
{
	struct net *net = device->state;

	for (unsigned int i = 0; i < net->max_pairs; i++) {
		struct net_pair *pair = &net->pair[i];
		int rc;

		if (pair->attached == (i < pairs))
			continue;
		rc = attach(device, i, i < pairs);
		if (rc)
			return rc;
		pair->attached = i < pairs;
		pair->readable = pair->attached;
		pair->kept = 0;
	}
	net->pairs = pairs;
	kept(device)->pairs = pairs;
	return 0;
}

static void begin(struct device *device, unsigned int pairs)
{
	const struct net *net = device->state;
	int rc = net_use_pairs(device, pairs);

	if (!rc && !net->is_stream && device->backends[0].fd >= 0 &&
	    ioctl(device->backends[0].fd, TUNSETOFFLOAD, offloads(device->features)))
		rc = -errno;
	/* Frames that the driver did not negotiate would only confuse it. */
	if (rc) {
		device_log("tap: %s", strerror(-rc));
		net_lose_host(device, 0);
	}
}

/* A driver begins with one pair (5.1.5). */
static void net_set_features(struct device *device)
{
	begin(device, 1);
}

static void net_resume(struct device *device)
{
	const struct net *net = device->state;
	unsigned int pairs = kept(device)->pairs;

	begin(device, pairs && pairs <= net->max_pairs ? pairs : 1);
}

void net_lose_host(struct device *device, unsigned int pair)
{
	struct device_source *host = &device->backends[pair];
	struct net *net = device->state;

	if (host->fd < 0)
		return;
	device_watch(device, host, 0);
	close(host->fd);
	host->fd = -1;
	net->pair[pair].readable = false;
	if (net->link_up) {
		device_log("the host side has gone: link down");
		net->link_up = false;
		device_config_changed(device);
	}
	if (net->pair[pair].waits_write) {
		net->pair[pair].waits_write = false;
		device_queue_run(device, net_tx_queue(pair));
	}
}

static bool net_handle_queue(struct device *device, unsigned int index)
{
	const struct net *net = device->state;

	if (index == (device->features & NET_F_MQ ? 2 * net->max_pairs : 2))
		return net_handle_ctrl(device, index);
	/* Without MQ, queues behind the control queue are nobody's. */
	if (index >= 2 * net->max_pairs || (!(device->features & NET_F_MQ) && index > 2))
		return false;
	return index & 1 ? net_handle_tx(device, index / 2) : net_handle_rx(device, index / 2);
}

static void net_handle_host(struct device *device, uint32_t id, uint32_t events)
{
	struct net *net = device->state;
	const struct device_source *host;

	if (id >= net->max_pairs)
		return;
	host = &device->backends[id];
	if (host->fd >= 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		net->pair[id].readable = net->pair[id].attached;
		device_queue_run(device, net_rx_queue(id));
	}
	if (host->fd >= 0 && events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		net_resume_tx(device, id);
	/* What came before the end has been read, as far as the driver had room. */
	if (host->fd >= 0 && events & (EPOLLHUP | EPOLLERR) && net->pair[id].attached)
		net_lose_host(device, id);
}

static void net_stop_queue(struct device *device, unsigned int index)
{
	struct net *net = device->state;

	/* The control queue may be in the place of one of them. */
	if (index >= 2 * net->max_pairs || index & 1)
		return;
	net->pair[index / 2].most_chains = 0;
	net->pair[index / 2].kept = 0;
}

static const char *const settings[] = {
	"mac",	      /* the interface's address; the driver chooses one without it */
	"queue-size", /* entries of each queue: a power of two */
	NULL,
};

static const int syscalls[] = {
	SYS_readv,  /* frames of the host, into the guest's buffers */
	SYS_writev, /* frames of the guest */
	-1,
};

static const unsigned long ioctls[] = {
	TUNSETOFFLOAD, /* what the driver negotiated */
	TUNSETQUEUE,   /* only the pairs in use get frames */
	0,
};

const struct device_ops net_device_ops = {
	.features = NET_F_MRG_RXBUF | NET_F_STATUS | NET_F_CTRL_VQ | NET_F_CTRL_RX,
	.settings = settings,
	.min_backends = 1,
	.max_backends = NET_MAX_PAIRS,
	.syscalls = syscalls,
	.ioctls = ioctls,
	.create = net_create,
	.get_config = net_get_config,
	.set_features = net_set_features,
	.resume = net_resume,
	.handle_queue = net_handle_queue,
	.handle_host = net_handle_host,
	.stop_queue = net_stop_queue,
	.destroy = net_destroy,
};
