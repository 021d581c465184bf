/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm/arch/x86_64/cpuid.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/log.h"
#include "vmm/vcpu.h"

#define CPUID_MAX_ENTRIES 256

#define CPUID_1_EBX_APIC_ID_SHIFT 24
#define CPUID_1_EBX_LOGICAL_SHIFT 16
#define CPUID_1_ECX_TSC_DEADLINE  (1u << 24)
#define CPUID_1_ECX_HYPERVISOR	  (1u << 31)
#define CPUID_1_EDX_HTT		  (1u << 28)
#define CPUID_4_EAX_CORES_SHIFT	  26
#define CPUID_4_EAX_SHARING_SHIFT 14
#define CPUID_6_EAX_ARAT	  (1u << 2)
#define CPUID_B_ECX_LEVEL_SMT	  (1u << 8)
#define CPUID_B_ECX_LEVEL_CORE	  (2u << 8)
#define CPUID_EXT8_ECX_APIC_SHIFT 12

/* Bits of an APIC id that number the vCPUs of the one package. */
static unsigned int apic_id_bits(unsigned int nr_cpus)
{
	unsigned int bits = 0;

	while ((1u << bits) < nr_cpus)
		bits++;
	return bits;
}

/* Extended topology: one thread per core, all cores in one package. */
static void set_topology_level(struct kvm_cpuid_entry2 *entry, unsigned int apic_id,
			       unsigned int nr_cpus)
{
	entry->eax = 0;
	entry->ebx = 0;
	entry->ecx = entry->index;
	entry->edx = apic_id;
	if (entry->index == 0) {
		entry->ebx = 1;
		entry->ecx |= CPUID_B_ECX_LEVEL_SMT;
	} else if (entry->index == 1) {
		entry->eax = apic_id_bits(nr_cpus);
		entry->ebx = nr_cpus;
		entry->ecx |= CPUID_B_ECX_LEVEL_CORE;
	}
}

static void adjust_entry(struct kvm_cpuid_entry2 *entry, unsigned int apic_id, unsigned int nr_cpus)
{
	switch (entry->function) {
	case 0x1:
		entry->ebx &= 0xffff;
		entry->ebx |= apic_id << CPUID_1_EBX_APIC_ID_SHIFT;
		entry->ebx |= nr_cpus << CPUID_1_EBX_LOGICAL_SHIFT;
		entry->ecx |= CPUID_1_ECX_TSC_DEADLINE | CPUID_1_ECX_HYPERVISOR;
		if (nr_cpus > 1)
			entry->edx |= CPUID_1_EDX_HTT;
		break;
	case 0x4:
		entry->eax &= (1u << CPUID_4_EAX_SHARING_SHIFT) - 1;
		entry->eax |= (nr_cpus - 1) << CPUID_4_EAX_CORES_SHIFT;
		break;
	case 0x6:
		entry->eax |= CPUID_6_EAX_ARAT;
		break;
	case 0xb:
	case 0x1f:
		set_topology_level(entry, apic_id, nr_cpus);
		break;
	case 0x80000008:
		entry->ecx = (apic_id_bits(nr_cpus) << CPUID_EXT8_ECX_APIC_SHIFT) | (nr_cpus - 1);
		break;
	case 0x8000001e:
		entry->eax = apic_id;
		entry->ebx = apic_id; /* core id; one thread each */
		entry->ecx = 0;
		break;
	}
}

/* Supported leaves as KVM reports them, with level 1 of leaf 0xb added where KVM lists level 0
 * only. */
static int get_supported(const struct vm *vm, struct kvm_cpuid2 *cpuid)
{
	struct kvm_cpuid_entry2 *last;

	cpuid->nent = CPUID_MAX_ENTRIES - 1;
	if (ioctl(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0) {
		log_error("/dev/kvm: KVM_GET_SUPPORTED_CPUID: %s", strerror(errno));
		return -errno;
	}
	for (uint32_t i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 0xb && cpuid->entries[i].index == 1)
			return 0;
	last = &cpuid->entries[cpuid->nent++];
	*last = (struct kvm_cpuid_entry2){
		.function = 0xb,
		.index = 1,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
	};
	return 0;
}

int cpuid_setup(const struct vm *vm, const struct vcpu *vcpu, unsigned int nr_cpus)
{
	struct kvm_cpuid2 *cpuid;
	int ret;

	ret = vm_check_capability(vm->kvm_fd, KVM_CAP_TSC_DEADLINE_TIMER,
				  "KVM_CAP_TSC_DEADLINE_TIMER");
	if (ret)
		return ret;
	cpuid = calloc(1, sizeof(*cpuid) + CPUID_MAX_ENTRIES * sizeof(cpuid->entries[0]));
	if (!cpuid) {
		log_error("vcpu %u: KVM_SET_CPUID2: %s", vcpu->index, strerror(ENOMEM));
		return -ENOMEM;
	}
	ret = get_supported(vm, cpuid);
	if (!ret) {
		for (uint32_t i = 0; i < cpuid->nent; i++)
			adjust_entry(&cpuid->entries[i], vcpu->index, nr_cpus);
		ret = vcpu_ioctl(vcpu, KVM_SET_CPUID2, "KVM_SET_CPUID2", cpuid);
	}
	free(cpuid);
	return ret;
}
