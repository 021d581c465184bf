/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Where CPU 1 starts: in real mode, at TRAMPOLINE, to which this is copied. The GDT is the one that CPU 0
 * began with (boot/x86_64/layout.h).
 */
#define TRAMPOLINE 0x8000
#define GDT	   0x1000
#define CODE64	   0x10
#define DATA	   0x18
#define GDT_LIMIT  0x1f
#define CR0	   0x80000011 /* PG, ET, PE; caches on */
#define CR4_PAE	   0x20
#define MSR_EFER   0xc0000080
#define EFER_LME   0x100

	.section .rodata
	.globl trampoline, trampoline_size
	.code16
trampoline:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	lgdtl	TRAMPOLINE + gdtr - trampoline
	movl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	$page_root, %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$EFER_LME, %eax
	wrmsr
	movl	$CR0, %eax
	movl	%eax, %cr0
	ljmpl	$CODE64, $TRAMPOLINE + long_mode - trampoline
	.balign	4
gdtr:	.word	GDT_LIMIT
	.long	GDT
	.code64
long_mode:
	movw	$DATA, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movq	$second_stack_top, %rsp
	movq	$second_main, %rax
	call	*%rax
1:	hlt
	jmp	1b
trampoline_end:
	.balign	4
trampoline_size:
	.long	trampoline_end - trampoline

	.bss
	.balign	16
	.skip	16384
second_stack_top:

	.section .note.GNU-stack, "", @progbits
