# shellcheck shell=bash disable=SC2034,SC2154,SC2164
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Bare-metal test guests: build/guest/NAME.elf, entered in 64-bit mode or by PVH.

links=(guest/hostile.elf guest/virtio-blk.elf guest/virtio-pci.elf guest/pvh.elf)
# No library, no start files, nothing that needs a stack or registers of a hosted program.
flags=(-std=gnu17 -O2 -Wall -Wextra -Werror -ffreestanding -nostdlib -static -no-pie -fno-pie
	-fno-stack-protector -fno-asynchronous-unwind-tables -mno-red-zone -mgeneral-regs-only
	-Wl,-Ttext-segment=0x1000000,--build-id=none -I"$top")

recipe_inputs() {
	hash_files "$images"/payloads/*.[chS] "$images"/payloads/*/*.[chS]
	hash_packages gcc
}

recipe_make() {
	local from=$images/payloads
	local common=("$from/start.S" "$from/support.c" "$from/option.c")
	run_logged "compiling virtio-blk" gcc "${flags[@]}" -o virtio-blk.elf "${common[@]}" \
		"$from/virtio-blk.c"
	run_logged "compiling virtio-pci" gcc "${flags[@]}" -o virtio-pci.elf "${common[@]}" \
		"$from"/virtio-pci/*.[cS]
	# Of virtio-pci what is no scenario: configuration space, capabilities, interrupts.
	run_logged "compiling hostile" gcc "${flags[@]}" -o hostile.elf "${common[@]}" \
		"$from"/hostile/*.[cS] "$from"/virtio-pci/{block,device,entry,interrupt,pci,pool}.[cS]
	run_logged "compiling pvh" gcc "${flags[@]}" -o pvh.elf "$from/pvh.S"
}
