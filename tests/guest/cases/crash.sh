# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Device processes that end while they work: others go on in their place, and no request is lost.
# HOSTILE_SCALE=N makes N times as many of them end.

crashes=$((8 * ${HOSTILE_SCALE:-1}))

# crash_often WAY...: ends the only device process $crashes times, each time after a moment, in one
# WAY after the other: a signal's name, or OOM.
crash_often() {
	local i pid ways=("$@")
	for ((i = 0; i < crashes; i++)); do
		pid=$(device_pids | head -n 1)
		[ -n "$pid" ] || fail "no device process after $i ends"
		end_process "${ways[i % ${#ways[@]}]}" "$pid"
		wait_restarts $((i + 1))
		sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
	done
}

# end_process WAY PID
end_process() {
	case $1 in
	OOM) run_out_of_memory "$2" ;;
	*) kill "-$1" "$2" ;;
	esac
}

# run_out_of_memory PID: in $group there is none. Pages of the image that are not in memory must be, for its
# next requests.
run_out_of_memory() {
	local i
	echo "$1" >"$group/cgroup.procs"
	for ((i = 0; i < 200; i++)); do
		[ -e "/proc/$1" ] || return 0
		dd if=disk iflag=nocache count=0 2>/dev/null
		sleep 0.05
	done
	fail "device process $1 lives without memory"
}

# Until minivmm has told of $1 restarts.
wait_restarts() {
	local i
	for ((i = 0; i < 200; i++)); do
		[ "$(grep -c 'restarted in [0-9]* ms$' "$work/err")" -lt "$1" ] || return 0
		sleep 0.05
	done
	fail "no restart number $1: $(tail -n 3 "$work/err")"
}

# Whatever the guest had acknowledged is on the disk, and it read what it had written.
crash_disk() {
	local signals=$1
	shift
	make_disk disk 1
	start_guest --cmdline "quiet test=crash-disk mib=1" --disk disk \
		--restart-limit 100/1 "$@"
	wait_out '^started'
	# shellcheck disable=SC2086 # words
	crash_often $signals
	echo go >"$work/in"
	wait_guest
	expect_status 0
	[ "$(guest_value sum)" = "$(sum_of disk)" ] || fail "the disk holds something else"
	expect_report ".devices[0].restarts == $crashes"
	expect_report '.devices[0].failure == null'
}

case_crash_disk() {
	crash_disk "KILL STOP" --restricted-dma
	expect_confined
}

# The first process of a pid namespace can be sent no other signals.
case_crash_disk_pci() {
	crash_disk "SEGV ABRT SYS KILL" --restricted-dma --transport pci --sandbox off
	expect_confined
}

# The kernel ends it for want of memory, in the midst of a request: a block device has a page cache.
case_crash_disk_out_of_memory() {
	group=/sys/fs/cgroup/minivmm-test-$$
	[ "$(id -u)" -eq 0 ] || skip "only root can limit memory"
	grep -qw memory /sys/fs/cgroup/cgroup.controllers || skip "no memory controller in /sys/fs/cgroup"
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control
	truncate -s 1M image
	loop=$(losetup --find --show image)
	trap 'kill -KILL "${vmm:-}" 2>/dev/null || true; wait; losetup --detach "$loop"; rmdir "$group"' EXIT
	ln -s "$loop" disk
	mkdir "$group"
	echo 0 >"$group/memory.max"
	crash_disk OOM --restricted-dma
	expect_confined
	grep -qx "oom_kill $crashes" "$group/memory.events" || fail "$(cat "$group/memory.events")"
}

# All at once, twice in a row: the second time perhaps while they start.
case_crash_all_at_once() {
	local pid
	make_disk disk 1
	make_disk other 1
	start_guest --cmdline "quiet test=crash-disk mib=1" --restricted-dma --disk disk --disk other \
		--rng --restart-limit 100/1
	wait_out '^started'
	for _ in 1 2 3; do
		for pid in $(device_pids); do kill -KILL "$pid"; done
		for pid in $(device_pids); do kill -KILL "$pid" 2>/dev/null || true; done
		sleep 1
	done
	[ "$(device_pids | wc -l)" -eq 3 ] || fail "device processes: $(device_pids | wc -l)"
	echo go >"$work/in"
	wait_guest
	expect_status 0
	[ "$(guest_value sum)" = "$(sum_of disk)" ] || fail "the disk holds something else"
	expect_report '[.devices[] | .restarts >= 3] | all'
}

# disk_pid FILE: of the process that has it.
disk_pid() {
	local pid
	for pid in $(device_pids); do
		[ "$(readlink "/proc/$pid/fd/4")" != "$work/$1" ] || echo "$pid"
	done
}

# The fifth end in too short a time is the last one; the guest and its other devices go on.
case_crash_loop() {
	local i
	make_disk disk 1
	make_disk other 1
	start_guest --cmdline "quiet test=crash-disk mib=1" --restricted-dma --disk disk --disk other \
		--restart-limit 5/100
	wait_out '^started'
	for i in 1 2 3 4; do
		kill -KILL "$(disk_pid other)"
		wait_restarts "$i"
	done
	kill -KILL "$(disk_pid other)"
	sleep 0.5
	[ -z "$(disk_pid other)" ] || fail "it was started once more"
	echo go >"$work/in"
	wait_guest
	expect_status 106
	expect_err '^minivmm: blk1: device process failed: killed by signal 9'
	expect_report '.devices[0].verdict == "confined" and .devices[0].restarts == 0'
	expect_report '.devices[1].verdict == "failed" and .devices[1].restarts == 4'
	[ "$(guest_value sum)" = "$(sum_of disk)" ] || fail "the other disk holds something else"
}

# Every kind of device goes on: the network's frames pass, a vsock's connections end and new ones are made,
# the ports are the guest's as before.
crash_all() {
	local round pid rounds=2 words
	make_tap
	make_disk disk 1
	servers=()
	printf 'hello from the host' >hello
	serve 1000 OPEN:hello,rdonly
	serve 1001 "SYSTEM:sleep 600"
	words="quiet test=crash-all rounds=$rounds $tap_words"
	start_guest --cmdline "$words" --disk disk --net tap=tap0 --vsock cid=3,path=v \
		--port log=file:log --rng --restart-limit 100/1 "$@"
	for ((round = 1; round <= rounds; round++)); do
		wait_out "^ready $round"
		for pid in $(device_pids); do kill -KILL "$pid"; done
		wait_restarts $((5 * round))
		echo go >"$work/in"
	done
	wait_guest
	end_servers
	expect_status 0
	[ "$(cat log)" = $'round 0\r\nround 1\r\nround 2' ] || [ "$(cat log)" = $'round 0\nround 1\nround 2' ] ||
		fail "the port's file: $(cat log)"
	expect_report "[.devices[] | .restarts == $rounds] | all"
}

case_crash_all_kinds() {
	crash_all --restricted-dma
	expect_confined
}

case_crash_all_kinds_pci() {
	crash_all --restricted-dma --transport pci
	expect_confined
}

# passt ends with the stream that the process had: another one takes its place.
case_crash_net_user() {
	local pid passt
	make_uplink
	start_guest --cmdline "quiet test=crash-net-user peer=10.9.0.1" --restricted-dma --net user
	wait_out '^ready'
	passt=$(passt_pid)
	for pid in $(device_pids); do
		[ "$pid" = "$passt" ] || kill -KILL "$pid"
	done
	wait_restarts 1
	[ "$(passt_pid)" != "$passt" ] || fail "it is the same passt"
	echo go >"$work/in"
	wait_guest
	expect_status 0
	expect_confined
}

# Where memory runs out the kernel takes the process with the highest score: a device process, before and
# after it was started again, and not minivmm with all of the guest's memory.
case_crash_out_of_memory() {
	local round device
	make_disk disk 1
	start_guest --cmdline "quiet test=end how=wait-line" --restricted-dma --disk disk
	wait_out '^waiting'
	for round in 0 1; do
		device=$(device_pids)
		[ "$(cat "/proc/$device/oom_score_adj")" -eq 1000 ] || fail "adjustment of the device process"
		[ "$(cat "/proc/$device/oom_score")" -gt "$(cat "/proc/$vmm/oom_score")" ] ||
			fail "the kernel would take minivmm first"
		[ "$round" -eq 1 ] || kill -KILL "$device"
		wait_restarts 1
	done
	echo go >"$work/in"
	wait_guest
	expect_status 0
}
