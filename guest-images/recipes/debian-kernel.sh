# shellcheck shell=bash disable=SC2034,SC2154,SC2164
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Debian's own kernels for virtual machines, as guests that know nothing of restricted pools.

links=("guest/$target-bzImage")
case $target in
debian-6.12) meta=linux-image-6.12-cloud-amd64 ;;
debian-6.1) meta=linux-image-cloud-amd64 ;;
*) die "guest-images: $target: no such target (see --help)" ;;
esac

recipe_inputs() {
	find_kernel_package "$meta"
}

recipe_make() {
	local package version
	read -r package version <inputs
	unpack_package "$package" "$version"
	cp "$work"/root/boot/vmlinuz-* "$target-bzImage"
}
