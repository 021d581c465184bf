# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Data through the pool, checked from both sides.

# disk_checksums MIB ARG...: so much is read and so much written while the guest's memory is full; the
# sums of both sides agree.
disk_checksums() {
	local mib=$1 read_sum written_sum
	shift
	make_disk disk "$mib"
	make_disk scratch "$mib"
	read_sum=$(sum_of disk)
	run_inside disk-checksums "mib=$mib" --memory 160M --disk disk --disk scratch "$@"
	[ "$(guest_value read)" = "$read_sum" ] || fail "the guest read something else"
	written_sum=$(guest_value written)
	[ "$(sum_of scratch)" = "$written_sum" ] || fail "the guest wrote something else"
	[ "$(sum_of disk)" = "$read_sum" ] || fail "a disk that was only read has changed"
	[ "$(guest_value filled)" = yes ] || fail "the guest's memory was not full"
}

case_disk_checksums() {
	disk_checksums 32 --restricted-dma
	expect_confined
	expect_report '[.devices[].counters.addresses.indirect_table.inside > 0] | any'
	expect_report '.devices[0].counters.bytes_from_device >= 33554432'
	expect_report '.devices[1].counters.bytes_to_device >= 33554432'
}

case_disk_checksums_4_cpus() {
	disk_checksums 8 --restricted-dma --cpus 4
	expect_confined
}

case_disk_checksums_shared_pool() {
	disk_checksums 8 --restricted-dma=share=all
	expect_confined
	expect_report '.devices[0].windows == .devices[1].windows'
}

case_disk_checksums_unrestricted() {
	disk_checksums 8
	expect_report '[.devices[].verdict == "unrestricted"] | all'
}

# Two disks, two pools: each device process has the one and not the other.
case_two_pools_apart() {
	make_disk disk 16
	make_disk scratch 16
	run_inside disk-both "" --disk disk --disk scratch --restricted-dma --cpus 2
	[ "$(guest_value vda)" = "$(sum_of disk)" ] || fail "vda: the guest read something else"
	[ "$(guest_value vdb)" = "$(sum_of scratch)" ] || fail "vdb: the guest read something else"
	expect_confined
	expect_report '(.devices[0].windows | length) == 1 and .devices[0].windows != .devices[1].windows'
}

# The guest's own counters and the device's tell the same story.
case_counters_agree() {
	local sectors requests from_device
	make_disk disk 16
	run_inside counters "" --restricted-dma --disk disk
	expect_confined
	sectors=$(guest_value sectors_read)
	requests=$(jq .devices[0].counters.requests report.json)
	from_device=$(jq .devices[0].counters.bytes_from_device report.json)
	# Each request gets a status byte besides its data; the one for the serial number 20 bytes.
	[ $((from_device - sectors * 512)) -ge "$requests" ] &&
		[ $((from_device - sectors * 512)) -le $((requests + 40)) ] ||
		fail "the guest read $sectors sectors, the device wrote $from_device bytes in $requests requests"
	[ "$(guest_value pool_bytes)" -eq "$((16 << 20))" ] || fail "pool: $(guest_value pool_bytes) bytes"
	[ "$(guest_value hiwater)" -gt 0 ] || fail "io_tlb_used_hiwater is 0"
	[ "$(guest_value used_after)" -le "$(guest_value used_before)" ] ||
		fail "slots leaked: $(guest_value used_before) before, $(guest_value used_after) after"
}

case_disk_options() {
	make_disk disk 1
	local before
	before=$(sum_of disk)
	run_inside disk-options "" --restricted-dma --disk "disk,ro,serial=ABC-123"
	[ "$(guest_value serial)" = ABC-123 ] || fail "serial: '$(guest_value serial)'"
	[ "$(guest_value ro)" = 1 ] || fail "the disk is not read-only"
	[ "$(sum_of disk)" = "$before" ] || fail "a read-only disk has changed"
}

case_rng() {
	run_inside rng "" --restricted-dma --device rng
	expect_confined
	expect_report '.devices[0].counters.bytes_from_device >= 65536'
}

# A pool of 2 MiB under four writers and readers of 1 MiB each: it fills and drains and goes on.
case_small_pool_under_load() {
	make_disk disk 32
	local sum
	sum=$(sum_of disk)
	run_inside pool-load "" --restricted-dma=size=2M --disk disk --cpus 4
	[ "$(guest_value sum)" = "$sum" ] || fail "the guest read something else"
	expect_confined
	expect_report '.devices[0].counters.pool_high_water > 1048576'
}

# A second minivmm does not get an image that one already writes to; the first one does not notice.
case_disk_locked() {
	make_disk disk 1
	start_guest --cmdline "quiet test=end how=wait-line" --restricted-dma --disk disk
	wait_out '^waiting'
	status=0
	"$minivmm" --kernel "$kernel" --timeout 5 --disk disk </dev/null >/dev/null 2>second || status=$?
	[ "$status" -eq 111 ] || fail "the second one: exit status $status, expected 111"
	grep -qx 'minivmm: --disk: disk: in use by another process (locked)' second ||
		fail "the second one says: $(cat second)"
	echo go >"$work/in"
	wait_guest
	expect_status 0
}
