# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Guests that come up: CPUs, memory, kernels.

boot_cpus() {
	run_inside cpus "expect=$1" --cpus "$1"
}

case_boot_1_cpu() { boot_cpus 1; }
case_boot_2_cpus() { boot_cpus 2; }
case_boot_4_cpus() { boot_cpus 4; }

case_boot_vmlinux() {
	boot --kernel "$vmlinux" --initrd "$initramfs" --cmdline "quiet test=cpus expect=2" --cpus 2
	expect_status 0
}

# An ELF file that is no Linux and has a PVH note is entered there.
case_boot_pvh() {
	boot --kernel "$top/build/guest/pvh.elf"
	expect_status 0
}

# RAM on both sides of the hole below 4 GiB, with pools between; the upper part is written and read.
case_memory_above_4_gib() {
	make_disk disk 1
	run_inside memory "expect=3900" --memory 4G --restricted-dma --disk disk
	[ "$(guest_value high)" = yes ] || fail "the guest has no memory above 4 GiB"
	expect_confined
}

# The kernel is somewhere else each time, and the pools are where they were.
case_kaslr() {
	local i bases=()
	make_disk disk 1
	for i in 1 2 3; do
		run_inside kaslr "" --restricted-dma --disk disk
		expect_confined
		bases[i]=$(guest_value text)
	done
	[ "${bases[1]}" != "${bases[2]}" ] || [ "${bases[1]}" != "${bases[3]}" ] ||
		fail "three times the same kernel address: ${bases[1]}"
}

# No device tree support: the kernel sees a plain PC and has no use for the pool.
boot_stock() {
	make_disk disk 1
	boot --kernel "$top/build/guest/$1" --initrd "$initramfs" \
		--cmdline "quiet test=exit-code code=17" --restricted-dma --disk disk
	expect_status 17
	expect_report '.devices[0].verdict == "unused"'
}

case_stock_debian_6_1() { boot_stock debian-6.1-bzImage; }
case_stock_debian_6_12() { boot_stock debian-6.12-bzImage; }

# What is typed reaches the guest's shell, and what it prints comes back.
types_at_shell() {
	start_guest --cmdline quiet "$@"
	wait_out '^/ # '
	echo 'echo sum=$((40 + 2)); guest-exit 5' >"$work/in"
	wait_guest
	expect_status 5
	expect_out '^sum=42'
}

case_serial_console() { types_at_shell; }

case_virtio_console() {
	types_at_shell --console virtio --restricted-dma
	expect_report '.devices[0].name == "console0" and .devices[0].counters.requests > 0'
	expect_confined
}

# An ordinary user who may open /dev/kvm needs nothing else.
case_ordinary_user() {
	local copy=$work/home
	[ "$(id -u)" -eq 0 ] || skip "only root can become another user"
	mkdir -m 777 "$copy"
	chmod 755 "$work"
	make_disk "$copy/disk" 1
	chmod 666 "$copy/disk"
	status=0
	setpriv --reuid 65533 --regid 65533 --clear-groups \
		"$minivmm" --kernel "$kernel" --initrd "$initramfs" --timeout "$timeout" \
		--report "$copy/report.json" --restricted-dma --disk "$copy/disk" \
		--cmdline "quiet test=read-disk" </dev/null >"$work/out" 2>"$work/err" || status=$?
	expect_status 0
	mv "$copy/report.json" "$work/report.json"
	expect_confined
}
