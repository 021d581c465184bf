/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* struct report -> JSON values; for the report and for what else is told in its words. */
#ifndef VMM_REPORT_JSON_H
#define VMM_REPORT_JSON_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "vmm/report.h"

#define REPORT_FORMAT_VERSION 1

/* The whole document; NULL when memory ran out. The caller releases it. */
json_t *report_json(const struct report *report);

/*
 * What device @name, an evil one, was told to do, and what it did; @counters is NULL when it cannot be
 * asked any more. NULL when memory ran out. The caller releases it.
 */
json_t *report_json_evil(const char *name, const struct evil_settings *settings,
			 const struct device_report_wire *counters);

/* What is known of a violation by itself; NULL when memory ran out. The caller releases it. */
json_t *report_json_violation(const struct dma_violation *violation);

/*
 * The specification's name of feature @bit of a device of @type ("blk"), without the prefix
 * VIRTIO_: "F_VERSION_1", "BLK_F_FLUSH"; NULL for a bit that has none there.
 */
const char *report_feature_name(const char *type, unsigned int bit);

/* The window that holds the byte at @addr, or -1. */
int report_find_window(const struct report_device *device, uint64_t addr);

#endif
