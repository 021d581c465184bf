# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# minivmm as a tool for tests: the programs of docs/testing-with-minivmm.md, as they stand there.

# example NAME: the block of the document that begins with "# NAME ", as a program in bin/.
example() {
	mkdir -p bin
	awk -v name="$1" '
		/^```/ { inside = 0 }
		/^```sh$/ { inside = 1; text = ""; wanted = 0; next }
		inside { text = text $0 "\n"; if ($1 == "#" && $2 == name) wanted = 1 }
		/^```$/ && wanted { printf "%s", text; wanted = 0 }
	' "$top/docs/testing-with-minivmm.md" >"bin/$1"
	[ -s "bin/$1" ] || fail "no block of the document has $1"
	chmod +x "bin/$1"
}

# program NAME: standard input as a program.
program() {
	printf '#!/bin/sh\n%s\n' "$(cat)" >"$1"
	chmod +x "$1"
}

prepare_harness() {
	example run-in-guest
	example guests-as-tap
	PATH=$PWD/bin:$(dirname "$minivmm"):$PATH
	TIMEOUT=$timeout
	export PATH TIMEOUT
	program passes <<<'echo "this is guest $(uname -s)"; echo and an error >&2'
	program fails <<<'echo it is not so; exit 3'
	# Memory is little, and a lack of it a panic.
	program panics <<<'echo 2 >/proc/sys/vm/panic_on_oom; echo now; tail /dev/zero'
	program hangs <<<'echo waiting; while :; do :; done'
	export MEMORY=64M
}

# Output and exit status come from the guest, events while it runs.
case_harness_shell() {
	prepare_harness
	status=0
	run-in-guest "$kernel" passes --restricted-dma --events events >out 2>err || status=$?
	expect_status 0
	[ "$(cat out)" = "this is guest Linux
and an error" ] || fail "output: $(cat out)"
	[ ! -s err ] || fail "standard error: $(cat err)"
	[ "$(jq -r 'select(.event == "phase") | .phase' events | tr '\n' ' ')" = \
		"start planned vm devices loaded run stopped " ] || fail "phases: $(cat events)"
	# Some kernels reset their devices before they power off.
	[ "$(jq -r 'select(.device == "console0") | .state' events | grep -v reset | tr '\n' ' ')" = \
		"started driver-ok ended " ] || fail "states: $(cat events)"
	[ "$(tail -n 1 events | jq -r '[.event, .status, .name, .dropped] | join(" ")')" = \
		"exit 0 ok 0" ] || fail "last event: $(tail -n 1 events)"

	status=0
	run-in-guest "$kernel" fails --events fd:3 3>events >out 2>err || status=$?
	expect_status 3
	[ "$(cat out)" = "it is not so" ] || fail "output: $(cat out)"
	[ "$(tail -n 1 events | jq -r '[.event, .status, .name] | join(" ")')" = \
		"exit 3 guest" ] || fail "last event: $(tail -n 1 events)"

	# The guest ends well, without a word.
	program quits <<<'poweroff -f'
	status=0
	run-in-guest "$kernel" quits >out 2>err || status=$?
	expect_status 108
	expect_err '^minivmm: guest powered off, and told no exit code'
}

# A program that fails, and a crash, and a hang: which it was is told apart.
case_harness_tap() {
	prepare_harness
	status=0
	guests-as-tap "$kernel" passes fails panics >out || status=$?
	expect_status 1
	[ "$(grep -v '^#' out)" = "1..3
ok 1 - passes
not ok 2 - fails: exit status 3
not ok 3 - panics: the guest crashed" ] || fail "results: $(cat out)"
	grep -qx '# it is not so' out || fail "no output of the one that failed: $(cat out)"
	grep -qx '# now' out || fail "no output of the one that crashed: $(cat out)"
	grep -q '^# .*Kernel panic' out || fail "no console of the one that crashed: $(cat out)"

	status=0
	TIMEOUT=5 guests-as-tap "$kernel" hangs >out || status=$?
	expect_status 1
	grep -qx 'not ok 1 - hangs: no end after 5 seconds' out || fail "results: $(cat out)"

	status=0
	guests-as-tap no-kernel passes >out || status=$?
	expect_status 1
	grep -q '^Bail out! .*no-kernel' out || fail "results: $(cat out)"
}

# A code that comes by vsock, and a guest that resets where another one powers off.
case_harness_vsock() {
	boot --cmdline "quiet test=tell-code code=200 how=reboot" --restricted-dma \
		--vsock cid=3,path=v --exit-code-from vsock
	expect_status 99
	expect_report '.exit.reason == "guest asked for a reset, exit code 200"'
	[ ! -s err ] || fail "standard error: $(cat err)"
}

# What becomes of a device, as it happens: a guest that does not promise to use its pool, and one that
# does not keep its promise; each then does as it should.
case_harness_device_events() {
	local pool=1fe00000
	make_disk disk 1
	boot --kernel "$top/build/guest/virtio-blk.elf" --restricted-dma --disk disk --events events \
		--cmdline "ring=$pool buffer=1fe10000 accept=0 expect=1 good=$pool"
	expect_status 105
	expect_states "started refused driver-ok ended"
	[ "$(jq -r 'select(.state == "refused") | .detail' events)" = \
		"$(jq -r '.devices[0].refusals.first[0]' report.json)" ] || fail "$(cat events)"

	boot --kernel "$top/build/guest/virtio-blk.elf" --restricted-dma --disk disk --events events \
		--cmdline "ring=$pool buffer=2000000 accept=1 expect=2 good=$pool"
	expect_status 105
	expect_states "started driver-ok violation needs-reset reset driver-ok ended"
	[ "$(jq -r 'select(.event == "violation") | .address' events)" = 0x2000000 ] ||
		fail "$(cat events)"
}

expect_states() {
	local states
	states=$(jq -r 'select(.device == "blk0") | .state // .event' events | tr '\n' ' ')
	[ "$states" = "$1 " ] || fail "states: $states, expected $1"
}
