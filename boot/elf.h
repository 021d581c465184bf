/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * ELF executables: checks, loadable segments and notes. What they mean to a machine is up to the
 * caller. Every number in the file is taken for hostile.
 */
#ifndef BOOT_ELF_H
#define BOOT_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libelf.h>

#include "boot/image.h"
#include "boot/machine.h"
#include "boot/plan.h"

#define ELF_NOTE_DESC_MAX 8

struct elf_file {
	const struct image *image;
	Elf *elf;	  /* NULL when closed */
	bool is_64;	  /* ELFCLASS64 */
	uint16_t machine; /* EM_* */
	uint64_t entry;	  /* e_entry */
	size_t nr_phdrs;
};

/* The fields of a note, for elf_for_each_note(). */
struct elf_note {
	const char *name; /* of name_len bytes, with the NUL that ought to end it */
	size_t name_len;
	uint32_t type;
	const uint8_t *desc;
	size_t desc_len;
};

/* Returns 0 to go on; anything else ends the walk. */
typedef int (*elf_note_handler)(void *opaque, const struct elf_note *note);

/*
 * Takes @image, whose magic has been seen, for a little-endian executable and checks its headers.
 * Returns 0, or -errno with plan->error set and nothing left open.
 */
int elf_file_open(struct elf_file *file, const struct image *image, struct boot_plan *plan);
void elf_file_close(struct elf_file *file);

/*
 * Adds every PT_LOAD segment at its physical address. @span becomes the range from the first to the
 * last byte of all of them. Whether they overlap is for boot_plan_check() to find.
 * Returns 0, or -errno with plan->error set.
 */
int elf_file_add_segments(const struct elf_file *file, struct boot_plan *plan,
			  struct machine_range *span);

/* Whether @gpa is the physical address of a byte that comes from the file. */
bool elf_file_has_code_at(const struct elf_file *file, uint64_t gpa);

/*
 * Calls @handler for every note. Returns 0, -ENOEXEC with plan->error set for notes that are
 * malformed, or what @handler returned to end the walk.
 */
int elf_for_each_note(const struct elf_file *file, struct boot_plan *plan, elf_note_handler handler,
		      void *opaque);

#endif
