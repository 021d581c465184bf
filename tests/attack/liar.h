/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef TESTS_ATTACK_LIAR_H
#define TESTS_ATTACK_LIAR_H

#include <stdbool.h>

#include "devices/device.h"

/* Whether this is the serial number of a disk that lies. */
bool liar_knows(const char *serial);

/* Such a disk, as the front-end at @sock's back-end. Returns its exit status. */
int liar_main(const char *kind, int sock, const struct device_options *options);

#endif
