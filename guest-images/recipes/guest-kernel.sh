# shellcheck shell=bash disable=SC2034,SC2154,SC2164
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The guest kernels: Debian's kernel source with our configuration. The first is unpatched. Then the
# same tree gets our patches, and the option that they bring, and make compiles what that changes.

tarball=/usr/src/linux-source-6.12.tar.xz
config=$images/x86_64.defconfig
proposals=$images/proposals.config
patches=("$images"/patches/*.patch)
links=(guest/bzImage guest/vmlinux guest/proposals-bzImage)

recipe_inputs() {
	hash_files "$config" "$proposals" "${patches[@]}"
	hash_packages linux-source-6.12 gcc binutils
}

# Kconfig drops without a word what it does not know or what depends on something that is off.
verify_config() {
	local file=$1 line name lost=0
	while IFS= read -r line; do
		name=$(sed -nE 's/^(# )?(CONFIG_[A-Za-z0-9_]+)(=.*| is not set)$/\2/p' <<<"$line")
		[ -n "$name" ] || continue
		case $line in
		# An option that cannot even be chosen is not mentioned in the result.
		'# '*) grep -q "^$name=" .config || continue ;;
		*) ! grep -qxF "$line" .config || continue ;;
		esac
		printf '%s: %s: did not survive olddefconfig\n' "${file#"$top"/}" "$line" >&2
		lost=1
	done <"$file"
	[ "$lost" -eq 0 ] || exit 1
}

# make_kernel WHICH RELEASE CONFIG...: arch/x86/boot/bzImage and vmlinux.
make_kernel() {
	local which=$1 release=$2 file
	shift 2
	cat "$@" >.config
	run_logged "configuring the $which" make olddefconfig
	for file; do
		verify_config "$file"
	done
	LOCALVERSION=$release run_logged "compiling the $which" make "-j$(nproc)" bzImage
}

recipe_make() {
	local out=$PWD patch
	cd "$work"
	run_logged "unpacking the kernel source" tar xf "$tarball"
	cd linux-source-6.12
	# The same inputs give the same bytes.
	export KBUILD_BUILD_TIMESTAMP='1970-01-01 UTC' KBUILD_BUILD_USER=minivmm
	export KBUILD_BUILD_HOST=minivmm KBUILD_BUILD_VERSION=1
	make_kernel "kernel" "" "$config"
	cp arch/x86/boot/bzImage "$out/bzImage"
	strip --strip-debug -o "$out/vmlinux" vmlinux

	for patch in "${patches[@]}"; do
		run_logged "applying ${patch##*/}" patch --batch --fuzz=0 -p1 -i "$patch"
	done
	make_kernel "kernel with our patches" -proposals "$config" "$proposals"
	cp arch/x86/boot/bzImage "$out/proposals-bzImage"
	cd "$out"
}
