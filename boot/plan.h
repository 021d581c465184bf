/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Images -> a boot plan: which bytes go where in guest memory, and in which state the first vCPU
 * starts. boot/ decides, vmm/ carries it out; boot/ has no access to guest memory.
 */
#ifndef BOOT_PLAN_H
#define BOOT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot/machine.h"

#define BOOT_MAX_SEGMENTS 64
#define BOOT_ERROR_MAX	  256

/* Bytes for guest memory: from @data, or, when @data is NULL, from @fd at @offset. */
struct boot_segment {
	const char *what; /* "kernel", "initrd", ...: static string for messages */
	uint64_t gpa;
	uint64_t len;	  /* bytes copied */
	uint64_t mem_len; /* >= len: bytes that the segment occupies; the rest is zero already */
	void *data;	  /* owned by the plan, or NULL */
	int fd;		  /* owned by the plan's images */
	uint64_t offset;
};

enum boot_entry {
	BOOT_ENTRY_LONG_MODE, /* 64-bit, paging on: Linux boot protocol "64-bit boot" */
	BOOT_ENTRY_PVH,	      /* 32-bit protected mode, paging off: PVH start_info in ebx */
};

struct boot_plan {
	enum boot_entry entry;
	uint64_t entry_gpa;
	uint64_t info_gpa; /* boot_params (rsi) or start_info (ebx) */
	uint64_t gdt_gpa;
	uint64_t page_table_gpa;
	struct boot_segment segments[BOOT_MAX_SEGMENTS];
	size_t nr_segments;
	/*
	 * The device tree that the guest gets, for --dump-dtb; owned by the plan. NULL under PVH and
	 * with ACPI tables.
	 */
	void *dtb;
	size_t dtb_len;
	int kernel_fd; /* -1 when closed */
	int initrd_fd;
	char error[BOOT_ERROR_MAX]; /* "what: which: why" after a failure */
};

struct boot_request {
	const char *kernel;  /* path */
	const char *initrd;  /* path or NULL */
	const char *cmdline; /* complete, never NULL */
	const struct machine *machine;
};

/*
 * Opens and checks the images, lays everything out and fills in @plan.
 * Returns 0, or -errno with plan->error set; the plan must be released in either case.
 */
int boot_plan_create(struct boot_plan *plan, const struct boot_request *request);
void boot_plan_destroy(struct boot_plan *plan);

#endif
