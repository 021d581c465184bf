/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Names of feature bits, from virtio 1.3: section 6, and the "Feature bits" of each device type. */
#include <string.h>

#include "vmm/report_json.h"

#define NR_FEATURE_BITS 64

static const char *const transport_names[NR_FEATURE_BITS] = {
	[24] = "F_NOTIFY_ON_EMPTY", [27] = "F_ANY_LAYOUT",	  [28] = "F_INDIRECT_DESC",
	[29] = "F_EVENT_IDX",	    [32] = "F_VERSION_1",	  [33] = "F_ACCESS_PLATFORM",
	[34] = "F_RING_PACKED",	    [35] = "F_IN_ORDER",	  [36] = "F_ORDER_PLATFORM",
	[37] = "F_SR_IOV",	    [38] = "F_NOTIFICATION_DATA", [39] = "F_NOTIF_CONFIG_DATA",
	[40] = "F_RING_RESET",	    [41] = "F_ADMIN_VQ",
};

static const char *const blk_names[NR_FEATURE_BITS] = {
	[1] = "BLK_F_SIZE_MAX",	     [2] = "BLK_F_SEG_MAX",
	[4] = "BLK_F_GEOMETRY",	     [5] = "BLK_F_RO",
	[6] = "BLK_F_BLK_SIZE",	     [9] = "BLK_F_FLUSH",
	[10] = "BLK_F_TOPOLOGY",     [11] = "BLK_F_CONFIG_WCE",
	[12] = "BLK_F_MQ",	     [13] = "BLK_F_DISCARD",
	[14] = "BLK_F_WRITE_ZEROES", [15] = "BLK_F_LIFETIME",
	[16] = "BLK_F_SECURE_ERASE", [17] = "BLK_F_ZONED",
};

static const char *const console_names[NR_FEATURE_BITS] = {
	[0] = "CONSOLE_F_SIZE",
	[1] = "CONSOLE_F_MULTIPORT",
	[2] = "CONSOLE_F_EMERG_WRITE",
};

/* Device types with feature bits of their own. */
static const struct {
	const char *type;
	const char *const *names;
} types[] = {
	{ "blk", blk_names },
	{ "console", console_names },
};

const char *report_feature_name(const char *type, unsigned int bit)
{
	if (bit >= NR_FEATURE_BITS)
		return NULL;
	if (transport_names[bit])
		return transport_names[bit];
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(types[i].type, type) == 0)
			return types[i].names[bit];
	}
	return NULL;
}
