# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# What no kernel does to the PCI host, to virtio-pci and to the mechanisms that announce a pool: the
# payload virtio-pci.elf does it, and ends with 0 if all was as it should be. It says itself what its
# scenarios are.

pci_payload=$top/build/guest/virtio-pci.elf
dt_pool=pool=1fe00000 # of the first device of a guest of 512 MiB; the payload takes it for 2 MiB

# Lines of 16 bytes, each its number; the payload knows them. 1 MiB.
make_lines() {
	[ -e lines ] || seq 1000000000000000 1000000000065535 | cut -c 2- >lines
	cp lines "$1"
}

# The same after the payload wrote sector 9, if this is the argument.
expect_disk() {
	make_lines expected
	case $1 in
	written)
		awk 'NR > 9 * 32 && NR <= 10 * 32 { $1 = sprintf("%015d", $1 + 1000000) } { print }' \
			expected >changed
		mv changed expected
		;;
	esac
	cmp disk expected >cmp.out || fail "the disk is not $1: $(cat cmp.out)"
}

pci_arguments() {
	local list=$1 words=$2
	case $list in
	via=dt*) list=$list,size=2M words="$words $dt_pool" ;;
	esac
	args=(--kernel "$pci_payload" --transport pci --restricted-dma="$list" --disk disk
		--cmdline "$words")
}

# drive LIST WORDS ARG...: one run with a new disk; what the payload finds must be as it should be.
drive() {
	pci_arguments "$1" "$2"
	shift 2
	make_lines disk
	boot "${args[@]}" "$@"
	expect_out '^payload: all true'
}

expect_first_confined() {
	expect_status 0
	expect_report '.devices[0].verdict == "confined"'
	expect_report '[.devices[0].counters.addresses[].outside] | add == 0'
	expect_report '.devices[0].counters.addresses | .ring.inside > 0 and .buffer.inside > 0'
}

# What minivmm has open, by kinds.
open_files() {
	find "/proc/$vmm/fd" -type l -printf '%l\n' | sed 's/:\[[0-9]*\]$//' | sort | uniq -c
}

# drive_and_count LIST WORDS ARG...: the same, and minivmm has as much open after the scenario as
# before it. Neither did KVM run out of what it counts: it says so on stderr, and the scenarios take
# more ioeventfds (1000), memslots and routes (4096) than it has if none were given back.
drive_and_count() {
	local before after keys
	pci_arguments "$1" "$2 wait"
	shift 2
	make_lines disk
	mkfifo in
	exec {keys}<>in
	"$minivmm" --timeout "$timeout" --report report.json "${args[@]}" "$@" <&"$keys" >out 2>err &
	vmm=$!
	wait_out '^payload: ready'
	before=$(open_files)
	echo >&"$keys"
	wait_out '^payload: (done|not true)'
	after=$(open_files)
	echo >&"$keys"
	wait_guest
	expect_out '^payload: all true'
	[ "$before" = "$after" ] || fail "open before: $before; after: $after"
	! grep -q KVM_ err || fail "stderr: $(head -n 3 err)"
	expect_first_confined
	expect_disk unchanged
}

# Configuration space by ECAM and by ports; the tables do not matter to the payload.
case_pci_payload_plain() {
	local via
	for via in dt cap cap,place=bar config dmb; do
		drive "via=$via" plain
		expect_first_confined
		expect_report ".devices[0].mechanism == \"${via%,*}\""
		expect_disk written
	done
	drive via=cap "plain ports" --tables dt
	expect_first_confined
	drive via=dmb,size=5M "plain ports" --tables dt --cpus 4
	expect_first_confined
}

# Without any access to a BAR but for the pool.
case_pci_payload_access_capability() {
	local via
	for via in dt cap cap,place=bar config dmb; do
		drive "via=$via" access
		expect_first_confined
		expect_disk written
	done
}

case_pci_payload_widths() {
	local via
	for via in dt cap config dmb; do
		drive "via=$via" widths
		expect_first_confined
		expect_disk unchanged
	done
}

case_pci_payload_ways() {
	drive via=cap ways
	expect_first_confined
	drive via=dmb ways
	expect_first_confined
}

# The second disk's registers are laid over those of the first.
case_pci_payload_move_bars() {
	make_disk other 1
	drive_and_count via=cap move-bars --disk other
	expect_report '.devices[1].verdict == "unused"'
}

case_pci_payload_move_bars_and_pool() { drive_and_count via=cap,place=bar move-bars; }
case_pci_payload_move_bars_and_offsets() { drive_and_count via=dmb move-bars; }
case_pci_payload_toggle_decode() { drive_and_count via=cap toggle-decode; }
case_pci_payload_toggle_decode_and_pool() { drive_and_count via=cap,place=bar toggle-decode; }
case_pci_payload_msix() { drive_and_count via=cap msix; }

# Where its pool was until the guest moved it, a device has nothing to look for.
case_pci_payload_moved_pool() {
	drive via=cap,place=bar moved-pool
	expect_status 105
	expect_err '^minivmm: blk0: queue 0: descriptor table at 0x100001000, 128 bytes: outside'
	expect_report '.devices[0].verdict == "violation" and .devices[0].violations.total == 1'
	expect_disk unchanged
}

case_pci_payload_bus_master() {
	drive via=cap bus-master
	expect_first_confined
	expect_err '^minivmm: blk0: bus mastering is off: device stopped'
	expect_disk unchanged
	drive via=dmb bus-master
	expect_first_confined
}

case_pci_payload_reset() {
	drive via=cap reset
	expect_first_confined
	expect_report '.devices[0].resets == 300'
	expect_disk unchanged
}

# Bit 27 is what a driver of the legacy interface takes for ANY_LAYOUT; it is caught in spite of it.
case_pci_payload_any_layout() {
	local via
	for via in cap cap,place=bar config; do
		drive "via=$via" any-layout
		expect_status 105
		expect_err '^minivmm: blk0: queue 0: descriptor table at 0x4000000, 128 bytes: outside.*ANY_LAYOUT'
		expect_err '^minivmm: blk0: queue 0: buffer at 0x4002000, 16 bytes: outside.*ANY_LAYOUT'
		expect_report '.devices[0].verdict == "violation" and .devices[0].violations.total == 2'
		expect_report '[.devices[0].violations.first[].purpose] == ["ring", "buffer"]'
		expect_disk unchanged
	done
}

# What the driver must accept, by mechanism: without it there is no FEATURES_OK ...
case_pci_payload_refused() {
	local via
	for via in dt cap cap,place=bar config dmb; do
		drive "via=$via" refused
		expect_status 105
		expect_err "^minivmm: blk0: FEATURES_OK refused: .*$(promise_of "$via")"
		expect_report '.devices[0].verdict == "refused" and .devices[0].refusals.total == 1'
		expect_disk unchanged
	done
}

# ... or, with policy=hope, no ordinary memory.
case_pci_payload_unpromised() {
	local via outside
	for via in dt cap cap,place=bar config dmb; do
		drive "via=$via,policy=hope" unpromised
		expect_status 105
		expect_err '^minivmm: blk0: queue 0: descriptor table at 0x4000000, 128 bytes: outside'
		outside=1
		[ "$via" != dmb ] || outside=2
		expect_report ".devices[0].violations.total == $outside"
		expect_report '.devices[0].verdict == "violation"'
		expect_disk unchanged
	done
	expect_err 'did not accept VIRTIO_F_DMB'
}

promise_of() {
	case $1 in
	dt) echo VIRTIO_F_ACCESS_PLATFORM ;;
	dmb) echo VIRTIO_F_DMB ;;
	*) echo VIRTIO_F_SWIOTLB ;;
	esac
}

# Addresses one too far on either side, and around 2^64: rings, and buffers in both directions.
case_pci_payload_edges() {
	local via
	for via in dt cap cap,place=bar config dmb; do
		drive "via=$via" edges
		expect_status 105
		expect_report '.devices[0].verdict == "violation" and .devices[0].violations.total == 12'
		expect_report '[.devices[0].violations.first[].purpose] | map(select(. == "ring")) | length == 4'
		expect_disk unchanged
	done
	expect_err '^minivmm: blk0: queue 0: descriptor table at 0, 128 bytes: outside'
	expect_err '^minivmm: blk0: queue 0: buffer at 0, 512 bytes: outside'
}
