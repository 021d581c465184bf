# shellcheck shell=bash disable=SC2034,SC2154,SC2164
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The guest kernels: Debian's kernel source with our configuration. `guest-kernel` is the unpatched
# one; `proposals-kernel` has our patches, and options that only they need.

tarball=/usr/src/linux-source-6.12.tar.xz
configs=("$images/x86_64.defconfig")
patches=()
release=
case $target in
guest-kernel)
	links=(guest/bzImage guest/vmlinux)
	;;
proposals-kernel)
	links=(guest/proposals-bzImage)
	release=-proposals
	configs+=("$images/proposals.config")
	patches=("$images"/patches/*.patch)
	;;
esac

recipe_inputs() {
	hash_files "${configs[@]}" "${patches[@]}"
	hash_packages linux-source-6.12 gcc binutils
}

# Kconfig drops without a word what it does not know or what depends on something that is off.
verify_config() {
	local config=$1 line name lost=0
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
	local out=$PWD link patch config
	cd "$work"
	run_logged "unpacking the kernel source" tar xf "$tarball"
	cd linux-source-6.12
	for patch in "${patches[@]}"; do
		run_logged "applying ${patch##*/}" patch --batch --fuzz=0 -p1 -i "$patch"
	done
	cat "${configs[@]}" >.config
	run_logged "configuring" make olddefconfig
	for config in "${configs[@]}"; do
		verify_config "$config"
	done

	# The same inputs give the same bytes.
	export KBUILD_BUILD_TIMESTAMP='1970-01-01 UTC' KBUILD_BUILD_USER=minivmm
	export KBUILD_BUILD_HOST=minivmm KBUILD_BUILD_VERSION=1 LOCALVERSION=$release
	run_logged "compiling the kernel" make "-j$(nproc)" bzImage
	for link in "${links[@]}"; do
		case $link in
		*bzImage) cp arch/x86/boot/bzImage "$out/${link##*/}" ;;
		*vmlinux) strip --strip-debug -o "$out/${link##*/}" vmlinux ;;
		esac
	done
	cd "$out"
}
