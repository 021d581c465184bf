# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Every way a run can end has its own exit status (docs/minivmm.1).

ends_with() {
	boot --cmdline "quiet test=end how=$1" --cpus 2
	expect_status "$2"
	expect_report ".exit.status == $2"
}

case_end_poweroff() { ends_with poweroff 0; }
case_end_reboot() { ends_with reboot 100; }
case_end_halt() { ends_with halt 101; }

# The first process exits at once, which no kernel survives.
case_end_panic() {
	boot --cmdline "quiet rdinit=/bin/false"
	expect_status 102
}

# reboot=t,force: Linux loads an empty IDT and traps.
case_end_triple_fault() {
	boot --cmdline "quiet test=end how=reboot reboot=t,force"
	expect_status 103
}

case_end_timeout() {
	local start=$SECONDS
	timeout=5
	boot --cmdline "quiet test=end how=sleep"
	expect_status 104
	[ $((SECONDS - start)) -lt 15 ] || fail "it took $((SECONDS - start)) s"
}

case_end_exit_codes() {
	local code
	for code in 0 1 42 99; do
		boot --cmdline "quiet test=exit-code code=$code"
		expect_status "$code"
	done
	boot --cmdline "quiet test=exit-code code=200"
	expect_status 99
}

# SIGTERM ends it in good order, and its device process with it.
case_end_sigterm() {
	local pids pid
	make_disk disk 1
	start_guest --cmdline "quiet test=end how=sleep" --restricted-dma --disk disk
	wait_out '^sleeping'
	pids=$(device_pids)
	[ -n "$pids" ] || fail "no device process"
	kill -TERM "$vmm"
	wait_guest
	expect_status 143
	for pid in $pids; do
		[ ! -e "/proc/$pid" ] || fail "device process $pid is still there"
	done
}

# However minivmm dies, its device processes do not outlive it.
case_end_sigkill() {
	local pid i
	make_disk disk 1
	start_guest --cmdline "quiet test=end how=sleep" --restricted-dma --disk disk
	wait_out '^sleeping'
	pid=$(device_pids)
	kill -KILL "$vmm"
	wait_guest
	for ((i = 0; i < 10; i++)); do
		[ -e "/proc/$pid" ] || return 0
		sleep 0.1
	done
	fail "device process $pid is still there after a second"
}

# With --restart-limit off the guest outlives its device process, and the run says what happened.
case_end_device_killed() {
	make_disk disk 1
	start_guest --cmdline "quiet test=end how=wait-line" --restricted-dma --disk disk \
		--restart-limit off
	wait_out '^waiting'
	kill -KILL "$(device_pids)"
	sleep 1
	kill -0 "$vmm" || fail "minivmm went down with its device process"
	echo go >"$work/in"
	wait_guest
	expect_status 106
	expect_err '^minivmm: blk0: device process failed: killed by signal 9'
	expect_report '.devices[0].verdict == "failed"'
}
