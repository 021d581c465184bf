/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The KVM virtual machine: memslots, interrupt controller, ioeventfds and irqfds.
 * Together with vcpu.c and arch/ the only code that talks to /dev/kvm.
 */
#ifndef VMM_VM_H
#define VMM_VM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/memory.h"

#define VM_MAX_MSI 512

/* Where one message-signalled interrupt goes. */
struct vm_msi_route {
	bool set;
	uint64_t address;
	uint32_t data;
};

struct vm {
	int kvm_fd; /* -1 when closed, like all */
	int fd;
	long vcpu_mmap_size; /* bytes of struct kvm_run */
	pthread_mutex_t msi_lock;
	struct vm_msi_route msi[VM_MAX_MSI];
	unsigned int nr_msi;
};

/*
 * Opens /dev/kvm, checks its version and capabilities and creates an empty VM.
 * Returns 0, or -errno after one line on stderr that names what is missing.
 */
int vm_create(struct vm *vm);
void vm_destroy(struct vm *vm);

/* 0, or -errno after one line on stderr: @number, called @name, is missing or cannot be asked for. */
int vm_check_capability(int kvm_fd, int number, const char *name);

/* One ioctl on the VM with its name in the error line. Returns its result or -errno. */
int vm_ioctl(const struct vm *vm, unsigned long request, const char *name, void *arg);

/*
 * Makes RAM and pools memslots, then creates the interrupt controllers (arch). In this order: each
 * memslot added after them costs an SRCU grace period.
 */
int vm_setup(struct vm *vm, const struct guest_memory *memory);

/*
 * Puts the device memory @index of @memory at guest physical @gpa, or takes it away. It has one
 * place at a time.
 */
int vm_map_device_memory(const struct vm *vm, const struct guest_memory *memory, size_t index,
			 uint64_t gpa);
int vm_unmap_device_memory(const struct vm *vm, const struct guest_memory *memory, size_t index);

/* A write to a register that signals an eventfd without leaving the kernel. */
struct vm_doorbell {
	uint64_t gpa;
	bool any; /* every write at @gpa; else 4 bytes of value @datamatch */
	uint32_t datamatch;
	int fd;
};

int vm_add_doorbell(const struct vm *vm, const struct vm_doorbell *doorbell);
int vm_remove_doorbell(const struct vm *vm, const struct vm_doorbell *doorbell);

/* Signalling @fd raises an edge on interrupt @gsi: a line, or what vm_add_msi() returned. */
int vm_add_irqfd(const struct vm *vm, unsigned int gsi, int fd);
int vm_remove_irqfd(const struct vm *vm, unsigned int gsi, int fd);

/* Reserves the number of one message-signalled interrupt, or -ENOSPC. Before the first vCPU runs. */
int vm_add_msi(struct vm *vm);

/* Where interrupt @gsi of vm_add_msi() goes from now on. From any thread. */
int vm_route_msi(struct vm *vm, unsigned int gsi, uint64_t address, uint32_t data);

int vm_set_irq_line(const struct vm *vm, unsigned int irq, bool level);

#endif
