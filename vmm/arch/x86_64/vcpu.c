/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The VM's interrupt controllers and the state in which its vCPUs start. */
#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "boot/x86_64/layout.h"
#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/cpuid.h"
#include "vmm/log.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

/* Three pages that Intel CPUs without unrestricted guests need; in the MMIO hole, free in our
 * layout. */
#define TSS_ADDRESS 0xfffbd000ul

#define CR0_PE	 (1ull << 0)
#define CR0_ET	 (1ull << 4)
#define CR0_PG	 (1ull << 31)
#define CR4_PAE	 (1ull << 5)
#define EFER_LME (1ull << 8)
#define EFER_LMA (1ull << 10)
#define RFLAGS_1 (1ull << 1) /* always set */

#define MSR_IA32_MISC_ENABLE	0x1a0
#define MISC_ENABLE_FAST_STRING 1ull
#define MSR_MTRR_DEF_TYPE	0x2ff
#define MTRR_ENABLED_WRITE_BACK \
	0x806ull /* E | type 6: else PCI and pool memory would map uncached */

#define SEGMENT_CODE 0xb /* execute, read, accessed */
#define SEGMENT_DATA 0x3 /* read, write, accessed */
#define SEGMENT_TSS  0xb /* busy 32-bit TSS */

#define IOAPIC_PINS  24u
#define PIC_PINS     8u
#define LEGACY_LINES 16u /* that both the 8259s and the IO-APIC have */

_Static_assert(IOAPIC_PINS == ARCH_FIRST_MSI, "lines below, messages above");

unsigned int arch_line_routes(struct kvm_irq_routing_entry *routes)
{
	unsigned int n = 0;

	for (unsigned int line = 0; line < IOAPIC_PINS; line++) {
		routes[n++] = (struct kvm_irq_routing_entry){
			.gsi = line,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = line },
		};
		if (line >= LEGACY_LINES)
			continue;
		routes[n++] = (struct kvm_irq_routing_entry){
			.gsi = line,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = {
				.irqchip = line < PIC_PINS ? KVM_IRQCHIP_PIC_MASTER :
							     KVM_IRQCHIP_PIC_SLAVE,
				.pin = line % PIC_PINS,
			},
		};
	}
	return n;
}

int arch_vm_setup(struct vm *vm)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	int ret = vm_ioctl(vm, KVM_SET_TSS_ADDR, "KVM_SET_TSS_ADDR", (void *)TSS_ADDRESS);

	if (ret >= 0)
		ret = vm_ioctl(vm, KVM_CREATE_IRQCHIP, "KVM_CREATE_IRQCHIP", NULL);
	/* Kernels that know neither our device tree nor an MP table take their first ticks from it.
	 */
	if (ret >= 0)
		ret = vm_ioctl(vm, KVM_CREATE_PIT2, "KVM_CREATE_PIT2", &pit);
	return ret;
}

static int set_msrs(const struct vcpu *vcpu)
{
	static const struct kvm_msr_entry entries[] = {
		{ .index = MSR_IA32_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRING },
		{ .index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLED_WRITE_BACK },
	};
	const int nr_entries = sizeof(entries) / sizeof(entries[0]);
	struct kvm_msrs *msrs = calloc(1, sizeof(*msrs) + sizeof(entries));
	int ret;

	if (!msrs) {
		log_error("vcpu %u: KVM_SET_MSRS: %s", vcpu->index, strerror(ENOMEM));
		return -ENOMEM;
	}
	msrs->nmsrs = (uint32_t)nr_entries;
	memcpy(msrs->entries, entries, sizeof(entries));
	ret = vcpu_ioctl(vcpu, KVM_SET_MSRS, "KVM_SET_MSRS", msrs);
	free(msrs);
	if (ret < 0)
		return ret;
	/* It returns how many it took, and stops at the first that it does not know. */
	if (ret < nr_entries) {
		log_error("vcpu %u: KVM_SET_MSRS: MSR %#x: not taken", vcpu->index,
			  entries[ret].index);
		return -ENOTSUP;
	}
	return 0;
}

int arch_vcpu_setup(const struct vm *vm, struct vcpu *vcpu, unsigned int nr_cpus)
{
	int ret = cpuid_setup(vm, vcpu, nr_cpus);

	return ret < 0 ? ret : set_msrs(vcpu);
}

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type, bool long_mode)
{
	return (struct kvm_segment){
		.base = 0,
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
		.g = 1,
		.db = !long_mode,
		.l = long_mode,
	};
}

static void set_segments(struct kvm_sregs *sregs, const struct boot_plan *plan, bool long_mode)
{
	struct kvm_segment data = flat_segment(LAYOUT_GDT_DATA, SEGMENT_DATA, false);

	uint16_t code = long_mode ? LAYOUT_GDT_CODE64 : LAYOUT_GDT_CODE32;

	sregs->cs = flat_segment(code, SEGMENT_CODE, long_mode);
	sregs->ds = data;
	sregs->es = data;
	sregs->fs = data;
	sregs->gs = data;
	sregs->ss = data;
	sregs->tr = (struct kvm_segment){ .limit = 0x67, .type = SEGMENT_TSS, .present = 1 };
	sregs->gdt.base = plan->gdt_gpa;
	sregs->gdt.limit = LAYOUT_GDT_SIZE - 1;
	sregs->idt.base = 0;
	sregs->idt.limit = 0; /* interrupts are off until the guest has its own */
}

int arch_vcpu_set_entry(struct vcpu *vcpu, const struct boot_plan *plan)
{
	bool long_mode = plan->entry == BOOT_ENTRY_LONG_MODE;
	struct kvm_regs regs = { .rip = plan->entry_gpa, .rflags = RFLAGS_1 };
	struct kvm_sregs sregs;
	int ret = vcpu_ioctl(vcpu, KVM_GET_SREGS, "KVM_GET_SREGS", &sregs);

	if (ret < 0)
		return ret;
	set_segments(&sregs, plan, long_mode);
	sregs.cr0 = CR0_PE | CR0_ET;
	if (long_mode) {
		sregs.cr0 |= CR0_PG;
		sregs.cr3 = plan->page_table_gpa;
		sregs.cr4 = CR4_PAE;
		sregs.efer = EFER_LME | EFER_LMA;
		regs.rsi = plan->info_gpa;
	} else {
		regs.rbx = plan->info_gpa;
	}
	ret = vcpu_ioctl(vcpu, KVM_SET_SREGS, "KVM_SET_SREGS", &sregs);
	if (ret >= 0)
		ret = vcpu_ioctl(vcpu, KVM_SET_REGS, "KVM_SET_REGS", &regs);
	return ret < 0 ? ret : 0;
}
