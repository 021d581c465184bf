/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_NET_TAP_H
#define VMM_NET_TAP_H

/*
 * Attaches @pairs queues to the tap interface @name, which exists and has them: we neither create nor
 * configure interfaces. Each descriptor in @fds is non-blocking, and each of its reads and writes is
 * one frame after a struct virtio_net_hdr_mrg_rxbuf (12 bytes, little endian).
 * 0, or an exit status after one line on stderr, with none of @fds open.
 */
int net_tap_open(const char *name, unsigned int pairs, int *fds);

#endif
