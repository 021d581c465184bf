# shellcheck shell=bash disable=SC2034,SC2154,SC2164
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The initramfs of the test guest: busybox, our init and its helpers, our static tools, and the
# tests that run inside. Uncompressed: unpacking would be most of a small guest's boot.

links=(guest/initramfs.cpio)
shopt -s nullglob
skeleton=("$images"/initramfs/init "$images"/initramfs/bin/*)
tools=("$images"/tools/*.c)
tests=("$top"/tests/guest/inside/*)

recipe_inputs() {
	hash_files "${skeleton[@]}" "${tools[@]}" "${tests[@]}" "$images/pack-cpio"
	hash_packages busybox-static
	[ ${#tools[@]} -eq 0 ] || hash_packages gcc libc6-dev
}

recipe_make() {
	local out=$PWD root=$work/root tool applet
	mkdir -p "$root"/{bin,dev,proc,run,sbin,sys,tests,tmp}
	cp /bin/busybox "$root/bin/"
	while IFS= read -r applet; do
		[ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"
	done < <(/bin/busybox --list)
	cp "$images/initramfs/init" "$root/"
	cp "$images"/initramfs/bin/* "$root/bin/"
	for tool in "${tools[@]}"; do
		run_logged "compiling ${tool##*/}" gcc -std=gnu17 -static -O2 -Wall -Wextra -s \
			-o "$root/bin/$(basename "$tool" .c)" "$tool"
	done
	[ ${#tests[@]} -eq 0 ] || cp "${tests[@]}" "$root/tests/"
	"$images/pack-cpio" "$root" >"$out/initramfs.cpio"
}
