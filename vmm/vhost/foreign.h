/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Devices whose back-end was not started by us: any vhost-user back-end that listens on a socket
 * (--vhost-user). It gets the DMA windows and nothing else of the guest, as our own do.
 *
 *	foreign_describe()     what the kind of device says by itself
 *	unix_connect()         -> vhost_frontend_open()
 *	foreign_agree()        has it what is needed? which of its features can be offered?
 *	foreign_read_config()  at the start, and when the back-end says that it has changed
 */
#ifndef VMM_VHOST_FOREIGN_H
#define VMM_VHOST_FOREIGN_H

#include <stdint.h>

struct config_device;
struct vhost_frontend;

/* What minivmm has to know of the device. Texts are the configuration's. */
struct foreign_device {
	const char *name; /* "blk", "net", "fs" or "generic" */
	const char *tag;  /* fs: by which the guest mounts it */
	uint32_t virtio_id;
	unsigned int nr_queues; /* at most DEVICE_MAX_QUEUES */
	uint16_t queue_max;	/* entries */
};

/* Fills @foreign from @config, whose kind is CONFIG_VHOST_USER. Nothing can fail. */
void foreign_describe(struct foreign_device *foreign, const struct config_device *config);

/*
 * Asks the back-end behind @fe, which has just been opened, whether it has what the device needs,
 * and takes away from fe->features what cannot be offered to a guest. 0 or -errno.
 */
int foreign_agree(const struct foreign_device *foreign, struct vhost_frontend *fe);

/*
 * Fills all VHOST_USER_MAX_CONFIG bytes of @config: what the back-end says, what we know better,
 * zeroes. 0 or -errno.
 */
int foreign_read_config(const struct foreign_device *foreign, struct vhost_frontend *fe,
			uint8_t *config);

/* What an error of these functions, or of vhost_frontend_open(), says of the back-end. */
const char *foreign_strerror(int error);

#endif
