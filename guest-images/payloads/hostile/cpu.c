/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest-images/payloads/hostile/cpu.h"

#include "guest-images/payloads/payload.h"
#include "guest-images/payloads/virtio-pci/interrupt.h"

/* Page tables (Intel SDM 3A, 4.5). */
#define TABLE_ENTRIES  512u
#define NR_DIRECTORIES 8u /* of 1 GiB each */
#define LARGE_PAGE     0x200000ull
#define PAGE_FLAGS     0x03ull /* present, writable */
#define PAGE_LARGE     0x80ull

/* Free in the layout of memory; a multiple of a page, since a SIPI names pages. */
#define TRAMPOLINE 0x8000ull

/* Local APIC (Intel SDM 3A, 11.4.1). */
#define LAPIC_EOI      0xfee000b0ull
#define LAPIC_SPURIOUS 0xfee000f0ull
#define LAPIC_ICR_LOW  0xfee00300ull
#define LAPIC_ICR_HIGH 0xfee00310ull
#define LAPIC_ENABLE   0x100u
#define ICR_INIT       0x4500u
#define ICR_STARTUP    0x4600u
#define ICR_FIXED      0x4000u
#define SECOND_APIC_ID 1u
#define WAKE_VECTOR    (INTERRUPT_FIRST + INTERRUPT_NR - 1)

/* What KVM says of the TSC (Documentation/virt/kvm/x86/msr.rst). */
#define MSR_KVM_SYSTEM_TIME 0x4b564d01u

struct kvm_time {
	uint32_t version, padding;
	uint64_t tsc, ns;
	uint32_t multiplier;
	int8_t shift;
	uint8_t flags, padding2[2];
};

/* trampoline.S */
extern const uint8_t trampoline[];
extern const uint32_t trampoline_size;
void second_main(void);

_Alignas(4096) volatile uint64_t page_root[TABLE_ENTRIES];
static _Alignas(4096) volatile uint64_t page_directory[TABLE_ENTRIES];
static _Alignas(4096) volatile uint64_t page_tables[NR_DIRECTORIES][TABLE_ENTRIES];
static _Alignas(64) volatile struct kvm_time kvm_time;

static bool second_is_up, second_is_busy, second_shall_stop;
static void (*second_work)(void *arg);
static void *second_arg;

static void use_own_page_tables(void)
{
	for (unsigned int i = 0; i < NR_DIRECTORIES; i++) {
		for (unsigned int k = 0; k < TABLE_ENTRIES; k++)
			page_tables[i][k] = ((uint64_t)i * TABLE_ENTRIES + k) * LARGE_PAGE |
					    PAGE_FLAGS | PAGE_LARGE;
		page_directory[i] = (uint64_t)page_tables[i] | PAGE_FLAGS;
	}
	page_root[0] = (uint64_t)page_directory | PAGE_FLAGS;
	__asm__ volatile("mov %0, %%cr3" : : "r"((uint64_t)page_root) : "memory");
}

static uint64_t read_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return low | (uint64_t)high << 32;
}

static void write_msr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

/* The time itself is not wanted, only how long a tick is: it is told once, and then no more. */
static void clock_init(void)
{
	write_msr(MSR_KVM_SYSTEM_TIME, (uint64_t)&kvm_time | 1);
	for (unsigned int i = 0; kvm_time.multiplier == 0 && i < 1000000; i++)
		cpu_relax();
	expect(kvm_time.multiplier != 0, "KVM says how fast the TSC is");
	write_msr(MSR_KVM_SYSTEM_TIME, 0);
}

uint64_t clock_ns(void)
{
	const uint64_t ticks = read_tsc() - kvm_time.tsc;
	const int8_t shift = kvm_time.shift;
	const uint64_t scaled = shift < 0 ? ticks >> -shift : ticks << shift;

	return (uint64_t)((unsigned __int128)scaled * kvm_time.multiplier >> 32);
}

void cpu_init(void)
{
	use_own_page_tables();
	exceptions_init();
	interrupt_init();
	clock_init();
}

static void send_ipi(uint32_t command)
{
	mmio_write32(LAPIC_ICR_HIGH, SECOND_APIC_ID << 24);
	mmio_write32(LAPIC_ICR_LOW, command);
}

void second_init(void)
{
	const uint64_t start = clock_ns();
	volatile uint8_t *to = (volatile uint8_t *)TRAMPOLINE;

	for (uint32_t i = 0; i < trampoline_size; i++)
		to[i] = trampoline[i];
	send_ipi(ICR_INIT);
	send_ipi(ICR_STARTUP | TRAMPOLINE >> 12);
	while (!__atomic_load_n(&second_is_up, __ATOMIC_ACQUIRE))
		expect(clock_ns() - start < 5 * NS_PER_S, "CPU 1 starts");
}

void second_main(void)
{
	exceptions_init();
	mmio_write32(LAPIC_SPURIOUS, LAPIC_ENABLE | 0xff);
	__atomic_store_n(&second_is_up, true, __ATOMIC_RELEASE);
	for (;;) {
		__asm__ volatile("cli");
		if (!__atomic_load_n(&second_is_busy, __ATOMIC_ACQUIRE)) {
			/* What wakes us comes no earlier than the halt. */
			__asm__ volatile("sti; hlt");
			continue;
		}
		__asm__ volatile("sti");
		second_work(second_arg);
		__atomic_store_n(&second_is_busy, false, __ATOMIC_RELEASE);
	}
}

void second_start(void (*work)(void *arg), void *arg)
{
	second_work = work;
	second_arg = arg;
	__atomic_store_n(&second_shall_stop, false, __ATOMIC_RELAXED);
	__atomic_store_n(&second_is_busy, true, __ATOMIC_RELEASE);
	send_ipi(ICR_FIXED | WAKE_VECTOR);
}

bool second_must_stop(void)
{
	return __atomic_load_n(&second_shall_stop, __ATOMIC_RELAXED);
}

void second_stop(void)
{
	__atomic_store_n(&second_shall_stop, true, __ATOMIC_RELAXED);
	while (__atomic_load_n(&second_is_busy, __ATOMIC_ACQUIRE))
		cpu_relax();
}
