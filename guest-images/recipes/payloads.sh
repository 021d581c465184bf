# shellcheck shell=bash disable=SC2034,SC2154,SC2164
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Bare-metal test guests: each payloads/NAME.c becomes build/guest/NAME.elf, entered in 64-bit mode.

links=(guest/virtio-blk.elf)

recipe_inputs() {
	hash_files "$images"/payloads/*
	hash_packages gcc
}

recipe_make() {
	local link name
	for link in "${links[@]}"; do
		name=$(basename "$link" .elf)
		run_logged "compiling $name" gcc -std=gnu17 -O2 -Wall -Wextra -Werror -ffreestanding \
			-nostdlib -static -no-pie -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables \
			-mno-red-zone -mgeneral-regs-only -Wl,-Ttext-segment=0x1000000,--build-id=none \
			-o "$name.elf" "$images/payloads/start.S" "$images/payloads/option.c" \
			"$images/payloads/$name.c"
	done
}
