# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# What a disk can do besides reading and writing, and what --disk lets the user choose.

# Space of a file, in KiB.
space_of() {
	du -k "$1" | cut -f1
}

# zero_parts FILE OFFSET:MIB...: makes zeroes of them, in MiB.
zero_parts() {
	local file=$1 part
	shift
	for part; do
		dd if=/dev/zero of="$file" bs=1M seek="${part%:*}" count="${part#*:}" conv=notrunc status=none
	done
}

# The guest makes zeroes of three parts of a disk; on another one files come and go.
case_disk_discard() {
	local before
	make_disk disk 16
	make_disk scratch 16
	cp disk expected
	zero_parts expected 1:3 5:2 8:2
	before=$(space_of disk)
	run_inside disk-discard "" --disk disk --disk scratch,transport=pci --restricted-dma
	expect_confined
	expect_report '[.devices[].counters.request_errors] | add == 0'
	[ "$(guest_value limits)" = "4096 $((256 << 20)) $((32 << 20))" ] || fail "limits: $(guest_value limits)"
	[ "$(guest_value sum)" = "$(sum_of expected)" ] || fail "the guest read something else"
	cmp disk expected || fail "disk is not what the guest made of it"
	[ $((before - $(space_of disk))) -ge $((5 << 10)) ] || fail "of $before KiB $(space_of disk) are left"
	# A file of 2 MiB is left, and the file system's own blocks.
	[ "$(space_of scratch)" -lt $((4 << 10)) ] || fail "scratch has $(space_of scratch) KiB"
}

# disk_copy OPTIONS FROM TO ARG...: four CPUs copy a quarter each of 8 MiB, past the guest's page cache.
# One of the disks is behind each transport.
disk_copy() {
	local options=$1 from=$2 to=$3
	shift 3
	run_inside disk-copy mib=8 --cpus 4 --disk "$from,$options" --disk "$to,$options,transport=pci" "$@"
	cmp "$from" "$to" || fail "it is no copy"
}

case_disk_queues() {
	make_disk disk 8
	make_disk scratch 8
	disk_copy queues=4,queue-size=32 disk scratch --restricted-dma
	expect_confined
	[ "$(guest_value queues)" = "4 4" ] || fail "queues: $(guest_value queues)"
	[ "$(guest_value requests)" = "32 32" ] || fail "queue sizes: $(guest_value requests)"
	[ "$(guest_value segments)" = "30 30" ] || fail "segments: $(guest_value segments)"
	[ "$(guest_value vectors)" = 4 ] || fail "vectors in use: $(guest_value vectors)"
}

# Two files grow and shrink while the guest looks.
case_disk_resize() {
	local sum
	make_disk disk 2
	make_disk scratch 2
	start_guest --cmdline "quiet test=disk-resize" --restricted-dma --disk disk --disk scratch,transport=pci
	wait_out '^waiting'
	make_disk growth 4
	sum=$(sum_of growth)
	tee -a disk scratch <growth >/dev/null
	kill -USR1 "$vmm"
	wait_out '^have grown'
	[ "$(guest_value sums)" = "$sum $sum" ] || fail "of the new parts the guest read something else"
	tail -c 512 disk | cmp - <(head -c 512 /dev/zero) || fail "the guest could not write to it"
	truncate -s 1M disk scratch
	kill -USR1 "$vmm"
	wait_guest
	expect_status 0
	expect_confined
	[ "$(guest_value sizes)" = "4096 12288 2048" ] || fail "sizes: $(guest_value sizes)"
	[ "$(stat -c %s disk)" -eq $((1 << 20)) ] || fail "it has grown again: $(stat -c %s disk)"
}

# The driver leaves in the middle of requests, and comes back.
case_disk_rebind() {
	make_disk disk 4
	make_disk scratch 4
	run_inside disk-rebind "" --disk disk,queues=2 --disk scratch,transport=pci --cpus 2 --restricted-dma
	expect_confined
	[ "$(guest_value vda)" = "$(sum_of disk)" ] || fail "vda: the guest read something else"
	[ "$(guest_value vdb)" = "$(sum_of scratch)" ] || fail "vdb: the guest read something else"
}

case_disk_direct() {
	make_disk disk 8
	make_disk scratch 8
	disk_copy cache=none disk scratch --restricted-dma
	expect_confined
}

case_disk_direct_refused() {
	boot --disk /proc/self/status,ro,cache=none
	expect_status 111
	expect_err '^minivmm: --disk: /proc/self/status: cache=none: the file system has no direct I/O$'
}

# Block devices that know no sectors of less than 4 KiB.
case_disk_direct_large_sectors() {
	local file
	[ "$(id -u)" -eq 0 ] || skip "only root can make loop devices"
	loops=()
	trap 'losetup --detach "${loops[@]}"' EXIT
	for file in disk scratch; do
		make_disk "$file" 8
		loops+=("$(losetup --find --show --sector-size 4096 "$file")")
	done
	disk_copy cache=none "${loops[@]}" --restricted-dma
	expect_confined
	[ "$(guest_value blocks)" = "4096 4096" ] || fail "the guest sees blocks of $(guest_value blocks) bytes"
}
