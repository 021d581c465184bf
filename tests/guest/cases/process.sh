# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The device processes, looked at from outside while a guest runs.

# Starts a guest with one disk in a pool; $vmm and $device are the two processes.
start_with_disk() {
	make_disk disk 1
	start_guest --cmdline "quiet test=end how=wait-line" --restricted-dma --disk disk
	wait_out '^waiting'
	device=$(device_pids)
	[ -n "$device" ] || fail "no device process"
}

finish_guest() {
	echo go >"$work/in"
	wait_guest
	expect_status 0
}

# Two mappings are shared: the pool, and the page for the process after it. Of memory files nothing else.
case_process_maps() {
	local shared kept range
	start_with_disk
	shared=$(awk '$2 ~ /s$/' "/proc/$device/maps")
	finish_guest
	kept=$(grep '/memfd:device-kept (deleted)$' <<<"$shared")
	shared=$(grep -v '/memfd:device-kept (deleted)$' <<<"$shared")
	range=${kept%% *}
	[ $((0x${range#*-} - 0x${range%-*})) -eq 4096 ] || fail "kept memory: $kept"
	[ "$(wc -l <<<"$shared")" -eq 1 ] || fail "shared mappings: $shared"
	[[ $shared == *" rw-s 00000000 "*"/memfd:dma-pool (deleted)" ]] || fail "mapping: $shared"
	range=${shared%% *}
	[ $((0x${range#*-} - 0x${range%-*})) -eq $((16 << 20)) ] || fail "size: $shared"
}

# Exactly the descriptors that it needs (vmm/vhost/worker.h); of its queue kick, call and error.
case_process_descriptors() {
	local fds
	start_with_disk
	fds=$(for fd in "/proc/$device/fd"/*; do readlink "$fd"; done |
		sed "s,:\[[0-9]*\]$,,; s,^$work/,," | sort | uniq -c | awk '{ print $1, $2 }')
	finish_guest
	diff - <(echo "$fds") >"$work/diff" <<-'LIST' || fail "descriptors: $(cat "$work/diff")"
	2 /dev/null
	3 anon_inode:[eventfd]
	1 anon_inode:[eventpoll]
	1 disk
	1 pipe
	2 socket
	LIST
}

# Every namespace its own, no capability, no new privileges, a filter in force, an empty root.
case_process_sandbox() {
	local ns proc root uid
	start_with_disk
	for ns in user pid mnt net ipc uts cgroup; do
		[ "$(readlink "/proc/$device/ns/$ns")" != "$(readlink "/proc/$vmm/ns/$ns")" ] ||
			fail "namespace $ns is ours"
	done
	proc=$(cat "/proc/$device/status")
	root=$(ls -A "/proc/$device/root/")
	uid=$(awk '/^Uid/ { print $2 }' <<<"$proc")
	finish_guest
	grep -qx 'NoNewPrivs:	1' <<<"$proc" || fail "no_new_privs is off"
	grep -qx 'Seccomp:	2' <<<"$proc" || fail "no seccomp filter"
	[ "$(grep -c '^Cap...:	0000000000000000$' <<<"$proc")" -eq 5 ] ||
		fail "capabilities: $(grep ^Cap <<<"$proc")"
	[ -z "$root" ] || fail "its root holds: $root"
	[ "$uid" -ne 0 ] || fail "it runs as root"
}

# minivmm has no descriptor of guest RAM, and cannot be looked into.
case_process_vmm() {
	local memfds
	start_with_disk
	memfds=$(for fd in "/proc/$vmm/fd"/*; do readlink "$fd"; done | grep memfd | sort)
	finish_guest
	[ "$memfds" = "/memfd:device-kept (deleted)
/memfd:dma-pool (deleted)" ] || fail "memory files: $memfds"
}

# Two disks, two processes: neither has the other's pool, or its file.
case_process_two_apart() {
	local pids first second
	make_disk disk 1
	make_disk other 1
	start_guest --cmdline "quiet test=end how=wait-line" --restricted-dma --disk disk --disk other
	wait_out '^waiting'
	mapfile -t pids < <(device_pids)
	[ ${#pids[@]} -eq 2 ] || fail "device processes: ${pids[*]}"
	# Device and inode of what they share with somebody: the pool and the kept memory.
	first=$(awk '$2 ~ /s$/ { print $4, $5 }' "/proc/${pids[0]}/maps" | sort)
	second=$(awk '$2 ~ /s$/ { print $4, $5 }' "/proc/${pids[1]}/maps" | sort)
	files=$(for pid in "${pids[@]}"; do readlink "/proc/$pid/fd/4"; done)
	finish_guest
	[ -n "$first" ] && [ -z "$(comm -12 <(echo "$first") <(echo "$second"))" ] ||
		fail "shared memory: $first and $second"
	[ "$files" = "$work/disk
$work/other" ] || fail "files: $files"
}

# Where namespaces are not to be had minivmm says so and does not start; to go without is a choice.
case_process_no_namespaces() {
	local refuse='echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"'
	make_disk disk 1
	minivmm_without() {
		status=0
		unshare -Ur sh -c "$refuse" sh "$minivmm" --kernel "$kernel" --initrd "$initramfs" \
			--timeout "$timeout" --restricted-dma --disk disk --report report.json \
			--cmdline "quiet test=read-disk" "$@" </dev/null >out 2>err || status=$?
	}
	minivmm_without
	expect_status 112
	expect_err '^minivmm: blk0: sandbox: user and other namespaces: .*; --sandbox=off runs without'
	minivmm_without --sandbox off
	expect_status 0
	expect_err '^minivmm: --sandbox=off: '
	expect_report '.devices[0].sandbox == "off"'
	expect_confined
}
