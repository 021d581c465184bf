/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/guest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/arch/arch.h"
#include "vmm/exit_status.h"
#include "vmm/log.h"

static void list_transports(const struct config *config, struct arch_needs *needs)
{
	for (size_t i = 0; i < config->nr_devices; i++)
		needs->virtio[needs->nr_virtio++].transport = config->devices[i].transport;
}

static void assign_pools(const struct config *config, struct arch_needs *needs)
{
	bool in_bar = config->place == POOL_IN_BAR;
	size_t nr_pools = 0;

	if (config->restricted && needs->nr_virtio > 0)
		nr_pools = config->share == CONFIG_SHARE_DEVICE ? needs->nr_virtio : 1;
	for (size_t i = 0; i < needs->nr_virtio; i++) {
		int pool = nr_pools > 1 ? (int)i : 0;

		needs->virtio[i].pool = nr_pools > 0 && !in_bar ? pool : MACHINE_NO_POOL;
		needs->virtio[i].device_memory = nr_pools > 0 && in_bar ? pool : MACHINE_NO_POOL;
	}
	needs->nr_pools = in_bar ? 0 : nr_pools;
	needs->nr_device_memory = in_bar ? nr_pools : 0;
}

static int plan_machine(struct guest *guest)
{
	const struct config *config = guest->config;
	struct arch_needs needs = {
		.nr_cpus = config->cpus,
		.memory = config->memory,
		.pool_size = config->pool_size,
		.tables = config->tables,
		.pools_in_device_tree = config->via == MECHANISM_DT,
	};

	list_transports(config, &needs);
	assign_pools(config, &needs);
	if (arch_plan_machine(&guest->machine, &needs) < 0) {
		log_error("--restricted-dma: %zu pools of %llu bytes: do not fit below 4 GiB",
			  needs.nr_pools, (unsigned long long)needs.pool_size);
		return EXIT_STATUS_USAGE;
	}
	return 0;
}

/* The user's console= comes after ours and so wins. */
static int compose_cmdline(struct guest *guest)
{
	const struct config *config = guest->config;
	bool serial = !config->virtio_console;

	if (asprintf(&guest->cmdline, "console=%s %s%s%s%s", serial ? "ttyS0" : "hvc0",
		     arch_cmdline_head(&guest->machine), config->cmdline ? " " : "",
		     config->cmdline ? config->cmdline : "",
		     serial ? arch_cmdline_serial_tail() : "") < 0) {
		guest->cmdline = NULL;
		log_error("command line: %s", strerror(ENOMEM));
		return EXIT_STATUS_HOST;
	}
	return 0;
}

int guest_plan(struct guest *guest, const struct config *config)
{
	struct boot_request request = {
		.kernel = config->kernel,
		.initrd = config->initrd,
		.machine = &guest->machine,
	};
	int ret;

	guest->config = config;
	guest->devices.ack_fd = -1;
	guest->devices.exe_fd = -1;
	exit_code_init(&guest->exit_code, &guest->loop);
	ret = plan_machine(guest);
	if (!ret)
		ret = compose_cmdline(guest);
	if (ret)
		return ret;
	request.cmdline = guest->cmdline;
	guest->has_plan = true;
	if (boot_plan_create(&guest->plan, &request) < 0) {
		log_error("%s", guest->plan.error);
		return EXIT_STATUS_INPUT;
	}
	return 0;
}

int guest_create_vm(struct guest *guest)
{
	const struct config *config = guest->config;
	bool open_ram;
	int ret;

	if (vm_create(&guest->vm) < 0)
		return EXIT_STATUS_HOST;
	guest->has_vm = true;
	/* A guest without devices needs no memory that could be shared. */
	open_ram = !config->restricted && guest->machine.nr_virtio > 0;
	ret = guest_memory_create(&guest->memory, &guest->machine, open_ram);
	if (ret) {
		log_error("guest memory: %llu bytes: %s", (unsigned long long)config->memory,
			  strerror(-ret));
		return EXIT_STATUS_HOST;
	}
	guest->has_memory = true;
	if (vm_setup(&guest->vm, &guest->memory) < 0)
		return EXIT_STATUS_HOST;
	ret = ending_init(&guest->ending);
	if (ret) {
		log_error("eventfd: %s", strerror(-ret));
		return EXIT_STATUS_HOST;
	}
	guest->has_ending = true;
	if (console_init(&guest->console, &guest->platform.uart, &guest->vm, config) < 0)
		return EXIT_STATUS_HOST;
	guest->has_console = true;
	guest->platform.ending = &guest->ending;
	if (guest->machine.pci.present) {
		ret = pci_host_init(&guest->platform.pci, &guest->machine.pci,
				    &guest->platform.mmio);
		if (ret) {
			log_error("PCI host: %s", strerror(-ret));
			return EXIT_STATUS_HOST;
		}
		guest->has_pci = true;
	}
	return arch_platform_setup(&guest->platform) < 0 ? EXIT_STATUS_HOST : 0;
}

static int load_segment(struct guest *guest, const struct boot_segment *segment)
{
	int ret;

	if (segment->data)
		ret = guest_memory_write(&guest->memory, segment->gpa, segment->data, segment->len);
	else
		ret = guest_memory_read_file(&guest->memory, segment->gpa, segment->fd,
					     (off_t)segment->offset, segment->len);
	if (!ret)
		return 0;
	log_error("%s: %llu bytes at %#llx: %s", segment->what, (unsigned long long)segment->len,
		  (unsigned long long)segment->gpa,
		  ret == -EIO ? "the file is shorter than it was" : strerror(-ret));
	return EXIT_STATUS_INPUT;
}

static int create_vcpus(struct guest *guest)
{
	unsigned int nr_cpus = guest->machine.nr_cpus;

	guest->vcpus = calloc(nr_cpus, sizeof(*guest->vcpus));
	if (!guest->vcpus) {
		log_error("vcpus: %s", strerror(ENOMEM));
		return EXIT_STATUS_HOST;
	}
	for (unsigned int i = 0; i < nr_cpus; i++) {
		struct vcpu *vcpu = &guest->vcpus[guest->nr_vcpus++];

		if (vcpu_create(vcpu, &guest->vm, i) < 0 ||
		    arch_vcpu_setup(&guest->vm, vcpu, nr_cpus) < 0)
			return EXIT_STATUS_HOST;
		vcpu->mmio = &guest->platform.mmio;
		vcpu->pio = &guest->platform.pio;
		vcpu->ending = &guest->ending;
	}
	return arch_vcpu_set_entry(&guest->vcpus[0], &guest->plan) < 0 ? EXIT_STATUS_HOST : 0;
}

int guest_load(struct guest *guest)
{
	int ret = 0;

	for (size_t i = 0; i < guest->plan.nr_segments && !ret; i++)
		ret = load_segment(guest, &guest->plan.segments[i]);
	guest_memory_seal(&guest->memory);
	if (!ret)
		ret = create_vcpus(guest);
	boot_plan_destroy(&guest->plan);
	guest->has_plan = false;
	return ret;
}

void guest_destroy(struct guest *guest)
{
	for (unsigned int i = 0; i < guest->nr_vcpus; i++)
		vcpu_destroy(&guest->vcpus[i]);
	free(guest->vcpus);
	if (guest->has_loop)
		main_loop_destroy(&guest->loop);
	if (guest->has_pci)
		pci_host_destroy(&guest->platform.pci);
	if (guest->has_console)
		console_destroy(&guest->console);
	if (guest->has_ending)
		ending_destroy(&guest->ending);
	if (guest->has_vm)
		vm_destroy(&guest->vm);
	if (guest->has_memory)
		guest_memory_destroy(&guest->memory);
	if (guest->has_plan)
		boot_plan_destroy(&guest->plan);
	free(guest->cmdline);
}
