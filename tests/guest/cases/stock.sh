# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Debian's own kernels, which know neither device trees nor any of the proposals: with ACPI tables and
# virtio-pci they are ordinary guests, with a pool they are told why not.

# stock VERSION ARG...: with the kernel's drivers, which are modules, behind our initramfs.
stock() {
	local debian=$top/build/guest/debian-$1
	shift
	cat "$initramfs" "$debian-modules.cpio" >initrd
	boot --kernel "$debian-bzImage" --initrd initrd "$@"
}

# What Linux says when it does not like the tables, or cannot use what they describe.
expect_no_complaint() {
	# amd_pstate looks for a table that only a host's firmware has.
	! grep -av amd_pstate "$work/out" | grep -aE 'ACPI (BIOS )?(Error|Warning)|ACPI: .*(rror|nvalid)|Firmware Bug|\[Firmware|PCI: .*(fail|conflict)|BUG:|WARNING:' \
		>"$work/complaints" || fail "the guest complains: $(head -n 3 "$work/complaints")"
}

stock_disks() {
	local version=$1 read_sum
	make_disk disk 8
	make_disk scratch 8
	read_sum=$(sum_of disk)
	stock "$version" --cmdline "test=disk-checksums fill=no mib=8" --cpus "$2" \
		--transport pci --rng --disk disk --disk scratch
	expect_status 0
	[ "$(guest_value read)" = "$read_sum" ] || fail "the guest read something else"
	[ "$(guest_value written)" = "$(sum_of scratch)" ] || fail "the guest wrote something else"
	expect_no_complaint
	expect_report '[.devices[0, 1].verdict == "unrestricted"] | all'
}

case_stock_6_12_disks() { stock_disks 6.12 2; }
case_stock_6_1_disks() { stock_disks 6.1 2; }

# Power-off and reset come from the ACPI tables.
stock_ends() {
	stock "$1" --cmdline "quiet test=end how=poweroff" --transport pci --rng
	expect_status 0
	stock "$1" --cmdline "quiet test=end how=reboot reboot=acpi" --transport pci --rng
	expect_status 100
}

case_stock_6_12_ends() { stock_ends 6.12; }
case_stock_6_1_ends() { stock_ends 6.1; }

case_stock_6_12_virtio_console() {
	stock 6.12 --cmdline "quiet test=cpus expect=4" --cpus 4 --transport pci --console virtio
	expect_status 0
	expect_report '.devices[0].name == "console0" and .devices[0].counters.requests > 0'
}
