# shellcheck shell=bash disable=SC2034,SC2154,SC2164
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The emulated KVM host: Debian's kernel (the generic one: the cloud flavour has no 9p) and an
# initrd that loads a few modules and hands over to the file system of the machine outside.

links=(host/vmlinuz host/initrd)
meta=linux-image-6.12-amd64

# In the order of loading; what they depend on is found by modprobe. The last three are what tests of
# the network have instead of one.
modules=(9pnet_virtio 9p kvm-amd loop tun dummy veth)

recipe_inputs() {
	find_kernel_package "$meta"
	hash_packages busybox-static
	hash_files "$images/host/init" "$images/pack-cpio"
}

recipe_make() {
	local package version root=$work/initrd
	read -r package version <inputs
	unpack_package "$package" "$version"
	mkdir -p "$root"/{bin,dev,new,proc,sys}
	cp /bin/busybox "$root/bin/"
	ln -s busybox "$root/bin/sh"
	cp "$images/host/init" "$root/init"
	collect_modules "$root" "${modules[@]}"
	"$images/pack-cpio" "$root" >initrd
	cp "$work"/root/boot/vmlinuz-* vmlinuz
}
