/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What every architecture provides; the Makefile links one vmm/arch/ARCH/ directory.
 */
#ifndef VMM_ARCH_ARCH_H
#define VMM_ARCH_ARCH_H

#include <stddef.h>
#include <stdint.h>

#include "boot/machine.h"
#include "boot/plan.h"

struct kvm_irq_routing_entry;
struct vcpu;
struct vm;
struct platform;

/* What arch_plan_machine() has to place. */
struct arch_needs {
	unsigned int nr_cpus;
	uint64_t memory; /* bytes of RAM */
	size_t nr_pools;
	size_t nr_device_memory; /* pools in BARs */
	uint64_t pool_size;	 /* bytes each, of both kinds */
	enum machine_tables tables;
	bool pools_in_device_tree;
	size_t nr_virtio;
	/* Of each: transport, pool and device_memory. */
	struct machine_virtio virtio[MACHINE_MAX_DEVICES];
};

/* Places RAM, pools and device windows in guest physical memory. 0, or -ENOSPC when they do not
 * fit. */
int arch_plan_machine(struct machine *machine, const struct arch_needs *needs);

/* Interrupt line of the UART. */
unsigned int arch_uart_irq(void);

/*
 * Kernel parameters that this machine wants: before the user's, and behind them when the UART is the
 * console.
 */
const char *arch_cmdline_head(const struct machine *machine);
const char *arch_cmdline_serial_tail(void);

/*
 * Numbers of message-signalled interrupts begin here; those of lines are below. arch_line_routes()
 * writes the routes of all lines, at most ARCH_MAX_LINE_ROUTES, and returns how many.
 */
#define ARCH_FIRST_MSI	     24u
#define ARCH_MAX_LINE_ROUTES 64u
unsigned int arch_line_routes(struct kvm_irq_routing_entry *routes);

/* Interrupt controllers and what else belongs to the VM. 0 or -errno, told on stderr. */
int arch_vm_setup(struct vm *vm);

/* CPU features and identity of vCPU @vcpu->index of @nr_cpus. 0 or -errno, told on stderr. */
int arch_vcpu_setup(const struct vm *vm, struct vcpu *vcpu, unsigned int nr_cpus);

/* Registers of the first vCPU as @plan wants them. 0 or -errno, told on stderr. */
int arch_vcpu_set_entry(struct vcpu *vcpu, const struct boot_plan *plan);

/* Adds the platform's fixed devices (UART, reset, power, exit code) to its buses. 0 or -errno. */
int arch_platform_setup(struct platform *platform);

#endif
