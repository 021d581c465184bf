# shellcheck shell=bash disable=SC2034,SC2154,SC2164
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The guest kernel: Debian's kernel source with our configuration.

links=(guest/bzImage guest/vmlinux)
config=$images/x86_64.defconfig
tarball=/usr/src/linux-source-6.12.tar.xz

recipe_inputs() {
	hash_files "$config"
	hash_packages linux-source-6.12 gcc binutils
}

# Kconfig drops without a word what it does not know or what depends on something that is off.
verify_config() {
	local line name lost=0
	while IFS= read -r line; do
		name=$(sed -nE 's/^(# )?(CONFIG_[A-Za-z0-9_]+)(=.*| is not set)$/\2/p' <<<"$line")
		[ -n "$name" ] || continue
		case $line in
		# An option that cannot even be chosen is not mentioned in the result.
		'# '*) grep -q "^$name=" .config || continue ;;
		*) ! grep -qxF "$line" .config || continue ;;
		esac
		printf '%s: %s: did not survive olddefconfig\n' "${config#"$top"/}" "$line" >&2
		lost=1
	done <"$config"
	[ "$lost" -eq 0 ] || exit 1
}

recipe_make() {
	local out=$PWD
	cd "$work"
	run_logged "unpacking the kernel source" tar xf "$tarball"
	cd linux-source-6.12
	cp "$config" .config
	run_logged "configuring" make olddefconfig
	verify_config

	# The same inputs give the same bytes.
	export KBUILD_BUILD_TIMESTAMP='1970-01-01 UTC' KBUILD_BUILD_USER=minivmm
	export KBUILD_BUILD_HOST=minivmm KBUILD_BUILD_VERSION=1
	run_logged "compiling the kernel" make "-j$(nproc)" bzImage vmlinux
	cp arch/x86/boot/bzImage "$out/bzImage"
	strip --strip-debug -o "$out/vmlinux" vmlinux
	cd "$out"
}
