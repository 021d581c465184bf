/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One guest with everything that belongs to it, in the order in which main() brings it up.
 * Every step returns 0, or an exit status (enum exit_status) after one line on stderr;
 * guest_destroy() releases what the steps so far have made.
 */
#ifndef VMM_GUEST_H
#define VMM_GUEST_H

#include "boot/machine.h"
#include "boot/plan.h"
#include "vmm/config.h"
#include "vmm/console.h"
#include "vmm/device_host.h"
#include "vmm/devices.h"
#include "vmm/ending.h"
#include "vmm/exit_code.h"
#include "vmm/main_loop.h"
#include "vmm/memory.h"
#include "vmm/platform.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

struct guest {
	const struct config *config;
	struct machine machine;
	struct boot_plan plan;
	struct guest_memory memory;
	struct vm vm;
	struct platform platform;
	struct console console;
	struct devices devices;
	struct device_host device_host;
	struct vcpu *vcpus;
	unsigned int nr_vcpus; /* created so far */
	struct main_loop loop;
	struct ending ending;
	struct exit_code exit_code;
	char *cmdline;
	/* What guest_destroy() has to undo. */
	bool has_plan, has_memory, has_vm, has_console, has_ending, has_loop, has_pci;
};

/* Decides where everything is and reads the images. */
int guest_plan(struct guest *guest, const struct config *config);

/* Creates the VM, its memory and its fixed devices. */
int guest_create_vm(struct guest *guest);

/* Starts the device processes and connects them to the guest's transports. */
int guest_start_devices(struct guest *guest);

/* Follows them, and what lives beside them, from guest->loop. 0 or -errno, told on stderr. */
int guest_watch_devices(struct guest *guest);

/* Writes the images into guest memory and seals it; sets the first vCPU's registers. */
int guest_load(struct guest *guest);

/*
 * SIGINT, SIGTERM and SIGHUP wait for guest_run(), so that none of them leaves a socket or half of a
 * file behind. What takes its time before that asks whether one has come: its exit status after one
 * line on stderr, or 0.
 */
void guest_hold_signals(void);
int guest_check_signals(void);

/* Runs until something ends it; guest->ending says what. */
int guest_run(struct guest *guest);

/* Ends the device processes, so that guest->devices.reports and the exit code are complete. */
void guest_stop_devices(struct guest *guest);

void guest_destroy(struct guest *guest);

#endif
