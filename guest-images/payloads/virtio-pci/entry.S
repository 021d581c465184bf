/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Where exceptions and interrupts arrive. */
#define LAPIC_EOI 0xfee000b0

	.text
	.globl exception_entry, interrupt_entries

/* On the stack: an error code or not, then where it happened. There is no way back. */
exception_entry:
	cld
	movq	%cr2, %rdi
	movq	(%rsp), %rsi
	movq	8(%rsp), %rdx
	call	exception_end

	.macro	interrupt index
	.balign	32
	incl	interrupt_counts + 4 * \index(%rip)
	pushq	%rax
	movl	$LAPIC_EOI, %eax
	movl	$0, (%rax)
	popq	%rax
	iretq
	.endm

	.balign	32
interrupt_entries:
	interrupt 0
	interrupt 1
	interrupt 2

	.section .note.GNU-stack, "", @progbits
