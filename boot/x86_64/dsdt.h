/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef BOOT_X86_64_DSDT_H
#define BOOT_X86_64_DSDT_H

#include "boot/machine.h"
#include "boot/x86_64/aml.h"

/*
 * Writes what the Differentiated System Description Table has behind its header: the state "off",
 * and the devices of @machine that cannot be probed for. Of virtio-mmio it says nothing.
 */
void dsdt_write(struct aml *aml, const struct machine *machine);

#endif
