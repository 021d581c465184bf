/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One vCPU: its KVM descriptor, its thread and its run loop.
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "vmm/bus.h"
#include "vmm/ending.h"
#include "vmm/vm.h"

struct kvm_run;

struct vcpu {
	unsigned int index;
	int fd; /* -1 when closed */
	struct kvm_run *run;
	size_t run_size;
	const struct bus *mmio;
	const struct bus *pio;
	struct ending *ending;
	pthread_t thread;
	bool running; /* the thread exists */
	atomic_bool stop;
	/* As last seen by vcpu_check_halt(): halted with interrupts off, so nothing will wake it.
	 */
	atomic_bool check_halt;
	atomic_bool halted;
};

/* Creates vCPU @index. 0 or -errno, told on stderr; released by vcpu_destroy() in either case. */
int vcpu_create(struct vcpu *vcpu, const struct vm *vm, unsigned int index);
void vcpu_destroy(struct vcpu *vcpu);

/* One ioctl on the vCPU with its name in the error line. Returns its result or -errno. */
int vcpu_ioctl(const struct vcpu *vcpu, unsigned long request, const char *name, void *arg);

/* Starts the thread. vcpu_stop() takes it out of the guest and joins it. */
int vcpu_start(struct vcpu *vcpu);
void vcpu_stop(struct vcpu *vcpu);

/*
 * Asks the vCPU to look whether it is halted for good; the answer is in vcpu->halted a moment
 * later. With the interrupt controller in the kernel a HLT never comes back to us, so somebody has
 * to ask.
 */
void vcpu_check_halt(struct vcpu *vcpu);

#endif
