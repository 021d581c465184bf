# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Device processes that are hostile: build/attack in the place of minivmm-device, see tests/attack/.
# HOSTILE_SCALE=N makes N times as many of what is repeated, and tries all instead of some.

device_scale=${HOSTILE_SCALE:-1}
attack=$(dirname "$minivmm")/attack

# What it can do from inside the sandbox, with and without each layer, on this kernel. (`make attack` does
# all of it on the kernel of the machine that builds.)
case_hostile_attacks() {
	local some=(process-vm-readv proc-mem pidfd-getfd kill pool-shrink leaked-descriptor open connect-abstract)
	[ "$(id -u)" -eq 0 ] || skip "only root can take the user namespace away"
	[ "$device_scale" -eq 1 ] || some=()
	"$attack" "${some[@]}" >out 2>err || fail "$(grep -v ^PASS out | head -n 5)"
}

# start_hostile SERIAL... -- ARG...: a guest with an honest disk and one for each serial number, by which
# its device process knows what to do.
start_hostile() {
	local disks=(--disk "disk,serial=honest") serial
	mkdir bin
	cp "$minivmm" bin/minivmm
	cp "$attack" bin/minivmm-device
	make_disk disk 1
	while [ "$1" != -- ]; do
		truncate -s 1M "$1"
		disks+=(--disk "$1,serial=$1")
		shift
	done
	shift
	minivmm=$work/bin/minivmm
	start_guest --restricted-dma --memory "${memory:-160M}" "${disks[@]}" "$@"
	trap 'kill -KILL "$vmm" 2>/dev/null || true' EXIT
}

milliseconds() {
	echo $(($(date +%s%N) / 1000000))
}

# It hears the console, and the guest answers. Emulated hosts have one CPU for all the floods together.
expect_responsive() {
	local i from took most=0 limit=4000
	for ((i = 0; i < 3; i++)); do
		from=$(milliseconds)
		echo "$1-$i" >"$work/in"
		wait_out "^answer-$1-$i"
		took=$(($(milliseconds) - from))
		[ "$took" -le "$limit" ] || fail "$1: an answer took $took ms"
		[ "$took" -le "$most" ] || most=$took
	done
	echo "$1: answers within $most ms"
}

# lying_disks NAME SERIAL...: while they lie the honest disk and the guest go on, and minivmm answers.
lying_disks() {
	local name=$1
	shift
	start_hostile "$@" -- --cpus 2 --cmdline "quiet test=hostile-device times=$((20 * device_scale))"
	wait_out '^waiting'
	expect_responsive "$name"
	wait_guest
	[[ $status == 0 || $status == 105 || $status == 106 ]] || expect_status 106
	[ "$(guest_value good)" = "$(sum_of disk)" ] || fail "the honest disk: $(tail -c 300 out)"
	expect_report '.devices[0].verdict == "confined"'
	[ "$(grep -c . err)" -le 200 ] || fail "$(grep -c . err) lines of log"
}

case_hostile_used_rings() {
	lying_disks rings lie-used-index lie-used-id lie-foreign-id lie-used-length lie-scribble
}

case_hostile_floods() {
	lying_disks floods lie-call-flood lie-err-flood lie-err-politely lie-log-flood
	expect_err 'blk3?[2-9]?: .*device (process failed|stopped)'
}

case_hostile_messages() {
	lying_disks messages lie-channel-flood lie-garbage lie-descriptors lie-half-message
}

# vmm_memory PATTERN: all bytes of those of minivmm's mappings, 2 MiB or more, whose line matches.
vmm_memory() {
	local range start end
	while read -r range _; do
		start=$((0x${range%-*}))
		end=$((0x${range#*-}))
		[ $((end - start)) -ge $((2 << 20)) ] || continue
		dd if="/proc/$vmm/mem" bs=1M iflag=skip_bytes,count_bytes skip="$start" \
			count=$((end - start)) 2>/dev/null
	done < <(grep -E "$1" "/proc/$vmm/maps")
}

# With vCPUs parked, a device process that writes wherever it can changes its pool, and no other byte of
# the guest or of minivmm.
case_hostile_memory_unchanged() {
	local private='^[^ ]+ rw-p 00000000 00:00 0 *$' pool='dma-pool'
	[ "$(id -u)" -eq 0 ] || skip "only root can look into minivmm"
	start_hostile lie-scribble -- --cmdline "quiet test=hostile-device times=100000"
	wait_out '^round=1'
	kill -STOP "$vmm"
	sleep 0.5
	vmm_memory "$private" >before
	vmm_memory "$pool" >pool-before
	sleep $((3 * device_scale))
	vmm_memory "$pool" >pool-after
	vmm_memory "$private" >after
	[ "$(stat -c %s before)" -ge $((100 << 20)) ] || fail "RAM: $(stat -c %s before) bytes"
	[ "$(stat -c %s pool-before)" -eq $((32 << 20)) ] || fail "pools: $(stat -c %s pool-before) bytes"
	cmp before after >difference || fail "private memory: $(cat difference)"
	! cmp -s pool-before pool-after || fail "the device process did nothing"
	# The pool of the honest disk was mapped first, above the other one.
	cmp -i $((16 << 20)) pool-before pool-after >difference || fail "the other pool: $(cat difference)"
	kill -KILL "$vmm"
}

# Attacks on a real minivmm, as many at once as there may be devices: each is the end of its process, and
# of nothing else. (Whether it would have succeeded is the affair of build/attack.)
case_hostile_attacks_on_minivmm() {
	local attacks=(process-vm-readv process-vm-writev proc-mem proc-fd pidfd-getfd ptrace-attach
		ptrace-seize kill kill-group prlimit pool-shrink pool-grow open connect-tcp execve)
	local name device=1
	memory=512M start_hostile "${attacks[@]}" -- --cmdline "quiet test=hostile-device times=3" \
		--restart-limit off
	wait_guest
	[[ $status == 106 ]] || expect_status 106
	[ "$(guest_value good)" = "$(sum_of disk)" ] || fail "the honest disk: $(tail -c 300 out)"
	for name in "${attacks[@]}"; do
		expect_err "^minivmm: blk$device: device process failed: killed by signal 31"
		device=$((device + 1))
	done
	expect_report '.devices[0].verdict == "confined"'
}

# One of each kind at once: each process has its own pool and no other shared memory, nothing that may be
# written and executed, and no descriptor of a kind that it has no use for.
case_hostile_every_worker() {
	local pid pids shared pools='' others fds
	make_disk disk 1
	start_guest --cmdline "quiet test=end how=wait-line" --restricted-dma --disk disk --rng \
		--vsock "cid=3,path=$work/vsock" --port "log=file:$work/console" --net user
	wait_out '^waiting'
	mapfile -t pids < <(device_pids)
	for pid in "${pids[@]}"; do
		[ "$(readlink "/proc/$pid/exe")" = "$(dirname "$minivmm")/minivmm-device" ] || continue
		shared=$(awk '$2 ~ /s$/ && $6 != "/memfd:device-kept" { print $2, $6, $5 }' "/proc/$pid/maps")
		[[ $shared =~ ^rw-s\ /memfd:dma-pool\ [0-9]+$ ]] || fail "$pid: shared memory: $shared"
		others=$(awk '$2 ~ /wx/ || ($2 ~ /p$/ && $6 != "" && $6 !~ /minivmm-device$|\.so[.0-9]*$|^\[(heap|stack|vdso|vvar|vvar_vclock|vsyscall)\]$/)' "/proc/$pid/maps")
		[ -z "$others" ] || fail "$pid: mappings: $others"
		fds=$(for fd in "/proc/$pid/fd"/*; do readlink "$fd"; done |
			grep -vE "^(/dev/null|anon_inode:\[event(fd|poll)\]|(pipe|socket):\[[0-9]+\]|$work/(disk|console))$" || true)
		[ -z "$fds" ] || fail "$pid: descriptors: $fds"
		pools+="${shared##* }"$'\n'
	done
	echo go >"$work/in"
	wait_guest
	expect_status 0
	[ "$(grep -c . <<<"$pools")" -eq 5 ] && [ "$(sort -u <<<"$pools" | grep -c .)" -eq 5 ] ||
		fail "pools of five processes: $pools"
}
