/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Entered by its PVH note: 32-bit protected mode, ebx points to hvm_start_info (Xen, public
 * arch-x86/hvm/start_info.h). Ends with 0 if the magic is there, the command line begins as minivmm has it,
 * paging is off and the stack segment is usable; else with 1.
 */
#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define START_INFO_MAGIC	 0x336ec578
#define START_INFO_CMDLINE	 24
#define CR0_PG			 31
#define EXIT_PORT		 0xf4

	.section .note.Xen, "a", @note
	.balign	4
	.long	4, 4, XEN_ELFNOTE_PHYS32_ENTRY
	.asciz	"Xen"
	.long	entry

	.text
	.code32
	.globl	_start
/* The 64-bit entry is not for us: whoever comes here has chosen wrongly. */
_start:
	movb	$1, %al
	outb	%al, $EXIT_PORT
	hlt

entry:
	movl	$stack_top, %esp
	pushl	%ebx
	popl	%ebp
	cmpl	$START_INFO_MAGIC, (%ebp)
	jne	fail
	movl	START_INFO_CMDLINE(%ebp), %esi
	movl	$needle, %edi
	movl	$needle_end - needle, %ecx
next:	movb	(%esi), %al
	cmpb	%al, (%edi)
	jne	fail
	incl	%esi
	incl	%edi
	decl	%ecx
	jnz	next
	movl	%cr0, %eax
	btl	$CR0_PG, %eax
	jc	fail
	xorl	%eax, %eax
	jmp	end
fail:
	movl	$1, %eax
end:
	outb	%al, $EXIT_PORT
	hlt

	.section .rodata
needle:	.ascii	"console=ttyS0 "
needle_end:

	.bss
	.balign	16
	.skip	4096
stack_top:

	.section .note.GNU-stack, "", @progbits
