/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Opening disk images on behalf of the block device process, which cannot open anything itself.
 */
#ifndef VMM_DISK_H
#define VMM_DISK_H

#include <stdbool.h>

/*
 * Opens a regular file or block device for --disk and locks it: one writer, or any number of readers.
 * It is used as it is: no format is ever probed. @direct: past the host's page cache (cache=none).
 * Returns the descriptor (the caller's), or -errno after one line on stderr.
 */
int disk_open(const char *path, bool read_only, bool direct);

#endif
