/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "tests/fuzz/kernel_plan.h"

#include <string.h>

#include "boot/arch.h"
#include "boot/plan.h"
#include "tests/unit/test_boot_support.h"

#define CMDLINE_MAX 3000

static uint64_t read_number(const uint8_t *at, unsigned int bytes)
{
	uint64_t value = 0;

	memcpy(&value, at, bytes);
	return value;
}

void kernel_patch(struct fuzz_input *in, uint8_t *file, size_t size,
		  const struct kernel_field *fields, size_t nr_fields)
{
	for (unsigned int patches = fuzz_u8(in) & 15; patches; patches--) {
		const uint8_t how = fuzz_u8(in);
		const struct kernel_field *field = &fields[(how & 0x3f) % nr_fields];
		uint64_t value;

		if (how >> 6 == 3) {
			file[fuzz_u16(in) % size] = fuzz_u8(in);
			continue;
		}
		value = how & 0x80 ? read_number(file + field->offset, field->bytes) +
					     (uint64_t)(int8_t)fuzz_u8(in)
				   : fuzz_number(in);
		memcpy(file + field->offset, &value, field->bytes);
	}
}

static bool in_ram(const struct machine *machine, uint64_t base, uint64_t size)
{
	for (size_t i = 0; i < machine->nr_ram; i++)
		if (machine_range_contains(&machine->ram[i], base, size))
			return true;
	return false;
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

static void check_segment(const struct boot_plan *plan, size_t i, const struct machine *machine,
			  uint64_t file_size)
{
	const struct boot_segment *segment = &plan->segments[i];

	fuzz_check(segment->mem_len && segment->len <= segment->mem_len);
	fuzz_check(in_ram(machine, segment->gpa, segment->mem_len), "%s is not in RAM",
		   segment->what);
	if (!segment->data)
		fuzz_check(segment->offset <= file_size &&
				   segment->len <= file_size - segment->offset,
			   "%s is beyond the file", segment->what);
	for (size_t j = 0; j < i; j++)
		fuzz_check(!overlap(segment->gpa, segment->mem_len, plan->segments[j].gpa,
				    plan->segments[j].mem_len),
			   "%s overlaps %s", segment->what, plan->segments[j].what);
}

/* The first instruction comes from the kernel's file. */
static void check_entry(const struct boot_plan *plan)
{
	bool found = false;

	for (size_t i = 0; i < plan->nr_segments; i++) {
		const struct boot_segment *segment = &plan->segments[i];

		found |= !segment->data && plan->entry_gpa >= segment->gpa &&
			 plan->entry_gpa - segment->gpa < segment->len;
	}
	fuzz_check(found, "starts at %#llx", (unsigned long long)plan->entry_gpa);
}

static void check_error(const struct boot_plan *plan)
{
	fuzz_check(plan->error[0] && memchr(plan->error, 0, sizeof(plan->error)), "no error");
	for (const char *c = plan->error; *c; c++)
		fuzz_check((unsigned char)*c >= ' ', "more than a line");
}

void kernel_plan(struct fuzz_input *in, int fd, uint64_t size)
{
	static char cmdline[CMDLINE_MAX + 1];
	const uint8_t how = fuzz_u8(in);
	const struct machine machine = how & 1 ? test_pci_machine() : test_machine();
	const struct boot_request request = { "kernel", NULL, cmdline, &machine };
	const struct image kernel = { "kernel", "kernel", fd, size };
	const struct image initrd = { "initrd", "initrd", fd, size };
	struct boot_plan plan = { .kernel_fd = -1, .initrd_fd = -1 };
	const size_t len = how & 2 ? fuzz_u16(in) % CMDLINE_MAX : how >> 3;
	int ret;

	memset(cmdline, 'x', len);
	cmdline[len] = '\0';
	ret = boot_arch_plan(&plan, &request, &kernel, how & 4 ? &initrd : NULL);
	fuzz_check(ret <= 0);
	if (ret) {
		check_error(&plan);
	} else {
		for (size_t i = 0; i < plan.nr_segments; i++)
			check_segment(&plan, i, &machine, size);
		check_entry(&plan);
	}
	boot_plan_destroy(&plan);
}
