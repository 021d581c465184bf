/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The KVM virtual machine: memslots, interrupt controller, ioeventfds and irqfds.
 * Together with vcpu.c and arch/ the only code that talks to /dev/kvm.
 */
#ifndef VMM_VM_H
#define VMM_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/memory.h"

struct vm {
	int kvm_fd; /* -1 when closed, like all */
	int fd;
	long vcpu_mmap_size; /* bytes of struct kvm_run */
};

/*
 * Opens /dev/kvm, checks its version and capabilities and creates an empty VM.
 * Returns 0, or -errno after one line on stderr that names what is missing.
 */
int vm_create(struct vm *vm);
void vm_destroy(struct vm *vm);

/* One ioctl on the VM with its name in the error line. Returns its result or -errno. */
int vm_ioctl(const struct vm *vm, unsigned long request, const char *name, void *arg);

/*
 * Makes every region of @memory a memslot, then creates the interrupt controllers (arch). In this
 * order: each memslot added after them costs an SRCU grace period.
 */
int vm_setup(struct vm *vm, const struct guest_memory *memory);

/* A 4-byte write of @datamatch at guest physical @addr signals @fd without leaving the kernel. */
int vm_add_ioeventfd(const struct vm *vm, uint64_t addr, uint32_t datamatch, int fd);

/* Signalling @fd raises an edge on interrupt line @irq. */
int vm_add_irqfd(const struct vm *vm, unsigned int irq, int fd);

int vm_set_irq_line(const struct vm *vm, unsigned int irq, bool level);

#endif
