# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# A host that fails minivmm while it starts a guest: KVM, files, disks, limits, standard descriptors,
# signals at any moment, a clock that jumps. HOSTILE_SCALE=N repeats N times as often: 250 is what a long
# test does.

host_scale=$((4 * ${HOSTILE_SCALE:-1}))
exits=$top/build/guest/pvh.elf # ends by itself, with 0

# le SIZE VALUE: that many bytes of a number, the lowest first.
le() {
	local i value=$2 text=
	for ((i = 0; i < $1; i++)); do
		printf -v text '%s\\x%02x' "$text" $((value & 255))
		value=$((value >> 8))
	done
	# shellcheck disable=SC2059 # the escapes are meant
	printf "$text"
}

# A kernel that waits for interrupts for ever: ELF header, one segment at 1 MiB, sti; hlt; jmp.
make_idle() {
	{
		printf '\x7fELF\x02\x01\x01'
		le 9 0
		le 2 2; le 2 62; le 4 1; le 8 0x100000; le 8 64; le 8 0; le 4 0
		le 2 64; le 2 56; le 2 1; le 6 0
		le 4 1; le 4 5; le 8 120; le 8 0x100000; le 8 0x100000; le 8 4; le 8 4; le 8 4096
		printf '\xfb\xf4\xeb\xfc'
	} >idle
}

# start ARG...: minivmm with a disk behind a pool; leaves $status and $work/err.
start() {
	status=0
	"${under[@]}" "$minivmm" --kernel "$exits" --restricted-dma --disk disk "$@" \
		</dev/null >"$work/out" 2>"$work/err" || status=$?
}
under=()

# One line and one of the statuses.
expect_refusal() {
	[[ " $1 " == *" $status "* ]] || fail "$3: exit status $status, not $1: $(head -c 400 err)"
	[ "$(wc -l <err)" -eq 1 ] || fail "$3: not one line: $(head -c 400 err)"
	expect_err "^minivmm: .*$2"
}

# No process has our disk, and nothing is here but what the cases make.
expect_nothing_left() {
	local i left
	for ((i = 0; i < 20; i++)); do
		left=$(find /proc/[0-9]*/fd -lname "$work/disk" 2>/dev/null || true)
		[ -n "$left" ] || break
		sleep 0.1
	done
	[ -z "$left" ] || fail "left behind: $left"
	left=$(find . -mindepth 1 | grep -vxE "\./(disk|other|idle|out|err|trace|initrd)" || true)
	[ -z "$left" ] || fail "left behind: $left"
}

# Each ioctl of a start fails: in a long test each one with each error, else the first of each name with
# one error after the other.
case_host_faults_ioctls() {
	local n name names error errors=(ENOMEM EINVAL EINTR) seen=" "
	make_disk disk 1
	under=(strace -o trace -e trace=ioctl)
	start
	expect_status 0
	mapfile -t names < <(sed -n 's/.*ioctl([0-9]*, \(KVM_[A-Z0-9_]*\).*/\1/p' trace)
	[ ${#names[@]} -gt 25 ] || fail "only ${#names[@]} ioctls"
	for n in "${!names[@]}"; do
		name=${names[n]}
		[ "$host_scale" -ge 100 ] || [[ $seen != *" $name "* ]] || continue
		seen+="$name "
		for error in "${errors[@]}"; do
			[ "$host_scale" -ge 100 ] || [ "$error" = "${errors[n % 3]}" ] || continue
			fail_ioctl $((n + 1)) "$name" "$error"
		done
	done
	# A signal in the kernel's way is no reason not to have a VM.
	for n in "${!names[@]}"; do
		[ "${names[n]}" != KVM_CREATE_VM ] || fail_ioctl $((n + 1)) KVM_CREATE_VM EINTR
	done
	expect_nothing_left
}

fail_ioctl() {
	under=(strace -o trace -e trace=ioctl -e "inject=ioctl:error=$3:when=$1")
	start
	grep -q "$2.*INJECTED" trace || fail "ioctl $1 is not $2: $(grep INJECTED trace)"
	case $2:$3 in
	KVM_CREATE_VM:EINTR) expect_status 0 ;;
	*) expect_refusal 112 "$2: " "ioctl $1" ;;
	esac
}

# /dev/kvm is not there, is not ours, is something else, is another version, lacks something.
case_host_faults_kvm() {
	make_disk disk 1
	[ "$(id -u)" -eq 0 ] || skip "only root can hide a device"
	touch none
	chmod 0 none
	chmod 755 .
	chmod 666 disk
	under=(unshare -m sh -c 'mount -t tmpfs tmpfs /dev && exec "$@"' sh)
	start
	expect_refusal 112 '/dev/kvm: open: No such file' "no /dev/kvm"
	under=(unshare -m sh -c 'mount --bind /dev/null /dev/kvm && exec "$@"' sh)
	start
	expect_refusal 112 '/dev/kvm: KVM_GET_API_VERSION: Inappropriate ioctl' "another device"
	under=(unshare -m sh -c 'mount --bind none /dev/kvm &&
		exec setpriv --reuid 65533 --regid 65533 --clear-groups "$@"' sh)
	start
	expect_refusal 112 '/dev/kvm: open: Permission denied' "no permission"
	under=(strace -o trace -e trace=ioctl -e inject=ioctl:retval=13:when=1)
	start
	expect_refusal 112 'KVM_GET_API_VERSION: version 13, need 12' "API"
	under=(strace -o trace -e trace=ioctl -e inject=ioctl:retval=0:when=4)
	start
	expect_refusal 112 'KVM_CAP_IRQFD: missing in this host kernel' "capability"
	rm none
	expect_nothing_left
}

# KVM_RUN that says "try again" for ever, as it does where KVM may not have a thread: only the vCPU's
# thread makes so many ioctls.
case_host_faults_kvm_again() {
	under=(strace -f --seccomp-bpf -o trace -e trace=ioctl -e inject=ioctl:error=EAGAIN:when=60+)
	status=0
	"${under[@]}" "$minivmm" --kernel "$kernel" --timeout 60 \
		</dev/null >out 2>err || status=$?
	expect_refusal 107 'vcpu 0: KVM_RUN: Resource temporarily unavailable' "EAGAIN"
}

# Files that become shorter, longer, unreadable or vanish while the guest is started: strace stops it
# where it opens /dev/kvm, when they have been looked at.
case_host_faults_files() {
	local held
	make_disk disk 1
	hold_up() {
		head -c 100000 /dev/zero >initrd
		rm -f events
		# shellcheck disable=SC2094 # it is made anew
		strace -o trace -P /dev/kvm -e trace=openat -e inject=openat:signal=STOP:when=1 \
			"$minivmm" --kernel "$exits" --restricted-dma --disk disk --initrd initrd \
			--events events </dev/null >out 2>err &
		held=$!
		until grep -qs planned events && grep -q SIGSTOP trace; do
			! ended "$held" || fail "it did not even begin: $(cat err)"
			sleep 0.05
		done
	}
	end_held() {
		local pid
		pid=$(cat "/proc/$held/task/$held/children")
		kill -CONT "${pid% }"
		status=0
		wait "$held" || status=$?
		rm events
	}
	hold_up
	truncate -s 50000 initrd
	end_held
	expect_refusal 111 'initrd: .*: the file is shorter than it was' "shorter"
	expect_nothing_left
	hold_up
	truncate -s 1M initrd
	rm initrd
	end_held
	expect_status 0
	head -c 100000 /dev/zero >initrd
	under=(strace -o trace -P "$(readlink -f "$exits")" -e trace=pread64 -e inject=pread64:error=EIO:when=1)
	start --initrd initrd
	expect_refusal 111 'cannot be read: Input/output error' "unreadable"
	expect_nothing_left
}

# A kernel whose header says that this is all of it: minivmm takes it, and survives what comes of it.
case_host_faults_cut_kernel() {
	local size setup at
	size=$(stat -Lc %s "$kernel")
	setup=$((($(od -An -tu1 -j 497 -N 1 "$kernel") + 1) * 512))
	for at in 64 1024 $((size / 2048)); do
		head -c $((setup + at * 1024)) "$kernel" >cut.bin
		le 4 $((at * 64)) | dd of=cut.bin bs=1 seek=500 conv=notrunc status=none
		status=0
		"$minivmm" --kernel cut.bin --timeout 3 </dev/null >out 2>err || status=$?
		[ "$status" -ge 100 ] && [ "$status" -le 107 ] || fail "$at KiB: $status: $(cat err)"
		[ "$(wc -l <err)" -eq 1 ] || fail "$at KiB: not one line: $(head -c 400 err)"
	done
}

# What is no disk, and who has the disk; the suites disk and device_blk_config know more of it.
case_host_faults_disks() {
	local first
	make_disk disk 1
	: >empty
	head -c 511 disk >short
	mkdir folder
	mkfifo fifo
	expect_no_disk() {
		status=0
		"$minivmm" --kernel "$exits" --disk "$1" </dev/null >out 2>err || status=$?
		expect_refusal 111 "--disk: $2" "$1"
	}
	expect_no_disk empty 'empty: smaller than one sector'
	expect_no_disk short 'short: smaller than one sector'
	expect_no_disk folder,ro 'folder: neither a regular file nor'
	expect_no_disk fifo 'fifo: neither a regular file nor'
	rm -r empty short folder fifo
	truncate -s 9223372036854775807 /dev/shm/largest
	status=0
	"$minivmm" --kernel "$exits" --disk /dev/shm/largest </dev/null >out 2>err || status=$?
	rm /dev/shm/largest
	expect_status 0

	make_idle
	"$minivmm" --kernel idle --disk disk --timeout 60 </dev/null >out 2>first &
	first=$!
	wait_for_disk "$first"
	expect_no_disk disk,ro 'disk: in use by another process \(locked\)'
	kill -TERM "$first"
	status=0
	wait "$first" || status=$?
	expect_status 143
	rm first
	expect_nothing_left
}

# Until a device process of $1 has the disk.
wait_for_disk() {
	local i children
	for ((i = 0; i < 100; i++)); do
		read -ra children <"/proc/$1/task/$1/children" || true
		if [ ${#children[@]} -gt 0 ] &&
			[ "$(readlink "/proc/${children[0]}/fd/4")" = "$work/disk" ]; then
			return
		fi
		sleep 0.1
	done
	fail "no device process has the disk: $(cat "$work/first" "$work/err")"
}

# As few descriptors, as little memory and as few processes as it takes: one less is refused.
case_host_faults_limits() {
	local least
	make_disk disk 1
	chmod 755 .
	chmod 666 disk
	with_limit() {
		status=0
		(
			ulimit "$1" "$2"
			exec "${under[@]}" "$minivmm" --kernel "$exits" --restricted-dma --disk disk \
				--timeout 20 </dev/null >out 2>err
		) || status=$?
	}
	# find_least OPTION BAD GOOD STEP: the smallest number that is enough, to within STEP; each smaller
	# one that is tried on the way has its line.
	find_least() {
		local option=$1 bad=$2 good=$3 step=$4 middle
		while [ $((good - bad)) -gt "$step" ]; do
			middle=$(((bad + good) / 2))
			with_limit "$option" "$middle"
			if [ "$status" -eq 0 ]; then
				good=$middle
			else
				expect_refusal "107 111 112" "" "$option $middle"
				bad=$middle
			fi
		done
		with_limit "$option" "$bad"
		expect_refusal "107 111 112" "" "$option $bad"
		least=$good
	}
	find_least -n 3 40 1
	[ "$least" -gt 10 ] || fail "$least descriptors are enough?"
	expect_err 'descriptors|open files'
	# In KiB: 512 MiB of RAM, 16 MiB of pool.
	find_least -v 400000 900000 $((host_scale >= 100 ? 1 : 16384))
	[ "$least" -gt 530000 ] || fail "$least KiB are enough?"
	expect_nothing_left
	[ "$(id -u)" -eq 0 ] || return 0
	under=(setpriv --reuid 65533 --regid 65533 --clear-groups)
	"${under[@]}" test -w /dev/kvm || return 0
	find_least -u 0 30 1
	expect_err 'unavailable'
	expect_nothing_left
}

# Standard descriptors that are closed, a reader that is gone, very many more.
case_host_faults_stdio() {
	local sum fds
	make_disk disk 1
	sum=$(sum_of disk)
	closed() {
		status=0
		"$minivmm" --kernel "$exits" --restricted-dma --disk disk || status=$?
		expect_status 0
	}
	closed <&-
	closed <&- >&-
	closed <&- >&- 2>&-
	closed >&- 2>&-
	[ "$(sum_of disk)" = "$sum" ] || fail "the disk has changed"

	# A console that nobody reads costs its output.
	status=0
	{
		sleep 0.5
		"$minivmm" --kernel "$top/build/guest/virtio-blk.elf" --restricted-dma --disk disk \
			--cmdline "ring=1fe00000 buffer=1fe10000 accept=1 expect=3" </dev/null 2>err
		echo $? >out
	} | true
	status=$(cat out)
	expect_status 0
	expect_err '^minivmm: console: output lost from now on: Broken pipe'

	make_idle
	(
		ulimit -n "$(ulimit -Hn)"
		for ((i = 0; i < host_scale * 10; i++)); do
			exec {fd}</dev/zero
		done
		exec "$minivmm" --kernel idle --restricted-dma --disk disk --timeout 60 \
			</dev/null >out 2>err
	) &
	vmm=$!
	wait_for_disk "$vmm"
	fds=$(find "/proc/$(device_pids)/fd" -lname /dev/zero)
	kill -TERM "$vmm"
	wait_guest
	expect_status 143
	[ -z "$fds" ] || fail "a device process has what we have inherited: $fds"
	expect_nothing_left
}

# signal NAME after $1 seconds of a guest's life, with everything that could be left behind.
signal_after() {
	local signals=$2 name number
	"$minivmm" --kernel idle --restricted-dma --disk disk --vsock cid=3,path=vsock \
		--port a=socket:port --report report.json --timeout 60 </dev/null >out 2>err &
	vmm=$!
	sleep "$1"
	for name in $signals; do
		kill -"$name" "$vmm"
		[ "$name" != STOP ] || sleep 0.3
	done
	number=$(kill -l "$name")
	wait_guest
	expect_status $((128 + number))
	[ "$(wc -l <err)" -le 1 ] || fail "$name after $1 s: $(cat err)"
	[ ! -e report.json ] || jq -e . report.json >/dev/null || fail "half a report"
	rm -f report.json
	expect_nothing_left
}

# At any moment: between the first line of its code and the guest's life.
case_host_faults_signals() {
	local i ms rounds=$((host_scale / 10)) signals=("TERM" "HUP" "STOP CONT TERM")
	[ "$rounds" -ge 4 ] || rounds=4
	make_disk disk 1
	make_idle
	# How long a start and an end take is how long there is something to interrupt.
	ms=${EPOCHREALTIME/./}
	start --vsock cid=3,path=vsock --port a=socket:port
	ms=$(((${EPOCHREALTIME/./} - ms) / 1000))
	for ((i = 0; i < rounds; i++)); do
		signal_after "$(((i * ms + RANDOM * ms / 32768) / rounds))e-3" "${signals[i % 3]}"
	done
	status=0
	timeout -s INT 3 "$minivmm" --kernel idle --disk disk --vsock cid=3,path=vsock \
		</dev/null >out 2>err || status=$?
	expect_status 124
	expect_err '^minivmm: signal 2$'
	expect_nothing_left
}

# What the guest has written is on the disk when SIGTERM has ended the run.
case_host_faults_flushed() {
	local i minivmm_pid
	make_disk disk 1
	make_idle
	strace -f --seccomp-bpf -o trace -e trace=fdatasync \
		"$minivmm" --kernel idle --restricted-dma --disk disk --timeout 60 \
		</dev/null >out 2>err &
	vmm=$!
	for ((i = 0; i < 100; i++)); do
		minivmm_pid=$(cat "/proc/$vmm/task/$vmm/children")
		minivmm_pid=${minivmm_pid%% *}
		[ "$(cat "/proc/$minivmm_pid/comm" 2>/dev/null)" != minivmm ] || break
		sleep 0.1
	done
	wait_for_disk "$minivmm_pid"
	kill -TERM "$minivmm_pid"
	wait_guest
	expect_status 143
	grep -q 'fdatasync(4) *= 0' trace || fail "no flush: $(cat trace)"
}

# A host whose clock jumps by a day in either direction, and that is suspended for a while: nothing
# that waits for a time ends early or spins.
case_host_faults_clock() {
	local before after ticks jump jumps=()
	! is_alone || jumps=(+86400 -172800 +86400)
	make_disk disk 1
	make_idle
	"$minivmm" --kernel idle --restricted-dma --disk disk --timeout 60 </dev/null >out 2>err &
	vmm=$!
	wait_for_disk "$vmm"
	cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$vmm/stat"; }
	# The device process is asked for its size, and has a deadline.
	for jump in "${jumps[@]}"; do
		date -s @$(($(date +%s) + jump)) >/dev/null
		kill -USR1 "$vmm"
	done
	kill -STOP "$vmm"
	sleep $((host_scale >= 100 ? 10 : 2))
	kill -CONT "$vmm"
	kill -USR1 "$vmm"
	before=$(cpu_ticks)
	sleep 2
	after=$(cpu_ticks)
	ticks=$((after - before))
	kill -TERM "$vmm"
	wait_guest
	expect_status 143
	[ "$(cat err)" = "minivmm: signal 15" ] || fail "$(cat err)"
	[ "$ticks" -lt $(($(getconf CLK_TCK) / 2)) ] || fail "$ticks ticks of CPU in 2 s of waiting"
}

# On a machine where people work other things come and go, and the clock is theirs.
is_alone() {
	[ "$(cat /proc/sys/kernel/hostname)" = emulated-host ]
}

# What the host has of each kind, before and after many guests.
inventory() {
	find "$TMPDIR" -mindepth 1
	is_alone || return 0
	find /proc/[0-9]*/ns/net -printf '%l\n' 2>/dev/null | sort -u
	find /dev/shm /sys/class/net -mindepth 1 | sort
}

case_host_faults_start_and_stop() {
	local i before shared
	make_disk disk 1
	make_disk other 1
	export TMPDIR=$work/temporary
	mkdir "$TMPDIR"
	shared_kib() { awk '/^Shmem:/ { print $2 }' /proc/meminfo; }
	before=$(inventory)
	shared=$(shared_kib)
	for ((i = 0; i < host_scale; i++)); do
		start --disk other --rng --vsock cid=3,path=vsock --port a=socket:port
		expect_status 0
	done
	[ "$(inventory)" = "$before" ] || fail "$(diff <(echo "$before") <(inventory))"
	# A pool is 16 MiB.
	! is_alone || [ $(($(shared_kib) - shared)) -lt 8192 ] ||
		fail "shared memory: $shared KiB, and then $(shared_kib)"
	rmdir "$TMPDIR"
	expect_nothing_left
}
