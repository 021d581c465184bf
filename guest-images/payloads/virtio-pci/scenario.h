/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the payload can be told to do, one word of the command line each. Every scenario begins with
 * a device that was found and not yet driven, and ends with one that works.
 */
#ifndef PAYLOAD_SCENARIO_H
#define PAYLOAD_SCENARIO_H

#include "guest-images/payloads/virtio-pci/device.h"

/* lifecycle.c */
void scenario_plain(struct device *device);
void scenario_access(struct device *device);
void scenario_bus_master(struct device *device);
void scenario_reset(struct device *device);

/* bars.c */
void scenario_move_bars(struct device *device);
void scenario_toggle_decode(struct device *device);

/* msix.c */
void scenario_msix(struct device *device);

/* widths.c, ways.c */
void scenario_widths(struct device *device);
void scenario_ways(struct device *device);

/* confine.c */
void scenario_any_layout(struct device *device);
void scenario_refused(struct device *device);
void scenario_unpromised(struct device *device);
void scenario_edges(struct device *device);
void scenario_moved_pool(struct device *device);

/* Memory of one kind of access: that what stands there is what was put there. */
void fill_pattern(uint64_t addr, uint64_t size, uint64_t seed);
void expect_pattern(uint64_t addr, uint64_t size, uint64_t seed, const char *what);

/* Long enough for a device to do what it should not. */
void wait_a_moment(void);

#endif
