# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# What Linux and lspci(8) see of the PCI functions, and what becomes of them when they are moved.

# pci_tools COMMAND ARG...: boots with lspci and setpci on the first disk. With ACPI tables: a device tree's
# PCI bus has the address of its ECAM for a domain (Linux on x86), which is too long for lspci.
pci_tools() {
	local tool library
	mkdir tools
	for tool in lspci setpci; do
		cp "$(command -v "$tool")" tools/
		ldd "tools/$tool" | sed -nE 's/^.*[[:space:]](\/[^ ]+) \(0x.*/\1/p'
	done | sort -u >libraries
	while read -r library; do
		cp "$library" tools/
	done <libraries
	mke2fs -q -t ext4 -d tools disk 32M >/dev/null
	boot --cmdline "quiet test=pci-tools tool=$1" --transport pci --disk disk,ro --rng "${@:2}"
	expect_status 0
}

# lspci's hex dump of the function with device id $1, as one line of bytes.
dump_of() {
	tr -d '\r' <out | awk -v id="1af4:$1" '
		/^[^ ]+ [0-9a-f]+: [0-9a-f]+:[0-9a-f]+/ { found = $3 == id }
		found && /^[0-9a-f]+: / { sub(/^[0-9a-f]+: /, ""); printf "%s ", $0 }'
}

# The capabilities in list order, one line of bytes for each: $1 as dump_of() prints it.
capabilities() {
	local bytes at
	read -ra bytes <<<"$1"
	at=$((0x${bytes[0x34]}))
	while [ "$at" -ne 0 ]; do
		case ${bytes[at]} in
		11) echo "${bytes[*]:at+2:10}" ;;
		*) echo "${bytes[*]:at+2:0x${bytes[at + 2]} - 2}" ;;
		esac
		at=$((0x${bytes[at + 1]}))
	done
}

# A number as 4 bytes, least significant first, as lspci shows them.
le32() {
	local hex
	hex=$(printf '%08x' "$(($1 & 0xffffffff))")
	echo "${hex:6:2} ${hex:4:2} ${hex:2:2} ${hex:0:2}"
}

# The bytes that lspci reads are those that the specification wants, next pointers aside.
case_pci_capabilities() {
	local base high
	kernel=$proposals
	pci_tools list --restricted-dma=via=cap,share=group=00112233-4455-6677-8899-aabbccddeeff
	base=$(jq -r '.devices[0].windows[0].base' report.json)
	high=$((base >> 32))
	cat >expected <<-LIST
	01 00 00 40 00 00 00 50 00 00
	10 01 00 00 00 00 00 00 00 00 40 00 00 00
	14 02 00 00 00 00 00 30 00 00 04 00 00 00 04 00 00 00
	10 03 00 00 00 00 00 10 00 00 01 00 00 00
	10 04 00 00 00 00 00 20 00 00 00 01 00 00
	14 05 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
	28 0a ff 00 00 00 $(le32 "$base") $(le32 $((16 << 20))) $(le32 "$high") $(le32 0) 00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff
	LIST
	# What the guest itself has written there: MSI-X Enable.
	capabilities "$(dump_of 1042)" | sed '1s/^01 80/01 00/' >found
	diff expected found >differs || fail "blk: $(cat differs)"
	sed -i "\$s/^28 0a ff .*/28 0a ff 00 00 00 $(le32 0) $(le32 0) $(le32 0) $(le32 0) 00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff/" expected
	capabilities "$(dump_of 1044)" | sed '1s/^01 80/01 00/' >found
	diff expected found >differs || fail "rng, which refers to the pool of blk: $(cat differs)"
	# lspci's own reading of them.
	expect_out 'MSI-X: Enable. Count=2 Masked-'
	expect_out 'Vector table: BAR=0 offset=00004000'
	expect_out 'PBA: BAR=0 offset=00005000'
	expect_out 'VirtIO: CommonCfg'
	expect_out 'VirtIO: Notify'
	expect_out 'Region 0: Memory at d00[0-9a-f]+ \(32-bit, non-prefetchable\) .*\[size=32K\]'
}

# The pool in a BAR, and the shared memory region that dmb_shm_id names.
case_pci_capabilities_bar() {
	kernel=$proposals
	pci_tools list --restricted-dma=via=dmb
	expect_out 'Region 2: Memory at [0-9a-f]+ \(64-bit, prefetchable\) .*\[size=16M\]'
	[ "$(capabilities "$(dump_of 1044)" | tail -n 1)" = \
		"18 08 02 0d 00 00 $(le32 0) $(le32 $((16 << 20))) $(le32 0) $(le32 0)" ] ||
		fail "shared memory: $(capabilities "$(dump_of 1044)" | tail -n 1)"
}

case_pci_bars_moved_by_setpci() {
	kernel=$proposals
	make_disk data 4
	pci_tools move --restricted-dma=via=cap --disk data
	[ "$(guest_value read)" = "$(sum_of data)" ] || fail "the guest read something else"
	expect_confined
}

case_pci_interrupts_move() {
	make_disk disk 8
	run_inside affinity "" --cpus 4 --transport pci --restricted-dma --disk disk
	[ "$(guest_value sum)" = "$(sum_of disk)" ] || fail "the guest read something else"
	[ "$(guest_value moves)" -gt 20 ] || fail "only $(guest_value moves) moves of the interrupts"
	expect_confined
}

# Half of the devices on each transport, each with its pool.
case_pci_beside_mmio() {
	make_disk disk 8
	make_disk scratch 8
	run_inside disk-both "" --disk disk,transport=pci --disk scratch --restricted-dma --cpus 2
	[ "$(guest_value vda)" = "$(sum_of scratch)" ] || [ "$(guest_value vda)" = "$(sum_of disk)" ] ||
		fail "vda: the guest read something else"
	[ "$(guest_value vdb)" = "$(sum_of scratch)" ] || [ "$(guest_value vdb)" = "$(sum_of disk)" ] ||
		fail "vdb: the guest read something else"
	expect_confined
	expect_report '[.devices[].transport] == ["pci", "mmio"]'
}

# The project's kernel on ACPI tables, and told by the device tree all the same if that is asked for.
case_pci_unrestricted() {
	local tables
	make_disk disk 4
	make_disk scratch 4
	for tables in acpi dt; do
		run_inside disk-both "" --transport pci --tables "$tables" --disk disk --disk scratch --cpus 2
		[ "$(guest_value vda)" = "$(sum_of disk)" ] || fail "vda: the guest read something else"
		[ "$(guest_value vdb)" = "$(sum_of scratch)" ] || fail "vdb: the guest read something else"
		expect_report '[.devices[].verdict == "unrestricted"] | all'
	done
}
