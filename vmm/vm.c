/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
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
	{ KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD" },
	{ KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE" },
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
};

static int check_kvm(int kvm_fd)
{
	int version = ioctl(kvm_fd, KVM_GET_API_VERSION, 0);

	if (version != KVM_API_VERSION) {
		log_error("/dev/kvm: KVM_GET_API_VERSION: version %d, need %d", version,
			  KVM_API_VERSION);
		return -ENOTSUP;
	}
	for (size_t i = 0; i < sizeof(needed_capabilities) / sizeof(needed_capabilities[0]); i++) {
		if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, needed_capabilities[i].number) <= 0) {
			log_error("/dev/kvm: %s: missing in this host kernel",
				  needed_capabilities[i].name);
			return -ENOTSUP;
		}
	}
	return 0;
}

int vm_create(struct vm *vm)
{
	int ret;

	*vm = (struct vm){ .kvm_fd = -1, .fd = -1 };
	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm_fd < 0) {
		ret = -errno;
		log_error("/dev/kvm: open: %s", strerror(errno));
		return ret;
	}
	ret = check_kvm(vm->kvm_fd);
	if (ret)
		goto fail;
	vm->fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
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

int vm_setup(struct vm *vm, const struct guest_memory *memory)
{
	for (size_t i = 0; i < memory->nr_regions; i++) {
		const struct guest_region *region = &memory->regions[i];
		struct kvm_userspace_memory_region slot = {
			.slot = (uint32_t)i,
			.guest_phys_addr = region->range.base,
			.memory_size = region->range.size,
			.userspace_addr = (uintptr_t)region->host,
		};
		int ret = vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION",
				   &slot);

		if (ret < 0)
			return ret;
	}
	return arch_vm_setup(vm);
}

int vm_add_ioeventfd(const struct vm *vm, uint64_t addr, uint32_t datamatch, int fd)
{
	struct kvm_ioeventfd ioeventfd = {
		.datamatch = datamatch,
		.addr = addr,
		.len = sizeof(datamatch),
		.fd = fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	return vm_ioctl(vm, KVM_IOEVENTFD, "KVM_IOEVENTFD", &ioeventfd);
}

int vm_add_irqfd(const struct vm *vm, unsigned int irq, int fd)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)fd, .gsi = irq };

	return vm_ioctl(vm, KVM_IRQFD, "KVM_IRQFD", &irqfd);
}

int vm_set_irq_line(const struct vm *vm, unsigned int irq, bool level)
{
	struct kvm_irq_level line = { .irq = irq, .level = level };

	return vm_ioctl(vm, KVM_IRQ_LINE, "KVM_IRQ_LINE", &line);
}
