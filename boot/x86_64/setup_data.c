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

/* A chain being written: where the next node goes, and how many come behind it. */
struct chain {
	uint8_t *bytes;
	size_t offset;
	size_t left;
};

static void write_node(struct chain *chain, uint32_t type, const void *payload, size_t len)
{
	size_t next = chain->offset + node_size(len);
	struct setup_data node = {
		.next = --chain->left ? LAYOUT_SETUP_DATA + next : 0,
		.type = type,
		.len = (uint32_t)len,
	};

	memcpy(chain->bytes + chain->offset, &node, sizeof(node));
	memcpy(chain->bytes + chain->offset + sizeof(node), payload, len);
	chain->offset = next;
}

static void write_pool(struct chain *chain, const struct machine_range *pool)
{
	const struct setup_indirect indirect = {
		.type = TYPE_POOL,
		.len = pool->size,
		.addr = pool->base,
	};

	write_node(chain, TYPE_INDIRECT, &indirect, sizeof(indirect));
}

/* RAM and pools are both in ascending order. */
static bool has_ram_above_pools(const struct machine *machine)
{
	return machine->nr_pools == 0 ||
	       (machine->nr_ram > 0 && machine->ram[machine->nr_ram - 1].base >
					       machine->pools[machine->nr_pools - 1].base);
}

int setup_data_add(struct boot_plan *plan, const struct machine *machine, uint64_t *gpa)
{
	const size_t pools_size = machine->nr_pools * node_size(sizeof(struct setup_indirect));
	const size_t dtb_size = plan->dtb ? node_size(plan->dtb_len) : 0;
	struct chain chain = { .left = machine->nr_pools + (plan->dtb ? 1 : 0) };
	void *data;
	int ret;

	*gpa = 0;
	if (!chain.left)
		return 0;
	if (plan->dtb && plan->dtb_len > DTB_NODE_MAX - sizeof(struct setup_data))
		return boot_plan_fail(plan, -ENOSPC, "device tree", "setup_data",
				      "%zu bytes are too long", plan->dtb_len);
	if (!has_ram_above_pools(machine))
		return boot_plan_fail(plan, -EINVAL, "memory", "pools",
				      "no RAM above them, so Linux would not map the highest one");
	ret = boot_plan_add_data(plan, "setup_data", LAYOUT_SETUP_DATA, dtb_size + pools_size,
				 &data);
	if (ret)
		return ret;
	*gpa = LAYOUT_SETUP_DATA;
	chain.bytes = data;
	if (plan->dtb)
		write_node(&chain, SETUP_DTB, plan->dtb, plan->dtb_len);
	for (size_t i = 0; i < machine->nr_pools; i++)
		write_pool(&chain, &machine->pools[i]);
	return 0;
}
