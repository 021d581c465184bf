/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "boot/image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/plan_build.h"

/* Reaches to the end of the last signature below. */
#define IMAGE_HEAD_SIZE 0x206

static const char *check_file(const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		return "is a directory";
	if (!S_ISREG(st->st_mode))
		return "not a regular file";
	if (st->st_size <= 0)
		return "is empty";
	return NULL;
}

int image_open(struct image *image, const char *what, const char *path, struct boot_plan *plan)
{
	const char *reason;
	struct stat st;
	int err;

	*image = (struct image){ .what = what, .path = path, .fd = -1 };
	/* O_NONBLOCK: opening a FIFO without a writer must not hang. Regular files ignore it. */
	image->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (image->fd < 0) {
		err = -errno;
		return boot_plan_fail(plan, err, what, path, "%s", strerror(-err));
	}
	if (fstat(image->fd, &st)) {
		err = -errno;
		reason = strerror(-err);
	} else {
		err = -EINVAL;
		reason = check_file(&st);
	}
	if (reason) {
		close(image->fd);
		image->fd = -1;
		return boot_plan_fail(plan, err, what, path, "%s", reason);
	}
	image->size = (uint64_t)st.st_size;
	return 0;
}

int image_check_size(const struct image *image, struct boot_plan *plan)
{
	struct stat st;

	if (fstat(image->fd, &st) || (uint64_t)st.st_size != image->size)
		return boot_plan_fail(plan, -ESTALE, image->what, image->path,
				      "changed while it was read: was %" PRIu64 " bytes long",
				      image->size);
	return 0;
}

int image_read(const struct image *image, uint64_t offset, void *buf, size_t len)
{
	uint8_t *to = buf;

	if (offset > image->size || len > image->size - offset)
		return -ENODATA;
	while (len) {
		ssize_t n = pread(image->fd, to, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		to += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* In order of precedence: a kernel that is also a PE file starts with that format's "MZ". */
static const struct {
	enum image_format format;
	uint16_t offset;
	uint8_t len;
	char magic[6];
} signatures[] = {
	{ IMAGE_ELF, 0, 4, "\177ELF" },
	{ IMAGE_EFI_ZBOOT, 4, 4, "zimg" },
	{ IMAGE_ARM64, 56, 4, "ARM\x64" },
	{ IMAGE_RISCV, 56, 4, "RSC\x05" },
	{ IMAGE_BZIMAGE, 0x202, 4, "HdrS" },
	{ IMAGE_BZIMAGE, 0x1fe, 2, "\x55\xaa" },
	{ IMAGE_EFI_PE, 0, 2, "MZ" },
	{ IMAGE_COMPRESSED, 0, 2, "\x1f\x8b" },		/* gzip */
	{ IMAGE_COMPRESSED, 0, 6, "\xfd\x37zXZ" },	/* xz, with its NUL */
	{ IMAGE_COMPRESSED, 0, 4, "\x28\xb5\x2f\xfd" }, /* zstd */
	{ IMAGE_COMPRESSED, 0, 4, "\x02\x21\x4c\x18" }, /* lz4, as Linux uses it */
	{ IMAGE_COMPRESSED, 0, 3, "BZh" },		/* bzip2 */
	{ IMAGE_COMPRESSED, 0, 3, "\x5d\x00\x00" },	/* lzma */
	{ IMAGE_COMPRESSED, 0, 4, "\x89LZO" },		/* lzop */
	{ IMAGE_CPIO, 0, 5, "07070" },			/* 1 or 2 follows */
	{ IMAGE_DISK, 0, 4, "QFI\xfb" },		/* qcow2 */
	{ IMAGE_DISK, 0, 4, "KDMV" },			/* VMDK */
	{ IMAGE_DISK, 0, 6, "vhdxfi" },
	{ IMAGE_UBOOT, 0, 4, "\x27\x05\x19\x56" },
	{ IMAGE_DEVICE_TREE, 0, 4, "\xd0\x0d\xfe\xed" }, /* also of a FIT image */
};

int image_identify(const struct image *image, enum image_format *format, struct boot_plan *plan)
{
	uint8_t head[IMAGE_HEAD_SIZE];
	size_t len = image->size < sizeof(head) ? image->size : sizeof(head);
	int ret = image_read(image, 0, head, len);

	if (ret)
		return boot_plan_fail(plan, ret, image->what, image->path, "cannot be read: %s",
				      strerror(-ret));
	*format = IMAGE_UNKNOWN;
	for (size_t i = 0; i < sizeof(signatures) / sizeof(signatures[0]); i++) {
		if ((size_t)signatures[i].offset + signatures[i].len > len ||
		    memcmp(head + signatures[i].offset, signatures[i].magic, signatures[i].len))
			continue;
		*format = signatures[i].format;
		break;
	}
	return 0;
}

const char *image_format_name(enum image_format format)
{
	switch (format) {
	case IMAGE_BZIMAGE:
		return "an x86 bzImage";
	case IMAGE_ELF:
		return "an ELF file";
	case IMAGE_ARM64:
		return "an arm64 Image";
	case IMAGE_RISCV:
		return "a RISC-V Image";
	case IMAGE_EFI_ZBOOT:
		return "an EFI zboot image, in which the kernel is packed";
	case IMAGE_EFI_PE:
		return "an EFI application, which firmware starts";
	case IMAGE_COMPRESSED:
		return "a compressed file, to be unpacked first";
	case IMAGE_CPIO:
		return "an initial RAM disk";
	case IMAGE_DISK:
		return "a disk image";
	case IMAGE_UBOOT:
		return "an image for U-Boot";
	case IMAGE_DEVICE_TREE:
		return "a device tree";
	case IMAGE_UNKNOWN:
		break;
	}
	return "in no known format";
}
