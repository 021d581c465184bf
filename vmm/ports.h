/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the process of the console device is started with: a stream for each port. */
#ifndef VMM_PORTS_H
#define VMM_PORTS_H

#include "vmm/device_host.h"

/*
 * Opens the streams of all ports into host->ports, and fills in the descriptors and settings of
 * @parts (see devices/console.c). @console_fd is what the user's terminal is connected to, for a console
 * there; a console that is a file is opened here. 0, or an exit status after one line on stderr;
 * stream_close() of each of host->ports releases them in either case.
 */
int ports_open(struct device_host *host, const struct config *config, int console_fd,
	       struct device_parts *parts);

#endif
