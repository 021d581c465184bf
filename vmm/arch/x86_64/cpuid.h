/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * CPUID of a vCPU: what KVM supports, plus identity, topology and the two timer bits that let Linux
 * do without a PIT.
 */
#ifndef VMM_ARCH_X86_64_CPUID_H
#define VMM_ARCH_X86_64_CPUID_H

struct vcpu;
struct vm;

/* 0 or -errno, told on stderr. */
int cpuid_setup(const struct vm *vm, const struct vcpu *vcpu, unsigned int nr_cpus);

#endif
