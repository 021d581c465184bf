/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "boot/x86_64/bzimage.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "boot/plan_build.h"
#include "boot/x86_64/layout.h"

#define SETUP_HEADER	     0x1f1u /* file offset of struct setup_header */
#define SETUP_HEADER_MAX_END 0x290u /* the zero page continues with other things */
#define SECTOR_SIZE	     512u
#define DEFAULT_SETUP_SECTS  4u /* what a setup_sects of 0 means */

#define ENTRY_64_OFFSET	 0x200u
#define PARAGRAPH	 16u /* unit of syssize */
#define IDENTITY_MAP_END 0x100000000ull

static_assert(offsetof(struct boot_params, hdr) == SETUP_HEADER, "layout of the zero page");

struct payload {
	uint64_t offset; /* in the file */
	uint64_t size;
};

static int fail(struct boot_plan *plan, const struct image *image, const char *why)
{
	return boot_plan_fail(plan, -ENOEXEC, image->what, image->path, "%s", why);
}

/*
 * Reads what the file has of the setup header. Its length is in the second byte of the jump
 * instruction that skips it; fields of @hdr beyond are left alone.
 */
static int read_header(struct boot_plan *plan, const struct image *image, struct setup_header *hdr)
{
	uint8_t raw[SETUP_HEADER_MAX_END - SETUP_HEADER];
	size_t jump_end = offsetof(struct setup_header, header);
	size_t len;

	if (image->size < SETUP_HEADER_MAX_END || image_read(image, SETUP_HEADER, raw, sizeof(raw)))
		return fail(plan, image, "too short for a setup header");
	/* Any disk with partitions has a boot sector; what is in its place of the jump says nothing. */
	if (memcmp(raw + jump_end, "HdrS", 4) != 0)
		return fail(plan, image, "boot sector without a Linux setup header (HdrS)");
	len = jump_end + raw[jump_end - 1];
	if (len < offsetof(struct setup_header, handover_offset))
		return fail(plan, image, "setup header is too short (jump)");
	memcpy(hdr, raw, len < sizeof(*hdr) ? len : sizeof(*hdr));
	return 0;
}

static const char *check_header(const struct setup_header *hdr)
{
	if (hdr->boot_flag != SETUP_HEADER_BOOT_FLAG)
		return "no boot sector signature 0xaa55 (boot_flag)";
	if (hdr->version < SETUP_HEADER_VERSION)
		return "boot protocol is older than 2.12 (version)";
	if (!(hdr->xloadflags & XLF_KERNEL_64))
		return "no 64-bit entry point (xloadflags), as in a kernel for 32-bit x86";
	if (!hdr->kernel_alignment || hdr->kernel_alignment & (hdr->kernel_alignment - 1))
		return "kernel_alignment is not a power of two";
	if (hdr->pref_address & (hdr->kernel_alignment - 1))
		return "pref_address is not aligned to kernel_alignment";
	return NULL;
}

static const char *find_payload(const struct image *image, const struct setup_header *hdr,
				struct payload *payload)
{
	uint64_t sectors = (hdr->setup_sects ? hdr->setup_sects : DEFAULT_SETUP_SECTS) + 1;

	payload->offset = sectors * SECTOR_SIZE;
	payload->size = (uint64_t)hdr->syssize * PARAGRAPH;
	if (payload->offset >= image->size)
		return "file ends before the kernel starts (setup_sects)";
	/* More may follow: a signature for secure boot. */
	if (payload->size > image->size - payload->offset)
		return "file is cut short (syssize)";
	if (payload->size <= ENTRY_64_OFFSET)
		return "kernel is too short for a 64-bit entry point (syssize)";
	if (hdr->init_size < payload->size)
		return "init_size is less than the kernel's size";
	return NULL;
}

/* Whether @range is RAM that the page tables at entry map, above the legacy area. */
static bool fits(const struct memory_map *map, struct machine_range range)
{
	if (range.base < LAYOUT_HIGH_MEMORY || range.base >= IDENTITY_MAP_END ||
	    range.size > IDENTITY_MAP_END - range.base)
		return false;
	for (size_t i = 0; i < map->nr_ram; i++)
		if (machine_range_contains(&map->ram[i], range.base, range.size))
			return true;
	return false;
}

/* Loaded below pref_address a kernel unpacks itself to pref_address all the same. */
static bool find_place(const struct memory_map *map, const struct setup_header *hdr,
		       struct machine_range *place)
{
	uint64_t mask = hdr->kernel_alignment - 1;

	*place = (struct machine_range){ hdr->pref_address, hdr->init_size };
	if (fits(map, *place))
		return true;
	if (!hdr->relocatable_kernel)
		return false;
	for (size_t i = 0; i < map->nr_ram; i++) {
		place->base = (map->ram[i].base + mask) & ~mask;
		if (place->base > hdr->pref_address && fits(map, *place))
			return true;
	}
	return false;
}

int bzimage_load(struct boot_plan *plan, const struct image *image, const struct memory_map *map,
		 struct x86_kernel *kernel)
{
	struct payload payload = { 0 };
	struct setup_header hdr = { 0 };
	const char *reason;
	int ret = read_header(plan, image, &hdr);

	if (ret)
		return ret;
	reason = check_header(&hdr);
	if (!reason)
		reason = find_payload(image, &hdr, &payload);
	if (reason)
		return fail(plan, image, reason);

	*kernel = (struct x86_kernel){
		.entry = BOOT_ENTRY_LONG_MODE,
		.initrd_max = hdr.initrd_addr_max,
		.cmdline_max = hdr.cmdline_size,
	};
	if (!find_place(map, &hdr, &kernel->span))
		return boot_plan_fail(plan, -ENOSPC, image->what, image->path,
				      "needs 0x%" PRIx32 " bytes of RAM at 0x%" PRIx64
				      "%s (init_size, pref_address)",
				      hdr.init_size, (uint64_t)hdr.pref_address,
				      hdr.relocatable_kernel ? " or above" : "");
	kernel->entry_gpa = kernel->span.base + ENTRY_64_OFFSET;
	hdr.code32_start = (uint32_t)kernel->span.base;
	kernel->header = hdr;
	return boot_plan_add_file(plan, image, kernel->span.base, kernel->span.size, payload.offset,
				  payload.size);
}
