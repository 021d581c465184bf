/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Entered by the 64-bit boot protocol: rsi points to boot_params. */
	.section .text.start, "ax"
	.globl _start
_start:
	cld
	leaq	stack_top(%rip), %rsp
	movq	%rsi, %rdi
	call	payload_main
1:	hlt
	jmp	1b

	.bss
	.balign	16
	.skip	16384
stack_top:

	.section .note.GNU-stack, "", @progbits
