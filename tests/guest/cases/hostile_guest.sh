# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# A guest that attacks its disk: the payload hostile.elf. It has the scenarios, and says of each whether
# the device was as it should be afterwards and all memory outside of the pool unchanged. Here we look
# at what minivmm says, at the disk, and at what minivmm holds in the end.
#
# What has to be done often is done HOSTILE_SCALE thousand times: kicks, exits; a tenth of that are resets and
# what needs several exits. Fields that a device may read twice are flipped a million times, always.

hostile_pool=1e00000 # of the first of two devices of a guest of 32 MiB: 2 MiB, then the second's
hostile_next=2000000
hostile_scale=$((1000 * ${HOSTILE_SCALE:-1}))

# hostile_arguments TRANSPORT WORDS: the disk is lines of 16 bytes, each its number, which the payload
# knows; the other device is there to have a pool next to that of the first.
hostile_arguments() {
	local via=dt
	[ "$1" = mmio ] || via=cap
	seq -f '%015.0f' 0 65535 >disk
	make_disk other 1
	args=(--kernel "$top/build/guest/hostile.elf" --memory 32M --cpus 2 --transport "$1"
		--restricted-dma="via=$via,size=2M" --disk disk,queues=2,queue-size=1024 --disk other
		--cmdline "$1 pool=$hostile_pool size=200000 neighbour=$hostile_next scale=$(
			printf %x "$hostile_scale") $2")
}

# Nothing on the disk has changed but for the last sector, which is there to be written.
expect_disk_whole() {
	seq -f '%015.0f' 0 65535 | head -c 1048064 | cmp -n 1048064 - disk >cmp.out ||
		fail "the disk has changed: $(cat cmp.out)"
	[ "$(stat -c %s disk)" -eq 1048576 ] || fail "the disk has another size"
}

# expect_hostile STATUS [OTHER]: all scenarios have passed, and minivmm says little and harms nobody.
expect_hostile() {
	local lines seconds=$((SECONDS - hostile_start + 1))
	! grep -aE -B 1 '^(FAIL|payload: (not true|exception))' out >failed ||
		fail "$(tr -d '\r' <failed | head -n 8)"
	expect_out '^payload: all true'
	[ "$status" = "${2:-}" ] || expect_status "$1"
	lines=$(wc -l <err)
	[ "$lines" -le $((10 * seconds)) ] || fail "$lines lines on stderr in $seconds s"
	! grep -q 'failed' err || fail "stderr: $(grep failed err)"
	expect_report '.devices[0].verdict != "failed"'
	expect_report '.devices[1].verdict == "unused" and .devices[1].violations.total == 0'
	expect_disk_whole
}

# attack TRANSPORT STATUS GROUP...: one boot with these groups of scenarios.
attack() {
	local transport=$1 expected=$2 hostile_start=$SECONDS
	shift 2
	hostile_arguments "$transport" "$*"
	boot "${args[@]}"
	expect_hostile "$expected"
}

# What minivmm and its device processes have open, by kinds.
open_everywhere() {
	local pid
	# shellcheck disable=SC2046 # process ids
	for pid in "$vmm" $(device_pids); do
		find "/proc/$pid/fd" -type l -printf '%l\n'
	done | sed 's/:\[[0-9]*\]$//' | sort | uniq -c
}

# Their resident memory, in KiB, without that which they share with the guest.
private_memory() {
	local pid
	# shellcheck disable=SC2046 # process ids
	for pid in $(device_pids); do
		cat "/proc/$pid/status"
	done | awk '/^RssAnon:/ { sum += $2 } END { print sum }'
}

# attack_and_count TRANSPORT GROUP...: the same, and nothing is left behind meanwhile. Whether a device
# that one CPU sets up and another one resets is ever started with half of its addresses is chance.
attack_and_count() {
	local transport=$1 hostile_start=$SECONDS before after memory grown keys
	shift
	# Hundreds of resets take minutes where KVM is emulated on a busy machine.
	timeout=$((3 * timeout))
	hostile_arguments "$transport" "$* wait"
	rm -f in
	mkfifo in
	exec {keys}<>in
	"$minivmm" --timeout "$timeout" --report report.json "${args[@]}" <&"$keys" >out 2>err &
	vmm=$!
	wait_out '^payload: ready'
	before=$(open_everywhere)
	memory=$(private_memory)
	echo >&"$keys"
	wait_out '^payload: (done|not true: [A-Z])'
	after=$(open_everywhere)
	grown=$(($(private_memory) - memory))
	echo >&"$keys"
	exec {keys}>&-
	wait_guest
	expect_hostile 0 105
	[ "$before" = "$after" ] || fail "open before: $before; after: $after"
	[ "$grown" -le 4096 ] || fail "device processes have grown by $grown KiB"
	! grep -q KVM_ err || fail "stderr: $(head -n 3 err)"
}

# The first 16 violations are in the report as the payload made them.
expect_violations_told() {
	tr -d '\r' <out | sed -n 's/0x0*/0x/g; /^violation /p' | head -n 16 >wanted
	jq -r '.devices[0].violations.first[] |
		"violation \(.purpose) \(.address) \(.length) \(.queue) \(.descriptor)"' report.json >told
	[ "$(wc -l <wanted)" -eq 16 ] || fail "the payload tells of $(wc -l <wanted) violations"
	diff wanted told >difference || fail "violations as made and as told: $(head -n 6 difference)"
}

case_hostile_chains() {
	local transport
	for transport in mmio pci; do
		attack "$transport" 105 self-check chains
		expect_violations_told
		expect_report '.devices[0].violations.total == 16'
		expect_report '.devices[0].counters.addresses | .buffer.outside == 14 and .indirect_table.outside == 2'
	done
}

case_hostile_rings() {
	local transport
	for transport in mmio pci; do
		attack "$transport" 105 rings indices
		expect_err 'blk0: queue 0: descriptor table at 0x1dffff0, 256 bytes: outside'
		expect_report '.devices[0].violations.first | map(.purpose == "ring") | all'
		# What the device process saw was inside.
		expect_report '[.devices[0].counters.addresses[].outside] | add == 0'
	done
}

case_hostile_registers() {
	local transport
	for transport in mmio pci; do
		attack "$transport" 105 registers "$transport-registers"
		expect_report '.devices[0].refusals.total == 4'
		expect_err 'FEATURES_OK refused: the driver accepted features that were not offered: 0x200000000000'
	done
}

case_hostile_storms() { attack_and_count mmio storms exits; }
case_hostile_storms_pci() { attack_and_count pci storms exits; }
case_hostile_pci_races() { attack_and_count pci pci-races; }

# Each race says how often the field was changed and how often the device has stopped for it, which it does
# for an address outside, and for a head or an index that cannot be.
expect_races() {
	local stopping='^ok race-(descriptor-length|.*-address|.*-at-the-end|table-length|available-)'
	[ "$(grep -ac '^ok race-' out)" -eq 15 ] || fail "$(grep -ac '^ok race-' out) races"
	[ "$(grep -acE "$stopping" out)" -eq 8 ] || fail "$(grep -acE "$stopping" out) that stop"
	tr -d '\r' <out | awk -v least="$hostile_scale" -v stopping="$stopping" '
		/^flips / { races++; few += $2 < least; stops = $6 }
		$0 ~ stopping && !stops { few++ }
		END { exit races != 15 || few }' ||
		fail "$(grep -aE '^(flips|ok race)' out | tr -d '\r')"
}

case_hostile_races() {
	local hostile_scale=1000000
	attack mmio 105 races
	expect_races
}

case_hostile_races_pci() {
	local hostile_scale=1000000
	attack pci 105 races
	expect_races
}

# end_badly HOW STATUS LINE: one line, at once.
end_badly() {
	local start=$SECONDS
	hostile_arguments mmio "$1"
	boot "${args[@]}"
	expect_status "$2"
	[ "$(wc -l <err)" -eq 1 ] || fail "stderr: $(head -c 600 err)"
	expect_err "$3"
	[ $((SECONDS - start)) -le 20 ] || fail "it took $((SECONDS - start)) s"
}

case_hostile_ends() {
	end_badly end-halted 101 'halted'
	end_badly end-triple-fault 103 'triple fault'
	end_badly end-code-in-registers 107 'KVM_EXIT_INTERNAL_ERROR: suberror 1'
}
