/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/pci/host.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#define BRIDGE_VENDOR 0x1b36 /* Red Hat: a host bridge of PCI Express that needs no driver */
#define BRIDGE_DEVICE 0x0008
#define BRIDGE_CLASS  0x060000 /* bridge, host (PCI 3.0, appendix D) */

/* Of port 0xcf8 (PCI 3.0, 3.2.2.3.2). */
#define ADDRESS_ENABLE	  (UINT32_C(1) << 31)
#define ADDRESS_ALIGN	  UINT32_C(3) /* reads as 0 */
#define ADDRESS_BDF_SHIFT 8

#define ECAM_BDF_SHIFT	   12
#define ECAM_REGISTER_MASK 0xfffu

#define DATA_PORT 4u /* 0xcfc, relative to 0xcf8 */

static const struct pci_function_ops bridge_ops = { 0 };

static const struct pci_identity bridge_identity = {
	.vendor = BRIDGE_VENDOR,
	.device = BRIDGE_DEVICE,
	.class_code = BRIDGE_CLASS,
};

/* A BAR that answers, by the registers. */
struct claim {
	struct pci_function *function;
	unsigned int bar;
	uint64_t address;
};

#define MAX_CLAIMS (PCI_NR_SLOTS * PCI_NR_BARS)

struct claims {
	struct claim all[MAX_CLAIMS];
	size_t count;
};

static uint64_t claim_size(const struct claim *claim)
{
	return claim->function->bars[claim->bar].size;
}

static bool claims_overlap(const struct claim *a, const struct claim *b)
{
	if (a->address <= b->address)
		return b->address - a->address < claim_size(a);
	return a->address - b->address < claim_size(b);
}

static bool claim_is_good(const struct pci_host *host, const struct claims *claims,
			  const struct claim *claim)
{
	const struct machine_pci *places = &host->places;
	const uint64_t size = claim_size(claim);

	if (size == 0 || (!machine_range_contains(&places->low, claim->address, size) &&
			  !machine_range_contains(&places->high, claim->address, size)))
		return false;
	for (size_t i = 0; i < claims->count; i++) {
		if (claims_overlap(&claims->all[i], claim))
			return false;
	}
	return true;
}

static void collect_claims(const struct pci_host *host, struct claims *claims)
{
	claims->count = 0;
	for (unsigned int slot = 0; slot < PCI_NR_SLOTS; slot++) {
		struct pci_function *function = host->functions[slot];

		if (!function || !pci_function_decodes_memory(function))
			continue;
		for (unsigned int bar = 0; bar < PCI_NR_BARS; bar++) {
			const struct claim claim = { function, bar,
						     pci_function_bar_address(function, bar) };

			if (claim_is_good(host, claims, &claim))
				claims->all[claims->count++] = claim;
		}
	}
}

static void unmap_bar(struct pci_function *function, unsigned int index)
{
	struct pci_bar *bar = &function->bars[index];

	bar->mapped = false;
	function->ops->bar_unmapped(function->opaque, index, bar->address);
}

static bool claims_have(const struct claims *claims, const struct pci_function *function,
			unsigned int bar)
{
	for (size_t i = 0; i < claims->count; i++) {
		const struct claim *claim = &claims->all[i];

		if (claim->function == function && claim->bar == bar)
			return claim->address == function->bars[bar].address;
	}
	return false;
}

/* Unmaps what is mapped and not, at that address, among @claims. */
static void unmap_others(struct pci_host *host, const struct claims *claims)
{
	for (unsigned int slot = 0; slot < PCI_NR_SLOTS; slot++) {
		struct pci_function *function = host->functions[slot];

		for (unsigned int bar = 0; function && bar < PCI_NR_BARS; bar++) {
			if (function->bars[bar].mapped && !claims_have(claims, function, bar))
				unmap_bar(function, bar);
		}
	}
}

static void map_claims(const struct claims *claims)
{
	for (size_t i = 0; i < claims->count; i++) {
		const struct claim *claim = &claims->all[i];
		struct pci_function *function = claim->function;
		struct pci_bar *bar = &function->bars[claim->bar];

		if (bar->mapped)
			continue;
		bar->mapped = true;
		bar->address = claim->address;
		function->ops->bar_mapped(function->opaque, claim->bar, bar->address);
	}
}

/* Brings what is mapped in line with the registers. Lock held. */
static void update_mappings(struct pci_host *host)
{
	struct claims claims;

	collect_claims(host, &claims);
	unmap_others(host, &claims);
	map_claims(&claims);
}

static bool inside_dword(uint64_t offset, unsigned int size)
{
	return size <= 4 && offset % 4 + size <= 4;
}

/* @bdf: bus, device and function as 8, 5 and 3 bits. The access lies inside one dword. */
static enum bus_result config_access(struct pci_host *host, uint64_t bdf, unsigned int offset,
				     struct bus_access *access)
{
	struct pci_function *function;

	if (bdf % 8 != 0 || bdf / 8 >= PCI_NR_SLOTS)
		return BUS_UNHANDLED;
	function = host->functions[bdf / 8];
	if (!function)
		return BUS_UNHANDLED;
	/* No extended capabilities: their first header is 0 (PCI Express 4.0, 7.6.2). */
	if (offset >= PCI_CONFIG_SIZE) {
		if (!access->is_write)
			access->value = 0;
		return BUS_HANDLED;
	}
	pthread_mutex_lock(&host->lock);
	if (access->is_write) {
		pci_function_config_write(function, offset, access->size, (uint32_t)access->value);
		update_mappings(host);
	} else {
		access->value = pci_function_config_read(function, offset, access->size);
	}
	pthread_mutex_unlock(&host->lock);
	return BUS_HANDLED;
}

static enum bus_result address_port_access(struct pci_host *host, struct bus_access *access)
{
	if (access->offset != 0 || access->size != 4)
		return BUS_UNHANDLED;
	if (access->is_write)
		atomic_store(&host->config_address, (uint32_t)access->value & ~ADDRESS_ALIGN);
	else
		access->value = atomic_load(&host->config_address);
	return BUS_HANDLED;
}

enum bus_result pci_host_ports_access(void *opaque, struct bus_access *access)
{
	struct pci_host *host = opaque;
	uint32_t address;

	if (access->offset < DATA_PORT)
		return address_port_access(host, access);
	address = atomic_load(&host->config_address);
	if (!(address & ADDRESS_ENABLE) || !inside_dword(access->offset, access->size))
		return BUS_UNHANDLED;
	/* The reserved bits 24 to 30 stand above the bus: with one set nobody is there. */
	return config_access(host, (address & ~ADDRESS_ENABLE) >> ADDRESS_BDF_SHIFT,
			     (address & 0xff) + access->offset % 4, access);
}

enum bus_result pci_host_ecam_access(void *opaque, struct bus_access *access)
{
	if (!inside_dword(access->offset, access->size))
		return BUS_UNHANDLED;
	return config_access(opaque, access->offset >> ECAM_BDF_SHIFT,
			     access->offset & ECAM_REGISTER_MASK, access);
}

/* The mapped BAR that holds @address, or a claim without a function. Lock held. */
static struct claim find_mapped(const struct pci_host *host, uint64_t address)
{
	for (unsigned int slot = 0; slot < PCI_NR_SLOTS; slot++) {
		struct pci_function *function = host->functions[slot];

		for (unsigned int i = 0; function && i < PCI_NR_BARS; i++) {
			const struct pci_bar *bar = &function->bars[i];

			if (bar->mapped && address >= bar->address &&
			    address - bar->address < bar->size)
				return (struct claim){ function, i, bar->address };
		}
	}
	return (struct claim){ 0 };
}

/*
 * The lock is not held while the device answers, which may take it long; nor is the BAR kept in
 * place: an access that races with moving it arrives before or after.
 */
static enum bus_result window_access(struct pci_host *host, const struct machine_range *window,
				     struct bus_access *access)
{
	const uint64_t address = window->base + access->offset;
	struct bus_access inside = *access;
	enum bus_result result;
	struct claim hit;

	pthread_mutex_lock(&host->lock);
	hit = find_mapped(host, address);
	pthread_mutex_unlock(&host->lock);
	if (!hit.function || hit.function->bars[hit.bar].is_ram)
		return BUS_UNHANDLED;
	inside.offset = address - hit.address;
	if (claim_size(&hit) - inside.offset < access->size)
		return BUS_UNHANDLED;
	result = hit.function->ops->bar_access(hit.function->opaque, hit.bar, &inside);
	access->value = inside.value;
	return result;
}

enum bus_result pci_host_low_access(void *opaque, struct bus_access *access)
{
	struct pci_host *host = opaque;

	return window_access(host, &host->places.low, access);
}

enum bus_result pci_host_high_access(void *opaque, struct bus_access *access)
{
	struct pci_host *host = opaque;

	return window_access(host, &host->places.high, access);
}

static int add_region(struct pci_host *host, struct bus *mmio, const struct machine_range *range,
		      const char *name, bus_handler handler)
{
	const struct bus_region region = { .base = range->base,
					   .size = range->size,
					   .name = name,
					   .handler = handler,
					   .opaque = host };

	return range->size == 0 ? 0 : bus_add(mmio, &region);
}

int pci_host_init(struct pci_host *host, const struct machine_pci *places, struct bus *mmio)
{
	int ret;

	memset(host, 0, sizeof(*host));
	host->places = *places;
	pci_function_init(&host->bridge, &bridge_identity, &bridge_ops, NULL);
	host->functions[0] = &host->bridge;
	ret = add_region(host, mmio, &places->ecam, "pci-ecam", pci_host_ecam_access);
	if (ret == 0)
		ret = add_region(host, mmio, &places->low, "pci-low", pci_host_low_access);
	if (ret == 0)
		ret = add_region(host, mmio, &places->high, "pci-high", pci_host_high_access);
	if (ret == 0)
		pthread_mutex_init(&host->lock, NULL);
	return ret;
}

void pci_host_destroy(struct pci_host *host)
{
	pthread_mutex_destroy(&host->lock);
}

void pci_host_add(struct pci_host *host, unsigned int slot, struct pci_function *function)
{
	assert(slot < PCI_NR_SLOTS && !host->functions[slot]);
	host->functions[slot] = function;
}

void pci_host_unmap_all(struct pci_host *host)
{
	const struct claims none = { .count = 0 };

	pthread_mutex_lock(&host->lock);
	unmap_others(host, &none);
	pthread_mutex_unlock(&host->lock);
}
