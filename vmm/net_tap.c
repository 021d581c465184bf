/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/net_tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/exit_status.h"
#include "vmm/log.h"

#define TUN_DEVICE  "/dev/net/tun"
#define HEADER_SIZE 12 /* virtio 1.3, 5.1.6: with num_buffers */

/* A new descriptor attached to a queue of the interface @name, or -errno. */
static int attach(const char *name, bool multi_queue)
{
	const int header_size = HEADER_SIZE, little_endian = 1;
	struct ifreq request = { 0 };
	int fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	strncpy(request.ifr_name, name, sizeof(request.ifr_name) - 1);
	request.ifr_flags =
		(short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (multi_queue ? IFF_MULTI_QUEUE : 0));
	if (ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &header_size) < 0 ||
	    ioctl(fd, TUNSETVNETLE, &little_endian) < 0)
		ret = -errno;
	if (ret)
		close(fd);
	return ret ? ret : fd;
}

/* Whether @name is a tap with one queue for all; asked after it was not one with several. */
static bool is_single_queue(const char *name)
{
	int fd = attach(name, false);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -EBUSY;
}

static const char *explain(const char *name, unsigned int pairs, int err)
{
	switch (err) {
	case -EINVAL:
		if (pairs > 1 && is_single_queue(name))
			return "has one queue; `ip tuntap add ... multi_queue` makes one for queues=N";
		return "not a tap interface";
	case -EBUSY:
		return "in use by another process";
	case -E2BIG:
		return "has no queues left";
	case -EPERM:
		return "not yours; `ip tuntap add ... user NAME` makes one for a user";
	default:
		return strerror(-err);
	}
}

/* One line for the user. Which of the two to blame is told by whether it can be opened at all. */
static int refuse(const char *name, unsigned int pairs, int err)
{
	int fd = open(TUN_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		log_error("--net: " TUN_DEVICE ": %s", strerror(errno));
		return EXIT_STATUS_HOST;
	}
	close(fd);
	log_error("--net: %s: %s", name, explain(name, pairs, err));
	return EXIT_STATUS_INPUT;
}

int net_tap_open(const char *name, unsigned int pairs, int *fds)
{
	unsigned int n = 0;
	int err = 0;

	/* Whoever may create interfaces would get a new one by attaching to a mistyped name. */
	if (!*name || strlen(name) >= IFNAMSIZ || !if_nametoindex(name)) {
		log_error("--net: %s: no such interface; `ip tuntap add NAME mode tap` makes one",
			  name);
		return EXIT_STATUS_INPUT;
	}
	while (n < pairs && !err) {
		fds[n] = attach(name, pairs > 1);
		/* One queue of an interface that has several is as good. */
		if (fds[n] == -EINVAL && pairs == 1)
			fds[n] = attach(name, true);
		if (fds[n] < 0)
			err = fds[n];
		else
			n++;
	}
	if (!err)
		return 0;
	while (n > 0)
		close(fds[--n]);
	return refuse(name, pairs, err);
}
