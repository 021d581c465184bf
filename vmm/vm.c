/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/arch/arch.h"
#include "vmm/log.h"

static const struct {
	int number;
	const char *name;
} needed_capabilities[] = {
	{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY" },
	{ KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP" },
	{ KVM_CAP_IRQFD, "KVM_CAP_IRQFD" },
	{ KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING" },
	{ KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD" },
	{ KVM_CAP_IOEVENTFD_ANY_LENGTH, "KVM_CAP_IOEVENTFD_ANY_LENGTH" },
	{ KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE" },
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
};

int vm_check_capability(int kvm_fd, int number, const char *name)
{
	int ret = ioctl(kvm_fd, KVM_CHECK_EXTENSION, number);

	if (ret > 0)
		return 0;
	if (ret == 0) {
		log_error("/dev/kvm: %s: missing in this host kernel", name);
		return -ENOTSUP;
	}
	ret = -errno;
	log_error("/dev/kvm: KVM_CHECK_EXTENSION: %s: %s", name, strerror(-ret));
	return ret;
}

/* EINTR: a signal came while the kernel waited for its own locks. */
static int create_vm(int kvm_fd)
{
	int fd;

	do {
		fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	} while (fd < 0 && errno == EINTR);
	return fd;
}

static int check_kvm(int kvm_fd)
{
	int version = ioctl(kvm_fd, KVM_GET_API_VERSION, 0);
	int ret;

	if (version < 0) {
		ret = -errno;
		log_error("/dev/kvm: KVM_GET_API_VERSION: %s", strerror(errno));
		return ret;
	}
	if (version != KVM_API_VERSION) {
		log_error("/dev/kvm: KVM_GET_API_VERSION: version %d, need %d", version,
			  KVM_API_VERSION);
		return -ENOTSUP;
	}
	for (size_t i = 0; i < sizeof(needed_capabilities) / sizeof(needed_capabilities[0]); i++) {
		ret = vm_check_capability(kvm_fd, needed_capabilities[i].number,
					  needed_capabilities[i].name);
		if (ret)
			return ret;
	}
	return 0;
}

int vm_create(struct vm *vm)
{
	int ret;

	*vm = (struct vm){ .kvm_fd = -1, .fd = -1 };
	pthread_mutex_init(&vm->msi_lock, NULL);
	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm_fd < 0) {
		ret = -errno;
		log_error("/dev/kvm: open: %s", strerror(errno));
		return ret;
	}
	ret = check_kvm(vm->kvm_fd);
	if (ret)
		goto fail;
	vm->fd = create_vm(vm->kvm_fd);
	if (vm->fd < 0) {
		ret = -errno;
		log_error("/dev/kvm: KVM_CREATE_VM: %s", strerror(errno));
		goto fail;
	}
	vm->vcpu_mmap_size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vm->vcpu_mmap_size < 0) {
		ret = -errno;
		log_error("/dev/kvm: KVM_GET_VCPU_MMAP_SIZE: %s", strerror(errno));
		goto fail;
	}
	return 0;
fail:
	vm_destroy(vm);
	return ret;
}

void vm_destroy(struct vm *vm)
{
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->kvm_fd >= 0)
		close(vm->kvm_fd);
	vm->fd = -1;
	vm->kvm_fd = -1;
}

int vm_ioctl(const struct vm *vm, unsigned long request, const char *name, void *arg)
{
	int ret = ioctl(vm->fd, request, arg);

	if (ret < 0) {
		ret = -errno;
		log_error("kvm: %s: %s", name, strerror(-ret));
	}
	return ret;
}

/* Makes @size bytes at @host memslot @slot at @gpa; with @size 0 the memslot goes. */
static int set_memslot(const struct vm *vm, uint32_t slot, uint64_t gpa, uint64_t size,
		       const void *host)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};
	int ret = vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION", &region);

	return ret < 0 ? ret : 0;
}

int vm_setup(struct vm *vm, const struct guest_memory *memory)
{
	for (size_t i = 0; i < memory->nr_regions; i++) {
		const struct guest_region *region = &memory->regions[i];
		int ret = 0;

		if (region->kind != GUEST_DEVICE_MEMORY)
			ret = set_memslot(vm, (uint32_t)i, region->range.base, region->range.size,
					  region->host);
		if (ret)
			return ret;
	}
	return arch_vm_setup(vm);
}

int vm_map_device_memory(const struct vm *vm, const struct guest_memory *memory, size_t index,
			 uint64_t gpa)
{
	size_t slot = guest_memory_find_device_memory(memory, index);
	const struct guest_region *region = &memory->regions[slot];

	return set_memslot(vm, (uint32_t)slot, gpa, region->range.size, region->host);
}

int vm_unmap_device_memory(const struct vm *vm, const struct guest_memory *memory, size_t index)
{
	return set_memslot(vm, (uint32_t)guest_memory_find_device_memory(memory, index), 0, 0,
			   NULL);
}

static int set_doorbell(const struct vm *vm, const struct vm_doorbell *doorbell, uint32_t flags)
{
	struct kvm_ioeventfd ioeventfd = {
		.addr = doorbell->gpa,
		.fd = doorbell->fd,
		.flags = flags,
	};

	if (!doorbell->any) {
		ioeventfd.len = sizeof(doorbell->datamatch);
		ioeventfd.datamatch = doorbell->datamatch;
		ioeventfd.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
	}
	return vm_ioctl(vm, KVM_IOEVENTFD, "KVM_IOEVENTFD", &ioeventfd);
}

int vm_add_doorbell(const struct vm *vm, const struct vm_doorbell *doorbell)
{
	return set_doorbell(vm, doorbell, 0);
}

int vm_remove_doorbell(const struct vm *vm, const struct vm_doorbell *doorbell)
{
	return set_doorbell(vm, doorbell, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

static int set_irqfd(const struct vm *vm, unsigned int gsi, int fd, uint32_t flags)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)fd, .gsi = gsi, .flags = flags };

	return vm_ioctl(vm, KVM_IRQFD, "KVM_IRQFD", &irqfd);
}

int vm_add_irqfd(const struct vm *vm, unsigned int gsi, int fd)
{
	return set_irqfd(vm, gsi, fd, 0);
}

int vm_remove_irqfd(const struct vm *vm, unsigned int gsi, int fd)
{
	return set_irqfd(vm, gsi, fd, KVM_IRQFD_FLAG_DEASSIGN);
}

int vm_add_msi(struct vm *vm)
{
	if (vm->nr_msi == VM_MAX_MSI)
		return -ENOSPC;
	return (int)(ARCH_FIRST_MSI + vm->nr_msi++);
}

/* KVM takes all routes at once, those of the interrupt controllers' lines included. */
static int set_routes(const struct vm *vm)
{
	size_t size = sizeof(struct kvm_irq_routing) +
		      (ARCH_MAX_LINE_ROUTES + VM_MAX_MSI) * sizeof(struct kvm_irq_routing_entry);
	struct kvm_irq_routing *routing = calloc(1, size);
	int ret;

	if (!routing)
		return -ENOMEM;
	routing->nr = arch_line_routes(routing->entries);
	for (unsigned int i = 0; i < vm->nr_msi; i++) {
		if (!vm->msi[i].set)
			continue;
		routing->entries[routing->nr++] = (struct kvm_irq_routing_entry){
			.gsi = ARCH_FIRST_MSI + i,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi = {
				.address_lo = (uint32_t)vm->msi[i].address,
				.address_hi = (uint32_t)(vm->msi[i].address >> 32),
				.data = vm->msi[i].data,
			},
		};
	}
	ret = vm_ioctl(vm, KVM_SET_GSI_ROUTING, "KVM_SET_GSI_ROUTING", routing);
	free(routing);
	return ret;
}

int vm_route_msi(struct vm *vm, unsigned int gsi, uint64_t address, uint32_t data)
{
	struct vm_msi_route *route = &vm->msi[gsi - ARCH_FIRST_MSI];
	struct vm_msi_route before;
	int ret;

	pthread_mutex_lock(&vm->msi_lock);
	before = *route;
	*route = (struct vm_msi_route){ .set = true, .address = address, .data = data };
	ret = set_routes(vm);
	if (ret)
		*route = before;
	pthread_mutex_unlock(&vm->msi_lock);
	return ret;
}

int vm_set_irq_line(const struct vm *vm, unsigned int irq, bool level)
{
	struct kvm_irq_level line = { .irq = irq, .level = level };

	return vm_ioctl(vm, KVM_IRQ_LINE, "KVM_IRQ_LINE", &line);
}
