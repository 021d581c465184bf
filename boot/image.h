/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Files with something to boot: opening them without trusting what the path leads to, and telling
 * kernel formats apart.
 */
#ifndef BOOT_IMAGE_H
#define BOOT_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "boot/plan.h"

struct image {
	const char *what; /* "kernel" or "initrd" */
	const char *path;
	int fd;
	uint64_t size; /* bytes, never 0 */
};

enum image_format {
	IMAGE_UNKNOWN,
	IMAGE_BZIMAGE, /* x86, or at least it has a boot sector's signature */
	IMAGE_ELF,
	IMAGE_ARM64,
	IMAGE_RISCV,
	IMAGE_EFI_ZBOOT,
	IMAGE_EFI_PE,
	IMAGE_COMPRESSED,
	IMAGE_CPIO,
	IMAGE_DISK, /* with a format of its own: qcow2 and its like */
	IMAGE_UBOOT,
	IMAGE_DEVICE_TREE,
};

/*
 * Opens @path, which must be a regular file that is not empty; never waits, also not for a FIFO.
 * Returns 0 with the descriptor the caller's, or -errno with plan->error set and image->fd -1.
 */
int image_open(struct image *image, const char *what, const char *path, struct boot_plan *plan);

/*
 * Fails with -ESTALE and plan->error set when the file is no longer as long as it was when opened.
 */
int image_check_size(const struct image *image, struct boot_plan *plan);

/* Reads exactly @len bytes. Returns 0, -ENODATA when the file ends before, or -errno. */
int image_read(const struct image *image, uint64_t offset, void *buf, size_t len);

/* Looks at the first bytes of the file. Returns 0 and sets @format, or -errno with plan->error set.
 */
int image_identify(const struct image *image, enum image_format *format, struct boot_plan *plan);

/* In words for an error message, for example "an arm64 Image". */
const char *image_format_name(enum image_format format);

#endif
