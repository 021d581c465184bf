/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "boot/x86_64/setup_data.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <asm/bootparam.h>

#include "boot/plan_build.h"
#include "boot/x86_64/layout.h"

/* Linux maps the node's pages with early_memremap(): NR_FIX_BTMAPS of them. */
#define DTB_NODE_MAX 0x40000u

/* The header's macro is a signed overflow. */
#define TYPE_INDIRECT 0x80000000u
/* Of the pool itself: any but SETUP_INDIRECT gets it reserved, and nothing looks into this one. */
#define TYPE_POOL 0xffffffffu

#define NODE_ALIGN 8u

/* With the DTB node at its largest. */
static_assert(DTB_NODE_MAX + MACHINE_MAX_POOLS *
				      (sizeof(struct setup_data) + sizeof(struct setup_indirect)) <=
		      LAYOUT_SETUP_DATA_END - LAYOUT_SETUP_DATA,
	      "the chain fits its place");

static size_t node_size(size_t len)
{
	return (sizeof(struct setup_data) + len + NODE_ALIGN - 1) & ~(size_t)(NODE_ALIGN - 1);
}

/* Writes the node at @offset of @chain; returns the offset of the next one. */
static size_t write_node(uint8_t *chain, size_t offset, uint32_t type, const void *payload,
			 size_t len, bool is_last)
{
	size_t next = offset + node_size(len);
	struct setup_data node = {
		.next = is_last ? 0 : LAYOUT_SETUP_DATA + next,
		.type = type,
		.len = (uint32_t)len,
	};

	memcpy(chain + offset, &node, sizeof(node));
	memcpy(chain + offset + sizeof(node), payload, len);
	return next;
}

/* RAM and pools are both in ascending order. */
static bool has_ram_above_pools(const struct machine *machine)
{
	return machine->nr_pools == 0 ||
	       (machine->nr_ram > 0 && machine->ram[machine->nr_ram - 1].base >
					       machine->pools[machine->nr_pools - 1].base);
}

int setup_data_add(struct boot_plan *plan, const struct machine *machine, const void *dtb,
		   size_t dtb_len)
{
	size_t offset;
	size_t size;
	void *chain;
	int ret;

	if (dtb_len > DTB_NODE_MAX - sizeof(struct setup_data))
		return boot_plan_fail(plan, -ENOSPC, "device tree", "setup_data",
				      "%zu bytes are too long", dtb_len);
	if (!has_ram_above_pools(machine))
		return boot_plan_fail(plan, -EINVAL, "memory", "pools",
				      "no RAM above them, so Linux would not map the highest one");
	size = node_size(dtb_len) + machine->nr_pools * node_size(sizeof(struct setup_indirect));
	ret = boot_plan_add_data(plan, "setup_data", LAYOUT_SETUP_DATA, size, &chain);
	if (ret)
		return ret;

	offset = write_node(chain, 0, SETUP_DTB, dtb, dtb_len, machine->nr_pools == 0);
	for (size_t i = 0; i < machine->nr_pools; i++) {
		struct setup_indirect pool = {
			.type = TYPE_POOL,
			.len = machine->pools[i].size,
			.addr = machine->pools[i].base,
		};

		offset = write_node(chain, offset, TYPE_INDIRECT, &pool, sizeof(pool),
				    i + 1 == machine->nr_pools);
	}
	return 0;
}
