/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "boot/elf.h"

#include <errno.h>
#include <gelf.h>
#include <inttypes.h>
#include <string.h>

#include "boot/plan_build.h"

#define ELF_MAX_PHDRS 64
/* A kernel's notes are some hundred bytes; libelf reads the whole segment into memory. */
#define ELF_MAX_NOTES_SIZE 65536u

static int fail(struct boot_plan *plan, const struct image *image, const char *why)
{
	return boot_plan_fail(plan, -ENOEXEC, image->what, image->path, "%s", why);
}

/* Before libelf sees the file: it would only say that it is none. */
static const char *check_ident(const unsigned char *ident)
{
	if (ident[EI_CLASS] != ELFCLASS32 && ident[EI_CLASS] != ELFCLASS64)
		return "ELF class is neither 32-bit nor 64-bit";
	if (ident[EI_DATA] == ELFDATA2MSB)
		return "big-endian ELF file";
	if (ident[EI_DATA] != ELFDATA2LSB)
		return "ELF data encoding is unknown";
	if (ident[EI_VERSION] != EV_CURRENT)
		return "ELF version is unknown";
	return NULL;
}

static const char *check_header(const struct image *image, const GElf_Ehdr *ehdr)
{
	bool is_64 = ehdr->e_ident[EI_CLASS] == ELFCLASS64;
	size_t phentsize = is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);

	if (ehdr->e_version != EV_CURRENT)
		return "ELF version is unknown (e_version)";
	if (ehdr->e_type != ET_EXEC && ehdr->e_type != ET_DYN)
		return "ELF file is not an executable (e_type)";
	if (!ehdr->e_phnum)
		return "ELF file has no program headers (e_phnum)";
	if (ehdr->e_phnum > ELF_MAX_PHDRS)
		return "ELF file has too many program headers (e_phnum)";
	if (ehdr->e_phentsize != phentsize)
		return "program headers have a wrong size (e_phentsize)";
	if (ehdr->e_phoff > image->size || phentsize * ehdr->e_phnum > image->size - ehdr->e_phoff)
		return "program headers lie beyond the end of the file (e_phoff)";
	return NULL;
}

int elf_file_open(struct elf_file *file, const struct image *image, struct boot_plan *plan)
{
	unsigned char ident[EI_NIDENT];
	const char *reason;
	GElf_Ehdr ehdr;

	*file = (struct elf_file){ .image = image };
	if (image_read(image, 0, ident, sizeof(ident)))
		return fail(plan, image, "ELF header is cut short");
	reason = check_ident(ident);
	if (reason)
		return fail(plan, image, reason);

	elf_version(EV_CURRENT);
	/* ELF_C_READ reads headers only; a mapping could be cut from under us. */
	file->elf = elf_begin(image->fd, ELF_C_READ, NULL);
	if (!file->elf || !gelf_getehdr(file->elf, &ehdr)) {
		elf_file_close(file);
		return boot_plan_fail(plan, -ENOEXEC, image->what, image->path,
				      "malformed ELF file: %s", elf_errmsg(-1));
	}
	reason = check_header(image, &ehdr);
	if (reason) {
		elf_file_close(file);
		return fail(plan, image, reason);
	}
	file->is_64 = ehdr.e_ident[EI_CLASS] == ELFCLASS64;
	file->machine = ehdr.e_machine;
	file->entry = ehdr.e_entry;
	file->nr_phdrs = ehdr.e_phnum;
	return 0;
}

void elf_file_close(struct elf_file *file)
{
	elf_end(file->elf);
	file->elf = NULL;
}

/* Program header @index when it is a @type with something in it. */
static bool get_phdr(const struct elf_file *file, size_t index, uint32_t type, GElf_Phdr *phdr)
{
	return gelf_getphdr(file->elf, (int)index, phdr) && phdr->p_type == type &&
	       (type == PT_LOAD ? phdr->p_memsz : phdr->p_filesz);
}

static bool is_in_file(const struct image *image, const GElf_Phdr *phdr)
{
	return phdr->p_offset <= image->size && phdr->p_filesz <= image->size - phdr->p_offset;
}

static int add_segment(const struct elf_file *file, struct boot_plan *plan, const GElf_Phdr *phdr)
{
	const struct image *image = file->image;

	if (phdr->p_filesz > phdr->p_memsz)
		return boot_plan_fail(plan, -ENOEXEC, image->what, image->path,
				      "segment at 0x%" PRIx64
				      " has more bytes in the file than in memory (p_filesz)",
				      phdr->p_paddr);
	if (!is_in_file(image, phdr))
		return boot_plan_fail(plan, -ENOEXEC, image->what, image->path,
				      "segment at 0x%" PRIx64
				      " lies beyond the end of the file (p_offset, p_filesz)",
				      phdr->p_paddr);
	return boot_plan_add_file(plan, image, phdr->p_paddr, phdr->p_memsz, phdr->p_offset,
				  phdr->p_filesz);
}

int elf_file_add_segments(const struct elf_file *file, struct boot_plan *plan,
			  struct machine_range *span)
{
	uint64_t first = UINT64_MAX;
	uint64_t end = 0;

	for (size_t i = 0; i < file->nr_phdrs; i++) {
		GElf_Phdr phdr;
		int ret;

		if (!get_phdr(file, i, PT_LOAD, &phdr))
			continue;
		ret = add_segment(file, plan, &phdr);
		if (ret)
			return ret;
		if (phdr.p_paddr < first)
			first = phdr.p_paddr;
		if (phdr.p_paddr + phdr.p_memsz > end)
			end = phdr.p_paddr + phdr.p_memsz;
	}
	if (!end)
		return fail(plan, file->image, "ELF file has nothing to load (PT_LOAD)");
	*span = (struct machine_range){ first, end - first };
	return 0;
}

bool elf_file_has_code_at(const struct elf_file *file, uint64_t gpa)
{
	for (size_t i = 0; i < file->nr_phdrs; i++) {
		GElf_Phdr phdr;

		if (get_phdr(file, i, PT_LOAD, &phdr) && gpa >= phdr.p_paddr &&
		    gpa - phdr.p_paddr < phdr.p_filesz)
			return true;
	}
	return false;
}

static int walk_notes(Elf_Data *data, elf_note_handler handler, void *opaque)
{
	size_t offset = 0;

	/* Less than a header at the end is padding. */
	while (data->d_size - offset >= sizeof(Elf32_Nhdr)) {
		const uint8_t *bytes = data->d_buf;
		size_t name_offset, desc_offset;
		struct elf_note note;
		GElf_Nhdr nhdr;
		size_t next = gelf_getnote(data, offset, &nhdr, &name_offset, &desc_offset);
		int ret;

		if (!next || next > data->d_size)
			return -ENOEXEC;
		note = (struct elf_note){
			.name = (const char *)bytes + name_offset,
			.name_len = nhdr.n_namesz,
			.type = nhdr.n_type,
			.desc = bytes + desc_offset,
			.desc_len = nhdr.n_descsz,
		};
		ret = handler(opaque, &note);
		if (ret)
			return ret;
		offset = next;
	}
	return 0;
}

/* NULL when the segment is malformed. The data belong to file->elf. */
static Elf_Data *get_notes(const struct elf_file *file, const GElf_Phdr *phdr)
{
	/* gABI: notes are padded to the segment's alignment, 4 or 8; older linkers say 0 or 1. */
	bool wide = phdr->p_align == 8;

	if ((phdr->p_align > 1 && phdr->p_align != 4 && !wide) ||
	    phdr->p_filesz > ELF_MAX_NOTES_SIZE || !is_in_file(file->image, phdr))
		return NULL;
	return elf_getdata_rawchunk(file->elf, (int64_t)phdr->p_offset, phdr->p_filesz,
				    wide ? ELF_T_NHDR8 : ELF_T_NHDR);
}

int elf_for_each_note(const struct elf_file *file, struct boot_plan *plan, elf_note_handler handler,
		      void *opaque)
{
	for (size_t i = 0; i < file->nr_phdrs; i++) {
		Elf_Data *data;
		GElf_Phdr phdr;
		int ret;

		if (!get_phdr(file, i, PT_NOTE, &phdr))
			continue;
		data = get_notes(file, &phdr);
		ret = data ? walk_notes(data, handler, opaque) : -ENOEXEC;
		if (ret == -ENOEXEC)
			return fail(plan, file->image, "malformed notes (PT_NOTE)");
		if (ret)
			return ret;
	}
	return 0;
}
