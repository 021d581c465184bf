/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* bzImages: a good one with some of its fields changed, or cut short. */
#include <stddef.h>

#include <asm/bootparam.h>

#include "tests/fuzz/host.h"
#include "tests/fuzz/kernel_plan.h"
#include "tests/unit/test_boot_support.h"

#define FIELD(name)                                                                      \
	{                                                                                \
		offsetof(struct boot_params, hdr) + offsetof(struct setup_header, name), \
			sizeof(((struct setup_header *)0)->name)                         \
	}

static const struct kernel_field fields[] = {
	FIELD(setup_sects),
	FIELD(syssize),
	FIELD(boot_flag),
	FIELD(jump),
	FIELD(header),
	FIELD(version),
	FIELD(loadflags),
	FIELD(initrd_addr_max),
	FIELD(kernel_alignment),
	FIELD(relocatable_kernel),
	FIELD(xloadflags),
	FIELD(cmdline_size),
	FIELD(pref_address),
	FIELD(init_size),
	FIELD(setup_data),
	FIELD(payload_offset),
	FIELD(payload_length),
	FIELD(kernel_info_offset),
	{ 0, 4 },
	{ 4, 4 },
	{ 56, 4 },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct host_snapshot nothing;
	static uint8_t *file;
	struct fuzz_input in = { data, size };
	uint8_t how;

	host_begin(&nothing);
	file = host_disk_bytes();
	test_bzimage_init(file);
	kernel_patch(&in, file, TEST_BZIMAGE_SIZE, fields, sizeof(fields) / sizeof(fields[0]));
	how = fuzz_u8(&in);
	host_disk.size = how & 1 ? 1 + fuzz_u16(&in) % TEST_BZIMAGE_SIZE : TEST_BZIMAGE_SIZE;
	/* The file may be shorter than it was when it was opened. */
	kernel_plan(&in, host_open(HOST_DISK), host_disk.size + (how & 2 ? how >> 2 : 0));
	return 0;
}
