/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "devices/registry.h"

#include <string.h>

#include "devices/device.h"

#define DECLARE(name, id, queues, size) extern const struct device_ops name##_device_ops;
DEVICE_REGISTRY(DECLARE)

#define KIND(name, id, queues, size) { #name, id, size, queues, &name##_device_ops },
static const struct device_kind kinds[] = { DEVICE_REGISTRY(KIND) };

#define CHECK(name, id, queues, size) _Static_assert((queues) <= DEVICE_MAX_QUEUES, #name);
DEVICE_REGISTRY(CHECK)

const struct device_kind *device_kind_find(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	}
	return NULL;
}

#define NAME(name, id, queues, size) " " #name

const char *device_kind_names(void)
{
	return &(DEVICE_REGISTRY(NAME))[1];
}

void device_kind_list(void (*show)(const struct device_kind *kind))
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		show(&kinds[i]);
}
