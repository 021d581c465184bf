/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest-images/payloads/virtio-pci/interrupt.h"

#include "guest-images/payloads/payload.h"
#include "guest-images/payloads/virtio.h"

#define NR_EXCEPTIONS 32u
#define NR_VECTORS    256u
#define ENTRY_SIZE    32ull /* bytes between the entries for interrupts */

#define GATE_INTERRUPT 0x8e00u /* present, ring 0; interrupts stay off inside */

#define PIC_MASTER_MASK 0x21
#define PIC_SLAVE_MASK	0xa1

#define LAPIC_SPURIOUS 0xfee000f0ull
#define LAPIC_LINT0    0xfee00350ull
#define LAPIC_ENABLE   0x100u
#define LVT_MASKED     0x10000u

struct gate {
	uint16_t offset_low, selector, type, offset_middle;
	uint32_t offset_high, reserved;
};

struct __attribute__((packed)) gate_table {
	uint16_t limit;
	uint64_t base;
};

/* entry.S */
extern const uint8_t exception_entry[], interrupt_entries[];
extern volatile uint32_t interrupt_counts[INTERRUPT_NR];
__attribute__((noreturn)) void exception_end(uint64_t cr2, uint64_t stack0, uint64_t stack1);

volatile uint32_t interrupt_counts[INTERRUPT_NR];

static volatile struct gate gates[NR_VECTORS];

static void set_gate(unsigned int vector, uint64_t entry)
{
	uint16_t selector;

	__asm__("mov %%cs, %0" : "=r"(selector));
	gates[vector] = (struct gate){
		.offset_low = (uint16_t)entry,
		.selector = selector,
		.type = GATE_INTERRUPT,
		.offset_middle = (uint16_t)(entry >> 16),
		.offset_high = (uint32_t)(entry >> 32),
	};
}

void exception_end(uint64_t cr2, uint64_t stack0, uint64_t stack1)
{
	print("payload: exception: CR2 ");
	print_hex(cr2);
	print(", on the stack ");
	print_hex(stack0);
	print(" ");
	print_hex(stack1);
	print("\n");
	end(payload_failure);
}

void exceptions_init(void)
{
	const struct gate_table table = { sizeof(gates) - 1, (uint64_t)gates };

	for (unsigned int i = 0; i < NR_EXCEPTIONS; i++)
		set_gate(i, (uint64_t)exception_entry);
	__asm__ volatile("lidt %0" : : "m"(table));
}

void interrupt_init(void)
{
	for (unsigned int i = 0; i < INTERRUPT_NR; i++)
		set_gate(INTERRUPT_FIRST + i, (uint64_t)interrupt_entries + i * ENTRY_SIZE);
	/* Nothing but messages. */
	outb(PIC_MASTER_MASK, 0xff);
	outb(PIC_SLAVE_MASK, 0xff);
	mmio_write32(LAPIC_LINT0, LVT_MASKED);
	mmio_write32(LAPIC_SPURIOUS, LAPIC_ENABLE | (NR_VECTORS - 1));
	__asm__ volatile("sti");
}

uint32_t interrupt_count(unsigned int index)
{
	return interrupt_counts[index];
}

void interrupt_await(unsigned int index, uint32_t count)
{
	uint64_t turns = 0;

	while (interrupt_counts[index] < count) {
		expect(turns++ < PATIENCE, "the interrupt comes");
		__asm__ volatile("pause");
	}
	expect_equal(interrupt_counts[index], count, "interrupts taken");
}
