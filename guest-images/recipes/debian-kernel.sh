# shellcheck shell=bash disable=SC2034,SC2154,SC2164
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Debian's own kernels for virtual machines, as guests that know nothing of restricted pools; and an
# initramfs with nothing but their virtio drivers, which they have as modules. It goes behind ours.

links=("guest/$target-bzImage" "guest/$target-modules.cpio")
case $target in
debian-6.12) meta=linux-image-6.12-cloud-amd64 ;;
debian-6.1) meta=linux-image-cloud-amd64 ;;
*) die "guest-images: $target: no such target (see --help)" ;;
esac

# In the order of loading; what they depend on is found by modprobe.
modules=(virtio_pci virtio_blk virtio_console virtio-rng virtio_net vmw_vsock_virtio_transport virtiofs)

recipe_inputs() {
	find_kernel_package "$meta"
	hash_files "$images/pack-cpio"
}

recipe_make() {
	local package version root=$work/initrd
	read -r package version <inputs
	unpack_package "$package" "$version"
	cp "$work"/root/boot/vmlinuz-* "$target-bzImage"
	mkdir "$root"
	collect_modules "$root" "${modules[@]}"
	"$images/pack-cpio" "$root" >"$target-modules.cpio"
}
