/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the linker knows of our image. */
	.section .rodata
	.globl	image_start, image_end
	.balign	8
image_start:
	.quad	__executable_start
image_end:
	.quad	_end

	.section .note.GNU-stack, "", @progbits
