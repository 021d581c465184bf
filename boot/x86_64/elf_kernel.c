/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "boot/x86_64/elf_kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "boot/elf.h"
#include "boot/plan_build.h"
#include "boot/x86_64/layout.h"

/* Xen, public/elfnote.h: XEN_ELFNOTE_PHYS32_ENTRY, a 32-bit or 64-bit physical address. */
#define PVH_NOTE_NAME "Xen"
#define PVH_NOTE_TYPE 18

/* Linux: COMMAND_LINE_SIZE - 1 and LOAD_PHYSICAL_ADDR of arch/x86; a vmlinux has no header to say
 * so. */
#define LINUX_CMDLINE_MAX 2047
#define LINUX_ALIGNMENT	  0x1000000

struct notes {
	bool is_linux;
	size_t nr_pvh;
	bool pvh_valid;
	uint64_t pvh_entry;
};

static bool note_has_name(const struct elf_note *note, const char *name)
{
	size_t len = strlen(name) + 1;

	return note->name_len == len && !memcmp(note->name, name, len);
}

static int collect_note(void *opaque, const struct elf_note *note)
{
	struct notes *notes = opaque;

	if (note_has_name(note, "Linux"))
		notes->is_linux = true;
	if (!note_has_name(note, PVH_NOTE_NAME) || note->type != PVH_NOTE_TYPE)
		return 0;
	notes->nr_pvh++;
	notes->pvh_valid = note->desc_len == 4 || note->desc_len == 8;
	if (notes->pvh_valid)
		memcpy(&notes->pvh_entry, note->desc, note->desc_len);
	return 0;
}

static int fail(struct boot_plan *plan, const struct image *image, const char *why)
{
	return boot_plan_fail(plan, -ENOEXEC, image->what, image->path, "%s", why);
}

/* The rule in the header. */
static int choose_entry(const struct elf_file *file, struct boot_plan *plan,
			struct x86_kernel *kernel)
{
	struct notes notes = { 0 };
	int ret = elf_for_each_note(file, plan, collect_note, &notes);

	if (ret)
		return ret;
	if (file->is_64 && (notes.is_linux || !notes.nr_pvh)) {
		kernel->entry = BOOT_ENTRY_LONG_MODE;
		kernel->entry_gpa = file->entry;
		return 0;
	}
	if (!notes.nr_pvh)
		return fail(plan, file->image,
			    "32-bit ELF file without a PVH entry note; a Linux must be 64-bit");
	if (notes.nr_pvh > 1)
		return fail(plan, file->image, "more than one PVH entry note");
	if (!notes.pvh_valid)
		return fail(plan, file->image, "PVH entry note is neither 4 nor 8 bytes long");
	kernel->entry = BOOT_ENTRY_PVH;
	kernel->entry_gpa = notes.pvh_entry;
	return 0;
}

static int load(const struct elf_file *file, struct boot_plan *plan, struct x86_kernel *kernel)
{
	int ret;

	if (file->machine != (file->is_64 ? EM_X86_64 : EM_386))
		return fail(plan, file->image,
			    "ELF file is for another machine than x86 (e_machine)");
	ret = choose_entry(file, plan, kernel);
	if (ret)
		return ret;
	ret = elf_file_add_segments(file, plan, &kernel->span);
	if (ret)
		return ret;
	if (kernel->entry_gpa > UINT32_MAX)
		return boot_plan_fail(plan, -ENOEXEC, file->image->what, file->image->path,
				      "entry point 0x%" PRIx64 " is above 4 GiB",
				      kernel->entry_gpa);
	if (!elf_file_has_code_at(file, kernel->entry_gpa))
		return boot_plan_fail(plan, -ENOEXEC, file->image->what, file->image->path,
				      "entry point 0x%" PRIx64
				      " is outside every loaded segment's file content",
				      kernel->entry_gpa);
	return 0;
}

int elf_kernel_load(struct boot_plan *plan, const struct image *image, struct x86_kernel *kernel)
{
	struct elf_file file;
	int ret;

	*kernel = (struct x86_kernel){
		.initrd_max = LAYOUT_LOW_RAM_END - 1,
		.cmdline_max = LINUX_CMDLINE_MAX,
		.header = {
			.boot_flag = SETUP_HEADER_BOOT_FLAG,
			.header = SETUP_HEADER_MAGIC,
			.version = SETUP_HEADER_VERSION,
			.kernel_alignment = LINUX_ALIGNMENT,
			.cmdline_size = LINUX_CMDLINE_MAX,
			.initrd_addr_max = LAYOUT_LOW_RAM_END - 1,
		},
	};
	ret = elf_file_open(&file, image, plan);
	if (ret)
		return ret;
	ret = load(&file, plan, kernel);
	if (!ret && kernel->entry == BOOT_ENTRY_PVH)
		kernel->cmdline_max = LAYOUT_CMDLINE_MAX - 1;
	elf_file_close(&file);
	return ret;
}
